//! The record of a task: its present state while it runs, and its row for the store when it ends.

use std::sync::Arc;

use super::live::{Live, LiveState};
use super::outbox::delivery;
use super::shared::Shared;
use crate::model::{Fence, MinerResult, Outcome, Retention, Task, TaskState};
use crate::task::{TaskEnd, add_hashes, hash_of};

/// The index of the winning answer: the one that the comparison chose, else the streamed one, else the first.
fn winner(state: &LiveState) -> usize {
    let of = |fence: Option<Fence>| state.answers.iter().position(|given| Some(given.fence) == fence);
    of(state.winner).or_else(|| of(state.primary)).unwrap_or(0)
}

impl Live {
    /// Makes the end of the task from its state. Returns the row for the store, and whether the store has not been asked
    /// for the task yet. With `hashes` the row has the hash of every answer, else [`add_hashes`] gives them to each
    /// reader.
    ///
    /// `message` is the id of the message for the task's webhook, if it has one.
    pub(super) fn close(&self, hashes: bool, message: Option<String>) -> (Arc<Task>, bool) {
        let mut state = self.state.lock();
        let winner = winner(&state);
        if winner < state.answers.len() {
            state.answers[..=winner].rotate_right(1);
        }
        let results: Vec<MinerResult> = state
            .answers
            .iter()
            .map(|given| {
                let lacks = hashes && given.hash.is_empty();
                let hash = if lacks { hash_of(&given.answer.text) } else { given.hash.clone() };
                MinerResult::default().miner(given.miner.clone()).answer(given.answer.clone()).hash(hash)
            })
            .collect();
        let mut task = self.so_far(&state);
        task.text = match results.first() {
            Some(first) => first.answer.text.clone(),
            None => state.transcript.text().into(),
        };
        task.state = TaskState::Ended;
        task.outcome = state.outcome;
        task.committed_at = state.ended_at;
        task.ended_at = state.ended_at;
        task.results = results;
        task.verdict.clone_from(&state.verdict);
        task.error.clone_from(&state.error);
        task.bytes = crate::store::traffic(&task);
        task.webhook = message
            .zip(self.spec.request.webhook.as_deref())
            .map(|(message, webhook)| Box::new(delivery(message, webhook, task.ended_at.unwrap_or_default())));
        let end = TaskEnd::new(task, self.spec.retention);
        let row = end.row.clone();
        state.closed = Some(end);
        (row, state.row_waits)
    }

    /// Whether the ended task must stay in memory, because its row in the store is less: a reader may resume its
    /// pieces one by one, or the row does not keep all parts of its end. A reader of any other task gets the same
    /// pieces from the store, if the numbers of pieces begin at `first_base`.
    pub(super) fn outlives(&self, first_base: u64) -> bool {
        let state = self.state.lock();
        self.spec.retention != Retention::All
            || self.spec.idempotency.is_some()
            || state.unwritten.is_some()
            || !state.readers.is_empty()
            || !state.transcript.is_plain(first_base)
    }

    /// The record of a task that runs, or whose end must not be shown yet, without its text.
    fn so_far(&self, state: &LiveState) -> Task {
        let mut task = self.spec.to_task();
        task.state = state.state.min(TaskState::Precommitted);
        task.started_at = state.started_at;
        task.first_token_at = state.first_token_at;
        task.precommitted_at = state.precommitted_at;
        task.attempts = state.assigned.len() as u32;
        task.assigned_miners = state.assigned.to_vec();
        task.model = self.spec.session_model();
        task.fence = state.primary.unwrap_or_default();
        task
    }
}

impl Shared {
    /// The present record of a task in memory, with its place in the queue. An end is not shown before it is durable:
    /// until then, the record shows the task as still unfinished.
    pub(super) fn task_of(&self, live: &Live) -> Task {
        let view = self.core.lock().engine.task(live.spec.gid);
        let state = live.state.lock();
        let answered = matches!(state.outcome, Some(Outcome::Ok | Outcome::Disputed));
        let error = match (&state.end, &state.closed) {
            // The store failed.
            (Some(Err(error)), _) if answered || state.unwritten.is_some() => Some(error.clone()),
            (Some(_), Some(end)) => {
                let mut task = Task::clone(&end.row);
                add_hashes(&mut task);
                return task;
            }
            _ => None,
        };
        let mut task = live.so_far(&state).error(error).text(state.transcript.text().into());
        if let Some(view) = view {
            task.state = view.state.min(TaskState::Precommitted);
            task.queue_position = view.queue_position;
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::EndCause;
    use crate::miner::{FailClass, Failure};
    use crate::model::{Gid, SessionId, TaskId, TaskRequest, Timestamp};
    use crate::store::{Durability, MemoryStore, SqliteStore, Store};
    use crate::task::{TaskSpec, error_of};

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
                let new = Arc::new(TaskSpec {
                    gid: Gid(id),
                    session_id: SessionId(1),
                    id: TaskId(id),
                    request: Arc::new(TaskRequest::completion("x")),
                    created_at: Timestamp(1),
                    deadline: Timestamp(2),
                    ..TaskSpec::default()
                });
                let task = Task::default()
                    .gid(new.gid)
                    .id(new.id)
                    .session_id(new.session_id)
                    .state(TaskState::Ended)
                    .outcome(Some(Outcome::Failed))
                    .ended_at(Some(Timestamp(2)))
                    .error(Some(error.clone()));
                for store in stores {
                    // The writes are not awaited, so that the file store writes them in batches.
                    drop((store.accept(new.clone()), store.finish(Arc::new(task.clone()))));
                }
                told.push(error.with_ids(SessionId(1), Some(TaskId(id))));
            }
        }
        for (id, error) in (1..).zip(told) {
            for store in stores {
                let task = store.task(SessionId(1), TaskId(id)).wait().unwrap().unwrap();
                assert_eq!(TaskEnd::stored(task).result.unwrap_err(), error, "{}", store.kind());
            }
        }
    }
}
