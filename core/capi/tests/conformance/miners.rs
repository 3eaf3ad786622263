//! The miners of the scenarios, as callback tables; see `core/tests/conformance/README.md`.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cortensor_router_capi as c;
use serde_json::Value;

use crate::calls::{Fault, bytes, done};

/// What a miner saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) jobs: AtomicU64,
    pub(crate) cancelled: AtomicU64,
}

struct Player {
    behaviour: String,
    with: Value,
    seen: Arc<Seen>,
}

/// The table that plays a behaviour; the library drops the player.
pub(crate) fn callbacks(miner: &Value, seen: Arc<Seen>) -> c::MinerCallbacks {
    let behaviour = miner["behaviour"].as_str().unwrap().to_owned();
    let player = Player { behaviour, with: miner["with"].clone(), seen };
    c::MinerCallbacks {
        struct_size: size_of::<c::MinerCallbacks>(),
        user: Box::into_raw(Box::new(player)).cast(),
        on_job: Some(on_job),
        drop: Some(drop_player),
        flags: 0,
    }
}

unsafe extern "C" fn on_job(user: *mut c_void, job: *mut c::Job) {
    // SAFETY: `user` is the player, which lives until `drop_player`.
    let player = unsafe { &*user.cast::<Player>() };
    // SAFETY: the job is ours.
    let job = unsafe { Box::from_raw(job) };
    player.play(&job);
    c::cortensor_job_free(Some(job));
}

unsafe extern "C" fn drop_player(user: *mut c_void) {
    // SAFETY: it was made by `callbacks`, and this is called once.
    drop(unsafe { Box::from_raw(user.cast::<Player>()) });
}

impl Player {
    fn play(&self, job: &c::Job) {
        let number = self.seen.jobs.fetch_add(1, Ordering::SeqCst);
        let text = |name: &str| self.with[name].as_str().unwrap_or_default();
        match self.behaviour.as_str() {
            "flaky" if number < self.with["times"].as_u64().unwrap() => fail(job, text("code"), "not this time"),
            "words" | "flaky" => words(job),
            "pieces" => {
                if pieces(job, &self.with["pieces"]) {
                    finish(job, &self.with["answer"]);
                }
            }
            "whole" => finish(job, &self.with["answer"]),
            "hold" => {
                pieces(job, &self.with["pieces"]);
                done(|err| c::cortensor_job_wait_cancelled(Some(job), -1, err)).unwrap();
                assert!(c::cortensor_job_is_cancelled(Some(job)));
                self.seen.cancelled.fetch_add(1, Ordering::SeqCst);
            }
            "fail" => {
                pieces(job, &self.with["pieces"]);
                fail(job, text("code"), text("message"));
            }
            "reject" => {
                let reason = text("reason");
                // SAFETY: the text has that many bytes.
                done(|err| unsafe { c::cortensor_job_reject(Some(job), reason.as_ptr().cast(), reason.len(), err) })
                    .unwrap();
            }
            // The job is freed unanswered.
            "drop" => {}
            other => panic!("no such behaviour: {other}"),
        }
    }
}

/// `false`: nobody wants it any more.
fn emit(job: &c::Job, piece: &[u8]) -> bool {
    // SAFETY: the piece has that many bytes.
    let emitted =
        done(|err| unsafe { c::cortensor_job_emit(Some(job), piece.as_ptr().cast(), piece.len(), None, err) });
    match emitted {
        Ok(()) => true,
        Err(Fault { details }) => {
            assert_eq!(details["kind"], "cancelled", "{details}");
            false
        }
    }
}

fn words(job: &c::Job) {
    let prompt = bytes(|out, err| c::cortensor_job_prompt(Some(job), out, err)).unwrap();
    if prompt.split_inclusive(' ').all(|word| emit(job, word.as_bytes())) {
        finish(job, &Value::Null);
    }
}

fn pieces(job: &c::Job, pieces: &Value) -> bool {
    pieces.as_array().into_iter().flatten().all(|piece| {
        let bytes = match &piece["bytes"] {
            Value::Array(bytes) => bytes.iter().map(|byte| byte.as_u64().unwrap() as u8).collect(),
            _ => piece.as_str().unwrap().as_bytes().to_vec(),
        };
        emit(job, &bytes)
    })
}

fn finish(job: &c::Job, answer: &Value) {
    let answer = if answer.is_null() { String::new() } else { answer.to_string() };
    // SAFETY: the text has that many bytes.
    done(|err| unsafe { c::cortensor_job_finish(Some(job), answer.as_ptr().cast(), answer.len(), err) }).unwrap();
}

fn fail(job: &c::Job, code: &str, message: &str) {
    // SAFETY: the texts have that many bytes.
    let failed = done(|err| unsafe {
        c::cortensor_job_fail(Some(job), code.as_ptr().cast(), code.len(), message.as_ptr().cast(), message.len(), err)
    });
    // Whether it was wanted still is of no matter.
    assert!(failed.is_ok() || failed.is_err_and(|fault| fault.details["kind"] == "closed"));
}
