//! A whole answer or one chunk of a stream, taken apart.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::members::{last, members};
use super::node::words_name;
use super::outline::Outline;
use super::scan::Cursor;
use super::value::Json;
use crate::{FinishReason, Usage};

/// How many names of one object, and how many elements of one list, are told apart: a search among them must stay quick
/// whatever somebody sends. OpenAI's own objects have about ten.
pub(super) const MOST_MEMBERS: usize = 128;

/// How many choices are taken apart. More of them only pass, so that a list of empty objects takes no memory of many
/// times its size.
pub(super) const MOST_CHOICES: usize = 1_024;

/// A member's name and its value.
pub(super) type Member<'a> = (Cow<'a, str>, Json<'a>);

/// An answer, whole or a chunk.
#[derive(Debug, Default)]
pub struct Reply<'a> {
    /// The choices; `None` where there is no list of them.
    pub choices: Option<SmallVec<[Choice<'a>; 1]>>,
    /// The token counts, where they are not null.
    pub usage: Option<Json<'a>>,
    /// These counts, read; `None` where they are no object.
    counts: Option<Usage>,
    /// The other members, each name once. Few, so that a search is quick.
    pub others: SmallVec<[Member<'a>; 6]>,
    /// The places of its ids, and its form.
    pub outline: Outline,
    /// Whether a member is none that an answer usually has.
    has_unusual: bool,
}

/// One choice: a chat's message or a piece of one, or a completion's text.
#[derive(Debug, Default)]
pub struct Choice<'a> {
    /// Its number; its place where it has none that can be read.
    pub index: u64,
    message: Option<Body<'a>>,
    delta: Option<Body<'a>>,
    /// A completion's text.
    pub text: Option<Json<'a>>,
    /// Why it ends, where that is not null.
    pub finish_reason: Option<Json<'a>>,
    /// The other members, each name once.
    pub others: SmallVec<[Member<'a>; 2]>,
}

/// A message or a piece of one.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    json: Json<'a>,
    role: Option<Json<'a>>,
    pub(super) content: Option<Json<'a>>,
    /// The first string that is words of a model, under its name.
    words: Option<(&'static str, Json<'a>)>,
    /// Whether it has no other members than one role and one content, in this order.
    is_plain: bool,
    /// Whether every member but one role and the words is null.
    is_sole: bool,
    says: bool,
}

/// The words of a reply that says nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Sole<'a> {
    /// The number of the choice.
    pub index: u64,
    /// The name of the member that holds the words.
    pub name: &'static str,
    /// The words, a string.
    pub words: Json<'a>,
}

impl<'a> Reply<'a> {
    /// Takes an object apart; `None` where the text is none.
    pub fn of(json: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(json);
        let mut reply = Self { outline: Outline::begin(json)?, ..Self::default() };
        cursor.members(|name, cursor| {
            match &*name {
                "choices" => {
                    reply.outline.note_name(&name);
                    reply.choices = Choice::list(cursor)?;
                }
                "usage" => {
                    reply.outline.note_name(&name);
                    let (json, counts) = cursor.spanned(counts)?;
                    (reply.usage, reply.counts) = (Some(json), counts);
                }
                _ => {
                    // These hold no words and no error.
                    reply.has_unusual |= !matches!(
                        &*name,
                        "id" | "object" | "created" | "model" | "system_fingerprint" | "service_tier"
                    );
                    let value = cursor.value()?;
                    reply.outline.note(json, &name, value);
                    put(&mut reply.others, name, value);
                }
            }
            Some(())
        })?;
        reply.usage = reply.usage.filter(|usage| !usage.is_null());
        cursor.is_at_end().then_some(reply)
    }

    /// A member that is neither `choices` nor `usage`, where it is not null.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        self.others.iter().find(|(key, _)| key == name).map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    /// Whether it has a choice.
    pub fn has_choices(&self) -> bool {
        self.choices.as_ref().is_some_and(|choices| !choices.is_empty())
    }

    /// Whether it, or a choice of it, has a member that an answer does not usually have.
    pub fn has_unusual(&self) -> bool {
        self.has_unusual || self.choices.iter().flatten().any(|choice| !choice.others.is_empty())
    }

    /// The model's name.
    pub fn model(&self) -> Option<String> {
        let model = self.get("model").filter(|model| model.is_string())?;
        Some(model.text().into_owned()).filter(|name| !name.is_empty())
    }

    /// The words of the only choice, where another reply that differs in these alone says nothing else: whatever is told
    /// twice then is something that counts once.
    pub fn sole_words(&self) -> Option<Sole<'a>> {
        let [choice] = self.choices.as_deref()? else { return None };
        let counts_once = self.others.iter().all(|(name, _)| words_name(name).is_none())
            && choice.others.iter().all(|(_, value)| value.is_null())
            && !choice.finish_reason.is_some_and(is_end);
        let (name, words) = match (choice.piece(), choice.text) {
            (Some(piece), None) => piece.sole_words()?,
            (None, Some(text)) if text.is_string() => ("text", text),
            _ => return None,
        };
        counts_once.then_some(Sole { index: choice.index, name, words })
    }

    /// Whether it has one choice, which has a text and says nothing beside it, and no member that an answer does not
    /// usually have.
    pub fn is_text(&self) -> bool {
        let Some([choice]) = self.choices.as_deref().filter(|_| !self.has_unusual) else { return false };
        let words = choice.whole().and_then(Body::sole_words);
        words.is_some_and(|(name, _)| name == "content") && choice.others.iter().all(|(_, value)| value.is_null())
    }

    /// The token counts; what is missing or no number counts 0.
    pub fn usage(&self) -> Option<Usage> {
        self.counts
    }
}

impl<'a> Choice<'a> {
    /// Reads a value as a list of choices; the inner `None`: it is no list. Elements that are no objects are left out.
    #[allow(clippy::option_option, reason = "without a value the text is no JSON, and with an empty one it is no list")]
    fn list(cursor: &mut Cursor<'a>) -> Option<Option<SmallVec<[Self; 1]>>> {
        if cursor.peek()? != b'[' {
            cursor.value()?;
            return Some(None);
        }
        let (mut choices, mut place) = (SmallVec::new(), 0);
        cursor.elements(|cursor| {
            if cursor.peek()? == b'{' && choices.len() < MOST_CHOICES {
                choices.push(Self::read(cursor, place)?);
            } else {
                cursor.value()?;
            }
            place += 1;
            Some(())
        })?;
        Some(Some(choices))
    }

    fn read(cursor: &mut Cursor<'a>, place: u64) -> Option<Self> {
        let mut choice = Self { index: place, ..Self::default() };
        cursor.members(|name, cursor| {
            match &*name {
                "index" => choice.index = number(cursor.value()?).unwrap_or(place),
                "message" => choice.message = Body::read(cursor)?,
                "delta" => choice.delta = Body::read(cursor)?,
                "text" => choice.text = Some(cursor.value()?),
                "finish_reason" => choice.finish_reason = Some(cursor.value()?).filter(|reason| !reason.is_null()),
                _ => put(&mut choice.others, name, cursor.value()?),
            }
            Some(())
        })?;
        Some(choice)
    }

    /// The whole message. Some servers call it a delta.
    pub fn whole(&self) -> Option<&Body<'a>> {
        self.message.as_ref().or(self.delta.as_ref())
    }

    /// A piece of the message. Some servers send the message so far beside it (Perplexity); some have no other name for
    /// the piece than `message`.
    pub fn piece(&self) -> Option<&Body<'a>> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    /// Whether it has a message and no piece of one.
    pub fn has_message_alone(&self) -> bool {
        self.message.is_some() && self.delta.is_none()
    }

    /// Its words: the content of its message or piece of one, or a completion's text.
    pub fn words(&self, body: Option<&Body<'a>>) -> Option<Json<'a>> {
        body.and_then(|body| body.content).or(self.text)
    }

    /// Why it ends, where it does.
    pub fn finish_reason(&self) -> Option<FinishReason> {
        let reason = self.finish_reason.filter(|reason| is_end(*reason))?;
        Some(FinishReason::from(&*reason.text()))
    }

    /// Whether it says anything; `body` is its message or piece of one.
    pub fn says(&self, body: Option<&Body<'a>>) -> bool {
        self.text.is_some_and(|text| !text.is_blank()) || body.is_some_and(|body| body.says)
    }
}

impl<'a> Body<'a> {
    /// Reads a value as a message; the inner `None`: it is no object.
    pub fn read(cursor: &mut Cursor<'a>) -> Option<Option<Self>> {
        if cursor.peek()? != b'{' {
            cursor.value()?;
            return Some(None);
        }
        let (mut role, mut content, mut words) = (None, None, None);
        let (mut is_plain, mut is_sole, mut says) = (true, true, false);
        let (json, ()) = cursor.spanned(|cursor| {
            cursor.members(|name, cursor| {
                let value = cursor.value()?;
                match &*name {
                    "role" => {
                        is_plain &= role.is_none() && content.is_none();
                        is_sole &= role.is_none();
                        role = Some(value);
                    }
                    "content" => {
                        is_plain &= content.is_none();
                        content = Some(value);
                    }
                    _ => is_plain = false,
                }
                if name != "role" && !value.is_null() {
                    // A message's own `text` is a member that nobody knows; the choice's text is something else.
                    match words_name(&name).filter(|name| *name != "text" && words.is_none() && value.is_string()) {
                        Some(name) => words = Some((name, value)),
                        None => is_sole = false,
                    }
                }
                says |= name != "role" && !value.is_blank();
                Some(())
            })
        })?;
        Some(Some(Self { json, role, content, words, is_plain, is_sole, says }))
    }

    /// Its JSON.
    pub fn get(&self) -> &'a str {
        self.json.get()
    }

    /// Gives each of its members to `take`, in its order. Of two with one name the last one counts, as it does for every
    /// reader of the message.
    pub fn members(&self, mut take: impl FnMut(Cow<'a, str>, Json<'a>)) {
        if self.is_plain {
            // A second scan would find these two, which nearly every piece consists of.
            self.role.into_iter().for_each(|role| take(Cow::Borrowed("role"), role));
            self.content.into_iter().for_each(|content| take(Cow::Borrowed("content"), content));
            return;
        }
        let mut all: SmallVec<[Member<'a>; 8]> = SmallVec::new();
        members(self.get(), |name, value| {
            // A search must stay quick whatever somebody sends.
            match all.iter().take(MOST_MEMBERS).position(|(known, _)| *known == name) {
                Some(at) => all[at].1 = value,
                None => all.push((name, value)),
            }
        });
        all.into_iter().for_each(|(name, value)| take(name, value));
    }

    /// Its words under their name, where everything else is null or its role.
    pub fn sole_words(&self) -> Option<(&'static str, Json<'a>)> {
        // Of two members with one name the last one counts.
        self.words.filter(|(name, words)| self.is_sole && (*name != "content" || self.content == Some(*words)))
    }

    /// The last member of that name.
    pub fn last(&self, name: &str) -> Option<Json<'a>> {
        if self.is_plain && !matches!(name, "role" | "content") { None } else { last(self.get(), name) }
    }
}

/// Whether the value of a `finish_reason` ends the choice. Some servers write an empty text, or the word `null` as one,
/// in every chunk (ollama/ollama#4357).
pub fn is_end(reason: Json<'_>) -> bool {
    reason.is_string() && !matches!(reason.get(), "\"\"" | "\"null\"")
}

/// Sets a member: of two with one name the last one counts. Of objects with very many names the rest only passes.
fn put<'a, const N: usize>(others: &mut SmallVec<[Member<'a>; N]>, key: Cow<'a, str>, value: Json<'a>)
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

/// Reads a value as token counts; the inner `None`: it is no object. Some servers name the counts as OpenAI's later
/// routes do.
#[allow(clippy::option_option, reason = "without a value the text is no JSON, and other values are no counts")]
fn counts(cursor: &mut Cursor<'_>) -> Option<Option<Usage>> {
    if cursor.peek()? != b'{' {
        cursor.value()?;
        return Some(None);
    }
    let (mut prompt, mut completion, mut total) = (None, None, None);
    let (mut input, mut output) = (None, None);
    let (mut cached, mut reasoning) = (None, None);
    let detail = |details: Json<'_>, name| last(details.get(), name).and_then(number);
    cursor.members(|name, cursor| {
        let value = cursor.value()?;
        match &*name {
            "prompt_tokens" => prompt = number(value),
            "completion_tokens" => completion = number(value),
            "total_tokens" => total = number(value),
            "input_tokens" => input = number(value),
            "output_tokens" => output = number(value),
            "prompt_tokens_details" | "input_tokens_details" => cached = detail(value, "cached_tokens"),
            "completion_tokens_details" | "output_tokens_details" => reasoning = detail(value, "reasoning_tokens"),
            _ => {}
        }
        Some(())
    })?;
    let (prompt, completion) = (prompt.or(input).unwrap_or(0), completion.or(output).unwrap_or(0));
    Some(Some(Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: total.unwrap_or(prompt.saturating_add(completion)),
        // No server caches more than it was given, or hides more than it generated.
        cached_tokens: cached.unwrap_or(0).min(prompt),
        reasoning_tokens: reasoning.unwrap_or(0).min(completion),
    }))
}

/// A count: an integer, a number with a fraction that is cut off, or either as a text. Not below 0.
pub fn number(value: Json<'_>) -> Option<u64> {
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
        choice.words(choice.piece()).map(Json::text).unwrap_or_default().into_owned()
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
    fn very_many_choices_only_pass() {
        let of = |count: usize| {
            Reply::of(&format!(r#"{{"choices":[{}]}}"#, vec!["{}"; count].join(",")))
                .is_some_and(|reply| reply.choices.is_some_and(|choices| choices.len() == count.min(MOST_CHOICES)))
        };
        assert!(of(1) && of(MOST_CHOICES) && of(MOST_CHOICES + 1));
        assert!(Reply::of(&format!(r#"{{"choices":[{}{{]}}"#, "{},".repeat(MOST_CHOICES))).is_none());
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
        let detailed = r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8},
            "completion_tokens_details":{"reasoning_tokens":4,"x":[]}}"#;
        assert_eq!(of(detailed), Some(Usage::new(9, 5).cached_tokens(8).reasoning_tokens(4)));
        let boasting = r#"{"input_tokens":2,"output_tokens":1,"input_tokens_details":{"cached_tokens":7},
            "output_tokens_details":null}"#;
        assert_eq!(of(boasting), Some(Usage::new(2, 1).cached_tokens(2)));
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
