//! Records everything that the router acknowledged, and checks that it keeps its word.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::service::Service;

/// The time within which the remaining tasks must end.
const PATIENCE: Duration = Duration::from_mins(1);
/// The number of tasks on a page of the list.
const PAGE: u64 = 500;

/// The way in which a client gets the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It waits for the whole answer.
    Whole,
    /// It polls.
    Polled,
    /// It reads a stream.
    Streamed,
}

/// One submit of a client; its key is also its prompt.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    /// The session.
    pub(crate) session: u64,
    /// The idempotency key.
    pub(crate) key: String,
    /// The way in which the client gets the result.
    pub(crate) way: Way,
}

/// The ids that were acknowledged for one key.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ids {
    session: u64,
    task: u64,
    gid: u64,
}

/// The ways in which a promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// An acknowledged task is gone, or did not succeed.
    Lost,
    /// Work was done under more than one task or id.
    Doubled,
    /// A result that was reported is another one now.
    Changed,
    /// An answer is not the answer to its prompt, or a stream is not the answer.
    Wrong,
}

/// The columns of the table.
const HARMS: [(Harm, &str); 4] =
    [(Harm::Lost, "lost"), (Harm::Doubled, "doubled"), (Harm::Changed, "changed"), (Harm::Wrong, "wrong")];

/// The faults under which something happened, one bit each.
type Under = u32;

/// Everything that the clients saw.
pub(crate) struct Journal {
    /// The names of the faults, by their numbers.
    faults: Vec<&'static str>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    submits: u64,
    keys: HashMap<String, Option<Ids>>,
    texts: HashMap<String, String>,
    by_task: HashMap<(u64, u64), String>,
    by_gid: HashMap<u64, String>,
    /// The faults of the present cycle.
    now: Under,
    /// The faults under which each key was submitted.
    under: HashMap<String, Under>,
    cycles: BTreeMap<usize, u64>,
    /// The refusals that asked the client to come back, by code.
    refusals: BTreeMap<String, u64>,
    streams: Streams,
    violations: Vec<(Under, Harm, String)>,
}

/// The streams in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Streams {
    /// The streams that were read to their end.
    pub(crate) ended: u64,
    /// The times that a client resumed a stream.
    pub(crate) resumed: u64,
    /// The restart marks.
    pub(crate) restarts: u64,
}

/// The outcome in numbers.
#[derive(Debug)]
pub(crate) struct Counts {
    /// The number of submits, including repeated ones.
    pub(crate) submits: u64,
    /// The number of tasks that were acknowledged.
    pub(crate) acknowledged: u64,
    /// The number of miners that worked, the router's upstream among them.
    pub(crate) workers: u64,
    /// The refusals that asked the client to come back, by code.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// The streams.
    pub(crate) streams: Streams,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { submits, acknowledged, workers, refusals, streams: Streams { ended, resumed, restarts } } = self;
        write!(
            f,
            "{submits} submits, {acknowledged} tasks acknowledged, {ended} streams read, resumed {resumed} times, \
             with {restarts} restart marks, {workers} miners worked, refusals: {refusals:?}"
        )
    }
}

/// Creates two sessions beside the default one; the clients use all three.
pub(crate) fn create_sessions(service: &dyn Service) -> Vec<u64> {
    let mut sessions = vec![0];
    for name in ["first", "second"] {
        let reply = service.call("POST", "/api/v1/create", None, Some(&json!({"name": name}))).expect("an answer");
        match reply.body["session_id"].as_u64() {
            Some(id) => sessions.push(id),
            None => panic!("create: {reply:?}"),
        }
    }
    sessions
}

impl Journal {
    /// Makes an empty journal for faults with those names.
    pub(crate) fn new(faults: impl IntoIterator<Item = &'static str>) -> Self {
        Self { faults: faults.into_iter().collect(), inner: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock())
    }

    /// Records that a client is about to submit.
    pub(crate) fn submitted(&self, submit: &Submit) {
        self.with(|inner| {
            inner.submits += 1;
            inner.keys.entry(submit.key.clone()).or_default();
            inner.note(&submit.key);
        });
    }

    /// Records that a client sends a submit again, whose answer was lost.
    pub(crate) fn still_submits(&self, submit: &Submit) {
        self.with(|inner| inner.note(&submit.key));
    }

    /// Records that the router refused a request and asked the client to come back.
    pub(crate) fn refused(&self, code: &Value) {
        let code = code.as_str().unwrap_or_default().to_owned();
        self.with(|inner| *inner.refusals.entry(code).or_default() += 1);
    }

    /// Begins a cycle with the faults of those numbers; without any, the cycle ends.
    pub(crate) fn under(&self, faults: impl IntoIterator<Item = usize>) {
        self.with(|inner| {
            inner.now = 0;
            for fault in faults {
                inner.now |= 1 << fault;
                *inner.cycles.entry(fault).or_default() += 1;
            }
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

    /// Records that a stream was read to its end.
    pub(crate) fn streamed(&self, submit: &Submit, end: &Value, restarts: u64) {
        self.with(|inner| {
            inner.streams.ended += 1;
            inner.streams.restarts += restarts;
            inner.acknowledge(submit, end);
            inner.report(&submit.key, &end["text"]);
        });
    }

    /// Records that a client resumes a stream.
    pub(crate) fn resumed(&self) {
        self.with(|inner| inner.streams.resumed += 1);
    }

    /// Records that a poll saw the end.
    pub(crate) fn polled(&self, submit: &Submit, task: &Value) {
        self.with(|inner| inner.ended(&submit.key, task));
    }

    /// Records a violation of the router's promises.
    pub(crate) fn violated(&self, key: &str, harm: Harm, what: String) {
        self.with(|inner| inner.violated(key, harm, what));
    }

    /// All violations so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.with(|inner| inner.violations.iter().map(|(_, harm, what)| format!("{harm:?}: {what}")).collect())
    }

    /// The kinds of all violations so far.
    pub(crate) fn harms(&self) -> Vec<Harm> {
        self.with(|inner| inner.violations.iter().map(|(_, harm, _)| *harm).collect())
    }

    /// The faults with their cycles, and the promises that were broken under them.
    pub(crate) fn table(&self) -> String {
        self.with(|inner| {
            let mut table = format!("{:<30} {:>6}", "fault", "cycles");
            for (_, name) in HARMS {
                let _ = write!(table, " {name:>8}");
            }
            for (fault, name) in self.faults.iter().enumerate() {
                let cycles = inner.cycles.get(&fault).copied().unwrap_or_default();
                let _ = write!(table, "\n{name:<30} {cycles:>6}");
                for (harm, _) in HARMS {
                    let is_cell = |(under, is, _): &&(Under, Harm, String)| under & 1 << fault != 0 && *is == harm;
                    let _ = write!(table, " {:>8}", inner.violations.iter().filter(is_cell).count());
                }
            }
            table
        })
    }

    /// Compares everything that was acknowledged with the present state of the service.
    pub(crate) fn verify(&self, service: &dyn Service, sessions: &[u64]) -> Counts {
        let deadline = Instant::now() + PATIENCE;
        while service.is_busy() {
            assert!(Instant::now() < deadline, "tasks are left that do not end\n{}", service.state());
            thread::sleep(Duration::from_millis(20));
        }
        let mut found: HashMap<String, Vec<Value>> = HashMap::new();
        let mut workers = BTreeSet::new();
        for session in sessions {
            for task in tasks(service, *session) {
                let worked = task["assigned_miners"].as_array().into_iter().flatten().filter_map(Value::as_str);
                workers.extend(worked.map(str::to_owned));
                found.entry(task["prompt"].as_str().unwrap_or_default().to_owned()).or_default().push(task);
            }
        }
        let acknowledged = self.compare(found);
        self.with(|inner| Counts {
            submits: inner.submits,
            acknowledged,
            workers: workers.len() as u64,
            refusals: inner.refusals.clone(),
            streams: inner.streams,
        })
    }

    /// Compares everything that was acknowledged with the tasks that were found, by prompt. Gives the number of
    /// acknowledged tasks.
    pub(crate) fn compare(&self, mut found: HashMap<String, Vec<Value>>) -> u64 {
        self.with(|inner| {
            let keys: Vec<(String, Option<Ids>)> = inner.keys.iter().map(|(key, ids)| (key.clone(), *ids)).collect();
            let acknowledged = keys.iter().filter(|(_, ids)| ids.is_some()).count() as u64;
            for (key, ids) in keys {
                let tasks = found.remove(&key).unwrap_or_default();
                if tasks.len() > 1 {
                    inner.violated(&key, Harm::Doubled, format!("{key}: {} tasks", tasks.len()));
                }
                let Some(ids) = ids else { continue };
                let Some(task) = tasks.iter().find(|task| Ids::of(task) == Some(ids)) else {
                    let what = format!("{key}: acknowledged as {ids:?} and lost; there are {tasks:?}");
                    inner.violated(&key, Harm::Lost, what);
                    continue;
                };
                inner.ended(&key, task);
            }
            for prompt in found.into_keys() {
                inner.violated(&prompt, Harm::Wrong, format!("{prompt:?} was never submitted"));
            }
            acknowledged
        })
    }
}

/// Reads every task of a session, page by page.
fn tasks(service: &dyn Service, session: u64) -> Vec<Value> {
    let mut tasks = Vec::new();
    loop {
        let path = format!("/api/v1/tasks/{session}?format=array&limit={PAGE}&offset={}", tasks.len());
        match service.get(&path) {
            Value::Array(page) if page.is_empty() => return tasks,
            Value::Array(page) => tasks.extend(page),
            other => panic!("{path} is no array: {other}"),
        }
    }
}

impl Ids {
    fn of(body: &Value) -> Option<Self> {
        let number = |key: &str| body[key].as_u64();
        // An event of a stream has no gid; the last digits of its id are the gid.
        let in_id = || u64::from_str_radix(body["id"].as_str()?.get(13..)?, 16).ok();
        let gid = number("gid").or_else(in_id)?;
        Some(Self { session: number("session_id")?, task: number("task_id")?, gid })
    }
}

impl Inner {
    /// Notes that the key was in use under the present faults.
    fn note(&mut self, key: &str) {
        *self.under.entry(key.to_owned()).or_default() |= self.now;
    }

    fn violated(&mut self, key: &str, harm: Harm, what: String) {
        let under = self.now | self.under.get(key).copied().unwrap_or_default();
        self.violations.push((under, harm, what));
    }

    fn acknowledge(&mut self, submit: &Submit, body: &Value) {
        self.note(&submit.key);
        let Some(ids) = Ids::of(body) else {
            let what = format!("{submit:?}: acknowledged without ids: {body}");
            return self.violated(&submit.key, Harm::Wrong, what);
        };
        if ids.session != submit.session {
            let what = format!("{submit:?}: the acknowledgement names another session: {ids:?}");
            self.violated(&submit.key, Harm::Wrong, what);
        }
        let earlier = self.keys.insert(submit.key.clone(), Some(ids)).flatten();
        if let Some(earlier) = earlier.filter(|earlier| *earlier != ids) {
            let what = format!("{}: the same key led to {earlier:?} and to {ids:?}", submit.key);
            self.violated(&submit.key, Harm::Doubled, what);
        }
        let others = [
            self.by_task.insert((ids.session, ids.task), submit.key.clone()),
            self.by_gid.insert(ids.gid, submit.key.clone()),
        ];
        if let Some(other) = others.into_iter().flatten().find(|other| *other != submit.key) {
            let what = format!("{ids:?} was given to {other} and to {}", submit.key);
            self.violated(&submit.key, Harm::Doubled, what);
        }
    }

    /// Checks a task that has ended, as the router shows it.
    fn ended(&mut self, key: &str, task: &Value) {
        if task["status"] != 4 || task["outcome"] != "ok" {
            return self.violated(key, Harm::Lost, format!("{key}: it did not end well: {task}"));
        }
        self.report(key, &task["text"]);
    }

    fn report(&mut self, key: &str, text: &Value) {
        let is_answer = |text: &&str| {
            let numbered = text.strip_prefix("answer ").and_then(|rest| rest.strip_suffix(key)?.strip_suffix(" to "));
            numbered.is_some_and(|number| number.parse::<u64>().is_ok())
        };
        let Some(text) = text.as_str().filter(is_answer) else {
            return self.violated(key, Harm::Wrong, format!("{key}: {text} is no answer to it"));
        };
        let first = self.texts.entry(key.to_owned()).or_insert_with(|| text.to_owned()).clone();
        if first != text {
            self.violated(key, Harm::Changed, format!("{key}: {first:?} was reported, and now it is {text:?}"));
        }
    }
}
