//! The needs of a task, as far as the engine must know them.

use std::sync::Arc;

use cortensor_router_model::{OnFailure, SessionId, Timestamp};

use super::skills::Skills;

/// The reason why a task leaves a model for the next one of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// No miner that serves the model is up.
    NoMiner,
    /// The miners of the model have too much to do.
    Overload,
    /// The prompt exceeds the model's context.
    Context,
    /// The attempts at the model failed for another reason.
    Error,
}

impl Lack {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::NoMiner, Self::Overload, Self::Context, Self::Error];
}

/// A model that a task may go to when it gets no answer from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The model.
    pub model: Arc<str>,
    /// The reasons for which the task goes there.
    pub when: Arc<[Lack]>,
}

/// A task as the engine sees it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Its session.
    pub session: SessionId,
    /// The model it wants; `None`: any.
    pub model: Option<Arc<str>>,
    /// Whether any other model will do if no miner has that one.
    pub any_model: bool,
    /// The models to which the task goes, in this order, when it gets no answer from the one before.
    pub targets: Arc<[Target]>,
    /// Whether it asks for an embedding.
    pub embedding: bool,
    /// The things that a miner must be able to do for it, beside answering prompts.
    pub skills: Skills,
    /// The band; the session's where `None`.
    pub band: Option<u8>,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Bytes of the request, for the bound on the queue.
    pub bytes: u64,
    /// The time at which the engine gives the task up.
    pub deadline: Timestamp,
    /// Whether the caller reads tokens as they come. If not, the miner may give its answer in one piece and be silent
    /// until the deadline.
    pub streaming: bool,
    /// The number of distinct miners that answer, at least 1.
    pub required: u32,
    /// Whether their answers are compared; else the first whole answer is taken.
    pub judged: bool,
    /// Whether one more miner is asked if the answers do not agree.
    pub tie_break: bool,
    /// The time at which the answers that are in are compared, if there is one. A time after the deadline has no
    /// effect.
    pub precommit_by: Timestamp,
    /// The rule for a miner that is lost after a client has seen some of its stream.
    pub on_failure: OnFailure,
    /// Whether the task is the router's own: it counts for no session and is never written down.
    pub shadow: bool,
    /// Hashes of the prompt's leading blocks, longest prefix last.
    pub prefix: Box<[u64]>,
    /// Whether a caller waits for it. Such a task fails soon if no miner that could serve it is up.
    pub attached: bool,
    /// Whether the deadline bounds only the time to the first token.
    pub open_ended: bool,
    /// Whether it waits for [`Event::Release`](crate::Event::Release) before any miner gets it.
    pub held: bool,
}

/// A task that takes the answer of any miner and has no deadline.
impl Default for Demand {
    fn default() -> Self {
        Self {
            session: SessionId(0),
            model: None,
            any_model: false,
            targets: Arc::from([]),
            embedding: false,
            skills: Skills::default(),
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
            prefix: Box::default(),
            held: false,
        }
    }
}
