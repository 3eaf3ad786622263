//! What was asked for.

use std::sync::Arc;

use crate::model::{Gid, OnFailure, SessionId, SharedText, Task, TaskId, TaskRequest, Timestamp, Validation};

/// A key that makes a submit repeatable (draft-ietf-httpapi-idempotency-key-header-07).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The scope of the key: the token and the route that it belongs to.
    pub scope: String,
    /// The caller's key, 1 to 256 bytes.
    pub key: String,
    /// SHA-256 of the request.
    pub fingerprint: [u8; 32],
}

/// How the answers of a task are compared.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The rules of the comparison.
    pub how: Validation,
    /// How many miners were asked at first.
    pub asked: u32,
}

/// What is kept of a task once it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retention {
    /// Everything.
    #[default]
    All,
    /// The answers without what was asked.
    Result,
    /// Neither the answers nor what was asked.
    Nothing,
}

impl Retention {
    /// The retention of a session, in the word of its record: `all`, `result` or `none`.
    pub fn of_word(word: &str) -> Self {
        match word {
            "result" => Self::Result,
            "none" => Self::Nothing,
            _ => Self::All,
        }
    }

    /// The ended task with no more than that.
    pub(super) fn applied_to(self, mut task: Task) -> Task {
        if self == Self::All {
            return task;
        }
        let mut shown = TaskRequest::default().kind(task.request.kind);
        shown.model.clone_from(&task.request.model);
        shown.client_reference.clone_from(&task.request.client_reference);
        task.request = Arc::new(shown);
        if self == Self::Nothing {
            task.text = SharedText::default();
            for result in &mut task.results {
                result.answer.text = SharedText::default();
                result.answer.raw = None;
            }
        }
        task
    }
}

/// A task that was taken in. Made once; what changes of a task lies elsewhere.
#[derive(Debug, Clone, Default)]
pub struct TaskSpec {
    /// The id among all sessions.
    pub gid: Gid,
    /// The session.
    pub session_id: SessionId,
    /// The id in its session.
    pub id: TaskId,
    /// The request.
    pub request: Arc<TaskRequest>,
    /// The model that is asked for, by the request or the session.
    pub model: Option<Arc<str>>,
    /// The band it is served in.
    pub band: u8,
    /// The time at which it was submitted.
    pub created_at: Timestamp,
    /// The time at which it is given up.
    pub deadline: Timestamp,
    /// Whether the deadline is that of the first token alone: a stream that has begun is ended by silence.
    pub open_ended: bool,
    /// The key that makes it repeatable.
    pub idempotency: Option<Idempotency>,
    /// What is kept of it.
    pub retention: Retention,
    /// How its answers are compared, where several miners are asked.
    pub judged: Option<Box<Judged>>,
    /// What follows when its miner is lost after tokens were seen.
    pub on_failure: OnFailure,
    /// Whether it is the router's own: nobody sees it, and it is never written down.
    pub shadow: bool,
}

impl TaskSpec {
    /// The task as it stands until a miner has it: queued.
    pub fn to_task(&self) -> Task {
        Task {
            gid: self.gid,
            id: self.id,
            session_id: self.session_id,
            request: Arc::clone(&self.request),
            created_at: self.created_at,
            deadline: self.deadline,
            ..Task::default()
        }
    }

    /// The spec of a task that only the store still has, as far as a row says it.
    pub(crate) fn of_stored(task: &Task) -> Self {
        Self {
            gid: task.gid,
            session_id: task.session_id,
            id: task.id,
            request: Arc::clone(&task.request),
            model: task.model.as_deref().map(Arc::from),
            created_at: task.created_at,
            deadline: task.deadline,
            on_failure: task.request.on_failure.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The model that the session asks for, where the request names none.
    pub(crate) fn session_model(&self) -> Option<String> {
        if self.request.model.is_some() { None } else { self.model.as_deref().map(str::to_owned) }
    }
}
