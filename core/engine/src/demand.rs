//! The needs of a task, as far as the engine must know them.

use std::sync::Arc;

use cortensor_router_model::{OnFailure, SessionId, Timestamp};

/// A task as the engine sees it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Its session.
    pub session: SessionId,
    /// The model it wants; `None`: any.
    pub model: Option<Arc<str>>,
    /// Whether any other will do where nobody has that one.
    pub any_model: bool,
    /// Whether it wants vectors.
    pub embedding: bool,
    /// The band; the session's where `None`.
    pub band: Option<u8>,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Bytes of the request, for the bound on the queue.
    pub bytes: u64,
    /// When it is given up.
    pub deadline: Timestamp,
    /// Whether tokens are due as they come. A miner that gives its answer in one piece may be silent until the deadline.
    pub streaming: bool,
    /// How many distinct miners answer, at least 1.
    pub required: u32,
    /// Whether their answers are compared; else the first whole answer is taken.
    pub judged: bool,
    /// Whether one more miner is asked where the answers do not agree.
    pub tie_break: bool,
    /// When those answers are compared that are in, if one is; later than the deadline: never.
    pub precommit_by: Timestamp,
    /// What follows when the miner that streams is lost after clients have seen some of it.
    pub on_failure: OnFailure,
    /// The router's own: it counts for no session and is never written down.
    pub shadow: bool,
    /// Hashes of the prompt's leading blocks, longest prefix last.
    pub prefix: Arc<[u64]>,
    /// Whether a caller waits for it: then it fails soon where no miner that could serve it is up.
    pub attached: bool,
    /// Whether the deadline is that of the first token alone.
    pub open_ended: bool,
    /// Whether it waits for [`Event::Release`] before any miner gets it.
    pub held: bool,
}

/// One that wants any miner's answer, however long that takes.
impl Default for Demand {
    fn default() -> Self {
        Self {
            session: SessionId(0),
            model: None,
            any_model: false,
            embedding: false,
            band: None,
            prompt_tokens: 0,
            max_tokens: 0,
            bytes: 0,
            deadline: Timestamp(u64::MAX),
            streaming: false,
            required: 1,
            judged: false,
            tie_break: false,
            precommit_by: Timestamp(u64::MAX),
            on_failure: OnFailure::default(),
            shadow: false,
            attached: false,
            open_ended: false,
            prefix: Arc::from([]),
            held: false,
        }
    }
}
