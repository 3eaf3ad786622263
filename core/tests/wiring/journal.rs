//! Everything that the clients of one world saw, and the numbers of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use parking_lot::Mutex;

use crate::miner;

/// The end of a task, as a client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It succeeded with that text.
    Text(String),
    /// It ended without success.
    Failed,
    /// Its cancellation was confirmed.
    Cancelled,
}

/// One piece of work of a client, which makes one task at most. Its name is also its prompt and, where the client may
/// ask for it again, its idempotency key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// The task's number in its session, once the router has told it.
    pub(crate) task: Option<u64>,
    /// The end, once the router has told it.
    pub(crate) end: Option<End>,
}

/// Everything that the clients of one world saw.
#[derive(Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// A line for each thing that happened.
    story: String,
    works: BTreeMap<String, Work>,
    violations: Vec<String>,
    counts: Counts,
    busy: usize,
}

impl Journal {
    /// Notes that a client or a host of the world did something.
    pub(crate) fn tell(&self, what: impl fmt::Display) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.tell_at(at, what);
    }

    /// Notes that the world did something at that time.
    pub(crate) fn tell_at(&self, at: Duration, what: impl fmt::Display) {
        let _ = writeln!(self.inner.lock().story, "{:>8.3} {what}", at.as_secs_f64());
    }

    /// Everything that happened, one line each.
    pub(crate) fn story(&self) -> String {
        self.inner.lock().story.clone()
    }

    /// Notes that a client begins or ends.
    pub(crate) fn client(&self, begins: bool) {
        let busy = &mut self.inner.lock().busy;
        *busy = if begins { *busy + 1 } else { *busy - 1 };
    }

    /// Whether all clients have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.lock().busy == 0
    }

    /// Notes that a client is about to send a request of a work.
    pub(crate) fn asks(&self, name: &str) {
        self.inner.lock().works.entry(name.to_owned()).or_default();
    }

    /// Notes that the router named the task of a work.
    pub(crate) fn names(&self, name: &str, task: u64) {
        self.tell(format_args!("{name} is task {task}"));
        let mut inner = self.inner.lock();
        let Inner { works, violations, .. } = &mut *inner;
        let earlier = works.entry(name.to_owned()).or_default().task.replace(task);
        if earlier.is_some_and(|earlier| earlier != task) {
            violations.push(format!("{name}: its key led to task {earlier:?} and to task {task}"));
        }
    }

    /// Notes that the router told the end of a work. It must not change.
    pub(crate) fn ends(&self, name: &str, end: End) {
        self.tell(format_args!("{name} ended: {end:?}"));
        if let End::Text(text) = &end
            && let Some(fault) = miner::fault_of(name, text)
        {
            self.violated(fault);
        }
        let mut inner = self.inner.lock();
        let Inner { works, violations, .. } = &mut *inner;
        match &mut works.entry(name.to_owned()).or_default().end {
            Some(earlier) if *earlier != end => {
                violations.push(format!("{name} ended as {earlier:?}, then as {end:?}"));
            }
            Some(_) => {}
            none => *none = Some(end),
        }
    }

    /// Notes that a promise was broken.
    pub(crate) fn violated(&self, what: String) {
        self.tell(&what);
        self.inner.lock().violations.push(what);
    }

    /// Counts.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.inner.lock().counts);
    }

    /// All pieces of work.
    pub(crate) fn works(&self) -> BTreeMap<String, Work> {
        self.inner.lock().works.clone()
    }

    /// The numbers of the world, if no promise was broken.
    pub(crate) fn outcome(&self) -> Result<Counts, String> {
        let inner = self.inner.lock();
        if inner.violations.is_empty() { Ok(inner.counts.clone()) } else { Err(inner.violations.join("\n")) }
    }
}

/// The numbers of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) tasks: u64,
    pub(crate) succeeded: u64,
    pub(crate) cancelled: u64,
    pub(crate) resumed: u64,
    pub(crate) restarts: u64,
    pub(crate) repeated: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Adds the numbers of another world.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.succeeded += other.succeeded;
        self.cancelled += other.cancelled;
        self.resumed += other.resumed;
        self.restarts += other.restarts;
        self.repeated += other.repeated;
        for (name, count) in &other.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }

    /// Fails if something hardly ever happened, because the run would then prove little.
    pub(crate) fn check_coverage(&self) {
        let rare: Vec<_> = self.faults.iter().filter(|(_, count)| **count < 20).collect();
        assert!(rare.is_empty() && self.faults.len() == crate::faults::KINDS, "rare faults: {:?}", self.faults);
        for (what, count, least) in [
            ("tasks that succeeded", self.succeeded, self.tasks / 2),
            ("cancelled tasks", self.cancelled, 20),
            ("streams that were resumed", self.resumed, 20),
            ("streams that began anew", self.restarts, 20),
            ("requests that were sent again", self.repeated, 20),
        ] {
            assert!(count >= least, "only {count} {what}: {self}");
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, succeeded, cancelled, resumed, restarts, repeated, faults } = self;
        write!(
            f,
            "{tasks} tasks, {succeeded} succeeded, {cancelled} cancelled; {resumed} streams resumed, {restarts} begun \
             anew; {repeated} requests sent again; faults: {faults:?}"
        )
    }
}
