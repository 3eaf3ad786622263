//! The miners of the conformance scenarios; see `core/tests/conformance/README.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cortensor_router::embed::{Emit, Job};
use serde_json::Value;

/// Everything that a miner saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) jobs: AtomicU64,
    pub(crate) cancelled: AtomicU64,
}

/// The function that plays a behaviour.
pub(crate) fn play(miner: &Value, seen: Arc<Seen>) -> impl Fn(Job) + Send + Sync + 'static {
    let behaviour = miner["behaviour"].as_str().unwrap().to_owned();
    let with = miner["with"].clone();
    move |job: Job| {
        let number = seen.jobs.fetch_add(1, Ordering::SeqCst);
        let text = |name: &str| with[name].as_str().unwrap_or_default();
        match behaviour.as_str() {
            "pieces" => {
                if pieces(&job, &with["pieces"]) {
                    finish(&job, &with["answer"]);
                }
            }
            "whole" => finish(&job, &with["answer"]),
            "hold" => {
                pieces(&job, &with["pieces"]);
                if job.wait_cancelled(None).unwrap() {
                    seen.cancelled.fetch_add(1, Ordering::SeqCst);
                }
            }
            "fail" => {
                pieces(&job, &with["pieces"]);
                let _ = job.fail(text("code"), text("message"));
            }
            "flaky" if number < with["times"].as_u64().unwrap() => {
                let _ = job.fail(text("code"), "not this time");
            }
            "words" | "flaky" => words(&job),
            "reject" => job.reject(text("reason")).unwrap(),
            "drop" => drop(job),
            "parts" => {
                for parts in with["parts"].as_array().unwrap() {
                    job.emit_parts(&parts.to_string()).unwrap();
                }
                finish(&job, &with["answer"]);
            }
            "silent" => assert_eq!(job.finish("").unwrap_err().code(), "no_answer"),
            other => panic!("no such behaviour: {other}"),
        }
    }
}

fn words(job: &Job) {
    for word in job.prompt().split_inclusive(' ') {
        if job.emit(word.as_bytes()).unwrap() == Emit::Cancelled {
            return;
        }
    }
    job.finish("").unwrap();
}

fn pieces(job: &Job, pieces: &Value) -> bool {
    pieces.as_array().into_iter().flatten().all(|piece| {
        let bytes = match &piece["bytes"] {
            Value::Array(bytes) => bytes.iter().map(|byte| byte.as_u64().unwrap() as u8).collect(),
            _ => piece.as_str().unwrap().as_bytes().to_vec(),
        };
        job.emit(&bytes).unwrap() != Emit::Cancelled
    })
}

fn finish(job: &Job, answer: &Value) {
    let answer = if answer.is_null() { String::new() } else { answer.to_string() };
    job.finish(&answer).unwrap();
}
