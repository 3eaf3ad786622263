//! A job in the hands of a miner in JavaScript.

use std::sync::Arc;

use cortensor_router::embed::{Emit, ErrorKind, Job};
use napi::bindgen_prelude::{Uint8Array, Uint32Array};
use napi_derive::napi;

use crate::bridge::{Bridge, Id, Queue};
use crate::error::{Result, throw, thrown};
use crate::{near, run};

/// One attempt at a task.
#[napi]
pub struct NativeJob {
    job: Job,
    queue: Arc<Queue>,
}

/// The answers of `emit`: go on, wait until the job is writable, stop, or the job was answered already. `FILLED` is
/// added if JavaScript must empty the queue in its next turn.
const TAKEN: u32 = 0;
const FULL: u32 = 1;
const CANCELLED: u32 = 2;
const ANSWERED: u32 = 3;
const FILLED: u32 = 4;

impl NativeJob {
    pub(crate) fn new(job: Job, queue: Arc<Queue>) -> Self {
        Self { job, queue }
    }

    /// Makes a call that answers the job. Gives whether JavaScript must empty the queue in its next turn.
    fn answered(&self, answer: impl FnOnce(&Job) -> cortensor_router::embed::Result<()>) -> Result<bool> {
        let answered = near::during(&self.queue, || answer(&self.job).map_err(throw));
        answered.map(|((), filled)| filled)
    }

    fn emit(&self, piece: &[u8]) -> Result<u32> {
        self.told(|job| job.emit(piece))
    }

    fn told(&self, emit: impl FnOnce(&Job) -> cortensor_router::embed::Result<Emit>) -> Result<u32> {
        let emitted = near::during(&self.queue, || match emit(&self.job) {
            Ok(Emit::Full) => Ok(FULL),
            Ok(Emit::Cancelled) => Ok(CANCELLED),
            // Every other answer means that the router has the piece.
            Ok(_) => Ok(TAKEN),
            Err(error) if error.kind() == ErrorKind::Closed => Ok(ANSWERED),
            Err(error) => Err(thrown(&error)),
        });
        emitted.map(|(said, filled)| if filled { said | FILLED } else { said })
    }
}

#[napi]
impl NativeJob {
    /// The job's record as JSON.
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<String> {
        self.job.info().map_err(throw)
    }

    /// The whole text that the model is to read.
    #[napi(catch_unwind)]
    pub fn prompt(&self) -> String {
        self.job.prompt()
    }

    /// Gives a piece of the answer as text.
    #[napi(catch_unwind)]
    pub fn emit_text(&self, piece: String) -> Result<u32> {
        self.emit(piece.as_bytes())
    }

    /// Gives several pieces of text: all of them in one, and the length of each in code units of UTF-16.
    #[napi(catch_unwind)]
    pub fn emit_texts(&self, texts: String, lengths: Uint32Array) -> Result<u32> {
        self.told(|job| job.emit_each(run::pieces(&texts, &lengths)))
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
    pub fn finish(&self, answer: String) -> Result<bool> {
        self.answered(|job| job.finish(&answer))
    }

    /// Ends the work with a failure.
    #[napi(catch_unwind)]
    pub fn fail(&self, code: String, message: String) -> Result<bool> {
        self.answered(|job| job.fail(&code, &message))
    }

    /// Gives the job back.
    #[napi(catch_unwind)]
    pub fn reject(&self, reason: String) -> Result<bool> {
        self.answered(|job| job.reject(&reason))
    }

    /// Releases the job. If it was not answered, it counts as failed. Its record and its prompt stay.
    #[napi(catch_unwind)]
    pub fn release(&self) {
        self.job.release();
    }

    /// Whether the work is no longer wanted, or was answered.
    #[napi(getter)]
    pub fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    /// Signals once the work is no longer wanted; never if it is answered first.
    #[napi(catch_unwind)]
    pub fn on_cancelled(&self, bridge: &Bridge, id: Id) {
        self.job.on_cancelled(bridge.queue.signal(id));
    }

    /// Signals once the reader has caught up, or the work is no longer wanted.
    #[napi(catch_unwind)]
    pub fn on_writable(&self, bridge: &Bridge, id: Id) {
        self.job.on_writable(bridge.queue.signal(id));
    }
}
