//! The pieces of a stream, put together into what a unary answer would have said.
//!
//! Every event that has choices is passed on as it came, the one with the finish reason too. The event
//! that carries only usage (`choices` empty) is passed on only where the client asked for it
//! (`stream_options.include_usage`): the router asks upstreams for usage in any case, and keeps it in
//! [`Answer::usage`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::refusal;
use super::wire::{Message, Reply};
use crate::miner::{Chunk, FailClass, Failure};
use crate::model::{Answer, FinishReason, Usage, from_bytes};

/// What came so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    most: usize,
    wants_usage: bool,
    size: usize,
    text: String,
    reasoning: String,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    model: Option<String>,
    id: Option<String>,
    created: Option<u64>,
}

/// A tool call, whole.
#[derive(Debug, Serialize)]
struct ToolCall {
    #[serde(skip)]
    index: u64,
    id: String,
    r#type: String,
    function: Function,
}

#[derive(Debug, Default, Serialize)]
struct Function {
    name: String,
    arguments: String,
}

/// A piece of a tool call.
#[derive(Deserialize)]
struct ToolDelta {
    #[serde(default)]
    index: u64,
    id: Option<String>,
    r#type: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<String>,
}

impl Assembly {
    /// An empty one that takes up to `most` bytes, and passes the usage on where it is wanted.
    pub(super) fn new(most: usize, wants_usage: bool) -> Self {
        Self { most, wants_usage, ..Self::default() }
    }

    /// Takes an event; answers the piece to pass on, where it has one.
    pub(super) fn take(&mut self, name: &str, event: Bytes) -> Result<Option<Chunk>, Failure> {
        let reply: Reply<'_> = match from_bytes(&event) {
            Ok(reply) => reply,
            Err(e) => return Err(refusal::garbage(name, &format!("sent an event that is no chunk ({e})"), &event)),
        };
        if reply.error.is_some() {
            return Err(refusal::reported(name, event));
        }
        if let Some(usage) = reply.usage() {
            self.usage = Some(usage);
        }
        if self.model.is_none() {
            self.model = reply.model();
            self.id = reply.id.and_then(|id| serde_json::from_str(id.get()).ok());
            self.created = reply.created.and_then(|created| serde_json::from_str(created.get()).ok());
        }
        if reply.choices.count == 0 && reply.usage.is_some() && !self.wants_usage {
            return Ok(None);
        }
        let mut text = String::new();
        if let Some(choice) = reply.choices.first {
            if let Some(reason) = choice.finish_reason() {
                self.finish_reason = Some(reason);
            }
            let message;
            (text, message) = choice.into_text();
            self.size += text.len();
            self.text.push_str(&text);
            if let Some(message) = message {
                self.take_extras(&message);
            }
        }
        if self.size > self.most {
            return Err(too_large(name, self.most));
        }
        // A copy: the event is a slice of a read buffer of 8 KiB or more, which it would keep from being
        // used again for as long as the stream can be resumed.
        Ok(Some(Chunk { text, raw: Some(Bytes::copy_from_slice(&event)), delta: None }))
    }

    /// Whether the upstream has said why it ends.
    pub(super) fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The answer. Its text is empty: it was emitted. `raw` is there where the answer holds more than
    /// text and the router could not make it again: tool calls or reasoning.
    pub(super) fn into_answer(self) -> Answer {
        let raw = (!self.tool_calls.is_empty() || !self.reasoning.is_empty()).then(|| self.to_json());
        Answer {
            finish_reason: self.finish_reason.unwrap_or_default(),
            usage: self.usage.unwrap_or_default(),
            model: self.model,
            raw: raw.flatten(),
            ..Answer::default()
        }
    }

    fn take_extras(&mut self, message: &Message<'_>) {
        if let Some(reasoning) = message.reasoning() {
            self.size += reasoning.len();
            self.reasoning.push_str(&reasoning);
        }
        let Some(deltas) = message.tool_calls else { return };
        self.size += deltas.get().len();
        let Ok(deltas) = serde_json::from_str::<Vec<ToolDelta>>(deltas.get()) else { return };
        for delta in deltas {
            let call = match self.tool_calls.iter().position(|call| call.index == delta.index) {
                Some(at) => &mut self.tool_calls[at],
                None => self.tool_calls.push_mut(ToolCall {
                    index: delta.index,
                    id: String::new(),
                    r#type: "function".to_owned(),
                    function: Function::default(),
                }),
            };
            if let Some(id) = delta.id.filter(|id| !id.is_empty()) {
                call.id = id;
            }
            if let Some(kind) = delta.r#type {
                call.r#type = kind;
            }
            if let Some(function) = delta.function {
                call.function.name.push_str(function.name.as_deref().unwrap_or_default());
                call.function.arguments.push_str(function.arguments.as_deref().unwrap_or_default());
            }
        }
    }

    /// The whole as a `chat.completion`.
    fn to_json(&self) -> Option<Bytes> {
        #[derive(Serialize)]
        struct Whole<'a> {
            id: &'a str,
            object: &'static str,
            created: u64,
            model: &'a str,
            choices: [WholeChoice<'a>; 1],
            usage: Usage,
        }
        #[derive(Serialize)]
        struct WholeChoice<'a> {
            index: u64,
            message: WholeMessage<'a>,
            finish_reason: &'a str,
        }
        #[derive(Serialize)]
        struct WholeMessage<'a> {
            role: &'static str,
            content: Option<&'a str>,
            #[serde(skip_serializing_if = "str::is_empty")]
            reasoning_content: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            tool_calls: &'a [ToolCall],
        }
        let message = WholeMessage {
            role: "assistant",
            content: (!self.text.is_empty() || self.tool_calls.is_empty()).then_some(&self.text),
            reasoning_content: &self.reasoning,
            tool_calls: &self.tool_calls,
        };
        let finish_reason = self.finish_reason.as_ref().map_or("stop", FinishReason::as_str);
        let whole = Whole {
            id: self.id.as_deref().unwrap_or_default(),
            object: "chat.completion",
            created: self.created.unwrap_or_default(),
            model: self.model.as_deref().unwrap_or_default(),
            choices: [WholeChoice { index: 0, message, finish_reason }],
            usage: self.usage.unwrap_or_default(),
        };
        serde_json::to_vec(&whole).ok().map(Bytes::from)
    }
}

/// The failure of an answer that is over the bound.
pub(super) fn too_large(name: &str, most: usize) -> Failure {
    let message = format!(
        "the upstream {name} answered more than {most} bytes: ask for fewer tokens or raise limits.max_output_bytes"
    );
    Failure::new(FailClass::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(events: &[&'static str]) -> (String, Answer) {
        let mut assembly = Assembly::new(1_000, false);
        let mut text = String::new();
        for event in events {
            if let Some(chunk) = assembly.take("up", Bytes::from_static(event.as_bytes())).unwrap() {
                assert_eq!(chunk.raw.as_deref(), Some(event.as_bytes()));
                text.push_str(&chunk.text);
            }
        }
        (text, assembly.into_answer())
    }

    #[test]
    fn text_is_not_kept_twice() {
        let (text, answer) = take_all(&[
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#,
        ]);
        assert_eq!(text, "Hi");
        let wanted = Answer {
            finish_reason: FinishReason::Length,
            usage: Usage::new(2, 1),
            model: Some("m".into()),
            ..Answer::default()
        };
        assert_eq!(answer, wanted);
    }

    #[test]
    fn usage_passes_on_where_it_is_wanted() {
        let event = Bytes::from_static(br#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#);
        for wanted in [false, true] {
            let mut assembly = Assembly::new(100, wanted);
            let chunk = assembly.take("up", event.clone()).unwrap();
            assert_eq!(chunk.is_some(), wanted);
            assert_eq!(assembly.into_answer().usage, Usage::new(2, 1));
        }
    }

    #[test]
    fn tool_calls_come_together_by_their_index() {
        let (text, answer) = take_all(&[
            r#"{"id":"a","created":9,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"add","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c1","function":{"name":"sub","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"}]}"#,
        ]);
        assert_eq!(text, "");
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
        assert_eq!(
            String::from_utf8(answer.raw.unwrap().to_vec()).unwrap(),
            r#"{"id":"a","object":"chat.completion","created":9,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c0","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}},{"id":"c1","type":"function","function":{"name":"sub","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"completion_tokens":0,"prompt_tokens":0,"total_tokens":0}}"#
        );
    }

    #[test]
    fn an_error_in_the_stream_is_a_failure() {
        let mut assembly = Assembly::new(100, false);
        let event = Bytes::from_static(br#"{"error":{"message":"out of memory","code":500}}"#);
        let failure = assembly.take("up", event.clone()).unwrap_err();
        assert_eq!(failure.class, FailClass::Internal);
        assert_eq!(failure.raw, Some(event));
        assert!(failure.message.contains("out of memory"));
    }

    #[test]
    fn an_answer_over_the_bound_is_a_failure() {
        let mut assembly = Assembly::new(3, false);
        let event = |text: &str| Bytes::from(format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
        assert!(assembly.take("up", event("abc")).is_ok());
        assert!(assembly.take("up", event("d")).unwrap_err().message.contains("limits.max_output_bytes"));
    }
}
