//! From what miners said to the one end of a task: its row, its completion, its error.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::live::{Given, Live, LiveState};
use super::shared::Shared;
use crate::engine::EndCause;
use crate::miner::{FailClass, Failure};
use crate::model::{Answer, Completion, Fence, MinerResult, Outcome, Task, TaskState, Timestamp, Verdict};
use crate::{Error, ErrorKind, Result};

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
        {
            let mut state = live.state.lock();
            let winner = winner(&state);
            if winner < state.answers.len() {
                state.answers[..=winner].rotate_right(1);
            }
        }
        let mut task = Self::row(live, &live.state.lock());
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
            task.text.clear();
            for result in &mut task.results {
                result.answer.text.clear();
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
        task.failure = match &state.end {
            // The store failed.
            Some(Err(error)) if answered || state.unwritten => Some(error.message().to_owned()),
            Some(_) => return task,
            None => None,
        };
        if task.state >= TaskState::Committed {
            task.state = TaskState::Precommitted;
        }
        task.outcome = None;
        task.verdict = None;
        task.results.clear();
        state.transcript.text().clone_into(&mut task.text);
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
        let text =
            results.first().map_or_else(|| state.transcript.text().to_owned(), |result| result.answer.text.clone());
        let failure = match state.outcome {
            Some((Outcome::Ok | Outcome::Disputed, _)) | None => None,
            Some((_, cause)) => Some(error_of(cause, state.failure.as_ref()).message().to_owned()),
        };
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
            failure,
            fence: state.primary.unwrap_or_default(),
            queue_position: None,
        }
    }

    /// The end as those who wait get it.
    pub(super) fn end_of(live: &Live) -> Result<Arc<Completion>> {
        let state = live.state.lock();
        let Some((outcome, cause)) = state.outcome else {
            return Err(live.sign(Error::internal("the task ended without an outcome")));
        };
        if matches!(outcome, Outcome::Ok | Outcome::Disputed)
            && let Some(Given { miner, answer, .. }) = state.answers.first()
        {
            let alternatives = if state.answers.len() > 1 {
                state.answers.iter().map(|given| (given.miner.clone(), given.answer.clone())).collect()
            } else {
                Vec::new()
            };
            return Ok(Arc::new(completion(
                &Task {
                    gid: live.gid,
                    id: live.id,
                    session_id: live.session_id,
                    request: live.request.clone(),
                    created_at: live.created_at,
                    ..Task::default()
                },
                live.model.as_deref(),
                miner.clone(),
                answer.clone(),
                alternatives,
                state.verdict.clone(),
            )));
        }
        Err(live.sign(error_of(cause, state.failure.as_ref())))
    }
}

fn completion(
    task: &Task,
    model: Option<&str>,
    miner: String,
    answer: Answer,
    alternatives: Vec<(String, Answer)>,
    verdict: Option<Verdict>,
) -> Completion {
    let model = task.request.model.as_deref().or(model).or(answer.model.as_deref()).unwrap_or("default").to_owned();
    Completion {
        session_id: task.session_id,
        task_id: task.id,
        gid: task.gid,
        created: task.created_at.as_secs(),
        model,
        answer,
        miner_address: miner,
        alternatives,
        verdict,
    }
}

/// The end of a task that only the store still has.
pub(super) fn stored_end(task: &Task) -> Result<Arc<Completion>> {
    match (task.outcome, task.results.first()) {
        (Some(Outcome::Ok | Outcome::Disputed), Some(result)) => {
            let alternatives = if task.results.len() > 1 {
                task.results.iter().map(|r| (r.miner.clone(), r.answer.clone())).collect()
            } else {
                Vec::new()
            };
            Ok(Arc::new(completion(
                task,
                None,
                result.miner.clone(),
                result.answer.clone(),
                alternatives,
                task.verdict.clone(),
            )))
        }
        (outcome, _) => {
            let kind = match outcome {
                Some(Outcome::Cancelled) => ErrorKind::Cancelled,
                Some(Outcome::Expired) => ErrorKind::Timeout,
                _ => ErrorKind::MinerFailed,
            };
            let message = task.failure.clone().unwrap_or_else(|| "the task ended without an answer".to_owned());
            Err(Error::new(kind, message).with_ids(task.session_id.0, Some(task.id.0)))
        }
    }
}

fn error_of(cause: EndCause, failure: Option<&Failure>) -> Error {
    let words = || failure.map_or("it gave no reason", |f| f.message.as_str());
    match cause {
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
        EndCause::NoMiner => Error::new(ErrorKind::Unavailable, "no miner that could serve the task is there")
            .with_code("no_miner")
            .with_retry_after_ms(1_000),
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
    }
}
