//! The answers that a store may give after each of its answers so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cortensor_router::ErrorKind;
use cortensor_router::internals::store::{Accepted, ApiKey, Idempotency, Store, TaskSpec};
use cortensor_router::model::{
    Answer, Fence, Gid, MinerResult, Outcome, Session, SessionId, SessionSpec, Task, TaskId, TaskRequest, TaskState,
    Timestamp,
};

pub(crate) const SESSION: SessionId = SessionId(2);

/// The texts that a row may show; `None`: the row may be absent.
type Shown = Option<String>;

/// The rows of a store, each with what it may show now, and with all that it ever might have shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    tasks: BTreeMap<u64, Row>,
    keys: BTreeMap<String, Row>,
    epochs: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
struct Row {
    now: BTreeSet<Shown>,
    ever: BTreeSet<Shown>,
}

impl Default for Row {
    fn default() -> Self {
        let absent = BTreeSet::from([None]);
        Self { now: absent.clone(), ever: absent }
    }
}

impl Row {
    /// The row shows this.
    fn is(&mut self, shown: &Shown) {
        self.ever.insert(shown.clone());
        self.now = BTreeSet::from([shown.clone()]);
    }

    /// The row shows this, or what it showed before.
    fn may_be(&mut self, shown: &Shown) {
        self.ever.insert(shown.clone());
        self.now.insert(shown.clone());
    }
}

/// The damage that a medium did to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The medium told every failure: what was acknowledged is there.
    Honest,
    /// The medium lost its power under a durability that allows for lost rows: they may be gone, and must not be wrong.
    Lossy,
    /// The medium lied: rows may be gone or refused, and must not be wrong.
    Lied,
}

pub(crate) fn spec(id: u64) -> TaskSpec {
    // Some rows fill more than a page.
    let prompt = format!("prompt {id} ").repeat(if id.is_multiple_of(3) { 700 } else { 1 });
    let key = Idempotency { scope: "s".into(), key: format!("key {id}"), fingerprint: [id as u8; 32] };
    TaskSpec {
        gid: Gid(id),
        session_id: SESSION,
        id: TaskId(id),
        request: Arc::new(TaskRequest::completion(prompt)),
        created_at: Timestamp(1_000 + id),
        deadline: Timestamp(61_000 + id),
        idempotency: id.is_multiple_of(2).then_some(key),
        ..TaskSpec::default()
    }
}

pub(crate) fn ended(id: u64) -> Task {
    let mut task = spec(id).to_task();
    task.state = TaskState::Ended;
    task.outcome = Some(Outcome::Ok);
    task.ended_at = Some(Timestamp(5_000 + id));
    task.text = format!("text {id} ").repeat(if id.is_multiple_of(4) { 900 } else { 1 }).into();
    task.attempts = 1;
    task.fence = Fence(id);
    let mut answer = Answer::default();
    answer.text.clone_from(&task.text);
    task.results = vec![MinerResult::default().miner("0xa".into()).answer(answer).hash("ab".into())];
    task
}

fn shown(task: &Task) -> String {
    format!("{task:?}")
}

impl Ledger {
    /// Begins a run of the store. The number of a run never comes twice. `false`: the store refuses to begin.
    pub(crate) fn recover(&mut self, store: &dyn Store, damage: Damage) -> bool {
        let Ok(recovery) = store.recover().wait() else { return false };
        let last = self.epochs.last().copied().unwrap_or(0);
        assert!(damage == Damage::Lied || recovery.epoch > last, "the epoch {} came after {last}", recovery.epoch);
        self.epochs.insert(recovery.epoch);
        true
    }

    pub(crate) fn put_session(store: &dyn Store) -> bool {
        let session = Session::new(SESSION, "0x02".into(), SessionSpec::default(), Timestamp(1));
        store.put_session(session, None).wait().is_ok()
    }

    pub(crate) fn put_key(&mut self, store: &dyn Store, number: u64) -> bool {
        let key = ApiKey { id: format!("k{}", number % 2), name: format!("name {number}"), ..ApiKey::default() };
        let row = self.keys.entry(key.id.clone()).or_default();
        let shown = Some(key.name.clone());
        let done = store.put_key(key, None).wait().is_ok();
        if done {
            row.is(&shown);
        } else {
            row.may_be(&shown);
        }
        done
    }

    pub(crate) fn accept(&mut self, store: &dyn Store, id: u64) -> bool {
        let spec = Arc::new(spec(id));
        let shown = Some(shown(&spec.to_task()));
        let row = self.tasks.entry(id).or_default();
        match store.accept(spec).wait() {
            Ok(Accepted::New) => {
                assert!(row.now.contains(&None), "task {id} was there and was accepted again");
                row.is(&shown);
                true
            }
            // An accept that failed may have been written after all.
            Ok(Accepted::Existing { gid, .. }) => {
                assert_eq!(gid, Gid(id));
                row.now.remove(&None);
                true
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                row.now.remove(&None);
                assert!(!row.now.is_empty(), "task {id} conflicts with a row that cannot be there");
                true
            }
            Err(_) => {
                row.may_be(&shown);
                false
            }
        }
    }

    pub(crate) fn finish(&mut self, store: &dyn Store, id: u64) -> bool {
        let end = ended(id);
        let (queued, end_shown) = (Some(shown(&spec(id).to_task())), Some(shown(&end)));
        let row = self.tasks.entry(id).or_default();
        match store.finish(Arc::new(end)).wait() {
            Ok(true) => {
                assert!(row.now.contains(&queued), "task {id} ended although it was not open");
                row.is(&end_shown);
                true
            }
            Ok(false) => {
                // An accept that failed may come back with the log after a power loss, so the row stays possible.
                assert!(row.now.iter().any(|shown| *shown != queued), "the end of the open task {id} was refused");
                true
            }
            Err(_) => {
                if row.now.contains(&queued) {
                    row.may_be(&end_shown);
                }
                false
            }
        }
    }

    /// Writes a task together with its end.
    pub(crate) fn record(&mut self, store: &dyn Store, id: u64) -> bool {
        let end = ended(id);
        let end_shown = Some(shown(&end));
        let row = self.tasks.entry(id).or_default();
        match store.record(Arc::new(spec(id)), Arc::new(end)).wait() {
            Ok(true) => {
                assert!(!row.now.contains(&end_shown) || row.now.len() > 1, "task {id} ended twice");
                row.is(&end_shown);
                true
            }
            Ok(false) => {
                assert!(row.now.contains(&end_shown), "the end of task {id} was refused");
                row.is(&end_shown);
                true
            }
            Err(_) => {
                row.may_be(&end_shown);
                false
            }
        }
    }

    /// Reads everything. Whatever is answered must be possible; whether everything was answered is returned.
    pub(crate) fn check(&self, store: &dyn Store, damage: Damage) -> bool {
        let allowed = |row: &Row, found: &Shown| match damage {
            Damage::Honest => row.now.contains(found),
            Damage::Lossy | Damage::Lied => row.ever.contains(found),
        };
        let mut whole = true;
        for (id, row) in &self.tasks {
            match store.task(SESSION, TaskId(*id)).wait() {
                Ok(found) => {
                    let found = found.as_ref().map(shown);
                    assert!(allowed(row, &found), "task {id} shows {found:?} ({damage:?})\n{row:#?}");
                }
                Err(error) => {
                    whole = false;
                    assert!(
                        matches!(error.code(), "store_unavailable" | "store_corrupt"),
                        "task {id} cannot be read: {error} ({})",
                        error.code()
                    );
                }
            }
        }
        match store.keys().wait() {
            Ok(found) => {
                for (id, row) in &self.keys {
                    let found = found.iter().find(|key| key.id == *id).map(|key| key.name.clone());
                    assert!(allowed(row, &found), "key {id} shows {found:?} ({damage:?})\n{row:#?}");
                }
            }
            Err(_) => whole = false,
        }
        whole
    }
}
