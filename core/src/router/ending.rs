//! From what miners said to the one end of a task: its row, its completion, its error.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::live::{Live, LiveState};
use super::shared::Shared;
use crate::engine::EndCause;
use crate::miner::{FailClass, Failure};
use crate::model::{Answer, Completion, Fence, MinerResult, Outcome, SharedText, Task, TaskState, Timestamp};
use crate::{Error, ErrorKind, Result, UpstreamError};

/// SHA-256, hexadecimal.
pub(super) fn hash_of(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// Whose answer is taken: what the comparison says, else the streamed one, else the first.
fn winner(state: &LiveState) -> usize {
    let of = |fence: Option<Fence>| state.answers.iter().position(|given| Some(given.fence) == fence);
    of(state.winner).or_else(|| of(state.primary)).unwrap_or(0)
}

impl Shared {
    /// The whole row of a task that has ended, after its session's retention.
    pub(super) fn final_task(live: &Live) -> Task {
        let mut task = {
            let mut state = live.state.lock();
            let winner = winner(&state);
            if winner < state.answers.len() {
                state.answers[..=winner].rotate_right(1);
            }
            Self::row(live, &state)
        };
        task.state = TaskState::Ended;
        task.committed_at = task.ended_at;
        if matches!(live.retention.as_str(), "result" | "none") {
            task.request = Arc::new(crate::model::TaskRequest {
                kind: live.request.kind,
                model: live.request.model.clone(),
                client_reference: live.request.client_reference.clone(),
                ..Default::default()
            });
        }
        if live.retention == "none" {
            task.text = SharedText::default();
            for result in &mut task.results {
                result.answer.text = SharedText::default();
                result.answer.raw = None;
            }
        }
        task
    }

    /// A task in memory as it stands, with its place in the queue. An end that is not durable is not shown: until it is, the task is
    /// where it was before.
    pub(super) fn task_now(&self, live: &Live) -> Task {
        let view = self.core.lock().engine.task(live.gid);
        let state = live.state.lock();
        let mut task = Self::row(live, &state);
        if let Some(view) = view {
            task.state = view.state;
            task.queue_position = view.queue_position;
        }
        let answered = matches!(task.outcome, Some(Outcome::Ok | Outcome::Disputed));
        task.error = match &state.end {
            // The store failed.
            Some(Err(error)) if answered || state.unwritten => Some(error.clone()),
            Some(_) => return task,
            None => None,
        };
        if task.state >= TaskState::Committed {
            task.state = TaskState::Precommitted;
        }
        task.outcome = None;
        task.verdict = None;
        task.results.clear();
        task.text = state.transcript.text().into();
        task.ended_at = Timestamp(0);
        task.committed_at = Timestamp(0);
        task
    }

    /// All that is known of a task, shown or not.
    fn row(live: &Live, state: &LiveState) -> Task {
        let outcome = state.outcome.map(|(outcome, _)| outcome);
        // Nobody sees one answer before the last one is in.
        let given = if state.outcome.is_some() { state.answers.as_slice() } else { &[] };
        let results: Vec<MinerResult> = given
            .iter()
            .map(|given| MinerResult {
                miner: given.miner.clone(),
                answer: given.answer.clone(),
                hash: if given.hash.is_empty() { hash_of(&given.answer.text) } else { given.hash.clone() },
            })
            .collect();
        let text = results.first().map_or_else(|| state.transcript.text().into(), |result| result.answer.text.clone());
        Task {
            gid: live.gid,
            id: live.id,
            session_id: live.session_id,
            request: live.request.clone(),
            state: state.state,
            outcome,
            created_at: live.created_at,
            started_at: state.started_at,
            first_token_at: state.first_token_at,
            precommitted_at: state.precommitted_at,
            committed_at: if state.state == TaskState::Ended { state.ended_at } else { Timestamp(0) },
            ended_at: state.ended_at,
            deadline: live.deadline,
            attempts: state.assigned.len() as u32,
            assigned_miners: state.assigned.clone(),
            text,
            results,
            verdict: state.verdict.clone(),
            error: state.error.clone(),
            model: live.session_model(),
            fence: state.primary.unwrap_or_default(),
            queue_position: None,
        }
    }

    /// The end as those who wait get it.
    pub(super) fn end_of(live: &Live, state: &LiveState) -> Result<Arc<Completion>> {
        let head = Task {
            gid: live.gid,
            id: live.id,
            session_id: live.session_id,
            request: live.request.clone(),
            created_at: live.created_at,
            outcome: state.outcome.map(|(outcome, _)| outcome),
            error: state.error.clone(),
            model: live.session_model(),
            verdict: state.verdict.clone(),
            ..Task::default()
        };
        let answers = state.answers.iter().map(|given| (given.miner.clone(), given.answer.clone())).collect();
        told(head, answers)
    }
}

impl Live {
    /// The model that the session asks for, where the request names none.
    fn session_model(&self) -> Option<String> {
        if self.request.model.is_some() { None } else { self.model.as_deref().map(str::to_owned) }
    }
}

/// The end of a task that only the store still has.
pub(super) fn stored_end(mut task: Task) -> Result<Arc<Completion>> {
    let answers = std::mem::take(&mut task.results).into_iter().map(|result| (result.miner, result.answer)).collect();
    told(task, answers)
}

/// The end as everybody is told it, at any time and by any route.
fn told(task: Task, mut answers: Vec<(String, Answer)>) -> Result<Arc<Completion>> {
    if !matches!(task.outcome, Some(Outcome::Ok | Outcome::Disputed)) || answers.is_empty() {
        let error = task.error.unwrap_or_else(|| error_of(EndCause::Done, None));
        return Err(error.with_ids(task.session_id.0, Some(task.id.0)));
    }
    let alternatives = if answers.len() > 1 { answers.clone() } else { Vec::new() };
    let (miner_address, answer) = answers.swap_remove(0);
    let model = task.request.model.as_deref().or(task.model.as_deref()).or(answer.model.as_deref());
    Ok(Arc::new(Completion {
        session_id: task.session_id,
        task_id: task.id,
        gid: task.gid,
        created: task.created_at.as_secs(),
        model: model.unwrap_or("default").to_owned(),
        answer,
        miner_address,
        alternatives,
        verdict: task.verdict,
    }))
}

/// The error of a task that ended for that cause: decided once, when it ends, and kept with the end.
pub(super) fn error_of(cause: EndCause, failure: Option<&Failure>) -> Error {
    let words = || failure.map_or("it gave no reason", |f| f.message.as_str());
    let error = match cause {
        EndCause::Done => Error::internal("the task ended without an answer"),
        EndCause::Cancelled => Error::new(ErrorKind::Cancelled, "the task was cancelled"),
        EndCause::Deadline => Error::new(
            ErrorKind::Timeout,
            match failure {
                Some(failure) => {
                    format!("the task was not done before its deadline; the last miner said: {}", failure.message)
                }
                None => "the task was not done before its deadline; give it a longer timeout".to_owned(),
            },
        ),
        EndCause::NoMiner => Error::new(
            ErrorKind::Unavailable,
            match failure.filter(|failure| !failure.message.is_empty()) {
                Some(failure) => format!("no miner that could serve the task is up; {}", failure.message),
                None => "no miner that could serve the task is connected: add a miner or an upstream to the router, or start it with --upstream URL".to_owned(),
            },
        )
        .with_code("no_miner")
        .with_retry_after_ms(failure.and_then(|failure| failure.retry_after_ms).unwrap_or(1_000)),
        EndCause::Request => {
            let error = Error::new(ErrorKind::InvalidArgument, words());
            if failure.is_some_and(|f| f.class == FailClass::Context) {
                error.with_code("context_length_exceeded")
            } else {
                error
            }
        }
        EndCause::Broken => {
            Error::new(ErrorKind::MinerFailed, format!("the miner broke off after its first token: {}", words()))
        }
        EndCause::Attempts => match failure.map(|f| f.class) {
            Some(FailClass::Overloaded) => {
                Error::new(ErrorKind::Overloaded, format!("every miner has too much to do: {}", words()))
                    .with_retry_after_ms(failure.and_then(|f| f.retry_after_ms).unwrap_or(1_000))
            }
            Some(FailClass::Refused) => Error::new(ErrorKind::PermissionDenied, words()).with_code("upstream_refused"),
            Some(FailClass::Model) => Error::new(ErrorKind::NotFound, words()).with_code("model_not_found"),
            _ => Error::new(
                ErrorKind::MinerFailed,
                format!("every miner that was tried failed; the last one said: {}", words()),
            ),
        },
    };
    match (cause, failure) {
        (EndCause::Request | EndCause::Broken | EndCause::Attempts, Some(failure)) => in_its_words(error, failure),
        _ => error,
    }
}

/// Adds what the model's server said itself. Its code and its param are more to the point than the router's.
fn in_its_words(mut error: Error, failure: &Failure) -> Error {
    // These statuses speak of the router's own credentials.
    let own = matches!(failure.http_status, Some(401 | 402 | 403 | 407));
    let Some(said) = failure.raw.as_deref().filter(|_| !own).and_then(UpstreamError::read) else { return error };
    if let Some(code) = said.code.as_ref().and_then(serde_json::Value::as_str) {
        error = error.with_code(code.to_owned());
    }
    if let Some(param) = &said.param {
        error = error.with_param(param.clone());
    }
    error.with_upstream(said)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Gid, SessionId, TaskId, TaskRequest};
    use crate::store::{Durability, MemoryStore, NewTask, SqliteStore, Store};

    const CAUSES: [EndCause; 7] = [
        EndCause::Done,
        EndCause::Cancelled,
        EndCause::Deadline,
        EndCause::Attempts,
        EndCause::Request,
        EndCause::Broken,
        EndCause::NoMiner,
    ];

    fn failures() -> Vec<Option<Failure>> {
        let raws = [
            None,
            Some(r#"{"error":{"message":"own","type":"t","code":400}}"#),
            Some(r#"{"error":{"code":"c","param":"p"}}"#),
        ];
        let mut failures = vec![None];
        for class in FailClass::ALL {
            for raw in raws {
                for retry_after_ms in [None, Some(250)] {
                    let raw = raw.map(|raw| Bytes::from_static(raw.as_bytes()));
                    failures.push(Some(Failure { retry_after_ms, raw, ..Failure::new(class, "said \"no\"\u{0}") }));
                }
            }
        }
        failures
    }

    #[test]
    fn every_error_comes_back_from_every_store_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(dir.path(), Durability::Relaxed).unwrap();
        let stores: [&dyn Store; 2] = [&file, &MemoryStore::new(0)];
        let mut told = Vec::new();
        for cause in CAUSES {
            for failure in failures() {
                let (id, error) = (told.len() as u64 + 1, error_of(cause, failure.as_ref()));
                let new = NewTask {
                    gid: Gid(id),
                    session_id: SessionId(1),
                    id: TaskId(id),
                    request: Arc::new(TaskRequest::completion("x")),
                    band: 0,
                    created_at: Timestamp(1),
                    deadline: Timestamp(2),
                    idempotency: None,
                };
                let task = Task {
                    gid: new.gid,
                    id: new.id,
                    session_id: new.session_id,
                    state: TaskState::Ended,
                    outcome: Some(Outcome::Failed),
                    ended_at: Timestamp(2),
                    error: Some(error.clone()),
                    ..Task::default()
                };
                for store in stores {
                    // Not waited for: the file gathers them.
                    drop((store.accept(new.clone()), store.finish(Arc::new(task.clone()))));
                }
                told.push(error.with_ids(1, Some(id)));
            }
        }
        for (id, error) in (1..).zip(told) {
            for store in stores {
                let task = store.task(SessionId(1), TaskId(id)).wait().unwrap().unwrap();
                assert_eq!(stored_end(task).unwrap_err(), error, "{}", store.name());
            }
        }
    }

    #[test]
    fn words_on_the_routers_own_key_are_kept_inside() {
        let mut failure = Failure::new(FailClass::Invalid, "no");
        failure.raw = Some(Bytes::from_static(br#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#));
        for (status, own) in [(400, false), (401, true), (402, true), (403, true), (407, true), (422, false)] {
            failure.http_status = Some(status);
            let error = error_of(EndCause::Request, Some(&failure));
            assert_eq!(error.details().upstream.is_none(), own, "{status}");
            assert_eq!(error.code() == "invalid_argument", own, "{status}");
        }
    }
}
