//! The parts of the frames of `cortensor-miner.v1`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use cortensor_router_model::{FinishReason, Hardware, ModelDetails, RequestKind, Usage};

macro_rules! record {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }
    )*};
}

record! {
    /// The router's first frame.
    Challenge {
        /// Base64url of 32 random bytes; it is never repeated.
        nonce: String,
        /// Unix milliseconds by the router's clock.
        server_time: u64,
        /// The router's name.
        router: String,
        /// Versions of the protocol that the router speaks.
        versions: Vec<u32>,
        /// Features that the router knows.
        features: Vec<String>,
        /// `tls-exporter` if the router itself ends TLS and a signature may cover the channel, else `none`.
        binding: String,
    }

    /// The miner's first frame, within 5 s of the challenge.
    Hello {
        /// The version of the protocol that the miner chose.
        v: u32,
        /// The miner's id, 1 to 128 bytes of `A-Z a-z 0-9 . _ -`. With a key: the id of the key.
        #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
        miner_id: String,
        /// The miner's name for people, 1 to 128 bytes, unique among connected miners; the id if it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The proof of its identity.
        auth: Auth,
        /// A number chosen at random when its process starts. With an equal number it goes on with its attempts; with
        /// another one it starts afresh.
        epoch: u64,
        /// Its software and version, at most 256 bytes. No text of a hello holds control characters.
        #[serde(default)]
        agent: String,
        /// Features that it knows, at most 64.
        #[serde(default)]
        features: Vec<String>,
        /// `ephemeral` or `dedicated`.
        #[serde(default)]
        kind: NodeKind,
        /// The person or company that runs it, at most 256 bytes. It is ignored if the router has an owner on record.
        #[serde(default)]
        owner: String,
        /// The most tasks at a time, 1 to 65536.
        #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 65536))]
        max_concurrency: u32,
        /// The models it serves; none: any model that is asked for. At most 256.
        #[serde(default)]
        models: Vec<ModelDetails>,
        /// Its hardware.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hw: Option<Hardware>,
        /// The attempts that it still has of an earlier connection of this epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<Resume>,
    }

    /// The proof of a miner's identity. `token` alone: a token of the scope `miner`. `public_key` and `signature`: an
    /// enrolled key. All three: enrols the key with a one-time token of the scope `enrol`.
    Auth {
        /// A token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Base64url of the Ed25519 public key, 32 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// Base64url of the Ed25519 signature, 64 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// `tls-exporter` if the signature covers the channel (RFC 9266), else `none`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        binding: Option<String>,
    }

    /// The attempts that a miner still has.
    Resume {
        /// Its attempts, with answers that wait for their `final`.
        inflight: Vec<Held>,
    }

    /// An attempt that a miner holds.
    Held {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The number of the last `tokens` frame that it sent; 0: none.
        #[serde(default)]
        sent_seq: u64,
    }

    /// The admission of a miner.
    Welcome {
        /// The version that both speak.
        v: u32,
        /// The features that both know.
        features: Vec<String>,
        /// Times, in milliseconds.
        intervals: Intervals,
        /// Bounds, in bytes.
        limits: Limits,
        /// Attempts that go on; the miner must send every frame after `ack_seq` again.
        #[serde(default)]
        adopt: Vec<Adopt>,
        /// Attempts that the miner must forget.
        #[serde(default)]
        drop: Vec<DropFrame>,
    }

    /// Times, in milliseconds.
    Intervals {
        /// A `ping` is due after this long without another frame to send.
        ping_ms: u64,
        /// A side that was silent for this long is dead.
        dead_ms: u64,
        /// The longest time that a piece of an answer may be held back to be sent with others.
        flush_ms: u64,
        /// A miner that comes back within this time goes on with its attempts.
        grace_ms: u64,
    }

    /// Bounds, in bytes of a frame's JSON.
    Limits {
        /// The largest frame that a miner may send.
        frame: u64,
        /// The largest `task` that the router sends.
        task: u64,
        /// The most bytes of whole `tokens` frames that may be under way without an acknowledgement, for each
        /// attempt.
        window: u64,
        /// The most bytes of one answer, `data` only.
        output: u64,
    }

    /// An attempt that goes on.
    Adopt {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The number of the last `tokens` frame that the router has.
        ack_seq: u64,
    }

    /// The number of further tasks that the miner has room for. It is absolute, so that a repeated frame changes
    /// nothing.
    Credit {
        /// Counts up from 1 in each connection; an older one is ignored.
        #[serde(rename = "gen")]
        generation: u64,
        /// Free slots by model; `*` means every model that is not named. Models share slots: the greatest number
        /// counts in all.
        free: std::collections::BTreeMap<String, u32>,
        /// The number of the newest offer that the miner had seen when it counted; 0: none.
        #[serde(default)]
        seen: u64,
    }

    /// An offer. Times count from when the frame is read.
    TaskFrame {
        /// The attempt: counts up from 1 for each miner. All frames about it carry it, with the fence.
        attempt: u64,
        /// The right to answer; never repeats.
        fence: u64,
        /// The task among all of the router's.
        task: u64,
        /// Its session: tasks of one session may share a cache.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// The model; missing: the miner's choice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// `completion`, `chat` or `embedding`.
        kind: RequestKind,
        /// The prompt of a completion, in its template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// Whether the prompt goes to the model as it is, without the model's chat template.
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
        /// The most tokens to generate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u64>,
        /// The seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<i64>,
        /// Everything else that the caller gave, in OpenAI's names: `temperature`, `top_p`, `stop`, `tools` ...
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        params: Option<Box<RawValue>>,
        /// Whether somebody reads tokens as they come.
        stream: bool,
        /// The text that another miner gave already: the answer must continue it without repeating it. Only with the
        /// feature `continue`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<String>,
        /// Milliseconds after which nobody wants the answer.
        deadline_ms: u64,
        /// Milliseconds within which the offer must be taken or rejected.
        accept_ms: u64,
        /// A W3C trace context (`traceparent`), if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<String>,
    }

    /// The miner takes an offer.
    Accept {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
    }

    /// The miner does not take an offer: nobody is blamed, and both forget it.
    Reject {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The reason, for people.
        #[serde(default)]
        reason: String,
        /// Milliseconds after which it wants to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }

    /// A piece of an answer.
    Tokens {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// Counts the attempt's `tokens` frames from 1, without gaps.
        seq: u64,
        /// Bytes of `data`, of all channels, that came before in this attempt.
        off: u64,
        /// The channel of the piece.
        #[serde(default)]
        ch: Channel,
        /// The piece, in UTF-8; a character is never split.
        data: String,
        /// OpenAI's own chunk that the piece came in, whole. Only with the feature `raw`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        raw: Option<Box<RawValue>>,
    }

    /// The router has an attempt's `tokens` frames up to this one.
    Ack {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The number of the last one that it has, in order.
        seq: u64,
    }

    /// An answer is complete. Sent again after every reconnect until its `final` comes.
    Done {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// How many `tokens` frames there were.
        seq: u64,
        /// SHA-256 of all `data` of the channel `content` in order, 64 hexadecimal digits.
        #[cfg_attr(feature = "schema", schema(pattern = "^[0-9a-f]{64}$"))]
        sha256: String,
        /// `stop`, `length`, `tool_calls` ...
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        finish_reason: FinishReason,
        /// Token counts; zeros are estimated.
        #[serde(default)]
        usage: Usage,
        /// The model that answered, in the miner's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The times of the attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timings: Option<Timings>,
    }

    /// The times of an attempt, in milliseconds by the miner's clock.
    Timings {
        /// From the offer to the first piece.
        #[serde(default)]
        first_token_ms: u64,
        /// From the offer to the end.
        #[serde(default)]
        total_ms: u64,
    }

    /// An attempt failed, and both forget it.
    Fail {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The class of the failure, which decides what the router does.
        class: Class,
        /// The reason, for people.
        #[serde(default)]
        message: String,
        /// Whether another try, here or elsewhere, may do better.
        #[serde(default)]
        retryable: bool,
        /// Milliseconds after which it wants to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// The HTTP status of the model's server, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// OpenAI's own error body, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
        raw: Option<Box<RawValue>>,
    }

    /// The end of an answer. Only now the miner may forget it.
    Final {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The end.
        result: Fate,
    }

    /// Nobody wants an attempt any more: the miner must stop and answer with `fail` of the class `cancelled`, or with
    /// the `done` that was under way.
    Cancel {
        /// The attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
        /// The reason, for people.
        #[serde(default)]
        reason: String,
    }

    /// The miner must forget an attempt, because it is not its own any more. Sent once for each attempt.
    DropFrame {
        /// The attempt.
        attempt: u64,
        /// The fence.
        fence: u64,
    }

    /// A sign of life, with the attempts of the sender.
    Ping {
        /// Any number; comes back in the `pong`.
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

    /// The sender makes or takes no new offers; running attempts are finished, then the miner says `bye` and closes
    /// with 1001.
    Drain {
        /// Milliseconds after which the sender leaves in any case.
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
        /// Whether the connection is closed after it.
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
    /// The kind of a miner.
    NodeKind {
        /// It comes and goes.
        #[default]
        Ephemeral,
        /// It is there for sessions that reserve it.
        Dedicated,
    }

    /// The channel of a piece of an answer.
    Channel {
        /// The text.
        #[default]
        Content,
        /// The model's reasoning, apart from the text.
        Reasoning,
        /// A piece of OpenAI's `tool_calls` delta: a JSON array.
        Tool,
        /// A piece of OpenAI's own JSON answer, whole when all are joined: vectors, tool calls, log probabilities.
        Answer,
    }

    /// The class of a failed attempt.
    Class {
        /// The miner has too much to do. Nobody is blamed, and the miner gets fewer tasks for a while.
        Overloaded,
        /// The prompt does not fit. No other miner is tried.
        Context,
        /// The miner does not have the model. Each other miner is tried once.
        Model,
        /// The miner refuses this request, and another one may accept it. Each other miner is tried once.
        Refused,
        /// The miner's own credentials at its model's server are at fault: it is blamed, each other one is tried once.
        Credentials,
        /// A whole answer came and cannot be read. Nobody is blamed, and another miner is tried.
        Unreadable,
        /// The request is wrong. No other miner is tried.
        Invalid,
        /// The miner has a fault: it is blamed, and another one is tried.
        #[default]
        Internal,
        /// The attempt was cancelled, as asked.
        Cancelled,
    }

    /// The end of an answer.
    Fate {
        /// It is part of the task's result, which is durable.
        #[default]
        Committed,
        /// Another answer was taken, or this one could not be read.
        Superseded,
        /// The task was cancelled or came too late.
        Cancelled,
    }
}
