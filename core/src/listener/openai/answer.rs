//! Whole answers in OpenAI's shapes.
//!
//! An upstream's answer goes out as its own bytes with our id in it; another miner's answer is written from
//! its text, without a tree of values between.

use std::io::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::counts::{EmbeddingCounts, TokenCounts};
use super::schema::{
    ChatAnswer, ChatChoice, ChatCompletion, EmbeddingItem, EmbeddingList, TextChoice, TextCompletion, Vector,
};
use super::splice::{string, write_json};
use crate::listener::request_id::push_task;
use crate::listener::written::Written;
use crate::model::shape::Outline;
use crate::model::{Completion, Gid, RequestKind, TaskRequest, Verdict, vectors_for};
use crate::{Error, ErrorKind, Result};

/// The id of an answer: the same for every chunk and every retry of a task, never the same for two tasks. The second of
/// its submission is in it, because a router that keeps nothing on disk counts from 1 again when it starts.
pub(super) fn id_of(kind: RequestKind, gid: Gid, created: u64) -> String {
    let mut out = Vec::with_capacity(ID_BYTES);
    push_id(&mut out, kind, gid, created);
    // Digits are always text.
    String::from_utf8(out).unwrap_or_default()
}

/// Writes the id of an answer as JSON into the buffer. Gives its bytes.
fn id_json(buffer: &mut [u8; ID_BYTES], kind: RequestKind, gid: Gid, created: u64) -> &[u8] {
    let mut rest = &mut buffer[1..];
    push_id(&mut rest, kind, gid, created);
    let end = ID_BYTES - rest.len();
    buffer[0] = b'"';
    buffer[end] = b'"';
    &buffer[..=end]
}

/// The greatest length of an id with its quotes.
const ID_BYTES: usize = 48;

/// Appends the id of an answer to a buffer that has room for it.
fn push_id(out: &mut impl Write, kind: RequestKind, gid: Gid, created: u64) {
    // Writing to a buffer with room cannot fail.
    let _ = out.write_all(match kind {
        RequestKind::Chat => b"chatcmpl-",
        RequestKind::Completion => b"cmpl-",
        RequestKind::Embedding => b"embd-",
        // The answers of other routes are the bytes of a model's server, and get no id.
        _ => b"task-",
    });
    push_task(out, created, gid);
}

/// Renders a completion as the body of a response.
///
/// # Errors
/// When the miner's answer does not have the form that the request wants: text where there should be vectors.
pub(super) fn render(request: &TaskRequest, completion: &Completion) -> Result<Written> {
    if let Some(raw) = &completion.answer.raw {
        return passed(raw, request, completion);
    }
    match request.kind {
        RequestKind::Chat => Ok(chat(completion).into()),
        RequestKind::Completion => Ok(text(request, completion).into()),
        RequestKind::Embedding => Ok(embeddings(request, completion)?.into()),
        _ => Err(unreadable(completion, "the answer is none to a chat, a completion or an embedding")),
    }
}

/// An upstream's own answer with our id in it, and how it compares with others where several were asked for.
fn passed(raw: &Bytes, request: &TaskRequest, completion: &Completion) -> Result<Written> {
    let read;
    let outline = if let Some(known) = completion.answer.outline.get(raw) {
        known
    } else {
        let text = std::str::from_utf8(raw).ok();
        read = text.and_then(Outline::of);
        read.as_ref().ok_or_else(|| unreadable(completion, "the upstream's answer is no JSON object"))?
    };
    if outline.is_chat() && request.kind == RequestKind::Completion {
        // It holds more than a completion has a place for.
        return Ok(text(request, completion).into());
    }
    let mut body = Written::default();
    if outline.is_headless() && request.kind == RequestKind::Chat {
        chat_of(raw, outline, completion, &mut body.front);
    } else if request.kind == RequestKind::Embedding && !outline.has_id() {
        body.rest = raw.clone();
    } else {
        let mut id = [0; ID_BYTES];
        let id = id_json(&mut id, request.kind, completion.gid, completion.created);
        let rest = outline.splice_front(raw, id, &mut body.front);
        body.rest = raw.slice(rest..);
    }
    match &completion.verdict {
        Some(verdict) => Ok(with_verdict(body.into(), verdict).into()),
        None => Ok(body),
    }
}

/// Adds how an answer compares with others to its body, if the body ends as an object does.
fn with_verdict(mut out: Vec<u8>, verdict: &Verdict) -> Vec<u8> {
    if out.trim_ascii_end().ends_with(b"}") {
        out.truncate(out.trim_ascii_end().len() - 1);
        out.extend_from_slice(b",\"verdict\":");
        write_json(&mut out, verdict);
        out.push(b'}');
    }
    out
}

/// The model that answered, as OpenAI's clients expect it; the model that was asked for if the miner names none.
fn model_of(completion: &Completion) -> &str {
    completion.answer.model.as_deref().unwrap_or(&completion.model)
}

fn unreadable(completion: &Completion, message: &str) -> Error {
    Error::new(ErrorKind::MinerFailed, message).with_ids(completion.session_id, Some(completion.task_id))
}

/// A buffer in which an answer of that text has room.
fn buffer(text: &str) -> Vec<u8> {
    Vec::with_capacity(384 + text.len() * 9 / 8)
}

fn chat(completion: &Completion) -> Vec<u8> {
    let answer = &completion.answer;
    let mut out = buffer(&answer.text);
    let choice = ChatChoice {
        index: 0,
        message: ChatAnswer { role: "assistant", content: Some(&answer.text), refusal: None },
        logprobs: None,
        finish_reason: Some(answer.finish_reason.as_str()),
    };
    let body = ChatCompletion {
        id: &id_of(RequestKind::Chat, completion.gid, completion.created),
        object: "chat.completion",
        created: completion.created,
        model: model_of(completion),
        choices: &[choice],
        usage: answer.usage.into(),
        verdict: completion.verdict.as_ref(),
    };
    write_json(&mut out, &body);
    out
}

/// A chat of a body that the router made: the body has the choices, and here it gets the rest.
fn chat_of(raw: &[u8], outline: &Outline, completion: &Completion, out: &mut Vec<u8>) {
    out.reserve(raw.len() + 256);
    out.extend_from_slice(b"{\"id\":");
    string(out, &id_of(RequestKind::Chat, completion.gid, completion.created));
    let _ = write!(out, ",\"created\":{},\"model\":", completion.created);
    string(out, model_of(completion));
    out.push(b',');
    out.extend_from_slice(outline.members(raw));
    // A usage would be a part of the head.
    out.extend_from_slice(b",\"usage\":");
    write_json(out, &TokenCounts::from(completion.answer.usage));
    out.push(b'}');
}

fn text(request: &TaskRequest, completion: &Completion) -> Vec<u8> {
    let answer = &completion.answer;
    let mut out = buffer(&answer.text);
    let echoed = request.prompt.as_ref().filter(|_| echoes(request)).map(|prompt| format!("{prompt}{}", answer.text));
    let choice = TextChoice {
        text: echoed.as_deref().unwrap_or(&answer.text),
        index: 0,
        logprobs: None,
        finish_reason: Some(answer.finish_reason.as_str()),
    };
    let body = TextCompletion {
        id: &id_of(RequestKind::Completion, completion.gid, completion.created),
        object: "text_completion",
        created: completion.created,
        model: model_of(completion),
        choices: &[choice],
        usage: answer.usage.into(),
        verdict: completion.verdict.as_ref(),
    };
    write_json(&mut out, &body);
    out
}

/// Whether the caller wants the prompt before the answer (`"echo":true`).
pub(super) fn echoes(request: &TaskRequest) -> bool {
    request.kind == RequestKind::Completion && request.extra("echo").is_some_and(|value| value.get() == "true")
}

fn embeddings(request: &TaskRequest, completion: &Completion) -> Result<Vec<u8>> {
    let vectors = vectors_for(request.input.as_deref(), &completion.answer.text)
        .map_err(|fault| unreadable(completion, &fault))?;
    let packed = request.extra("encoding_format").is_some_and(|value| value.get() == "\"base64\"");
    let body = EmbeddingList {
        object: "list",
        data: vectors.iter().enumerate().map(|(index, vector)| item(index, vector, packed)).collect(),
        model: Some(model_of(completion)),
        usage: EmbeddingCounts::from(completion.answer.usage),
    };
    let mut out = Vec::with_capacity(128 + completion.answer.text.len());
    write_json(&mut out, &body);
    Ok(out)
}

fn item(index: usize, vector: &[f64], packed: bool) -> EmbeddingItem<'_> {
    let embedding = if packed { Vector::Base64(pack(vector)) } else { Vector::Numbers(vector) };
    EmbeddingItem { object: "embedding", index, embedding }
}

/// Little-endian 32-bit floats in base64.
fn pack(vector: &[f64]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Answer, FinishReason, SessionId, TaskId, Usage};

    fn rendered(request: &TaskRequest, completion: &Completion) -> Result<Vec<u8>> {
        render(request, completion).map(Vec::from)
    }

    fn completion(text: &str) -> Completion {
        Completion::new(Answer::default().text(text).usage(Usage::new(2, 3)))
            .session_id(SessionId(3))
            .task_id(TaskId(4))
            .gid(Gid(5))
            .created(0x6500_0000)
            .model("m\"1".into())
    }

    fn request(kind: RequestKind, body: &str) -> TaskRequest {
        serde_json::from_str::<TaskRequest>(body).unwrap().kind(kind)
    }

    #[test]
    fn a_chat_has_openais_shape() {
        let mut done = completion("Hi \"you\"\n");
        done.answer.finish_reason = FinishReason::Length;
        let out = rendered(&request(RequestKind::Chat, "{}"), &done).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"id":"chatcmpl-650000000000000000000005","object":"chat.completion","created":1694498816,"model":"m\"1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\"\n","refusal":null},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#
        );
    }

    #[test]
    fn a_completion_has_openais_shape_and_repeats_the_prompt_when_asked() {
        let out = rendered(&request(RequestKind::Completion, r#"{"prompt":"a"}"#), &completion("b")).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"id":"cmpl-650000000000000000000005","object":"text_completion","created":1694498816,"model":"m\"1","choices":[{"text":"b","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#
        );
        let out =
            rendered(&request(RequestKind::Completion, r#"{"prompt":"a","echo":true}"#), &completion("b")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["choices"][0]["text"], "ab");
    }

    #[test]
    fn an_upstreams_answer_keeps_every_byte_but_its_id() {
        let mut done = completion("ignored");
        done.answer.raw = Some(Bytes::from_static(br#"{ "choices":[{"x":1.50}],"id":"up" , "z":{}}"#));
        let out = rendered(&request(RequestKind::Completion, "{}"), &done).unwrap();
        assert_eq!(out, br#"{ "choices":[{"x":1.50}],"id":"cmpl-650000000000000000000005" , "z":{}}"#);
        done.answer.raw = Some(Bytes::from_static(b"<html>"));
        let error = rendered(&request(RequestKind::Completion, "{}"), &done).unwrap_err();
        assert_eq!((error.kind(), error.details().task_id), (ErrorKind::MinerFailed, Some(TaskId(4))));
    }

    #[test]
    fn an_upstreams_embedding_has_an_id_only_where_it_sent_one() {
        let mut done = completion("");
        done.answer.raw = Some(Bytes::from_static(br#"{"object":"list"}"#));
        assert_eq!(rendered(&request(RequestKind::Embedding, "{}"), &done).unwrap(), br#"{"object":"list"}"#);
        done.answer.raw = Some(Bytes::from_static(br#"{"id":"x"}"#));
        assert_eq!(
            rendered(&request(RequestKind::Embedding, "{}"), &done).unwrap(),
            br#"{"id":"embd-650000000000000000000005"}"#
        );
    }

    #[test]
    fn a_miners_vectors_become_a_list() {
        let two = request(RequestKind::Embedding, r#"{"input":["a","b"]}"#);
        let out = rendered(&two, &completion("[[0.5,1],[2,3]]")).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&out).unwrap(),
            json!({"object":"list","model":"m\"1","usage":{"prompt_tokens":2,"total_tokens":2},"data":[
                {"object":"embedding","index":0,"embedding":[0.5,1.0]},
                {"object":"embedding","index":1,"embedding":[2.0,3.0]}]})
        );
        let packed = request(RequestKind::Embedding, r#"{"input":[1,2],"encoding_format":"base64"}"#);
        let out = rendered(&packed, &completion("[1,-2]")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["data"][0]["embedding"], "AACAPwAAAMA=");
        for wrong in ["hello", "[1]", "[[1],[2],[3]]"] {
            assert_eq!(rendered(&two, &completion(wrong)).unwrap_err().kind(), ErrorKind::MinerFailed, "{wrong}");
        }
    }

    proptest! {
        /// Whatever a miner says, its words come out of the JSON as they went in.
        #[test]
        fn any_text_survives(text in any::<String>(), model in any::<String>(), word in any::<String>()) {
            let mut done = completion(&text);
            done.model.clone_from(&model);
            done.answer.finish_reason = FinishReason::from(word.as_str());
            for (kind, pointer) in [
                (RequestKind::Chat, "/choices/0/message/content"),
                (RequestKind::Completion, "/choices/0/text"),
            ] {
                let out = rendered(&request(kind, "{}"), &done).unwrap();
                let value: Value = serde_json::from_slice(&out).unwrap();
                prop_assert_eq!(value.pointer(pointer).unwrap(), &Value::from(text.as_str()));
                prop_assert_eq!(&value["model"], &Value::from(model.as_str()));
                prop_assert_eq!(&value["choices"][0]["finish_reason"], &Value::from(word.as_str()));
            }
        }

        #[test]
        fn ids_differ_between_tasks(a in any::<u64>(), b in any::<u64>()) {
            prop_assert_eq!(id_of(RequestKind::Chat, Gid(a), 1) == id_of(RequestKind::Chat, Gid(b), 1), a == b);
        }
    }
}
