//! A client that never gives up: it repeats a submit with its idempotency key until the submit is acknowledged, and
//! resumes a stream where it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::Reply;
use super::journal::{Harm, Journal, Submit, Way};
use super::reading::{Reading, Step};
use super::service::Service;
use cortensor_router_testkit::random::Random;

/// The wait after an answer that was not complete.
const AGAIN: Duration = Duration::from_millis(10);
/// The time within which a task must be taken and must end, in spite of all faults.
const PATIENCE: Duration = Duration::from_mins(2);

/// One client.
pub(crate) struct Client<'a> {
    id: u64,
    chance: Random,
    service: &'a dyn Service,
    journal: &'a Journal,
    sessions: Vec<u64>,
    mine: Vec<Submit>,
}

impl<'a> Client<'a> {
    /// Makes a client that submits to those sessions.
    pub(crate) fn new(id: u64, seed: u64, service: &'a dyn Service, journal: &'a Journal, sessions: Vec<u64>) -> Self {
        let chance = Random::new(seed.wrapping_mul(1_000).wrapping_add(id));
        Self { id, chance, service, journal, sessions, mine: Vec::new() }
    }

    /// Submits until it is told to stop. A submit that was begun is brought to its end.
    pub(crate) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let submit = match self.chance.below(10) {
                // A caller that did not see the first answer repeats its submit.
                0 if !self.mine.is_empty() => self.mine[self.chance.below(self.mine.len() as u64) as usize].clone(),
                kind => {
                    let session = self.sessions[self.chance.below(self.sessions.len() as u64) as usize];
                    let key = format!("client-{}-{}", self.id, self.mine.len());
                    let way = match kind {
                        0..4 => Way::Polled,
                        4..7 => Way::Streamed,
                        _ => Way::Whole,
                    };
                    let submit = Submit { session, key, way };
                    self.mine.push(submit.clone());
                    submit
                }
            };
            self.journal.submitted(&submit);
            match submit.way {
                Way::Streamed => self.stream(&submit),
                Way::Whole | Way::Polled => self.submit(&submit),
            }
        }
    }

    /// Submits until the router acknowledges. Journals the acknowledgement and, at that moment or later, the result.
    fn submit(&self, submit: &Submit) {
        let is_polled = submit.way == Way::Polled;
        let path = format!("/api/v1/completions/{}", submit.session);
        // The task goes on if a fault breaks the connection.
        let body = json!({"prompt": submit.key, "async": is_polled, "detach": true, "timeout": 600});
        let begun = Instant::now();
        loop {
            if begun.elapsed() > PATIENCE {
                let what = format!("{submit:?}: neither taken nor answered within {PATIENCE:?}");
                return self.journal.violated(&submit.key, Harm::Lost, what);
            }
            let Some(reply) = self.service.call("POST", &path, Some(&submit.key), Some(&body)) else {
                thread::sleep(AGAIN);
                self.journal.still_submits(submit);
                continue;
            };
            match (reply.status, is_polled) {
                (200, false) => return self.journal.completed(submit, &reply.body),
                (202 | 200, true) => {
                    self.journal.acknowledged(submit, &reply.body);
                    return self.poll(submit, reply.body["task_id"].as_u64());
                }
                _ if retryable(&reply) => {
                    self.journal.refused(&reply.body["code"]);
                    thread::sleep(AGAIN);
                }
                _ => return self.journal.violated(&submit.key, Harm::Lost, format!("{submit:?}: refused: {reply:?}")),
            }
        }
    }

    /// Polls the task until it has ended.
    fn poll(&self, submit: &Submit, task: Option<u64>) {
        let Some(task) = task else {
            let what = format!("{submit:?}: acknowledged without a task id");
            return self.journal.violated(&submit.key, Harm::Wrong, what);
        };
        let path = format!("/api/v1/tasks/{}/{task}", submit.session);
        let begun = Instant::now();
        loop {
            if begun.elapsed() > PATIENCE {
                let what = format!("{submit:?}: acknowledged task {task} has not ended within {PATIENCE:?}");
                return self.journal.violated(&submit.key, Harm::Lost, what);
            }
            let Some(reply) = self.service.call("GET", &path, None, None) else {
                thread::sleep(AGAIN);
                continue;
            };
            match reply.status {
                200 if reply.body["status"] == 4 => return self.journal.polled(submit, &reply.body),
                200 => thread::sleep(Duration::from_millis(5)),
                _ if retryable(&reply) || self.is_excused(&reply) => {
                    self.journal.refused(&reply.body["code"]);
                    thread::sleep(AGAIN);
                }
                _ => {
                    let what = format!("{submit:?}: acknowledged task {task} is lost: {reply:?}");
                    return self.journal.violated(&submit.key, Harm::Lost, what);
                }
            }
        }
    }

    /// Reads a stream to its end. Once the task's id is known, a broken stream is resumed where it was.
    fn stream(&self, submit: &Submit) {
        let post = format!("/api/v1/completions/{}", submit.session);
        let body = json!({
            "prompt": submit.key, "stream": true, "on_failure": "restart", "detach": true, "timeout": 600
        });
        let (mut reading, mut task) = (Reading::default(), None);
        let begun = Instant::now();
        loop {
            if begun.elapsed() > PATIENCE {
                let what = format!("{submit:?}: task {task:?} was not streamed to its end within {PATIENCE:?}");
                return self.journal.violated(&submit.key, Harm::Lost, what);
            }
            let asked = match task {
                None => {
                    // The router sends the whole stream of a key that it knows.
                    reading = Reading::default();
                    self.service.ask("POST", &post, &[("Idempotency-Key", &submit.key)], Some(&body))
                }
                Some(task) => {
                    self.journal.resumed();
                    let path = format!("/api/v1/tasks/{}/{task}/stream", submit.session);
                    self.service.ask("GET", &path, &[("Last-Event-ID", &reading.last.to_string())], None)
                }
            };
            match asked {
                Some(mut answer) if answer.status == 200 => {
                    while let Some(event) = answer.event() {
                        match reading.take(&event) {
                            Step::Piece(data) => {
                                if task.is_none() {
                                    self.journal.acknowledged(submit, &data);
                                    task = data["task_id"].as_u64();
                                }
                            }
                            Step::Later(code) => {
                                self.journal.refused(&code);
                                break;
                            }
                            Step::Ended(data) => return self.journal.streamed(submit, &data, reading.restarts),
                            Step::Broken(why) => {
                                return self.journal.violated(&submit.key, Harm::Wrong, format!("{submit:?}: {why}"));
                            }
                        }
                    }
                }
                Some(answer) => match answer.whole() {
                    Some(reply) if retryable(&reply) || self.is_excused(&reply) => {
                        self.journal.refused(&reply.body["code"]);
                    }
                    Some(reply) => {
                        let what = format!("{submit:?}: the stream of task {task:?} is lost: {reply:?}");
                        return self.journal.violated(&submit.key, Harm::Lost, what);
                    }
                    None => {}
                },
                None => {}
            }
            thread::sleep(AGAIN);
            self.journal.still_submits(submit);
        }
    }
}

impl Client<'_> {
    /// Whether the service may not know the task at present.
    fn is_excused(&self, reply: &Reply) -> bool {
        reply.status == 404 && self.service.may_forget()
    }
}

/// Whether the reply says that a later attempt may succeed.
fn retryable(reply: &Reply) -> bool {
    matches!(reply.status, 429 | 503) && reply.body["code"] != Value::Null
}
