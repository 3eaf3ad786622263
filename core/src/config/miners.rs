//! Miners that dial in.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

documented! {
/// Miners that dial in over a WebSocket, `/miner/v1` on the listener. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinersConfig {
    /// Whether miners may dial in. Default `true`; each needs a token or an enrolled key in any case.
    pub enabled: bool,
    /// A port for miners alone, at `listen.host`, beside the listener's; 0: none. Default 0.
    #[serde(with = "super::absent")]
    pub port: Option<NonZeroU16>,
    /// Whether miners of other machines may dial in without TLS. Default `false`: tokens and prompts would pass in the clear.
    pub insecure: bool,
    /// Milliseconds within which a miner must have said who it is. Default 5000.
    pub hello_timeout_ms: u64,
    /// A ping is sent after this long without another frame to send. Default 10000.
    pub ping_ms: u64,
    /// A miner that is silent for this long is gone, and its tasks go to others. Default 30000.
    pub dead_ms: u64,
    /// A miner whose connection broke may come back within this and go on with its tasks. Default 10000.
    pub grace_ms: u64,
    /// A miner that does not answer the cancellation of a task within this no longer counts as busy with it. Default
    /// 30000.
    pub cancel_timeout_ms: u64,
    /// The longest time that a miner may hold a piece of an answer back to send it with others. Default 20.
    pub flush_ms: u64,
    /// Bytes of an answer that may be under way without an acknowledgement. Default 256 KiB.
    pub window_bytes: u64,
    /// Bytes of one frame of a miner. Default 1 MiB.
    pub max_frame_bytes: u64,
    /// Bytes that may wait to be sent to a miner; one that does not read them is cut off. Default 4 MiB.
    pub write_buffer_bytes: u64,
    /// Miners at a time that have connected and not yet said who they are. Default 1024.
    pub max_handshakes: usize,
    /// Tasks that a miner may name as its own when it comes back; one that names more is refused. A miner that holds
    /// as many, because it does not answer cancellations, gets no further task. Default 16384.
    pub max_resumed: usize,
}
}

impl Default for MinersConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            port: None,
            insecure: false,
            hello_timeout_ms: 5_000,
            ping_ms: 10_000,
            dead_ms: 30_000,
            grace_ms: 10_000,
            cancel_timeout_ms: 30_000,
            flush_ms: 20,
            window_bytes: 256 << 10,
            max_frame_bytes: 1 << 20,
            write_buffer_bytes: 4 << 20,
            max_handshakes: 1_024,
            max_resumed: 16_384,
        }
    }
}

impl MinersConfig {
    pub(super) fn validate(&self) -> Result<()> {
        for (key, value, least) in [
            ("hello_timeout_ms", self.hello_timeout_ms, 1),
            ("ping_ms", self.ping_ms, 1),
            ("dead_ms", self.dead_ms, self.ping_ms.saturating_mul(2)),
            ("cancel_timeout_ms", self.cancel_timeout_ms, 1),
            ("window_bytes", self.window_bytes, 4 << 10),
            ("max_frame_bytes", self.max_frame_bytes, 16 << 10),
            ("write_buffer_bytes", self.write_buffer_bytes, 64 << 10),
            ("max_handshakes", self.max_handshakes as u64, 1),
            ("max_resumed", self.max_resumed as u64, 1),
        ] {
            if value < least {
                return Err(Error::invalid(
                    format!("miners.{key}"),
                    format!(
                        "miners.{key} must be at least {least}{}",
                        if key == "dead_ms" { ", twice miners.ping_ms" } else { "" }
                    ),
                ));
            }
        }
        Ok(())
    }
}
