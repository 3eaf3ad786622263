//! Records everything that the router acknowledged, and checks that it keeps its word.

use std::collections::HashMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::router::Router;

/// The time within which the remaining tasks must end.
const PATIENCE: Duration = Duration::from_mins(1);
/// The number of tasks on a page of the list.
const PAGE: u64 = 500;

/// One submit of a client; its key is also its prompt.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    /// The session.
    pub(crate) session: u64,
    /// The idempotency key.
    pub(crate) key: String,
    /// Whether the client polls for the result, rather than waiting for the answer.
    pub(crate) polled: bool,
}

/// The ids that were acknowledged for one key.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ids {
    session: u64,
    task: u64,
    gid: u64,
}

/// Everything that the clients saw.
#[derive(Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    submits: u64,
    keys: HashMap<String, Option<Ids>>,
    texts: HashMap<String, String>,
    by_task: HashMap<(u64, u64), String>,
    by_gid: HashMap<u64, String>,
    repeated_ids: u64,
    changed: u64,
    violations: Vec<String>,
}

/// The outcome in numbers.
#[derive(Debug)]
pub(crate) struct Counts {
    /// The number of submits, including repeated ones.
    pub(crate) submits: u64,
    /// The number of tasks that were acknowledged.
    pub(crate) acknowledged: u64,
    lost: u64,
    duplicated: u64,
    repeated_ids: u64,
    changed: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} submits, {} tasks acknowledged, {} lost, {} duplicated, {} ids repeated, {} results changed",
            self.submits, self.acknowledged, self.lost, self.duplicated, self.repeated_ids, self.changed
        )
    }
}

/// Creates two sessions beside the default one; the clients use all three.
pub(crate) fn create_sessions(router: &Router, journal: &Journal) -> Vec<u64> {
    let mut sessions = vec![0];
    for name in ["first", "second"] {
        let reply = router.call("POST", "/api/v1/create", None, Some(&json!({"name": name}))).expect("an answer");
        match reply.body["session_id"].as_u64() {
            Some(id) => sessions.push(id),
            None => journal.violated(format!("create: {reply:?}")),
        }
    }
    sessions
}

impl Journal {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock())
    }

    /// Records that a client is about to submit.
    pub(crate) fn submitted(&self, submit: &Submit) {
        self.with(|inner| {
            inner.submits += 1;
            inner.keys.entry(submit.key.clone()).or_default();
        });
    }

    /// Records that the ids were acknowledged.
    pub(crate) fn acknowledged(&self, submit: &Submit, body: &Value) {
        self.with(|inner| inner.acknowledge(submit, body));
    }

    /// Records that the ids and the result came in one answer.
    pub(crate) fn completed(&self, submit: &Submit, body: &Value) {
        self.with(|inner| {
            inner.acknowledge(submit, body);
            inner.report(&submit.key, &body["choices"][0]["text"]);
        });
    }

    /// Records that a poll saw the end.
    pub(crate) fn polled(&self, submit: &Submit, task: &Value) {
        self.with(|inner| inner.ended(&submit.key, task));
    }

    /// Records a violation of the router's promises.
    pub(crate) fn violated(&self, what: String) {
        self.with(|inner| inner.violations.push(what));
    }

    /// All violations so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.with(|inner| inner.violations.clone())
    }

    /// Compares everything that was acknowledged with the present state of the router.
    pub(crate) fn verify(&self, router: &Router, sessions: &[u64]) -> Counts {
        let deadline = Instant::now() + PATIENCE;
        while router.get("/api/v1/status")["queued_tasks"] != 0 || router.get("/api/v1/status")["running_tasks"] != 0 {
            assert!(Instant::now() < deadline, "tasks are left that do not end");
            thread::sleep(Duration::from_millis(20));
        }
        let mut found: HashMap<String, Vec<Value>> = HashMap::new();
        for session in sessions {
            for task in tasks(router, *session) {
                found.entry(task["prompt"].as_str().unwrap_or_default().to_owned()).or_default().push(task);
            }
        }
        self.with(|inner| {
            let (mut lost, mut duplicated) = (0, 0);
            let keys: Vec<(String, Option<Ids>)> = inner.keys.iter().map(|(key, ids)| (key.clone(), *ids)).collect();
            let acknowledged = keys.iter().filter(|(_, ids)| ids.is_some()).count() as u64;
            for (key, ids) in keys {
                let tasks = found.remove(&key).unwrap_or_default();
                if tasks.len() > 1 {
                    duplicated += 1;
                    inner.violations.push(format!("{key}: {} tasks", tasks.len()));
                }
                let Some(ids) = ids else { continue };
                let Some(task) = tasks.iter().find(|task| Ids::of(task) == Some(ids)) else {
                    lost += 1;
                    inner.violations.push(format!("{key}: acknowledged as {ids:?} and lost; there are {tasks:?}"));
                    continue;
                };
                inner.ended(&key, task);
            }
            inner.violations.extend(found.into_keys().map(|prompt| format!("{prompt:?} was never submitted")));
            let Inner { submits, repeated_ids, changed, .. } = *inner;
            Counts { submits, acknowledged, lost, duplicated, repeated_ids, changed }
        })
    }
}

/// Reads every task of a session, page by page.
fn tasks(router: &Router, session: u64) -> Vec<Value> {
    let mut tasks = Vec::new();
    loop {
        let path = format!("/api/v1/tasks/{session}?format=array&limit={PAGE}&offset={}", tasks.len());
        match router.get(&path) {
            Value::Array(page) if page.is_empty() => return tasks,
            Value::Array(page) => tasks.extend(page),
            other => panic!("{path} is no array: {other}"),
        }
    }
}

impl Ids {
    fn of(body: &Value) -> Option<Self> {
        let number = |key: &str| body[key].as_u64();
        Some(Self { session: number("session_id")?, task: number("task_id")?, gid: number("gid")? })
    }
}

impl Inner {
    fn acknowledge(&mut self, submit: &Submit, body: &Value) {
        let Some(ids) = Ids::of(body) else {
            return self.violations.push(format!("{submit:?}: acknowledged without ids: {body}"));
        };
        if ids.session != submit.session {
            self.violations.push(format!("{submit:?}: the acknowledgement names another session: {ids:?}"));
        }
        let earlier = self.keys.insert(submit.key.clone(), Some(ids)).flatten();
        if let Some(earlier) = earlier.filter(|earlier| *earlier != ids) {
            self.violations.push(format!("{}: the same key led to {earlier:?} and to {ids:?}", submit.key));
        }
        let others = [
            self.by_task.insert((ids.session, ids.task), submit.key.clone()),
            self.by_gid.insert(ids.gid, submit.key.clone()),
        ];
        if let Some(other) = others.into_iter().flatten().find(|other| *other != submit.key) {
            self.repeated_ids += 1;
            self.violations.push(format!("{ids:?} was given to {other} and to {}", submit.key));
        }
    }

    /// Checks a task that has ended, as the router shows it.
    fn ended(&mut self, key: &str, task: &Value) {
        if task["status"] != 4 || task["outcome"] != "ok" {
            return self.violations.push(format!("{key}: it did not end well: {task}"));
        }
        self.report(key, &task["text"]);
    }

    fn report(&mut self, key: &str, text: &Value) {
        let Some(text) = text.as_str().filter(|text| text.starts_with("answer ")) else {
            return self.violations.push(format!("{key}: {text} is no answer"));
        };
        let first = self.texts.entry(key.to_owned()).or_insert_with(|| text.to_owned());
        if first != text {
            self.changed += 1;
            self.violations.push(format!("{key}: {first:?} was reported, and now it is {text:?}"));
        }
    }
}
