//! The request of a task, with the rules for it.

use std::sync::Arc;

use super::TraceContext;
use super::end::add_hashes;
use crate::model::{
    Gid, OnFailure, Retention, SessionId, SharedText, Task, TaskId, TaskRequest, Timestamp, Validation, Webhook,
};

/// A key that makes a submission repeatable (draft-ietf-httpapi-idempotency-key-header-07).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The scope of the key: the token and the route that it belongs to.
    pub scope: String,
    /// The caller's key, 1 to 256 bytes.
    pub key: String,
    /// The SHA-256 hash of the request and, if the caller named one, of the session.
    pub fingerprint: [u8; 32],
}

/// The comparison of a task's answers.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The rules of the comparison.
    pub how: Validation,
    /// The number of miners that were asked at first.
    pub asked: u32,
}

/// Removes the parts of an ended task that are not kept. Files are needed until then, and no longer. The secret of a
/// webhook goes on in its delivery alone.
pub(super) fn keep(retention: Retention, task: &mut Task) {
    if let Some(request) = task.request.without_files() {
        task.request = Arc::new(request);
    }
    if task.request.webhook.as_ref().is_some_and(|webhook| webhook.secret.is_some()) {
        let mut request = TaskRequest::clone(&task.request);
        request.webhook = request.webhook.map(|webhook| Box::new(Webhook::default().url(webhook.url)));
        task.request = Arc::new(request);
    }
    if retention == Retention::All {
        return;
    }
    let mut shown = TaskRequest::default().kind(task.request.kind);
    shown.model.clone_from(&task.request.model);
    shown.client_reference.clone_from(&task.request.client_reference);
    shown.webhook.clone_from(&task.request.webhook);
    task.request = Arc::new(shown);
    if retention == Retention::Nothing {
        // The hash outlives the text that it is made of.
        add_hashes(task);
        task.text = SharedText::default();
        for result in &mut task.results {
            result.answer.text = SharedText::default();
            result.answer.raw = None;
        }
    }
}

/// The fixed part of a task: the request and its rules. It is made once, when the task is admitted.
#[derive(Debug, Clone, Default)]
pub struct TaskSpec {
    /// The id of the task among all tasks of the router.
    pub gid: Gid,
    /// The session of the task.
    pub session_id: SessionId,
    /// The id of the task within its session.
    pub id: TaskId,
    /// The key under which the task was submitted; `None`: nobody was named.
    pub key: Option<Arc<str>>,
    /// The request.
    pub request: Arc<TaskRequest>,
    /// The model that the request or the session asks for; `None`: any model.
    pub model: Option<Arc<str>>,
    /// The band in which the task is served.
    pub band: u8,
    /// The time of the submission.
    pub created_at: Timestamp,
    /// The time at which the router gives up the task.
    pub deadline: Timestamp,
    /// Whether the deadline bounds only the time to the first token. A stream that has begun ends by silence alone.
    pub open_ended: bool,
    /// The key that makes the submission repeatable.
    pub idempotency: Option<Idempotency>,
    /// The parts that are kept after the end.
    pub retention: Retention,
    /// The comparison of the answers; `None`: they are not compared.
    pub judged: Option<Box<Judged>>,
    /// The rule for a miner that is lost after a client has read tokens.
    pub on_failure: OnFailure,
    /// The trace context of the request that submitted the task. It is not stored, so a task that runs again after a
    /// restart has none.
    pub trace: Option<Arc<TraceContext>>,
    /// Whether the task is the router's own. A shadow task is never shown and never written down.
    pub shadow: bool,
}

impl TaskSpec {
    /// The record of the task before a miner has it.
    pub fn to_task(&self) -> Task {
        let mut task = Task::of(Arc::clone(&self.request));
        task.gid = self.gid;
        task.id = self.id;
        task.session_id = self.session_id;
        task.key_id.clone_from(&self.key);
        task.created_at = self.created_at;
        task.deadline = self.deadline;
        task
    }

    /// The spec of a task that only the store has. Fields that a row does not hold are defaults.
    pub(crate) fn of_stored(task: &Task) -> Self {
        Self {
            gid: task.gid,
            session_id: task.session_id,
            id: task.id,
            key: task.key_id.clone(),
            request: Arc::clone(&task.request),
            model: task.model.as_deref().map(Arc::from),
            created_at: task.created_at,
            deadline: task.deadline,
            on_failure: task.request.on_failure.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The session's model; `None`: the request names its own model, or there is none.
    pub(crate) fn session_model(&self) -> Option<String> {
        if self.request.model.is_some() { None } else { self.model.as_deref().map(str::to_owned) }
    }
}
