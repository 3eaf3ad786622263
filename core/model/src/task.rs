//! Tasks: a request, what became of it, and who worked on it.

use serde::{Deserialize, Serialize};

use super::{Answer, Fence, Gid, SessionId, SharedText, TaskId, TaskRequest, Timestamp};

/// Where a task stands. The number is the REST API's `status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for a miner.
    #[default]
    Queued,
    /// Offered to a miner.
    Assigned,
    /// A miner works on it.
    Acked,
    /// Every answer is in.
    Precommitted,
    /// The verdict is written.
    Committed,
    /// Over, for good.
    Ended,
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

    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Acked => "acked",
            Self::Precommitted => "precommitted",
            Self::Committed => "committed",
            Self::Ended => "ended",
        }
    }
}

/// How a task ended. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Ok,
    /// With answers that do not agree, or of which too few came to tell.
    Disputed,
    /// Without an answer: every attempt failed.
    Failed,
    /// Because somebody asked for it.
    Cancelled,
    /// Because its deadline passed.
    Expired,
}

impl Outcome {
    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Disputed => "disputed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The outcome of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ok, Self::Disputed, Self::Failed, Self::Cancelled, Self::Expired]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// How several answers to one task compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// `agreed`, `disputed` or `insufficient`.
    pub verdict: String,
    /// How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the winner with the
    /// others (`medoid`), the least score of any two (`all`).
    pub score: f64,
    /// How they were compared: `exact`, `normalized`, `json`, `lexical` or `embedding`.
    pub method: String,
    /// What decided: `quorum`, `medoid` or `all`.
    #[serde(default)]
    pub policy: String,
    /// The address of the miner whose answer was taken; where they do not agree, of the one that is shown first.
    pub winner: String,
    /// Each miner's answer beside the winner's, the winner first.
    #[serde(default)]
    pub per_miner: Vec<MinerVerdict>,
}

/// How one miner's answer compares with the winner's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MinerVerdict {
    /// The miner's address.
    pub miner: String,
    /// Its score with the winner, 0 to 1.
    pub score: f64,
    /// Whether that is enough to match.
    pub agrees: bool,
}

/// What one miner answered, with its hash.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MinerResult {
    /// The miner's address.
    pub miner: String,
    /// Its answer.
    pub answer: Answer,
    /// SHA-256 of the answer's text, hexadecimal.
    pub hash: String,
}

/// A task as the router keeps it; the listener and the bindings show it in the REST API's shape.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// Among all sessions.
    pub gid: Gid,
    /// In its session.
    pub id: TaskId,
    /// The session.
    pub session_id: SessionId,
    /// What was asked for.
    pub request: std::sync::Arc<TaskRequest>,
    /// Where it stands.
    pub state: TaskState,
    /// How it ended; `None` until then.
    pub outcome: Option<Outcome>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When a miner took it; 0 while none has.
    pub started_at: Timestamp,
    /// When the first token came; 0 while none has.
    pub first_token_at: Timestamp,
    /// When the last answer came in; 0 until then.
    pub precommitted_at: Timestamp,
    /// When the verdict was written; 0 until then.
    pub committed_at: Timestamp,
    /// When it ended; 0 until then.
    pub ended_at: Timestamp,
    /// When it is given up.
    pub deadline: Timestamp,
    /// Addresses of the miners that got it, in order.
    pub assigned_miners: Vec<String>,
    /// The text so far, or the whole of it.
    pub text: SharedText,
    /// The answers, the winner's first.
    pub results: Vec<MinerResult>,
    /// How many times a miner got it.
    pub attempts: u32,
    /// How several answers compare.
    pub verdict: Option<Verdict>,
    /// Why it has no answer, where it has none: the error that everybody who asks for its end is told.
    pub error: Option<crate::Error>,
    /// The model that its session asked for, where the request names none.
    pub model: Option<String>,
    /// The newest fence that was given out for it.
    pub fence: Fence,
    /// Its place in the queue, from 0, while it is queued and the router knows it.
    pub queue_position: Option<u64>,
}
