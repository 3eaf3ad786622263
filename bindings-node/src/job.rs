//! A job in the hands of a miner in JavaScript.

use cortensor_router::embed::{Emit, ErrorKind, Job};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::bridge::{Bridge, Id};
use crate::error::{Result, released, throw, thrown};

/// One attempt at a task.
#[napi]
pub struct NativeJob {
    job: Option<Job>,
}

/// The answers of `emit`: go on, wait until the job is writable, stop, or the job was answered already.
const TAKEN: u32 = 0;
const FULL: u32 = 1;
const CANCELLED: u32 = 2;
const ANSWERED: u32 = 3;

impl NativeJob {
    pub(crate) fn new(job: Job) -> Self {
        Self { job: Some(job) }
    }

    fn job(&self) -> Result<&Job> {
        self.job.as_ref().ok_or_else(|| released("job"))
    }

    fn emit(&self, piece: &[u8]) -> Result<u32> {
        self.told(|job| job.emit(piece))
    }

    fn told(&self, emit: impl FnOnce(&Job) -> cortensor_router::embed::Result<Emit>) -> Result<u32> {
        let Some(job) = &self.job else { return Ok(ANSWERED) };
        match emit(job) {
            Ok(Emit::Full) => Ok(FULL),
            Ok(Emit::Cancelled) => Ok(CANCELLED),
            // Every other answer means that the router has the piece.
            Ok(_) => Ok(TAKEN),
            Err(error) if error.kind() == ErrorKind::Closed => Ok(ANSWERED),
            Err(error) => Err(thrown(&error)),
        }
    }
}

#[napi]
impl NativeJob {
    /// The job's record as JSON.
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<String> {
        self.job()?.info().map_err(throw)
    }

    /// The whole text that the model is to read.
    #[napi(catch_unwind)]
    pub fn prompt(&self) -> Result<String> {
        Ok(self.job()?.prompt())
    }

    /// Gives a piece of the answer as text.
    #[napi(catch_unwind)]
    pub fn emit_text(&self, piece: String) -> Result<u32> {
        self.emit(piece.as_bytes())
    }

    /// Gives the next piece as UTF-8, which may end in the middle of a character.
    #[napi(catch_unwind)]
    pub fn emit_bytes(&self, piece: Uint8Array) -> Result<u32> {
        self.emit(&piece)
    }

    /// Gives the next piece with its other parts, as JSON.
    #[napi(catch_unwind)]
    pub fn emit_parts(&self, parts: String) -> Result<u32> {
        self.told(|job| job.emit_parts(&parts))
    }

    /// Ends the work with success.
    #[napi(catch_unwind)]
    pub fn finish(&self, answer: String) -> Result<()> {
        self.job()?.finish(&answer).map_err(throw)
    }

    /// Ends the work with a failure.
    #[napi(catch_unwind)]
    pub fn fail(&self, code: String, message: String) -> Result<()> {
        self.job()?.fail(&code, &message).map_err(throw)
    }

    /// Gives the job back.
    #[napi(catch_unwind)]
    pub fn reject(&self, reason: String) -> Result<()> {
        self.job()?.reject(&reason).map_err(throw)
    }

    /// Releases the job. If it was not answered, it counts as failed.
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.job = None;
    }

    /// Whether the work is no longer wanted, or was answered.
    #[napi(getter)]
    pub fn is_cancelled(&self) -> bool {
        self.job.as_ref().is_none_or(Job::is_cancelled)
    }

    /// Signals once the work is no longer wanted; never if it is answered first.
    #[napi(catch_unwind)]
    pub fn on_cancelled(&self, bridge: &Bridge, id: Id) -> Result<()> {
        self.job()?.on_cancelled(bridge.queue.signal(id));
        Ok(())
    }

    /// Signals once the reader has caught up, or the work is no longer wanted.
    #[napi(catch_unwind)]
    pub fn on_writable(&self, bridge: &Bridge, id: Id) -> Result<()> {
        self.job()?.on_writable(bridge.queue.signal(id));
        Ok(())
    }
}
