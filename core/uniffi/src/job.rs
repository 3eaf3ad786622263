//! A job in the hands of a miner.

use std::sync::Arc;

use cortensor_router::embed::{Bound, Emit, ErrorKind, Job};

use crate::error::Result;
use crate::mailbox::Post;
use crate::visit;

/// The router's answer to a piece.
#[derive(uniffi::Enum)]
pub enum NativeEmit {
    /// Go on.
    Taken,
    /// The reader is slow: wait until the job is writable.
    Full,
    /// The answer is no longer wanted: stop.
    Cancelled,
    /// The job was answered before.
    Answered,
}

/// One attempt at a task. Any thread may answer it, once, at any later time.
#[derive(uniffi::Object)]
pub struct NativeJob {
    job: Job,
    post: Bound<Arc<Post>>,
}

impl NativeJob {
    pub(crate) fn new(job: Job, post: Arc<Post>) -> Self {
        Self { job, post: Bound::new(post) }
    }

    /// Gives the job back, for a mailbox that takes no more.
    pub(crate) fn refuse(&self, reason: &str) {
        // It may have been answered before.
        let _ = self.job.reject(reason);
    }

    fn answered(&self, answer: impl FnOnce(&Job) -> cortensor_router::embed::Result<()>) -> Result<bool> {
        self.post.check()?;
        Ok(visit::told(&self.post, || answer(&self.job))?)
    }

    fn emitted(&self, emit: impl FnOnce(&Job) -> cortensor_router::embed::Result<Emit>) -> Result<NativeEmit> {
        self.post.check()?;
        match visit::waking(&self.post, || emit(&self.job)) {
            Ok(Emit::Full) => Ok(NativeEmit::Full),
            Ok(Emit::Cancelled) => Ok(NativeEmit::Cancelled),
            // Every other answer means that the router has the piece.
            Ok(_) => Ok(NativeEmit::Taken),
            Err(error) if error.kind() == ErrorKind::Closed => Ok(NativeEmit::Answered),
            Err(error) => Err(error.into()),
        }
    }
}

#[uniffi::export]
impl NativeJob {
    /// The job's record as JSON.
    pub fn info(&self) -> Result<String> {
        Ok(self.job.info()?)
    }

    /// The whole text that the model is to read.
    pub fn prompt(&self) -> String {
        self.job.prompt()
    }

    /// Gives a piece of the answer.
    pub fn emit(&self, piece: String) -> Result<NativeEmit> {
        self.emitted(|job| job.emit(piece.as_bytes()))
    }

    /// Gives several pieces of the answer.
    pub fn emit_each(&self, pieces: Vec<String>) -> Result<NativeEmit> {
        self.emitted(|job| job.emit_each(pieces.iter().map(String::as_str)))
    }

    /// Gives a piece as UTF-8, which may end in the middle of a character.
    pub fn emit_bytes(&self, piece: Vec<u8>) -> Result<NativeEmit> {
        self.emitted(|job| job.emit(&piece))
    }

    /// Gives a piece with its other parts, as JSON.
    pub fn emit_parts(&self, parts: String) -> Result<NativeEmit> {
        self.emitted(|job| job.emit_parts(&parts))
    }

    /// Ends the work with success. The flag tells that the mailbox has messages, as the calls of a router do.
    pub fn finish(&self, answer: String) -> Result<bool> {
        self.answered(|job| job.finish(&answer))
    }

    /// Ends the work with a failure.
    pub fn fail(&self, code: String, message: String) -> Result<bool> {
        self.answered(|job| job.fail(&code, &message))
    }

    /// Gives the job back: another miner is tried, and this one is not blamed.
    pub fn reject(&self, reason: String) -> Result<bool> {
        self.answered(|job| job.reject(&reason))
    }

    /// Releases the job. If it was not answered, it counts as failed.
    pub fn release(&self) {
        if self.post.check().is_ok() {
            visit::waking(&self.post, || self.job.release());
        }
    }

    /// Whether the work is no longer wanted, or was answered.
    pub fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    /// Whether the job was answered.
    pub fn is_answered(&self) -> bool {
        self.job.is_answered()
    }

    /// Sends a message once the work is no longer wanted, or the job was answered.
    pub fn on_cancelled(&self, token: u64) -> Result<()> {
        self.post.check()?;
        self.job.on_cancelled(self.post.signal(token));
        Ok(())
    }

    /// Sends a message once the reader has caught up, or the work is no longer wanted, or the job was answered.
    pub fn on_writable(&self, token: u64) -> Result<()> {
        self.post.check()?;
        self.job.on_writable(self.post.signal(token));
        Ok(())
    }
}
