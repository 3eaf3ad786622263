//! The chunks of a stream, put together into the whole answer.

use smallvec::SmallVec;

use super::members::{elements, last, members};
use super::node::{Node, Object, write_key, write_string};
use super::quoted::Said;
use super::reply::{Choice, Reply, is_end};
use super::value::Json;

/// Members of a chunk whose first value is the answer's. Of others the last one counts.
const HEAD: &[&str] = &["id", "created", "model"];

/// How many choices, and calls of one choice, are told apart: a search among them must stay quick whatever somebody sends.
const MOST: usize = 1_024;

/// Padding, by which OpenAI hides the length of a token.
const PADDING: &str = "obfuscation";

/// The pieces that came so far. Nothing of them is lost, not even unknown members, but for a bound on the bytes beside the
/// messages.
#[derive(Debug, Default)]
pub struct Join {
    head: Object,
    choices: SmallVec<[JoinedChoice; 1]>,
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
    calls: Vec<Call>,
    others: Object,
    finish_reason: Option<String>,
    says: bool,
}

/// A call of a tool.
#[derive(Debug)]
struct Call {
    index: Option<String>,
    members: Object,
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
            let joined = match self.choices.iter().position(|joined| joined.index == choice.index) {
                Some(at) => &mut self.choices[at],
                None if self.choices.len() >= MOST => continue,
                None => {
                    self.choices.push(JoinedChoice { index: choice.index, ..JoinedChoice::default() });
                    let newest = self.choices.len() - 1;
                    &mut self.choices[newest]
                }
            };
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
        let Some(choice) = self.choices.iter_mut().find(|choice| choice.index == index) else { return 0 };
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
        self.choices.iter().any(|choice| choice.index == index && !choice.calls.is_empty())
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
                } else if elements(value.get(), |call| take_call(&mut self.calls, call)) {
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
            out.push('[');
            for call in &mut self.calls {
                if !out.ends_with('[') {
                    out.push(',');
                }
                std::mem::take(&mut call.members).write(out);
            }
            out.push(']');
        }
        out.push('}');
    }
}

/// Takes a piece of a call. Servers number calls, name them, do both, or give every call the number 0: a new id *and* a
/// name begin a call; a piece without either goes on with the last call of its number, or with the last of all.
fn take_call(calls: &mut Vec<Call>, piece: Json<'_>) {
    let (mut index, mut id, mut is_named) = (None, None, false);
    let is_object = members(piece.get(), |key, value| match &*key {
        "index" if !value.is_null() => index = Some(value.get().trim_matches('"').to_owned()),
        "id" if !value.is_blank() => id = Some(value),
        "function" | "custom" => is_named |= last(value.get(), "name").is_some_and(|name| !name.is_blank()),
        _ => {}
    });
    if !is_object {
        return;
    }
    let known = match &index {
        Some(index) => calls.iter().rposition(|call| call.index.as_deref() == Some(index)),
        None => calls.iter().rposition(|call| id.is_some_and(|id| call.is(id))).or_else(|| calls.len().checked_sub(1)),
    };
    let begins = |call: &Call| is_named && id.is_some_and(|id| call.has_id() && !call.is(id));
    let at = match known.filter(|at| !begins(&calls[*at])) {
        Some(at) => at,
        None if calls.len() >= MOST => return,
        None => {
            calls.push(Call { index, members: Object::default() });
            calls.len() - 1
        }
    };
    let call = &mut calls[at];
    members(piece.get(), |key, value| match &*key {
        "index" => {}
        "id" if call.has_id() => {}
        "id" => {
            call.members.set("id", value);
        }
        _ => {
            call.members.add(&key, value);
        }
    });
    if call.members.get_mut("function").is_some() && call.members.get_mut("type").is_none() {
        let at = call.members.0.iter().position(|(key, _)| key == "function").unwrap_or_default();
        call.members.0.insert(at, ("type".to_owned(), Node::Whole("\"function\"".to_owned())));
    }
}

impl Call {
    fn id(&self) -> Option<&str> {
        self.members.0.iter().find_map(|(key, node)| match node {
            Node::Whole(id) if key == "id" && !matches!(id.as_str(), "null" | "\"\"") => Some(id.as_str()),
            _ => None,
        })
    }

    fn has_id(&self) -> bool {
        self.id().is_some()
    }

    fn is(&self, id: Json<'_>) -> bool {
        self.id() == Some(id.get())
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

    fn calls(deltas: &[&str]) -> String {
        let chunks: Vec<_> =
            deltas.iter().map(|delta| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{delta}]}}}}]}}"#)).collect();
        let whole = joined(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
        let (_, calls) = whole.split_once(r#""tool_calls":"#).unwrap();
        calls.split_once(r#"},"finish_reason""#).unwrap().0.to_owned()
    }

    #[test]
    fn a_call_begins_with_a_new_id_and_a_name() {
        let call = |id: &str, name: &str, arguments: &str| {
            format!(r#"{{"id":"{id}","type":"function","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#)
        };
        let two = format!("[{},{}]", call("c1", "add", "1"), call("c2", "sub", "2"));
        for (deltas, wanted) in [
            // Two calls, both under the number 0.
            (
                &[
                    r#"{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c2","type":"function","function":{"name":"sub","arguments":""}}"#,
                    r#"{"index":0,"function":{"arguments":"2"}}"#,
                ][..],
                two.clone(),
            ),
            // No numbers at all.
            (
                &[
                    r#"{"id":"c1","function":{"name":"add","arguments":""}}"#,
                    r#"{"function":{"arguments":"1"}}"#,
                    r#"{"id":"c2","function":{"name":"sub","arguments":"2"}}"#,
                ],
                two.clone(),
            ),
            // Pieces in turns, numbers in any form.
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":""}}"#,
                    r#"{"index":"1","id":"c2","function":{"name":"sub","arguments":""}}"#,
                    r#"{"index":0,"id":"","function":{"arguments":"1"}}"#,
                    r#"{"index":1,"function":{"name":null,"arguments":"2"}}"#,
                ],
                two.clone(),
            ),
            (
                &[
                    r#"{"index":null,"id":"c1","function":{"name":"add","arguments":"1"}},{"index":null,"id":"c2","function":{"name":"sub","arguments":"2"}}"#,
                ],
                two,
            ),
            // The name in full again, in pieces, and a new id without a name.
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"2"}}"#,
                ],
                format!("[{}]", call("c1", "add", "12")),
            ),
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"ad"}}"#,
                    r#"{"index":0,"function":{"name":"d","arguments":"1"}}"#,
                ],
                format!("[{}]", call("c1", "add", "1")),
            ),
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c9","function":{"arguments":"2"}}"#,
                ],
                format!("[{}]", call("c1", "add", "12")),
            ),
        ] {
            assert_eq!(calls(deltas), wanted, "{deltas:?}");
        }
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
