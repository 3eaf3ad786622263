//! Bounds: nothing in the router grows beyond one of these.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::Result;

documented! {
/// Bounds. Beyond each of them a caller gets a clear error that says when to come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Tasks that wait for a miner, in all. Default 100000.
    pub max_queued_tasks: u64,
    /// Tasks that wait for a miner, of one session. Default 100000.
    pub max_queued_per_session: u64,
    /// Bytes of the requests that wait, in all. Default 1 GiB, or half of `max_memory_bytes` if that is less.
    pub max_queued_bytes: u64,
    /// Bytes that the router holds for its callers, in all: bodies being read, requests that wait, answers under way
    /// and ended tasks that are kept in memory. Beyond it new work is refused with 429 `memory_full`. 0: no bound,
    /// the default of an embedded router. `serve` takes a quarter of the least of the machine's memory, its control
    /// group's and its limit of address space.
    #[serde(with = "super::absent")]
    pub max_memory_bytes: Option<NonZeroU64>,
    /// Open sessions; closed ones do not count. Default 100000.
    pub max_sessions: u64,
    /// Closed sessions, which stay in lists until `retention.closed_session_secs` has passed; beyond it none is
    /// created. Default 1000000.
    pub max_closed_sessions: u64,
    /// Miners. Default 10000.
    pub max_miners: u64,
    /// Bytes of one request. Default 1 MiB.
    pub max_request_bytes: u64,
    /// Bytes of one request that uploads a file (`/v1/audio/transcriptions`). Default 25 MiB.
    pub max_upload_bytes: u64,
    /// The depth of a request: lists and objects inside of each other. Default 512. It protects the miners, whose
    /// parsers may be recursive; the router skips members that it does not read.
    pub max_json_depth: usize,
    /// Bytes of one answer; a longer one is cut there, with the finish reason `length`. Default 16 MiB.
    pub max_output_bytes: u64,
    /// Tokens of one answer; a request that asks for more gets this many. Default 32768.
    pub max_tokens: u64,
    /// Tokens of an answer if the request does not say. Default 1024.
    pub default_max_tokens: u64,
    /// Seconds until a task is given up if the request does not say. Default 60.
    pub default_timeout_secs: u64,
    /// Seconds until a task on `/v1` is given up if neither the request nor the header `X-Stainless-Timeout` says. It
    /// is the time for a whole answer, and for the first token of a stream: after that only
    /// `dispatch.progress_timeout_ms` ends it. Default 600, because OpenAI's SDKs wait ten minutes.
    pub openai_timeout_secs: u64,
    /// The most seconds that a request may ask for. Default 3600.
    pub max_timeout_secs: u64,
    /// Bytes that a reader of a stream may lag before its miner is asked to wait. Default 256 KiB.
    pub stream_window_bytes: u64,
    /// Ended tasks whose streams can still be resumed token by token. Default 1024.
    pub recent_tasks: usize,
    /// Bytes of those tasks with their requests; beyond it the oldest are forgotten. Tasks whose ends the store refuses
    /// for now may take as many; beyond it such a task runs again once the store works. At most a quarter of
    /// `max_memory_bytes`. Default 32 MiB.
    pub recent_bytes: u64,
    /// Answers to one task, by `n` or `max_miners`. Default 8.
    pub max_answers: u32,
}
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_queued_tasks: 100_000,
            max_queued_per_session: 100_000,
            max_queued_bytes: 1 << 30,
            max_memory_bytes: None,
            max_sessions: 100_000,
            max_closed_sessions: 1_000_000,
            max_miners: 10_000,
            max_request_bytes: 1 << 20,
            max_upload_bytes: 25 << 20,
            max_json_depth: 512,
            max_output_bytes: 16 << 20,
            max_tokens: 32_768,
            default_max_tokens: 1_024,
            default_timeout_secs: 60,
            openai_timeout_secs: 600,
            max_timeout_secs: 3_600,
            stream_window_bytes: 256 << 10,
            recent_tasks: 1_024,
            recent_bytes: 32 << 20,
            max_answers: 8,
        }
    }
}

impl LimitsConfig {
    /// The bound of bytes of waiting requests that is in force.
    pub(crate) fn queued_bytes(&self) -> u64 {
        match self.max_memory_bytes {
            None => self.max_queued_bytes,
            Some(most) => self.max_queued_bytes.min(most.get() / 2).max(1),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        super::at_least_one(
            "limits",
            [
                ("max_queued_tasks", self.max_queued_tasks),
                ("max_queued_per_session", self.max_queued_per_session),
                ("max_queued_bytes", self.max_queued_bytes),
                ("max_sessions", self.max_sessions),
                ("max_closed_sessions", self.max_closed_sessions),
                ("max_miners", self.max_miners),
                ("max_request_bytes", self.max_request_bytes),
                ("max_upload_bytes", self.max_upload_bytes),
                ("max_json_depth", self.max_json_depth as u64),
                ("max_output_bytes", self.max_output_bytes),
                ("max_tokens", self.max_tokens),
                ("default_max_tokens", self.default_max_tokens),
                ("default_timeout_secs", self.default_timeout_secs),
                ("openai_timeout_secs", self.openai_timeout_secs),
                ("max_timeout_secs", self.max_timeout_secs),
                ("stream_window_bytes", self.stream_window_bytes),
                ("max_answers", u64::from(self.max_answers)),
            ],
        )
    }
}
