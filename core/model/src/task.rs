//! Tasks: a task has a request, its result, and the miners that worked on it.

use crate::word::words;
use crate::{Answer, Fence, Gid, SessionId, SharedText, TaskId, TaskRequest, Timestamp, Verdict, WebhookDelivery};

words! {
    /// Where a task stands. The number is the REST API's `status`.
    #[derive(Default)]
    TaskState in "state" {
        /// Waits for a miner.
        #[default]
        Queued = "queued",
        /// Offered to a miner.
        Assigned = "assigned",
        /// A miner works on it.
        Acked = "acked",
        /// Every answer is in, and the router writes the end of the task.
        Precommitted = "precommitted",
        /// A word of Cortensor's API. The router never gives a task this state: once its end is written, the task is
        /// `Ended`.
        Committed = "committed",
        /// Over, for good.
        Ended = "ended",
    }

    /// How a task ended. Never changes.
    Outcome in "outcome" {
        /// With an answer.
        Ok = "ok",
        /// With answers that do not agree, or of which too few came to tell.
        Disputed = "disputed",
        /// Without an answer: every attempt failed.
        Failed = "failed",
        /// Because somebody asked for it.
        Cancelled = "cancelled",
        /// Because its deadline passed.
        Expired = "expired",
    }
}

impl TaskState {
    /// 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
    pub fn status(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Assigned | Self::Acked => 1,
            Self::Precommitted => 2,
            Self::Committed => 3,
            Self::Ended => 4,
        }
    }
}

crate::record! {
/// The answer of one miner, with its hash.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MinerResult {
    /// The miner's address.
    pub miner: SharedText,
    /// Its answer.
    pub answer: Answer,
    /// SHA-256 of the answer's text, hexadecimal.
    pub hash: String,
}
}

crate::record! {
/// A task as the router keeps it; the listener and the bindings show it in the REST API's shape.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// The id of the task among all sessions.
    pub gid: Gid,
    /// The id of the task within its session.
    pub id: TaskId,
    /// The session.
    pub session_id: SessionId,
    /// The key under which it was submitted: the id of a key, the name of a configured token, or the name that a host
    /// program gave; `None`: nobody was named. It is never a secret.
    pub key_id: Option<std::sync::Arc<str>>,
    /// The request.
    pub request: std::sync::Arc<TaskRequest>,
    /// Where it stands.
    pub state: TaskState,
    /// How it ended; `None` until then.
    pub outcome: Option<Outcome>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When a miner took it; `None` while none has.
    pub started_at: Option<Timestamp>,
    /// When the first token came; `None` while none has.
    pub first_token_at: Option<Timestamp>,
    /// When the last answer came in; `None` until then.
    pub precommitted_at: Option<Timestamp>,
    /// When it ended, like `ended_at`, under the name of Cortensor's API; `None` until then.
    pub committed_at: Option<Timestamp>,
    /// When it ended; `None` until then.
    pub ended_at: Option<Timestamp>,
    /// When it is given up.
    pub deadline: Timestamp,
    /// Addresses of the miners that got it, in order.
    pub assigned_miners: Vec<SharedText>,
    /// The text so far, or the whole of it.
    pub text: SharedText,
    /// The answers, the winner's first.
    pub results: Vec<MinerResult>,
    /// How many times a miner got it.
    pub attempts: u32,
    /// How several answers compare.
    pub verdict: Option<Verdict>,
    /// The reason why the task has no answer: the error that every caller gets who asks for its end. `None` if it has
    /// an answer or has not ended.
    pub error: Option<crate::Error>,
    /// The model that the session asks for, if the request names none.
    pub model: Option<String>,
    /// The newest fence that was given out for it.
    pub fence: Fence,
    /// The bytes of its request and of its answers, whatever the session keeps of them; 0 until it has ended.
    pub bytes: u64,
    /// Its place in the queue, from 0, while it is queued and the router knows it.
    pub queue_position: Option<u64>,
    /// The delivery of its end to its webhook, if it has one.
    #[doc(hidden)]
    pub webhook: Option<Box<WebhookDelivery>>,
}
}

impl Task {
    /// The record of a task with that request, and nothing else. A default record has a request of its own, which costs
    /// memory.
    #[doc(hidden)]
    pub fn of(request: std::sync::Arc<TaskRequest>) -> Self {
        Self {
            gid: Gid::default(),
            id: TaskId::default(),
            session_id: SessionId::default(),
            key_id: None,
            request,
            state: TaskState::default(),
            outcome: None,
            created_at: Timestamp::default(),
            started_at: None,
            first_token_at: None,
            precommitted_at: None,
            committed_at: None,
            ended_at: None,
            deadline: Timestamp::default(),
            assigned_miners: Vec::new(),
            text: SharedText::default(),
            results: Vec::new(),
            attempts: 0,
            verdict: None,
            error: None,
            model: None,
            fence: Fence::default(),
            bytes: 0,
            queue_position: None,
            webhook: None,
        }
    }

    /// The model that was asked for, by the request or by its session; else the one that answered.
    pub fn model_name(&self) -> Option<&str> {
        let answering = || self.results.first().and_then(|result| result.answer.model.as_deref());
        self.request.model.as_deref().or(self.model.as_deref()).or_else(answering)
    }
}
