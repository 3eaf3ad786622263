//! The parts of the frames of `cortensor-miner.v1`.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use cortensor_router_model::{FinishReason, Hardware, ModelDetails, NodeKind, RequestKind, Usage};

use crate::word::Word;

macro_rules! record {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }
    )*};
}

/// The proof of a miner's identity. `token` alone: a token of the scope `miner`. `public_key` and `signature`: an
/// enrolled key. All three: enrols the key with a one-time token of the scope `enrol`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Auth {
    /// A token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Base64url of the Ed25519 public key, 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Base64url of the Ed25519 signature, 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// `tls-exporter` if the signature covers the channel (RFC 9266), else `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
}

/// Shows no token.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("has_token", &self.token.is_some())
            .field("public_key", &self.public_key)
            .field("signature", &self.signature)
            .field("binding", &self.binding)
            .finish()
    }
}

/// Reads the proof. An error does not quote what it found, because that may be a token in a wrong place.
fn unquoted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Auth, D::Error> {
    Auth::deserialize(deserializer).map_err(|_| {
        D::Error::custom("auth must be an object whose token, public_key, signature and binding are texts")
    })
}

record! {
    /// The router's first frame.
    Challenge {
        /// Base64url of 32 random bytes. A nonce is never repeated.
        nonce: String,
        /// The time of the router's clock, in Unix milliseconds.
        server_time: u64,
        /// The router's name.
        router: String,
        /// The versions of the protocol that the router speaks.
        versions: Vec<u32>,
        /// The features that the router knows.
        features: Vec<String>,
        /// `tls-exporter` if the router itself ends TLS, so that a signature may cover the channel; else `none`.
        binding: String,
    }

    /// The miner's first frame, within 5 s of the challenge.
    Hello {
        /// The version of the protocol that the miner has chosen.
        v: u32,
        /// The miner's id, 1 to 128 bytes of `A-Z a-z 0-9 . _ -`. With a key: the id of the key.
        #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
        miner_id: String,
        /// The miner's name for people, 1 to 128 bytes, unique among connected miners. Missing: the id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The proof of the miner's identity.
        #[serde(deserialize_with = "unquoted")]
        auth: Auth,
        /// A number that the miner chooses at random when its process starts. A miner that comes back with an equal
        /// number continues its attempts; with another number it starts without attempts.
        epoch: u64,
        /// The miner's software and version, at most 256 bytes. No text of a hello may have control characters.
        #[serde(default)]
        agent: String,
        /// The features that the miner knows, at most 64.
        #[serde(default)]
        features: Vec<String>,
        /// `ephemeral` or `dedicated`.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = NodeKind))]
        kind: Word<NodeKind>,
        /// The person or company that runs the miner, at most 256 bytes. Ignored if the router has an owner on record.
        #[serde(default)]
        owner: String,
        /// The maximum number of concurrent tasks, 1 to 65536.
        #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 65536))]
        max_concurrency: u32,
        /// The models that the miner serves, at most 256. Empty: any model.
        #[serde(default)]
        models: Vec<ModelDetails>,
        /// The miner's hardware.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hw: Option<Hardware>,
        /// The attempts that the miner still has from an earlier connection of this epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<Resume>,
    }

    /// The attempts that a miner still has from an earlier connection.
    Resume {
        /// The attempts, including answers that wait for their `final`.
        inflight: Vec<Held>,
    }

    /// An attempt that a miner holds.
    Held {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The number of the last `tokens` frame that the miner has sent; 0: none.
        #[serde(default)]
        sent_seq: u64,
    }

    /// The admission of a miner.
    Welcome {
        /// The version of the protocol for this connection.
        v: u32,
        /// The features that both sides know.
        features: Vec<String>,
        /// The times of the connection, in milliseconds.
        intervals: Intervals,
        /// The bounds of the connection, in bytes.
        limits: Limits,
        /// The attempts that continue. The miner must send every frame after `ack_seq` again.
        #[serde(default)]
        adopt: Vec<Adopt>,
        /// The attempts that the miner must forget.
        #[serde(default)]
        drop: Vec<DropFrame>,
    }

    /// The times of the connection, in milliseconds.
    Intervals {
        /// The time without another frame after which a side must send a `ping`.
        ping_ms: u64,
        /// The time of silence after which a side counts as dead.
        dead_ms: u64,
        /// The maximum time for which the miner may hold back a piece of an answer in order to send it with others.
        flush_ms: u64,
        /// The time within which a miner that comes back continues its attempts.
        grace_ms: u64,
    }

    /// The bounds of the connection, in bytes of JSON.
    Limits {
        /// The maximum size of a frame of the miner.
        frame: u64,
        /// The maximum size of a `task` frame of the router.
        task: u64,
        /// The maximum bytes of whole `tokens` frames without an acknowledgement, for each
        /// attempt.
        window: u64,
        /// The maximum bytes of `data` in one answer.
        output: u64,
    }

    /// An attempt that continues after a reconnect.
    Adopt {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The number of the last `tokens` frame that the router has.
        ack_seq: u64,
    }

    /// The number of further tasks for which the miner has room. The number is absolute, so that a repeated frame has
    /// no effect.
    Credit {
        /// A number that counts up from 1 in each connection. A frame with a lower number than the last one is ignored.
        #[serde(rename = "gen")]
        generation: u64,
        /// The free slots by model; `*` means every model that is not named. Models share slots: the greatest number
        /// is the total.
        free: std::collections::BTreeMap<String, u32>,
        /// The number of the newest offer that the miner had seen when it counted its slots; 0: none.
        #[serde(default)]
        seen: u64,
    }

    /// An offer. Times count from the moment at which the miner reads the frame.
    TaskFrame {
        /// The attempt's number, which counts up from 1 for each miner. All frames about the attempt have it and the
        /// fence.
        attempt: u64,
        /// The attempt's fence, which never repeats in the router.
        fence: u64,
        /// The id of the task among all tasks of the router.
        task: u64,
        /// The session of the task. Tasks of one session may share a cache.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// The model. Missing: the miner's choice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// `completion`, `chat` or `embedding`.
        #[cfg_attr(feature = "schema", schema(value_type = RequestKind))]
        kind: Word<RequestKind>,
        /// The prompt of a completion, with its template applied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// Whether the model gets the prompt unchanged, without the model's chat template.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        raw_prompt: bool,
        /// The messages of a chat, as in OpenAI's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<Object>>))]
        messages: Option<Box<RawValue>>,
        /// The input of an embedding: a text, a list of texts, or tokens, as in OpenAI's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<serde_json::Value>))]
        input: Option<Box<RawValue>>,
        /// The maximum number of tokens to generate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u64>,
        /// The seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<i64>,
        /// All other fields of the request, with OpenAI's names: `temperature`, `top_p`, `stop`, `tools` and others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        params: Option<Box<RawValue>>,
        /// Whether the answer is streamed piece by piece.
        stream: bool,
        /// The text that another miner has given already. The answer must continue it without repeating it. Only with
        /// the feature `continue`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<String>,
        /// The time in milliseconds after which the router gives up the task.
        deadline_ms: u64,
        /// The time in milliseconds within which the miner must accept or reject the offer.
        accept_ms: u64,
        /// A W3C trace context (`traceparent`), if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<String>,
        /// The W3C `tracestate` that belongs to `trace`, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tracestate: Option<String>,
    }

    /// The miner takes an offer.
    Accept {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
    }

    /// The miner does not take an offer. The miner is not blamed, and both sides forget the attempt.
    Reject {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The reason, for people.
        #[serde(default)]
        reason: String,
        /// The time in milliseconds after which the miner wants to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }

    /// A piece of an answer.
    Tokens {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The number of the frame, which counts the attempt's `tokens` frames from 1 without gaps.
        seq: u64,
        /// The bytes of `data` of all channels in earlier frames of this attempt.
        off: u64,
        /// The channel of the piece.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = Channel))]
        ch: Word<Channel>,
        /// The piece, as UTF-8. A character must not be split.
        data: String,
        /// The whole OpenAI chunk from which the piece comes. Only with the feature `raw`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        raw: Option<Box<RawValue>>,
    }

    /// The router has received an attempt's `tokens` frames up to this number.
    Ack {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The number of the last frame that the router has without a gap.
        seq: u64,
    }

    /// An answer is complete. The miner must send the frame again after every reconnect until the `final` comes.
    Done {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The number of `tokens` frames of the answer.
        seq: u64,
        /// The SHA-256 hash of all `data` of the channel `content` in order, 64 hexadecimal digits.
        #[cfg_attr(feature = "schema", schema(pattern = "^[0-9a-f]{64}$"))]
        sha256: String,
        /// The reason for the end: `stop`, `length`, `tool_calls` or another one of OpenAI's.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        finish_reason: FinishReason,
        /// The token counts. Counts of zero are replaced by an estimate.
        #[serde(default, deserialize_with = "crate::claim::usage")]
        usage: Usage,
        /// The model that answered, by the miner's name for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The times of the attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timings: Option<Timings>,
    }

    /// The times of an attempt, in milliseconds by the miner's clock.
    Timings {
        /// The time from the offer to the first piece.
        #[serde(default)]
        first_token_ms: u64,
        /// The time from the offer to the end.
        #[serde(default)]
        total_ms: u64,
    }

    /// An attempt failed, and both sides forget it.
    Fail {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The class of the failure, which decides what the router does.
        #[cfg_attr(feature = "schema", schema(value_type = Class))]
        class: Word<Class>,
        /// The reason, for people.
        #[serde(default)]
        message: String,
        /// Whether another try, at this miner or at another one, may succeed.
        #[serde(default)]
        retryable: bool,
        /// The time in milliseconds after which the miner wants to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// The HTTP status of the model's server, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// The error body of the model's server in OpenAI's form, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        raw: Option<Box<RawValue>>,
    }

    /// The fate of an answer. The miner must keep the answer until this frame comes.
    Final {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The fate of the answer.
        #[cfg_attr(feature = "schema", schema(value_type = Fate))]
        result: Word<Fate>,
    }

    /// An attempt is cancelled. The miner must stop and answer with a `fail` of the class `cancelled`, or with
    /// the `done` that it has already sent.
    Cancel {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
        /// The reason, for people.
        #[serde(default)]
        reason: String,
    }

    /// The miner must forget an attempt that does not belong to it any more. The router sends this once for each
    /// attempt.
    DropFrame {
        /// The attempt.
        attempt: u64,
        /// The fence of the attempt.
        fence: u64,
    }

    /// A sign of life, with the sender's attempts.
    Ping {
        /// Any number. The `pong` returns it.
        #[serde(default)]
        t: u64,
        /// The attempts that the sender holds.
        #[serde(default)]
        inflight: Vec<Held>,
    }

    /// The answer to a ping.
    Pong {
        /// The ping's number.
        #[serde(default)]
        t: u64,
        /// The attempts that the sender holds.
        #[serde(default)]
        inflight: Vec<Held>,
    }

    /// The sender makes or takes no new offers. The miner finishes its attempts, sends `bye` and closes the connection
    /// with 1001.
    Drain {
        /// The time in milliseconds after which the sender leaves in any case.
        #[serde(default)]
        deadline_ms: u64,
    }

    /// The sender leaves, and closes the connection with 1001.
    Bye {
        /// The reason, for people.
        #[serde(default)]
        reason: String,
    }

    /// The other side broke a rule.
    ErrorFrame {
        /// The code of the error, for programs.
        code: String,
        /// The error and how to mend it, for people.
        message: String,
        /// Whether the sender closes the connection after this frame.
        fatal: bool,
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $word,)* }
    )*};
}

words! {
    /// The channel of a piece of an answer.
    Channel {
        /// The text.
        #[default]
        Content,
        /// The model's reasoning, apart from the text.
        Reasoning,
        /// A piece of OpenAI's `tool_calls` delta: a JSON array.
        Tool,
        /// A piece of the answer's own OpenAI JSON, such as vectors or log probabilities. All pieces together are the
        /// JSON.
        Answer,
    }

    /// The class of a failed attempt.
    Class {
        /// The miner has too much to do. The miner is not blamed, and gets fewer tasks for a while.
        Overloaded,
        /// The prompt exceeds the model's context. No other miner is tried.
        Context,
        /// The miner does not have the model. Each other miner is tried once.
        Model,
        /// The miner refuses this request, but another one may accept it. Each other miner is tried once.
        Refused,
        /// The miner's own credentials at its model's server are at fault. The miner is blamed, and each other one is
        /// tried once.
        Credentials,
        /// The answer cannot be read. The miner is not blamed, and another one is tried.
        Unreadable,
        /// The request is wrong. No other miner is tried.
        Invalid,
        /// The miner has a fault. The miner is blamed, and another one is tried.
        #[default]
        Internal,
        /// The attempt was cancelled.
        Cancelled,
    }

    /// The fate of an answer.
    Fate {
        /// The answer is part of the task's result, which is durable.
        #[default]
        Committed,
        /// Another answer was taken, or this one could not be read.
        Superseded,
        /// The task was cancelled, or the answer came too late.
        Cancelled,
    }
}
