//! A host's handle of a submitted task.

use std::sync::Arc;

use super::host::Host;
use super::process::Bound;
use super::{Call, Embeddings, Stream, record};
use crate::Result;
use crate::router::Submission;

/// A handle of a submitted task. Dropping the last handle of a task cancels the task, unless it is detached; streams
/// count as handles, too.
pub struct Task {
    host: Arc<Host>,
    submission: Bound<Arc<Submission>>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("session_id", &self.session_id())
            .field("task_id", &self.task_id())
            .finish_non_exhaustive()
    }
}

impl Task {
    pub(super) fn new(host: Arc<Host>, submission: Submission) -> Self {
        Self { host, submission: Bound::new(Arc::new(submission)) }
    }

    /// The session of the task.
    pub fn session_id(&self) -> u64 {
        self.submission.session_id().0
    }

    /// The id of the task within its session.
    pub fn task_id(&self) -> u64 {
        self.submission.task_id().0
    }

    /// The id of the task among all tasks of the router.
    pub fn gid(&self) -> u64 {
        self.submission.gid().0
    }

    /// Whether the idempotency key led to a task that existed already.
    pub fn joined(&self) -> bool {
        self.submission.joined()
    }

    /// The present record of the task.
    pub fn record(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { record::task(&submission.state()) })
    }

    /// Waits for the end of the task and returns the completion. The call fails with `Timeout`, `Cancelled`,
    /// `MinerFailed`, `InvalidArgument` (a miner refused the request), `Overloaded` or `Unavailable`.
    pub fn result(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { record::completion(&submission.result().await?) })
    }

    /// Waits for the end of the task and returns the text of the answer, which is `choices[0].text` of
    /// [`result`](Self::result).
    pub fn text(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { Ok(submission.result().await?.answer.text.into()) })
    }

    /// Waits for the end of a task that was submitted with `input`, and returns its vectors. The call fails with
    /// `MinerFailed` if the miner did not give one vector for each input.
    pub fn embeddings(&self) -> Call<Embeddings> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { Embeddings::of(submission.request(), &submission.result().await?) })
    }

    /// A stream of the task's tokens after the one with number `seq`; 0: from the first on.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn stream(&self, seq: u64) -> Result<Stream> {
        self.host.check_process()?;
        Ok(Stream::new(self.host.clone(), self.submission.stream_after(seq)))
    }

    /// Cancels the task, even if other callers wait for it.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn cancel(&self) -> Result<()> {
        self.host.check_process()?;
        self.submission.cancel();
        Ok(())
    }

    /// Detaches the task: from now on, it continues even if all of its handles are dropped.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn detach(&self) -> Result<()> {
        self.host.check_process()?;
        self.submission.detach();
        Ok(())
    }
}
