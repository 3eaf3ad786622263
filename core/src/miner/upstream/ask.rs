//! Makes the body of the request to the upstream from a job.
//!
//! | kind | goes to | as |
//! |---|---|---|
//! | chat | `/chat/completions` | the messages, unchanged |
//! | completion, `prompt_type` 0 | `/chat/completions` | one user message: the upstream applies the model's template |
//! | completion, `prompt_type` 1 | `/completions` | the prompt, unchanged |
//! | embedding | `/embeddings` | the input, unchanged |
//! | any other | [its own route](super::passed) | all of it, unchanged |
//!
//! An upstream that speaks another API gets a chat in the words of that API ([`speech`](super::speech)).
//!
//! Fields that the router does not know are forwarded unchanged. Fields that only a router understands
//! ([`OWN_FIELDS`]) are not forwarded, because hosted APIs refuse unknown fields.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::endpoint::Endpoint;
use crate::config::StreamUsage;
use crate::model::{RequestKind, TaskRequest};

/// Fields of Cortensor's API that a model's server does not understand, and fields that this module sets itself.
const OWN_FIELDS: &[&str] = &[
    "session_id",
    "sessionId",
    "task_id",
    "provider",
    "nodes",
    "node_type",
    "async",
    "detach",
    "webhook",
    "idempotency_key",
    "validation",
    "affinity",
    "retention",
    "stream_options",
];

/// The upstream's route for a job that does not [pass](super::passed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Completions,
    Embeddings,
}

impl Route {
    pub(super) fn of(request: &TaskRequest) -> Self {
        match request.kind {
            RequestKind::Completion if request.prompt_type == 1 => Self::Completions,
            RequestKind::Embedding => Self::Embeddings,
            _ => Self::Chat,
        }
    }

    /// The head of a request, without the length of its body.
    pub(super) fn head(self, endpoint: &Endpoint) -> &[u8] {
        match self {
            Self::Chat => &endpoint.chat,
            Self::Completions => &endpoint.completions,
            Self::Embeddings => &endpoint.embeddings,
        }
    }
}

/// The parameters of a request that go to a server.
pub(super) fn forwarded(request: &TaskRequest) -> impl Iterator<Item = (&str, &RawValue)> {
    request.params().others().filter(|(key, _)| !is_own(key))
}

/// Whether only a router understands that field.
pub(super) fn is_own(name: &str) -> bool {
    OWN_FIELDS.contains(&name)
}

/// The fields that the router adds on its own, which strict hosts refuse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OwnFields {
    /// `stream_options.include_usage`.
    pub(super) usage: bool,
    /// `continue_final_message` and `add_generation_prompt`, for an answer that continues a beginning.
    pub(super) template: bool,
}

impl OwnFields {
    /// The fields that are left after a refusal with these words; `None`: the refusal names no field that the router
    /// has added.
    pub(super) fn without_refused(
        self,
        request: &TaskRequest,
        stream: bool,
        going_on: bool,
        words: &[u8],
    ) -> Option<Self> {
        let names = |name: &str| words.windows(name.len()).any(|window| window == name.as_bytes());
        let adds_usage = self.usage && stream && Route::of(request) != Route::Embeddings && !wants_usage(request);
        let adds_template = self.template && going_on && Route::of(request) == Route::Chat;
        let left = Self {
            usage: self.usage && !(adds_usage && (names("stream_options") || names("include_usage"))),
            template: self.template
                && !(adds_template && (names("continue_final_message") || names("add_generation_prompt"))),
        };
        (left != self).then_some(left)
    }
}

/// The fields that an upstream has refused since the router started.
#[derive(Debug, Default)]
pub(super) struct RefusedFields {
    usage: AtomicBool,
    template: AtomicBool,
}

impl RefusedFields {
    /// The fields that may still be added.
    pub(super) fn allowed(&self, stream_usage: StreamUsage) -> OwnFields {
        OwnFields {
            usage: match stream_usage {
                StreamUsage::On => true,
                StreamUsage::Off => false,
                StreamUsage::Auto => !self.usage.load(Ordering::Relaxed),
            },
            template: !self.template.load(Ordering::Relaxed),
        }
    }

    /// Notes that a request which had been refused succeeded with only these fields.
    pub(super) fn remember(&self, fields: OwnFields) {
        self.usage.fetch_or(!fields.usage, Ordering::Relaxed);
        self.template.fetch_or(!fields.template, Ordering::Relaxed);
    }
}

/// About the bytes of the body of the request.
pub(super) fn size(request: &TaskRequest) -> usize {
    let size = request.prompt.as_ref().map_or(0, String::len)
        + [&request.messages, &request.input].into_iter().flatten().map(|raw| raw.get().len()).sum::<usize>()
        + request.extra.iter().map(|(key, value)| key.len() + value.get().len() + 4).sum::<usize>();
    size + size / 16 + 192
}

/// Writes the body of the request behind the bytes that are there. `model` is the upstream's name of the model;
/// `partial` is the text to continue.
pub(super) fn write(
    bytes: Vec<u8>,
    request: &TaskRequest,
    model: Option<&str>,
    stream: bool,
    partial: Option<&str>,
    own: OwnFields,
) -> Vec<u8> {
    let (route, params) = (Route::of(request), request.params());
    let mut object = Object::behind(bytes);
    if let Some(model) = model {
        object.text("model", model);
    }
    match (route, &request.messages) {
        (Route::Chat | Route::Completions, _) if partial.is_some() => {
            go_on(request, route, partial.unwrap_or_default(), own, &mut object);
        }
        (Route::Chat, Some(messages)) if request.kind == RequestKind::Chat || request.prompt.is_none() => {
            object.raw("messages", messages);
        }
        (Route::Chat, _) => {
            #[derive(Serialize)]
            struct Message<'a> {
                role: &'static str,
                content: &'a str,
            }
            object.value("messages", &[Message { role: "user", content: &request.prompt_text() }]);
        }
        (Route::Completions, _) => match (&request.prompt, &request.prompt_template) {
            (Some(prompt), None) => object.text("prompt", prompt),
            // A list of prompts is forwarded unchanged with the other fields.
            (None, _) if request.extra("prompt").is_some() => {}
            _ => object.text("prompt", &request.prompt_text()),
        },
        (Route::Embeddings, _) => match &request.input {
            Some(input) => object.raw("input", input),
            None => object.text("input", &request.prompt_text()),
        },
    }
    if route != Route::Embeddings {
        for (name, most) in params.limits() {
            object.value(name, &most);
        }
    }
    if stream && route != Route::Embeddings {
        object.value("stream", &true);
        match (request.extra("stream_options"), own.usage) {
            (None, true) => object.key("stream_options").extend_from_slice(br#"{"include_usage":true}"#),
            (None, false) => {}
            (Some(options), true) => object.value("stream_options", &with_usage(options)),
            (Some(options), false) => object.raw("stream_options", options),
        }
    }
    for (key, value) in forwarded(request) {
        object.raw(key, value);
    }
    object.end()
}

/// Writes the body of a request that passes as it came, with the upstream's name of the model.
pub(super) fn write_passed(bytes: Vec<u8>, request: &TaskRequest, model: Option<&str>) -> Vec<u8> {
    let (mut object, params) = (Object::behind(bytes), request.params());
    if let Some(model) = model {
        object.text("model", model);
    }
    if let Some(prompt) = &request.prompt {
        object.text("prompt", prompt);
    }
    if let Some(input) = &request.input {
        object.raw("input", input);
    }
    for (name, most) in params.limits() {
        object.value(name, &most);
    }
    if request.stream {
        object.value("stream", &true);
    }
    for (key, value) in forwarded(request) {
        object.raw(key, value);
    }
    object.end()
}

/// Writes the conversation, or the prompt, with the partial answer at its end. Some servers always continue a last
/// message of the assistant (llama.cpp), others do so if a field asks for it (vLLM).
fn go_on(request: &TaskRequest, route: Route, partial: &str, own: OwnFields, object: &mut Object) {
    if route == Route::Completions {
        return object.text("prompt", &format!("{}{partial}", request.prompt_text()));
    }
    let mut messages: Vec<serde_json::Value> = match &request.messages {
        Some(messages) if request.prompt.is_none() => serde_json::from_str(messages.get()).unwrap_or_default(),
        _ => vec![serde_json::json!({"role": "user", "content": request.prompt_text()})],
    };
    messages.push(serde_json::json!({"role": "assistant", "content": partial}));
    object.value("messages", &messages);
    if own.template {
        object.value("continue_final_message", &true);
        object.value("add_generation_prompt", &false);
    }
}

/// Whether the client asked for usage in the stream.
pub(super) fn wants_usage(request: &TaskRequest) -> bool {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let options = request.extra("stream_options").and_then(|raw| serde_json::from_str::<Options>(raw.get()).ok());
    options.and_then(|options| options.include_usage).unwrap_or(false)
}

/// The client's stream options with usage switched on, because the router itself needs the usage.
fn with_usage(options: &RawValue) -> serde_json::Map<String, serde_json::Value> {
    let mut options: serde_json::Map<_, _> = serde_json::from_str(options.get()).unwrap_or_default();
    options.insert("include_usage".to_owned(), true.into());
    options
}

/// Writes a JSON object, member by member.
struct Object {
    bytes: Vec<u8>,
    is_empty: bool,
}

impl Object {
    /// An object behind the bytes that are there.
    fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, is_empty: true }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        self.bytes.push(if is_first { b'{' } else { b',' });
        self.json(key);
        self.bytes.push(b':');
        &mut self.bytes
    }

    fn raw(&mut self, key: &str, value: &RawValue) {
        self.key(key).extend_from_slice(value.get().as_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.value(key, value);
    }

    fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.key(key);
        self.json(value);
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // Strings, numbers and maps with string keys always serialize, and a Vec takes every byte.
        let written = serde_json::to_writer(&mut self.bytes, value);
        debug_assert!(written.is_ok(), "{written:?}");
    }

    fn end(mut self) -> Vec<u8> {
        if self.is_empty {
            self.bytes.push(b'{');
        }
        self.bytes.push(b'}');
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: RequestKind, json: &str) -> TaskRequest {
        serde_json::from_str::<TaskRequest>(json).unwrap().kind(kind)
    }

    const ALL: OwnFields = OwnFields { usage: true, template: true };

    fn sent(kind: RequestKind, json: &str, stream: bool) -> String {
        String::from_utf8(write(Vec::new(), &request(kind, json), Some("m"), stream, None, ALL)).unwrap()
    }

    #[test]
    fn a_chat_passes_untouched() {
        assert_eq!(
            sent(
                RequestKind::Chat,
                r#"{"messages":[ {"role":"user","content":"a"} ],"tools":[{"x":1}],"temperature":0.50,"max_tokens":7,"session_id":3,"timeout":9,"client_reference":"r"}"#,
                false
            ),
            r#"{"model":"m","messages":[ {"role":"user","content":"a"} ],"max_tokens":7,"tools":[{"x":1}],"temperature":0.50}"#
        );
    }

    #[test]
    fn the_limit_of_tokens_goes_on_under_the_callers_own_name() {
        assert_eq!(
            sent(RequestKind::Chat, r#"{"messages":[],"max_completion_tokens":7}"#, false),
            r#"{"model":"m","messages":[],"max_completion_tokens":7}"#
        );
    }

    #[test]
    fn an_answer_goes_on_from_the_assistants_last_message() {
        let go_on = |kind, json: &str| {
            let request = request(kind, json);
            let body = write(Vec::new(), &request, None, true, Some("The sky"), ALL);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()
        };
        let sent = go_on(RequestKind::Chat, r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":3}"#);
        assert_eq!(sent["messages"][1], serde_json::json!({"role": "assistant", "content": "The sky"}));
        assert_eq!((&sent["continue_final_message"], &sent["max_tokens"]), (&true.into(), &3.into()));
        let sent = go_on(RequestKind::Completion, r#"{"prompt":"b: ","prompt_type":1}"#);
        assert_eq!(sent["prompt"], "b: The sky");
    }

    #[test]
    fn a_prompt_is_a_user_message_unless_it_is_raw() {
        assert_eq!(
            sent(
                RequestKind::Completion,
                r#"{"prompt":"say \"a\"\n","prompt_template":"<{prompt}>","provider":"p"}"#,
                false
            ),
            r#"{"model":"m","messages":[{"role":"user","content":"<say \"a\"\n>"}]}"#
        );
        assert_eq!(
            sent(RequestKind::Completion, r#"{"prompt":"1, 2,","prompt_type":1,"stop":["5"]}"#, false),
            r#"{"model":"m","prompt":"1, 2,","stop":["5"]}"#
        );
    }

    #[test]
    fn a_list_of_prompts_goes_as_it_came() {
        assert_eq!(
            sent(RequestKind::Completion, r#"{"prompt":["a","b"],"prompt_type":1,"n":2}"#, false),
            r#"{"model":"m","prompt":["a","b"],"n":2}"#
        );
    }

    #[test]
    fn a_stream_always_asks_for_usage() {
        assert_eq!(
            sent(RequestKind::Completion, r#"{"prompt":"x","prompt_type":1}"#, true),
            r#"{"model":"m","prompt":"x","stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(
            sent(
                RequestKind::Completion,
                r#"{"prompt":"x","prompt_type":1,"stream_options":{"include_usage":false,"z":1}}"#,
                true
            ),
            r#"{"model":"m","prompt":"x","stream":true,"stream_options":{"include_usage":true,"z":1}}"#
        );
        assert_eq!(
            sent(
                RequestKind::Completion,
                r#"{"prompt":"x","prompt_type":1,"stream_options":{"include_usage":true}}"#,
                false
            ),
            r#"{"model":"m","prompt":"x"}"#
        );
    }

    #[test]
    fn nothing_is_added_that_is_refused() {
        const NONE: OwnFields = OwnFields { usage: false, template: false };
        let sent = |json: &str, partial| {
            String::from_utf8(write(Vec::new(), &request(RequestKind::Chat, json), None, true, partial, NONE)).unwrap()
        };
        assert_eq!(sent(r#"{"messages":[]}"#, None), r#"{"messages":[],"stream":true}"#);
        let own = r#"{"messages":[],"stream":true,"stream_options":{"include_usage":false,"z":1}}"#;
        assert_eq!(sent(&own.replace(r#","stream":true"#, ""), None), own);
        assert!(!sent(r#"{"messages":[]}"#, Some("The")).contains("final_message"));
    }

    #[test]
    fn only_a_field_of_the_routers_own_is_left_out_after_a_refusal() {
        let after = |json: &str, stream, going_on, words: &str| {
            let request = request(RequestKind::Chat, json);
            ALL.without_refused(&request, stream, going_on, words.as_bytes()).map(|left| (left.usage, left.template))
        };
        let words = r#"{"detail":[{"loc":["body","stream_options"]}]}"#;
        assert_eq!(after("{}", true, false, words), Some((false, true)));
        assert_eq!(after("{}", true, false, "unknown field include_usage"), Some((false, true)));
        assert_eq!(after(r#"{"stream_options":{"include_usage":false}}"#, true, false, words), Some((false, true)));
        // The caller asked for the field itself, or the router did not add it.
        assert_eq!(after(r#"{"stream_options":{"include_usage":true}}"#, true, false, words), None);
        assert_eq!(after("{}", false, false, words), None);
        assert_eq!(after("{}", true, false, "temperature must be positive"), None);
        assert_eq!(after("{}", true, true, "extra field: continue_final_message"), Some((true, false)));
        assert_eq!(after("{}", true, false, "extra field: continue_final_message"), None);
    }

    #[test]
    fn an_embedding_keeps_its_input() {
        assert_eq!(
            sent(RequestKind::Embedding, r#"{"input":["a", "b"],"encoding_format":"base64","stream":true}"#, true),
            r#"{"model":"m","input":["a", "b"],"encoding_format":"base64"}"#
        );
    }

    #[test]
    fn nothing_at_all_is_still_json() {
        let body = write(Vec::new(), &TaskRequest::default(), None, false, None, ALL);
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
}
