//! The chunks of a stream, put together into the whole answer.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::calls::Calls;
use super::members::elements;
use super::node::{Object, write_key, write_string};
use super::quoted::Said;
use super::reply::{Choice, Reply, is_end};

/// Members of a chunk whose first value is the answer's. Of others the last one counts.
const HEAD: &[&str] = &["id", "created", "model"];

/// How many choices are told apart.
const MOST: usize = 1_024;

/// Padding, by which OpenAI hides the length of a token.
const PADDING: &str = "obfuscation";

/// The pieces that came so far. Nothing of them is lost, not even unknown members, but for a bound on the bytes beside the
/// messages.
#[derive(Debug, Default)]
pub struct Join {
    head: Object,
    choices: SmallVec<[JoinedChoice; 1]>,
    /// The places of the choices behind the first one. A search would take longer with each choice.
    places: BTreeMap<u64, usize>,
    usage: Option<String>,
    /// The most bytes of log probabilities and other members beside the messages that are kept.
    most_beside: usize,
    beside: usize,
}

#[derive(Debug, Default)]
struct JoinedChoice {
    index: u64,
    is_chat: bool,
    /// The choice's `text`, if there was one.
    text: Object,
    /// The message without its calls of tools.
    body: Object,
    calls: Calls,
    others: Object,
    finish_reason: Option<String>,
    says: bool,
}

impl Join {
    /// An empty one. Of log probabilities and the like it keeps up to `most_beside` bytes, else nothing.
    pub fn new(most_beside: usize) -> Self {
        Self { most_beside, ..Self::default() }
    }

    /// Takes a chunk. Answers by how many bytes the messages have grown.
    pub fn take(&mut self, reply: &Reply<'_>) -> usize {
        let mut grown = 0;
        for (key, value) in &reply.others {
            if key == PADDING {
                continue;
            }
            let is_known = HEAD.contains(&&**key) && self.head.get_mut(key).is_some_and(|node| !node.is_empty());
            if !is_known {
                self.head.set(key, *value);
            }
        }
        if let Some(usage) = reply.usage {
            self.usage = Some(usage.get().to_owned());
        }
        for choice in reply.choices.iter().flatten() {
            let at = match self.place(choice.index) {
                Some(at) => at,
                None if self.choices.len() >= MOST => continue,
                None => self.begin(choice.index),
            };
            let joined = &mut self.choices[at];
            grown += joined.take(choice);
            if self.beside <= self.most_beside {
                self.beside += joined.take_beside(choice);
            }
        }
        if self.beside > self.most_beside {
            for choice in &mut self.choices {
                choice.others = Object::default();
            }
        }
        grown
    }

    /// Takes the words of a chunk that differs from the one before in them alone: those of the choice `index`, in its
    /// member `name`. Answers by how many bytes the messages have grown.
    pub fn take_words(&mut self, index: u64, name: &str, words: Said<'_>) -> usize {
        let Some(at) = self.place(index) else { return 0 };
        let choice = &mut self.choices[at];
        let object = if name == "text" { &mut choice.text } else { &mut choice.body };
        match words {
            Said::Plain(text) => {
                choice.says |= !text.is_empty();
                object.add_plain(name, text)
            }
            Said::Escaped(json) => {
                choice.says = true;
                object.add(name, json)
            }
        }
    }

    /// The place of the choice with that number.
    fn place(&self, index: u64) -> Option<usize> {
        match self.choices.first() {
            Some(first) if first.index == index => Some(0),
            _ => self.places.get(&index).copied(),
        }
    }

    /// Adds a choice with a new number. Answers its place.
    fn begin(&mut self, index: u64) -> usize {
        let at = self.choices.len();
        self.choices.push(JoinedChoice { index, ..JoinedChoice::default() });
        // Almost every answer has one choice, which needs no map.
        if at > 0 {
            self.places.insert(index, at);
        }
        at
    }

    /// Whether a choice was seen.
    pub fn has_choices(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Whether every choice that was seen has said why it ends.
    pub fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish_reason.is_some())
    }

    /// Whether a choice has said something, or why it ends.
    pub fn is_answer(&self) -> bool {
        self.choices.iter().any(|choice| choice.says || choice.finish_reason.is_some())
    }

    /// Whether that choice calls tools.
    pub fn calls_tools(&self, index: u64) -> bool {
        self.place(index).is_some_and(|at| !self.choices[at].calls.is_empty())
    }

    /// Whether the answer holds more than the text of one choice.
    pub fn is_more_than_text(&self) -> bool {
        self.choices.len() > 1 || self.choices.iter().any(JoinedChoice::is_more_than_text)
    }

    /// The whole answer as JSON. A choice that has not said why it ends gets `finish_reason`.
    pub fn into_json(mut self, finish_reason: &str) -> String {
        let is_chat = self.choices.iter().any(|choice| choice.is_chat);
        let mut out = String::from("{");
        if let Some(at) = self.head.0.iter().position(|(key, _)| key == "id") {
            let (key, id) = self.head.0.remove(at);
            write_key(&key, &mut out);
            id.write(&mut out);
        }
        write_key("object", &mut out);
        write_string(if is_chat { "chat.completion" } else { "text_completion" }, &mut out);
        self.head.0.retain(|(key, _)| key != "object");
        self.head.write_members(&mut out);
        write_key("choices", &mut out);
        out.push('[');
        self.choices.sort_by_key(|choice| choice.index);
        for (place, choice) in self.choices.into_iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            choice.write(finish_reason, &mut out);
        }
        out.push(']');
        if let Some(usage) = self.usage {
            write_key("usage", &mut out);
            out.push_str(&usage);
        }
        out.push('}');
        out
    }
}

impl JoinedChoice {
    fn take(&mut self, choice: &Choice<'_>) -> usize {
        let mut grown = 0;
        if let Some(text) = choice.text {
            grown += self.text.add("text", text);
        }
        let piece = choice.piece();
        if let Some(piece) = piece {
            self.is_chat = true;
            piece.members(|key, value| {
                if key != "tool_calls" || value.is_blank() {
                    grown += self.body.add(&key, value);
                } else if elements(value.get(), |call| self.calls.take(call)) {
                    grown += value.get().len();
                } else {
                    grown += self.body.add(&key, value);
                }
            });
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| is_end(*reason)) {
            self.finish_reason = Some(reason.get().to_owned());
        }
        self.says = self.says || choice.says(piece);
        grown
    }

    fn take_beside(&mut self, choice: &Choice<'_>) -> usize {
        let mut grown = 0;
        for (key, value) in &choice.others {
            // These go on from chunk to chunk; others are said again.
            let goes_on = key == "logprobs" || value.is_list();
            grown += if goes_on { self.others.add(key, *value) } else { self.others.set(key, *value) };
        }
        grown
    }

    fn is_more_than_text(&self) -> bool {
        let is_text = |key: &str| matches!(key, "role" | "content");
        !self.calls.is_empty()
            || self.body.0.iter().any(|(key, node)| !is_text(key) && !node.is_empty())
            || self.others.0.iter().any(|(_, node)| !node.is_empty())
    }

    fn write(mut self, finish_reason: &str, out: &mut String) {
        out.push('{');
        write_key("index", out);
        out.push_str(&self.index.to_string());
        if self.is_chat {
            self.write_message(out);
        } else if self.text.get_mut("text").is_none() {
            write_key("text", out);
            out.push_str("\"\"");
        }
        self.text.write_members(out);
        self.others.write_members(out);
        write_key("finish_reason", out);
        match self.finish_reason {
            Some(reason) => out.push_str(&reason),
            None => write_string(if self.calls.is_empty() { finish_reason } else { "tool_calls" }, out),
        }
        out.push('}');
    }

    fn write_message(&mut self, out: &mut String) {
        write_key("message", out);
        out.push('{');
        let mut body = std::mem::take(&mut self.body);
        // The text beside a message without content is its content.
        if body.get_mut("content").is_none()
            && let Some((_, text)) = self.text.0.pop()
        {
            body.0.push(("content".to_owned(), text));
        }
        for (key, value) in [("role", "\"assistant\""), ("content", "null")] {
            if body.get_mut(key).is_none() {
                write_key(key, out);
                out.push_str(value);
            }
        }
        if !self.calls.is_empty() {
            body.0.retain(|(key, _)| key != "tool_calls");
        }
        body.write_members(out);
        if !self.calls.is_empty() {
            write_key("tool_calls", out);
            std::mem::take(&mut self.calls).write(out);
        }
        out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(chunks: &[&str]) -> String {
        let mut join = Join::new(1 << 10);
        for chunk in chunks {
            join.take(&Reply::of(chunk).unwrap());
        }
        join.into_json("stop")
    }

    #[test]
    fn every_choice_is_kept_with_all_its_members() {
        let whole = joined(&[
            r#"{"id":"a","object":"chat.completion.chunk","created":9,"model":"m","system_fingerprint":"f","obfuscation":"x","choices":[{"index":1,"delta":{"role":"assistant","content":"n"},"logprobs":{"content":[1]}}]}"#,
            r#"{"id":"b","created":10,"model":"m2","choices":[{"index":0,"delta":{"content":null,"refusal":"no"},"finish_reason":""}],"timings":{"x":1.50}}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"!"},"logprobs":{"content":[2]},"stop_reason":7,"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"total_tokens":3,"details":{}}}"#,
        ]);
        assert_eq!(
            whole,
            r#"{"id":"a","object":"chat.completion","created":9,"model":"m","system_fingerprint":"f","timings":{"x":1.50},"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"n!"},"logprobs":{"content":[1,2]},"stop_reason":7,"finish_reason":"length"}],"usage":{"total_tokens":3,"details":{}}}"#
        );
    }

    #[test]
    fn what_stands_beside_the_messages_is_kept_within_a_bound() {
        let chunk = format!(
            r#"{{"choices":[{{"delta":{{"content":"a"}},"logprobs":{{"content":[{}1]}}}}]}}"#,
            "1,".repeat(300)
        );
        let whole = joined(&[&chunk, &chunk]);
        assert_eq!(
            whole,
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"aa"},"finish_reason":"stop"}]}"#
        );
    }

    #[test]
    fn a_completion_s_text_is_joined_too() {
        let whole = joined(&[
            r#"{"object":"text_completion","choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"],"text_offset":[0]},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"text":"b","logprobs":{"tokens":["b"],"text_offset":[1]},"finish_reason":"stop"}]}"#,
        ]);
        assert_eq!(
            whole,
            r#"{"object":"text_completion","choices":[{"index":0,"text":"ab","logprobs":{"tokens":["a","b"],"text_offset":[0,1]},"finish_reason":"stop"}]}"#
        );
    }
}
