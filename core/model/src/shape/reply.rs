//! A whole answer or one chunk of a stream, taken apart.

use std::borrow::Cow;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::members::{elements, last, members};
use super::text::Joint;
use crate::{FinishReason, Usage};

/// How many names of one object, and how many elements of one list, are told apart: a search among them must stay quick
/// whatever somebody sends. OpenAI's own objects have about ten.
pub(super) const MOST_MEMBERS: usize = 128;

/// A member's name and its value.
pub(super) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// An answer, whole or a chunk.
#[derive(Debug, Default)]
pub struct Reply<'a> {
    /// The choices; `None` where there is no list of them.
    pub choices: Option<SmallVec<[Choice<'a>; 1]>>,
    /// The token counts, where they are not null.
    pub usage: Option<&'a RawValue>,
    /// The other members, each name once. Few, so that a search is quick.
    pub others: SmallVec<[Member<'a>; 6]>,
}

/// One choice: a chat's message or a piece of one, or a completion's text.
#[derive(Debug, Default)]
pub struct Choice<'a> {
    /// Its number; its place where it has none that can be read.
    pub index: u64,
    message: Option<&'a RawValue>,
    delta: Option<&'a RawValue>,
    /// A completion's text.
    pub text: Option<&'a RawValue>,
    /// Why it ends, where that is not null.
    pub finish_reason: Option<&'a RawValue>,
    /// The other members, each name once.
    pub others: SmallVec<[Member<'a>; 2]>,
}

impl<'a> Reply<'a> {
    /// Takes an object apart; `None` where the text is none.
    pub fn of(json: &'a str) -> Option<Self> {
        let mut reply = Self::default();
        let mut choices = None;
        let is_object = members(json, |key, value| match &*key {
            "choices" => choices = Some(value),
            "usage" => reply.usage = Some(value),
            _ => put(&mut reply.others, key, value),
        });
        if !is_object {
            return None;
        }
        reply.usage = reply.usage.filter(|usage| !is_null(usage));
        reply.choices = choices.and_then(|list: &RawValue| {
            let mut choices = SmallVec::new();
            let mut place = 0;
            elements(list.get(), |element| {
                choices.extend(Choice::of(element.get(), place));
                place += 1;
            })
            .then_some(choices)
        });
        Some(reply)
    }

    /// A member that is neither `choices` nor `usage`, where it is not null.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.others.iter().find(|(key, _)| key == name).map(|(_, value)| *value).filter(|value| !is_null(value))
    }

    /// Whether it has a choice.
    pub fn has_choices(&self) -> bool {
        self.choices.as_ref().is_some_and(|choices| !choices.is_empty())
    }

    /// The model's name.
    pub fn model(&self) -> Option<String> {
        let model = self.get("model").filter(|model| model.get().starts_with('"'))?;
        Some(text(model)).filter(|name| !name.is_empty())
    }

    /// The token counts; what is missing or no number counts 0. Some servers name them as OpenAI's later routes do.
    pub fn usage(&self) -> Option<Usage> {
        let (mut prompt, mut completion, mut total) = (None, None, None);
        let (mut input, mut output) = (None, None);
        let is_object = members(self.usage?.get(), |key, value| match &*key {
            "prompt_tokens" => prompt = number(value),
            "completion_tokens" => completion = number(value),
            "total_tokens" => total = number(value),
            "input_tokens" => input = number(value),
            "output_tokens" => output = number(value),
            _ => {}
        });
        if !is_object {
            return None;
        }
        let (prompt, completion) = (prompt.or(input).unwrap_or(0), completion.or(output).unwrap_or(0));
        Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: total.unwrap_or(prompt.saturating_add(completion)),
        })
    }
}

impl<'a> Choice<'a> {
    fn of(json: &'a str, place: u64) -> Option<Self> {
        let mut choice = Self { index: place, ..Self::default() };
        members(json, |key, value| match &*key {
            "index" => choice.index = number(value).unwrap_or(place),
            "message" => choice.message = Some(value),
            "delta" => choice.delta = Some(value),
            "text" => choice.text = Some(value),
            "finish_reason" => choice.finish_reason = Some(value),
            _ => put(&mut choice.others, key, value),
        })
        .then(|| {
            choice.finish_reason = choice.finish_reason.filter(|reason| !is_null(reason));
            choice
        })
    }

    /// The whole message. Some servers call it a delta.
    pub fn whole(&self) -> Option<&'a RawValue> {
        [self.message, self.delta].into_iter().flatten().find(is_object)
    }

    /// A piece of the message. Some servers send the message so far beside it (Perplexity); some have no other name for
    /// the piece than `message`.
    pub fn piece(&self) -> Option<&'a RawValue> {
        [self.delta, self.message].into_iter().flatten().find(is_object)
    }

    /// Whether it has a message and no piece of one.
    pub fn has_message_alone(&self) -> bool {
        let is = |body: Option<&'a RawValue>| body.as_ref().is_some_and(is_object);
        is(self.message) && !is(self.delta)
    }

    /// Its words: the content of its message or piece of one, or a completion's text.
    pub fn words(&self, body: Option<&'a RawValue>) -> Option<&'a RawValue> {
        body.and_then(|body| last(body.get(), "content")).or(self.text)
    }

    /// Why it ends, where it does.
    pub fn finish_reason(&self) -> Option<FinishReason> {
        let reason = self.finish_reason.filter(|reason| is_end(reason))?;
        Some(FinishReason::from(text(reason).as_str()))
    }

    /// Whether it says anything; `body` is its message or piece of one.
    pub fn says(&self, body: Option<&RawValue>) -> bool {
        let mut says = self.text.is_some_and(|text| !is_blank(text));
        if let Some(body) = body {
            members(body.get(), |key, value| says |= key != "role" && !is_blank(value));
        }
        says
    }
}

/// Whether the value of a `finish_reason` ends the choice. Some servers write an empty text, or the word `null` as one,
/// in every chunk (ollama/ollama#4357).
pub fn is_end(reason: &RawValue) -> bool {
    reason.get().starts_with('"') && !matches!(reason.get(), "\"\"" | "\"null\"")
}

/// Whether the value is null.
pub fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Whether the value is a text, a list or an object with nothing in it, or null.
pub fn is_blank(value: &RawValue) -> bool {
    is_blank_json(value.get())
}

/// Like the function above, for JSON text.
pub(super) fn is_blank_json(json: &str) -> bool {
    match json.as_bytes() {
        b"null" | b"\"\"" => true,
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
        _ => false,
    }
}

/// The text of the value.
pub fn text(value: &RawValue) -> String {
    Joint::of(value)
}

fn is_object(value: &&RawValue) -> bool {
    value.get().starts_with('{')
}

/// Sets a member: of two with one name the last one counts. Of objects with very many names the rest only passes.
fn put<'a, const N: usize>(others: &mut SmallVec<[Member<'a>; N]>, key: Cow<'a, str>, value: &'a RawValue)
where
    [Member<'a>; N]: smallvec::Array<Item = Member<'a>>,
{
    let has_room = others.len() < MOST_MEMBERS;
    match others.iter_mut().find(|(name, _)| *name == key) {
        Some((_, old)) => *old = value,
        None if has_room => others.push((key, value)),
        None => {}
    }
}

/// A count: an integer, a number with a fraction that is cut off, or either as a text. Not below 0.
fn number(value: &RawValue) -> Option<u64> {
    let digits = value.get().trim_matches('"');
    digits
        .parse()
        .ok()
        .or_else(|| digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> String {
        let reply = Reply::of(json).unwrap();
        let choice = reply.choices.unwrap().into_iter().min_by_key(|choice| choice.index).unwrap();
        let content = choice.piece().and_then(|piece| last(piece.get(), "content"));
        content.or(choice.text).map(text).unwrap_or_default()
    }

    #[test]
    fn text_is_found_wherever_servers_put_it() {
        for (json, wanted) in [
            (r#"{"choices":[{"text":"a\n"}]}"#, "a\n"),
            (r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"b"}}]}"#, "b"),
            (r#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[]}}]}"#, ""),
            (r#"{"choices":[{"delta":{"content":[{"type":"text","text":"c"},{"type":"image"}]}}]}"#, "c"),
            (r#"{"choices":[{"index":1,"delta":{"content":"n"}},{"index":0,"delta":{"content":"y"}}]}"#, "y"),
            (r#"{"choices":[{"delta":{"content":"d"},"message":{"content":"whole d"}}]}"#, "d"),
            (r#"{"choices":[{"delta":null,"message":{"content":"e"}}]}"#, "e"),
            (r#"{"choices":1,"choices":[{"delta":{"content":5},"delta":{"content":"f"}}]}"#, "f"),
        ] {
            assert_eq!(said(json), wanted, "{json}");
        }
    }

    #[test]
    fn a_number_is_read_in_any_form_and_else_the_place_counts() {
        for (index, wanted) in
            [("3", 3), ("\"3\"", 3), ("3.0", 3), ("-1", 0), ("null", 1), ("true", 1), ("{}", 1), ("\"x\"", 1)]
        {
            let json = format!(r#"{{"choices":[{{}},{{"index":{index}}}]}}"#);
            assert_eq!(Reply::of(&json).unwrap().choices.unwrap()[1].index, wanted, "{index}");
        }
    }

    #[test]
    fn usage_is_read_in_any_form() {
        let of = |usage: &str| Reply::of(&format!(r#"{{"usage":{usage}}}"#)).unwrap().usage();
        assert_eq!(of("null"), None);
        assert_eq!(of("5"), None);
        assert_eq!(of(r#"{"prompt_tokens":3,"completion_tokens":null}"#), Some(Usage::new(3, 0)));
        assert_eq!(
            of(r#"{"prompt_tokens":12.0,"completion_tokens":"3","total_tokens":15.0}"#),
            Some(Usage::new(12, 3))
        );
        assert_eq!(of(r#"{"input_tokens":2,"output_tokens":1,"details":{}}"#), Some(Usage::new(2, 1)));
        assert_eq!(of(r#"{"prompt_tokens":-5,"completion_tokens":{}}"#), Some(Usage::new(0, 0)));
        let most = of(r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1e300}"#).unwrap();
        assert_eq!(most.total_tokens, u64::MAX);
    }

    #[test]
    fn what_is_empty_ends_nothing_and_says_nothing() {
        let choice = |inner: &str| {
            let json = format!(r#"{{"choices":[{{{inner}}}]}}"#);
            let reply = Reply::of(&json).unwrap();
            let choice = &reply.choices.as_ref().unwrap()[0];
            (choice.finish_reason(), choice.says(choice.piece()))
        };
        for inner in [
            r#""finish_reason":"""#,
            r#""finish_reason":null"#,
            r#""finish_reason":"null""#,
            r#""finish_reason":7"#,
            r#""finish_reason":{}"#,
        ] {
            assert_eq!(choice(inner), (None, false), "{inner}");
        }
        assert_eq!(choice(r#""finish_reason":"st\u006fp""#).0, Some(FinishReason::Stop));
        assert_eq!(
            choice(r#""delta":{"role":"assistant","content":"","tool_calls":[ ],"x":{},"refusal":null}"#),
            (None, false)
        );
        for inner in [
            r#""text":"a""#,
            r#""delta":{"reasoning":"a"}"#,
            r#""delta":{"tool_calls":[{}]}"#,
            r#""delta":{"content":0}"#,
        ] {
            assert_eq!(choice(inner), (None, true), "{inner}");
        }
    }
}
