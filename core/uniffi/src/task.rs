//! Submitted tasks.

use std::sync::Arc;

use cortensor_router::embed::{Bound, Call, Canceller, Error, ErrorKind, Task};
use parking_lot::Mutex;

use crate::error::Result;
use crate::mailbox::Post;
use crate::message::NativeMessage;
use crate::stream::NativeStream;
use crate::visit;

/// A submitted task. It is held until it ends or is released, because the time of garbage collection must not decide
/// whether a task is cancelled.
#[derive(uniffi::Object)]
pub struct NativeTask {
    task: Bound<Mutex<Option<Task>>>,
    hold: Bound<Canceller>,
    post: Bound<Arc<Post>>,
}

impl NativeTask {
    /// The message with the task.
    pub(crate) fn told(token: u64, task: Task, post: Arc<Post>) -> NativeMessage {
        let (session_id, task_id, gid, joined) = (task.session_id(), task.task_id(), task.gid(), task.joined());
        // The wait for the end holds the task.
        let end = task.result();
        let hold = Bound::new(end.canceller());
        end.then(drop);
        let task = Arc::new(Self { task: Bound::new(Mutex::new(Some(task))), hold, post: Bound::new(post) });
        NativeMessage::Task { token, task, session_id, task_id, gid, joined }
    }

    fn with<R>(&self, call: impl FnOnce(&Task) -> R) -> Result<R> {
        self.post.check()?;
        match &*self.task.lock() {
            Some(task) => Ok(call(task)),
            None => Err(Error::new(ErrorKind::Closed, "the task was released before").into()),
        }
    }

    fn text(&self, token: u64, call: impl FnOnce(&Task) -> Call<String>) -> Result<bool> {
        visit::told(&self.post, || {
            self.with(|task| {
                let message = move |text| NativeMessage::Text { token, text };
                self.post.answer_unless_cancelled(token, call(task), message);
            })
        })
    }
}

#[uniffi::export]
impl NativeTask {
    /// Answers with the task's record.
    pub fn record(&self, token: u64) -> Result<bool> {
        self.text(token, Task::record)
    }

    /// Answers with the completion, when the task has ended.
    pub fn result(&self, token: u64) -> Result<bool> {
        self.text(token, Task::result)
    }

    /// Answers with the text of the answer, when the task has ended.
    pub fn text_of_answer(&self, token: u64) -> Result<bool> {
        self.text(token, Task::text)
    }

    /// The task's tokens after that number.
    pub fn stream(&self, after: u64) -> Result<NativeStream> {
        let stream = self.with(|task| task.stream(after))??;
        Ok(NativeStream::new(stream, Arc::clone(&self.post)))
    }

    /// Cancels the task, even if other callers wait for it.
    pub fn cancel(&self) -> Result<()> {
        self.post.check()?;
        // A task that was released needs no more.
        let cancelled = visit::waking(&self.post, || self.task.lock().as_ref().map(Task::cancel));
        Ok(cancelled.unwrap_or(Ok(()))?)
    }

    /// Detaches the task: from now on, no caller that leaves cancels it.
    pub fn detach(&self) -> Result<()> {
        Ok(self.with(Task::detach)??)
    }

    /// Releases the task. This cancels it if no other caller holds it and it is not detached.
    pub fn release(&self) {
        if self.post.check().is_err() {
            return;
        }
        visit::waking(&self.post, || {
            self.hold.cancel();
            let task = self.task.lock().take();
            drop(task);
        });
    }
}
