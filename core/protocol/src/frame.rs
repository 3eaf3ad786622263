//! The frames of `cortensor-miner.v1`, which a router and a miner that dialled in exchange.
//!
//! A frame is one WebSocket text message that contains one JSON object. The member `type` names the type of the frame.
//! Unknown fields and frames of an unknown type are ignored, and an unknown word counts as the most general one of its
//! list. `docs/miner-protocol.md` is the specification;
//! `docs/miner-protocol.schema.json` is the schema, which is generated from these types.

use std::borrow::Cow;

use cortensor_router_model::internals::told;
use cortensor_router_model::{Error, NodeKind};
use serde::{Deserialize, Serialize};

pub use crate::record::*;
pub use crate::word::{Unknown, Word};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "cortensor-miner.v1";

/// The path of the miner socket.
pub const PATH: &str = "/miner/v1";

/// The version of the protocol that this side speaks.
pub const VERSION: u32 = 1;

/// The feature by which a miner sends OpenAI's own JSON beside the text.
pub const RAW: &str = "raw";

/// A frame that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFrame(String);

impl ErrorFrame {
    /// An error that closes the connection.
    pub fn fatal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), fatal: true }
    }

    /// Makes a frame of an error of the router. It closes the connection.
    pub fn of(error: &Error) -> Self {
        Self::fatal(error.code(), error.message())
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

macro_rules! frames {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident($frame:ident) = $tag:literal,)* }) => {
        $(#[$doc])*
        #[allow(clippy::large_enum_variant, reason = "a frame lives as long as it is handled; the greatest comes once")]
        #[derive(Debug, Clone, Serialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant($frame),)*
        }

        impl $name {
            /// Reads a frame; `None`: its type is unknown.
            ///
            /// # Errors
            /// The text is not a JSON object with a `type`, or a field is missing or wrong.
            pub fn parse(text: &str) -> Result<Option<Self>, BadFrame> {
                let head: Head<'_> = serde_json::from_str(text)
                    .map_err(|e| BadFrame(format!("a frame is a JSON object with a \"type\": {}", told(&e))))?;
                Ok(Some(match head.kind.as_ref() {
                    $($tag => Self::$variant(
                        serde_json::from_str(text).map_err(|e| BadFrame(format!("{}: {}", $tag, told(&e))))?,
                    ),)*
                    _ => return Ok(None),
                }))
            }

            /// The type of the frame, as in JSON.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $tag,)*
                }
            }

            /// The frame as JSON.
            pub fn to_text(&self) -> String {
                serde_json::to_string(self)
                    .unwrap_or_else(|error| unreachable!("a frame has only string keys: {error}"))
            }
        }

        $(impl From<$frame> for $name {
            fn from(frame: $frame) -> Self {
                Self::$variant(frame)
            }
        })*
    };
}

frames! {
    /// The frames of a miner.
    MinerFrame {
        /// The identity and the abilities of the miner. This is the miner's first frame.
        Hello(Hello) = "hello",
        /// The number of further tasks for which the miner has room.
        Credit(Credit) = "credit",
        /// The miner takes an offer.
        Accept(Accept) = "accept",
        /// The miner does not take an offer.
        Reject(Reject) = "reject",
        /// A piece of an answer.
        Tokens(Tokens) = "tokens",
        /// An answer is complete.
        Done(Done) = "done",
        /// An attempt failed.
        Fail(Fail) = "fail",
        /// A sign of life, with the miner's attempts.
        Ping(Ping) = "ping",
        /// The answer to a ping.
        Pong(Pong) = "pong",
        /// The miner takes no new offers and finishes its attempts.
        Drain(Drain) = "drain",
        /// The sender leaves.
        Bye(Bye) = "bye",
        /// The other side broke a rule.
        Error(ErrorFrame) = "error",
    }
}

frames! {
    /// The frames of a router.
    RouterFrame {
        /// The challenge that a miner must answer. This is the router's first frame.
        Challenge(Challenge) = "challenge",
        /// The miner is admitted.
        Welcome(Welcome) = "welcome",
        /// An offer.
        Task(TaskFrame) = "task",
        /// The router has received pieces of an answer.
        Ack(Ack) = "ack",
        /// The fate of an answer. The miner must keep the answer until this frame comes.
        Final(Final) = "final",
        /// An attempt is cancelled.
        Cancel(Cancel) = "cancel",
        /// The miner must forget an attempt that does not belong to it any more.
        Drop(DropFrame) = "drop",
        /// A sign of life, with the attempts that the router expects of the miner.
        Ping(Ping) = "ping",
        /// The answer to a ping.
        Pong(Pong) = "pong",
        /// The router makes no new offers and waits for running attempts.
        Drain(Drain) = "drain",
        /// The sender leaves.
        Bye(Bye) = "bye",
        /// The other side broke a rule.
        Error(ErrorFrame) = "error",
    }
}

impl Hello {
    /// The kind of the miner. A kind that this side does not know counts as `ephemeral`.
    pub fn node_kind(&self) -> NodeKind {
        self.kind.known().unwrap_or_default()
    }

    /// The word of the frame that this side does not know, if it has one.
    pub fn unknown_word(&self) -> Option<Unknown<'_>> {
        self.kind.unknown("kind")
    }
}

impl MinerFrame {
    /// The word of the frame that this side does not know, if it has one.
    pub fn unknown_word(&self) -> Option<Unknown<'_>> {
        match self {
            Self::Hello(hello) => hello.unknown_word(),
            Self::Tokens(tokens) => tokens.ch.unknown("ch"),
            Self::Fail(fail) => fail.class.unknown("class"),
            _ => None,
        }
    }
}

impl RouterFrame {
    /// The word of the frame that this side does not know, if it has one.
    pub fn unknown_word(&self) -> Option<Unknown<'_>> {
        match self {
            Self::Task(task) => task.kind.unknown("kind"),
            Self::Final(last) => last.result.unknown("result"),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
