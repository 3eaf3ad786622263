//! The parts of an answer other than its text: the model's reasoning, and the tools that it calls.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::FinishReason;

/// A piece of an answer that is no text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delta {
    /// A further piece of the model's reasoning.
    pub reasoning: String,
    /// Further pieces of the tools that the model calls.
    pub tool_calls: Vec<ToolDelta>,
}

/// A piece of a call of a tool, as in OpenAI's streams: the first of a call has its id and its name, each may have a
/// piece of its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolDelta {
    /// The number of the call within the answer, from 0.
    pub index: u64,
    /// The call's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The function that is called, or a piece of it.
    #[serde(skip_serializing_if = "FunctionDelta::is_empty")]
    pub function: FunctionDelta,
}

/// A piece of the name and the arguments of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FunctionDelta {
    /// The tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A piece of its arguments, which are JSON text when all are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

impl FunctionDelta {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.arguments.is_none()
    }
}

/// A call of a tool, whole. If a miner gives no id, the router makes one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = GivenToolCall))]
#[non_exhaustive]
pub struct ToolCall {
    /// Its id, by which the tool's answer names it.
    #[serde(default)]
    pub id: String,
    /// `function`
    #[serde(default = "function")]
    #[cfg_attr(feature = "schema", schema(default = "function"))]
    pub r#type: String,
    /// The function that is called, with its arguments.
    pub function: Function,
}

/// The name and the arguments of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = GivenFunction))]
#[non_exhaustive]
pub struct Function {
    /// The tool's name.
    pub name: String,
    /// Its arguments as JSON text, as in OpenAI's API. A miner may also give an object.
    #[serde(default, deserialize_with = "arguments")]
    #[cfg_attr(feature = "schema", schema(schema_with = text_or_object))]
    pub arguments: String,
}

/// The forms in which a miner gives arguments.
#[cfg(feature = "schema")]
#[doc(hidden)]
pub fn text_or_object() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
    OneOfBuilder::new()
        .description(Some("The arguments as JSON text, as in OpenAI's API, or as an object."))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(ObjectBuilder::new().schema_type(Type::Object))
        .into()
}

fn function() -> String {
    "function".to_owned()
}

/// Reads the arguments of a call: a text, or an object, whose JSON becomes the text. The members of the object keep
/// their order and its numbers keep their digits.
fn arguments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let given = <Box<RawValue>>::deserialize(deserializer)?;
    match given.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(given.get()).map_err(serde::de::Error::custom),
        Some(b'{') => Ok(String::from(Box::<str>::from(given))),
        Some(b'n') => Ok(String::new()),
        _ => Err(serde::de::Error::custom("the arguments of a tool must be an object, or its JSON as text")),
    }
}

impl ToolDelta {
    /// Cuts this piece into smaller ones, none of which has arguments of more than about `most` bytes.
    #[doc(hidden)]
    pub fn pieces(&self, most: usize) -> Vec<Self> {
        let mut rest = self.function.arguments.as_deref().unwrap_or_default();
        let mut out = Vec::new();
        loop {
            let mut end = rest.len().min(most.max(16));
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            let first = out.is_empty();
            out.push(Self {
                index: self.index,
                id: self.id.clone().filter(|_| first),
                r#type: self.r#type.clone().filter(|_| first),
                function: FunctionDelta {
                    name: self.function.name.clone().filter(|_| first),
                    arguments: self.function.arguments.as_ref().map(|_| piece.to_owned()),
                },
            });
            rest = after;
            if rest.is_empty() {
                return out;
            }
        }
    }
}

impl ToolCall {
    /// A call of the tool with this name. `arguments` is JSON text.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            r#type: function(),
            function: Function { name: name.into(), arguments: arguments.into() },
        }
    }

    /// The call as the one piece of a stream.
    fn into_delta(self, index: u64) -> ToolDelta {
        ToolDelta {
            index,
            id: Some(self.id),
            r#type: Some(self.r#type),
            function: FunctionDelta { name: Some(self.function.name), arguments: Some(self.function.arguments) },
        }
    }
}

impl Delta {
    /// Whether the piece is empty.
    pub fn is_empty(&self) -> bool {
        self.reasoning.is_empty() && self.tool_calls.is_empty()
    }

    /// The `choices` of the chunk of OpenAI's API for this piece. The listener writes the head of the chunk, because
    /// it knows the task.
    #[doc(hidden)]
    pub fn chunk(&self) -> Bytes {
        #[derive(Serialize)]
        struct Chunk<'a> {
            choices: [Choice<'a>; 1],
        }
        #[derive(Serialize)]
        struct Choice<'a> {
            index: u64,
            delta: Message<'a>,
            logprobs: Option<()>,
            finish_reason: Option<()>,
        }
        #[derive(Serialize)]
        struct Message<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            reasoning_content: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            tool_calls: &'a [ToolDelta],
        }
        let delta = Message { reasoning_content: &self.reasoning, tool_calls: &self.tool_calls };
        let chunk = Chunk { choices: [Choice { index: 0, delta, logprobs: None, finish_reason: None }] };
        // Texts and numbers alone: there is nothing that has no JSON form.
        Bytes::from(serde_json::to_vec(&chunk).unwrap_or_default())
    }
}

/// The parts of a whole answer other than its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// The model's reasoning before the text.
    pub reasoning: String,
    /// The tools that it calls.
    pub tool_calls: Vec<ToolCall>,
}

impl Parts {
    /// Whether there is neither reasoning nor a call.
    pub fn is_empty(&self) -> bool {
        self.reasoning.is_empty() && self.tool_calls.is_empty()
    }

    /// All parts as two pieces: one of reasoning and one of tool calls.
    #[doc(hidden)]
    pub fn into_deltas(self) -> (Delta, Delta) {
        let calls = self.tool_calls.into_iter().zip(0..);
        (
            Delta { reasoning: self.reasoning, tool_calls: Vec::new() },
            Delta { reasoning: String::new(), tool_calls: calls.map(|(call, index)| call.into_delta(index)).collect() },
        )
    }

    /// A completion of OpenAI's API with these parts and this text, without its head, which the listener writes.
    #[doc(hidden)]
    pub fn completion(&self, text: &str, finish_reason: &FinishReason) -> Option<Bytes> {
        #[derive(Serialize)]
        struct Whole<'a> {
            object: &'static str,
            choices: [Choice<'a>; 1],
        }
        #[derive(Serialize)]
        struct Choice<'a> {
            index: u64,
            message: Message<'a>,
            logprobs: Option<()>,
            finish_reason: &'a str,
        }
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: Option<&'a str>,
            refusal: Option<()>,
            #[serde(skip_serializing_if = "str::is_empty")]
            reasoning_content: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            tool_calls: &'a [ToolCall],
        }
        // OpenAI's API has null if a model calls tools and gives no text.
        let content = (!text.is_empty() || self.tool_calls.is_empty()).then_some(text);
        let (reasoning_content, tool_calls) = (self.reasoning.as_str(), self.tool_calls.as_slice());
        let message = Message { role: "assistant", content, refusal: None, reasoning_content, tool_calls };
        let choice = Choice { index: 0, message, logprobs: None, finish_reason: finish_reason.as_str() };
        let whole = Whole { object: "chat.completion", choices: [choice] };
        serde_json::to_vec(&whole).ok().map(Bytes::from)
    }

    /// Reads the parts out of a `chat.completion` of OpenAI's API, of the router or of an upstream. It leaves out
    /// members of another form.
    #[doc(hidden)]
    pub fn of_completion(json: &[u8]) -> Self {
        let message = MessageParts::of(json);
        let calls = message.tool_calls.and_then(|calls| serde_json::from_str(calls.get()).ok());
        Self { reasoning: message.reasoning_content.unwrap_or_default(), tool_calls: calls.unwrap_or_default() }
    }
}

/// The members of a message other than its text, as clients of OpenAI's API read them. The calls of tools are as the
/// miner wrote them, because some carry fields that the router does not know.
#[derive(Debug, Default, Serialize)]
pub struct MessageParts {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Box<RawValue>>,
}

impl MessageParts {
    /// The parts of the first message of a `chat.completion` of OpenAI's API.
    pub fn of(json: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Whole<'a> {
            #[serde(borrow)]
            choices: Option<Vec<Choice<'a>>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Choice<'a> {
            #[serde(borrow)]
            message: Option<Message<'a>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Message<'a> {
            #[serde(borrow)]
            reasoning_content: Option<&'a RawValue>,
            #[serde(borrow)]
            reasoning: Option<&'a RawValue>,
            #[serde(borrow)]
            tool_calls: Option<&'a RawValue>,
        }
        let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok().filter(|text| !text.is_empty());
        let whole: Whole<'_> = serde_json::from_slice(json).unwrap_or_default();
        let message = whole.choices.and_then(|choices| choices.into_iter().next()?.message).unwrap_or_default();
        let is_list = |calls: &&RawValue| calls.get().starts_with('[') && calls.get().contains('{');
        Self {
            reasoning_content: message.reasoning_content.or(message.reasoning).and_then(text),
            tool_calls: message.tool_calls.filter(is_list).map(RawValue::to_owned),
        }
    }
}

/// Collects parts that come in pieces.
#[derive(Debug, Default)]
pub struct PartsSoFar {
    parts: Parts,
    /// The index of each call in `parts`, by the number that its pieces carry.
    places: BTreeMap<u64, usize>,
    bytes: usize,
}

impl PartsSoFar {
    /// Adds a piece. A call with a new number is added after the others.
    pub fn take(&mut self, delta: &Delta) {
        self.parts.reasoning.push_str(&delta.reasoning);
        self.bytes += delta.reasoning.len();
        for piece in &delta.tool_calls {
            let calls = &mut self.parts.tool_calls;
            let at = *self.places.entry(piece.index).or_insert_with(|| {
                calls.push(ToolCall { r#type: function(), ..ToolCall::default() });
                self.bytes += CALL_BYTES;
                calls.len() - 1
            });
            let Some(call) = calls.get_mut(at) else { continue };
            if let Some(id) = piece.id.as_deref().filter(|id| !id.is_empty()) {
                self.bytes += id.len();
                id.clone_into(&mut call.id);
            }
            if let Some(kind) = &piece.r#type {
                kind.clone_into(&mut call.r#type);
            }
            let (name, arguments) = (piece.function.name.as_deref(), piece.function.arguments.as_deref());
            call.function.name.push_str(name.unwrap_or_default());
            call.function.arguments.push_str(arguments.unwrap_or_default());
            self.bytes += name.map_or(0, str::len) + arguments.map_or(0, str::len);
        }
    }

    /// The bytes that count against the bound of an answer: those of the texts, and a fixed number for each call.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All parts that were collected.
    pub fn into_parts(self) -> Parts {
        self.parts
    }
}

/// The bytes that a call counts beside its texts, for its record in memory and its members in JSON.
const CALL_BYTES: usize = 160;

crate::setters! { ToolCall {
    id: impl Into<String> => id.into(),
    r#type: impl Into<String> => r#type.into(),
    function: Function => function,
} }

crate::setters! { Function {
    name: impl Into<String> => name.into(),
    arguments: impl Into<String> => arguments.into(),
} }

crate::setters! { Delta {
    reasoning: impl Into<String> => reasoning.into(),
    tool_calls: Vec<ToolDelta> => tool_calls,
} }

crate::setters! { ToolDelta {
    index: u64 => index,
    id: Option<String> => id,
    r#type: Option<String> => r#type,
    function: FunctionDelta => function,
} }

crate::setters! { FunctionDelta {
    name: Option<String> => name,
    arguments: Option<String> => arguments,
} }

crate::setters! { Parts {
    reasoning: impl Into<String> => reasoning.into(),
    tool_calls: Vec<ToolCall> => tool_calls,
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(json: &str) -> Vec<ToolDelta> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn pieces_come_together_by_their_index_and_go_apart_again() {
        let mut so_far = PartsSoFar::default();
        let mut take = |reasoning: &str, tools: &str| {
            so_far.take(&Delta { reasoning: reasoning.into(), tool_calls: calls(tools) });
        };
        take("hm", r#"[{"index":3,"id":"a","function":{"name":"add","arguments":"{\"x\""}}]"#);
        take("m", r#"[{"index":7,"id":"b","type":"function","function":{"name":"sub"}}]"#);
        take("", r#"[{"index":3,"id":"","function":{"arguments":":1}"}}]"#);
        let wanted = Parts {
            reasoning: "hmm".into(),
            tool_calls: vec![ToolCall::new("a", "add", r#"{"x":1}"#), ToolCall::new("b", "sub", "")],
        };
        assert_eq!(so_far.bytes(), 3 + 2 * CALL_BYTES + 1 + 3 + 7 + 1 + 3);
        let parts = so_far.into_parts();
        assert_eq!(parts, wanted);
        let (thought, called) = parts.into_deltas();
        let mut again = PartsSoFar::default();
        again.take(&thought);
        again.take(&called);
        assert_eq!(again.into_parts(), wanted);
    }

    #[test]
    fn a_completion_holds_all_of_it_and_is_read_back() {
        let parts = Parts { reasoning: "hm".into(), tool_calls: vec![ToolCall::new("a", "add", "{}")] };
        let whole = parts.completion("", &FinishReason::ToolCalls).unwrap();
        assert_eq!(
            std::str::from_utf8(&whole).unwrap(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"add","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}]}"#
        );
        assert_eq!(Parts::of_completion(&whole), parts);
        // vLLM names the reasoning `reasoning`; a value that is no list of calls counts as no calls.
        let other = br#"{"choices":[{"message":{"reasoning":"r","tool_calls":null,"content":"x"}}]}"#;
        assert_eq!(Parts::of_completion(other), Parts { reasoning: "r".into(), tool_calls: Vec::new() });
        for nothing in ["", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"message":{"tool_calls":5}}]}"#] {
            assert!(Parts::of_completion(nothing.as_bytes()).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn arguments_are_text_or_an_object() {
        let call = |arguments: &str| {
            serde_json::from_str::<ToolCall>(&format!(r#"{{"function":{{"name":"f","arguments":{arguments}}}}}"#))
        };
        assert_eq!(call(r#""{\"a\":1}""#).unwrap().function.arguments, r#"{"a":1}"#);
        assert_eq!(call(r#"{"b":1.50,"a":1}"#).unwrap().function.arguments, r#"{"b":1.50,"a":1}"#);
        assert_eq!(call("null").unwrap().function.arguments, "");
        assert!(call("[1]").unwrap_err().to_string().contains("must be an object"));
    }

    #[test]
    fn a_chunk_has_only_what_there_is() {
        let thought = Delta { reasoning: "h\n".into(), tool_calls: Vec::new() };
        assert_eq!(
            std::str::from_utf8(&thought.chunk()).unwrap(),
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"h\n"},"logprobs":null,"finish_reason":null}]}"#
        );
        let (_, called) =
            Parts { reasoning: String::new(), tool_calls: vec![ToolCall::new("a", "f", "{}")] }.into_deltas();
        assert_eq!(
            std::str::from_utf8(&called.chunk()).unwrap(),
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":null}]}"#
        );
    }
}
