//! Reads the answer of a host's miner from JSON.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json;
use crate::model::{
    Answer, Delta, FinishReason, Function, FunctionDelta, Parts, ToolCall, ToolDelta, Usage, text_or_object, vectors_of,
};
use crate::{Error, Result};

/// The message for a job whose miner gave no answer at all. It is equal in all languages.
pub(super) const NOTHING: &str =
    "the miner returned nothing: return the text (an empty one where there is none), or emit pieces";

/// The answer that a miner gives at the end of a job. Every member may be absent.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Answer)]
pub(super) struct Finish {
    /// The text. Pieces that were emitted are the text instead.
    text: Option<String>,
    /// The model's reasoning before its answer.
    reasoning: Option<String>,
    /// The tools that the model calls.
    tool_calls: Option<Vec<ToolCall>>,
    /// The reason for the end of the text; missing: `tool_calls` if the model calls tools, else `stop`.
    #[serde(rename = "finish_reason")]
    #[schema(value_type = Option<String>, pattern = "^(stop|length|tool_calls|content_filter)$")]
    reason: Option<FinishReason>,
    /// The token counts. Missing counts are estimated.
    usage: Option<Usage>,
    /// The model that answered.
    model: Option<String>,
    /// The vector of the input, or one vector for each of several inputs.
    #[serde(alias = "embeddings")]
    #[schema(schema_with = vectors)]
    embedding: Option<Given>,
}

/// One vector or a list of them.
fn vectors() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{Array, OneOfBuilder};
    let number = <f64 as utoipa::PartialSchema>::schema;
    OneOfBuilder::new()
        .description(Some("The vector of the input, or one vector for each of several inputs."))
        .item(Array::new(number()))
        .item(Array::new(Array::new(number())))
        .into()
}

impl Finish {
    pub(super) fn parse(text: &str) -> Result<Self> {
        json::parse("answer", text)
    }

    /// Whether the answer has no content at all. An empty text counts as content.
    pub(super) fn says_nothing(&self) -> bool {
        self.text.is_none()
            && self.reasoning.is_none()
            && self.embedding.is_none()
            && self.tool_calls.as_ref().is_none_or(Vec::is_empty)
    }

    /// Converts the answer. `calls`: whether tool calls were emitted before. `gid` makes the ids of calls that have
    /// none.
    pub(super) fn into_answer(self, calls: bool, gid: u64) -> Result<Answer> {
        let mut tool_calls = self.tool_calls.unwrap_or_default();
        for (index, call) in tool_calls.iter_mut().enumerate() {
            if call.function.name.is_empty() {
                return Err(unnamed(index));
            }
            if call.id.is_empty() {
                call.id = id_of(gid, index as u64);
            }
        }
        let reason = if calls || !tool_calls.is_empty() { FinishReason::ToolCalls } else { FinishReason::Stop };
        let parts = Parts::default().reasoning(self.reasoning.unwrap_or_default()).tool_calls(tool_calls);
        let mut usage = self.usage.unwrap_or_default();
        if usage.total_tokens == 0 {
            usage.total_tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        }
        Ok(Answer::default()
            .text(match self.embedding {
                Some(Given(vectors)) => String::from(Box::<str>::from(vectors)),
                None => self.text.unwrap_or_default(),
            })
            .parts((!parts.is_empty()).then(|| Box::new(parts)))
            .finish_reason(self.reason.unwrap_or(reason))
            .usage(usage.in_json())
            .model(self.model))
    }
}

fn unnamed(index: usize) -> Error {
    let param = format!("tool_calls[{index}].function.name");
    let message = format!("{param}: a call of a tool must name the tool");
    Error::invalid(param, message)
}

/// The id of a tool call to which the miner gave none. It is unique in the router.
fn id_of(gid: u64, index: u64) -> String {
    format!("call_{gid}_{index}")
}

/// One vector or a list of vectors, as JSON.
#[derive(Debug)]
struct Given(Box<RawValue>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let given = <Box<RawValue>>::deserialize(deserializer)?;
        if given.get().starts_with('[') && vectors_of(given.get().as_bytes()).is_some() {
            return Ok(Self(given));
        }
        let words = "an embedding must be a list of numbers, or a list of such lists, one for each input";
        Err(serde::de::Error::custom(words))
    }
}

/// A piece of an answer with its text, reasoning and tool calls.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PieceParts)]
pub(super) struct Pieces {
    /// A piece of the text.
    pub(super) text: Option<String>,
    /// A piece of the model's reasoning.
    reasoning: Option<String>,
    /// Pieces of the tools that the model calls.
    tool_calls: Option<Vec<Piece>>,
}

/// A piece of a call of a tool. Without an `index` it is a whole call if it names its tool, and else continues the last
/// one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = ToolCallPiece)]
pub(super) struct Piece {
    /// The number of the call within the answer, from 0.
    index: Option<u64>,
    /// The call's id.
    #[serde(default)]
    id: Option<String>,
    /// `function`
    #[serde(default)]
    r#type: Option<String>,
    /// The function that is called, or a piece of it.
    #[serde(default)]
    function: PieceOfFunction,
}

/// A piece of the name and the arguments of a call.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = FunctionPiece)]
pub(super) struct PieceOfFunction {
    /// The tool's name.
    name: Option<String>,
    /// The arguments, as JSON text or as an object, like those of a whole call.
    #[schema(schema_with = text_or_object)]
    arguments: Option<Box<RawValue>>,
}

impl Pieces {
    pub(super) fn parse(text: &str) -> Result<Self> {
        json::parse("piece", text)
    }

    /// The reasoning and the tool calls of the piece. `calls` holds the indexes of the calls that have begun so far.
    pub(super) fn deltas(&self, calls: &mut Vec<u64>, gid: u64) -> Result<(Delta, Delta)> {
        let mut begun = calls.clone();
        let mut tool_calls = Vec::new();
        for (place, piece) in self.tool_calls.iter().flatten().enumerate() {
            let name = piece.function.name.clone().filter(|name| !name.is_empty());
            let index = match (piece.index, &name) {
                (Some(index), _) => index,
                (None, Some(_)) => begun.iter().max().map_or(0, |last| last.saturating_add(1)),
                (None, None) => *begun.last().ok_or_else(|| unnamed(place))?,
            };
            let begins = !begun.contains(&index);
            if begins && name.is_none() {
                return Err(unnamed(place));
            }
            let id = piece.id.clone().filter(|id| !id.is_empty());
            let (id, kind) = if begins {
                let kind = piece.r#type.clone().unwrap_or_else(|| "function".to_owned());
                (Some(id.unwrap_or_else(|| id_of(gid, index))), Some(kind))
            } else {
                (id, None)
            };
            let function = FunctionDelta::default().name(name).arguments(piece.function.arguments(place)?);
            tool_calls.push(ToolDelta::default().index(index).id(id).r#type(kind).function(function));
            if begins {
                begun.push(index);
            }
        }
        *calls = begun;
        let reasoning = self.reasoning.clone().unwrap_or_default();
        Ok((Delta::default().reasoning(reasoning), Delta::default().tool_calls(tool_calls)))
    }
}

impl PieceOfFunction {
    fn arguments(&self, place: usize) -> Result<Option<String>> {
        let Some(given) = &self.arguments else { return Ok(None) };
        let whole = format!(r#"{{"name":"","arguments":{}}}"#, given.get());
        let read = serde_json::from_str::<Function>(&whole).map_err(|_| {
            let param = format!("tool_calls[{place}].function.arguments");
            let message = format!("{param}: the arguments of a tool must be an object, or its JSON as text");
            Error::invalid(param, message)
        })?;
        Ok(Some(read.arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MAX_JSON_INTEGER;

    fn refused(answer: &str) -> (String, String) {
        let error = Finish::parse(answer).and_then(|finish| finish.into_answer(false, 7)).unwrap_err();
        (error.details().param.clone().unwrap_or_default(), error.message().to_owned())
    }

    #[test]
    fn an_answer_may_hold_text_tools_reasoning_and_vectors() {
        let answer = |text: &str| Finish::parse(text).unwrap().into_answer(false, 7).unwrap();
        let called = answer(r#"{"reasoning":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}"#);
        let parts = called.parts.unwrap();
        assert_eq!(parts.tool_calls, [ToolCall::new("call_7_0", "f", r#"{"a":1}"#)]);
        assert_eq!((parts.reasoning.as_str(), called.finish_reason), ("hm", FinishReason::ToolCalls));
        let said = answer(r#"{"text":"x","finish_reason":"stop","tool_calls":[{"id":"i","function":{"name":"f"}}]}"#);
        assert_eq!((said.text.as_str(), said.finish_reason), ("x", FinishReason::Stop));
        assert_eq!(answer(r#"{"embedding":[0.5,1]}"#).text, "[0.5,1]");
        assert_eq!(answer(r#"{"embeddings":[[1],[2]]}"#).text, "[[1],[2]]");
        let huge = answer(r#"{"text":"","usage":{"prompt_tokens":18446744073709551615,"completion_tokens":1}}"#);
        assert_eq!(huge.usage.total_tokens, MAX_JSON_INTEGER);
        assert_eq!(answer(r#"{"text":"x","usage":null,"tool_calls":null,"finish_reason":null}"#).text, "x");
    }

    #[test]
    fn what_says_nothing_is_told_from_an_empty_text() {
        for nothing in ["", "{}", r#"{"usage":{"prompt_tokens":1}}"#, r#"{"text":null}"#, r#"{"tool_calls":[]}"#] {
            assert!(Finish::parse(nothing).unwrap().says_nothing(), "{nothing}");
        }
        for something in [r#"{"text":""}"#, r#"{"reasoning":"x"}"#, r#"{"embedding":[1]}"#] {
            assert!(!Finish::parse(something).unwrap().says_nothing(), "{something}");
        }
    }

    #[test]
    fn a_wrong_answer_is_refused_by_its_field() {
        assert_eq!(refused(r#"{"tool_calls":[{"function":{"name":""}}]}"#).0, "tool_calls[0].function.name");
        assert_eq!(refused(r#"{"tool_calls":[{"name":"f"}]}"#).0, "tool_calls[0]");
        assert_eq!(
            refused(r#"{"tool_calls":[{"function":{"name":"f","arguments":5}}]}"#).0,
            "tool_calls[0].function.arguments"
        );
        for wrong in [r#""x""#, "[1,\"a\"]", r#"{"data":[]}"#, "[[1],2]", "5"] {
            let (param, message) = refused(&format!(r#"{{"embedding":{wrong}}}"#));
            assert_eq!(param, "embedding", "{message}");
            assert!(message.contains("must be a list of numbers"), "{message}");
        }
        assert!(refused(r#"{"toolcalls":[]}"#).1.contains("did you mean `tool_calls`?"));
    }

    #[test]
    fn calls_in_pieces_are_numbered() {
        let mut calls = Vec::new();
        let mut deltas = |text: &str| Pieces::parse(text).unwrap().deltas(&mut calls, 7);
        let (_, first) = deltas(r#"{"tool_calls":[{"function":{"name":"f","arguments":"{"}}]}"#).unwrap();
        assert_eq!((first.tool_calls[0].index, first.tool_calls[0].id.as_deref()), (0, Some("call_7_0")));
        let (_, more) = deltas(r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#).unwrap();
        assert_eq!((more.tool_calls[0].index, more.tool_calls[0].id.as_deref()), (0, None));
        let (_, next) = deltas(r#"{"tool_calls":[{"id":"b","function":{"name":"g","arguments":{"a":1}}}]}"#).unwrap();
        assert_eq!((next.tool_calls[0].index, next.tool_calls[0].id.as_deref()), (1, Some("b")));
        assert_eq!(next.tool_calls[0].function.arguments.as_deref(), Some(r#"{"a":1}"#));
        assert!(
            deltas(r#"{"tool_calls":[{"index":9,"function":{"arguments":"}"}}]}"#).is_err(),
            "a call without a name"
        );
        let wrong =
            Pieces::parse(r#"{"tool_calls":[{"function":{"arguments":""}}]}"#).unwrap().deltas(&mut Vec::new(), 7);
        assert_eq!(wrong.unwrap_err().details().param.as_deref(), Some("tool_calls[0].function.name"));
    }
}
