//! The counts of a miner, for people and for Prometheus.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::miner::protocol::frame::Fate;

/// The counts of a miner since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct MinerClientStats {
    /// The miner's id: the id of its key, or else its name.
    pub miner_id: String,
    /// Whether the miner is connected to a router.
    pub connected: bool,
    /// The URL of the present router, or of the last one.
    pub router: String,
    /// The reason why the last connection ended or failed; empty: the miner is connected.
    pub last_error: String,
    /// Whether the miner drains and takes no new tasks.
    pub draining: bool,
    /// The maximum number of concurrent tasks.
    pub capacity: u32,
    /// The attempts that the miner holds, including answers that wait for their `final`.
    pub in_flight: u64,
    /// The number of connections that a router has welcomed.
    pub connections: u64,
    /// The number of offers that the miner took.
    pub accepted: u64,
    /// The number of offers that the miner did not take.
    pub rejected: u64,
    /// The number of answers that the backend finished.
    pub finished: u64,
    /// The number of answers that became results.
    pub committed: u64,
    /// The number of attempts that failed.
    pub failed: u64,
    /// The number of attempts that were cancelled.
    pub cancelled: u64,
    /// The number of pieces that were sent, including those sent again.
    pub frames: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    connected: AtomicBool,
    router: Mutex<String>,
    last_error: Mutex<String>,
    connections: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    finished: AtomicU64,
    committed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    frames: AtomicU64,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn connected(&self, router: &str) {
        router.clone_into(&mut self.router.lock());
        self.last_error.lock().clear();
        add(&self.connections, 1);
        self.connected.store(true, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self, router: &str, why: String) {
        router.clone_into(&mut self.router.lock());
        *self.last_error.lock() = why;
        self.connected.store(false, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) {
        add(&self.accepted, 1);
    }

    pub(super) fn rejected(&self) {
        add(&self.rejected, 1);
    }

    pub(super) fn finished(&self) {
        add(&self.finished, 1);
    }

    pub(super) fn failed(&self) {
        add(&self.failed, 1);
    }

    pub(super) fn cancelled(&self) {
        add(&self.cancelled, 1);
    }

    pub(super) fn frames(&self, count: usize) {
        add(&self.frames, count as u64);
    }

    pub(super) fn settled(&self, fate: Option<Fate>) {
        if fate == Some(Fate::Committed) {
            add(&self.committed, 1);
        }
    }

    pub(super) fn read(&self) -> MinerClientStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MinerClientStats {
            connected: self.connected.load(Ordering::Relaxed),
            router: self.router.lock().clone(),
            last_error: self.last_error.lock().clone(),
            connections: get(&self.connections),
            accepted: get(&self.accepted),
            rejected: get(&self.rejected),
            finished: get(&self.finished),
            committed: get(&self.committed),
            failed: get(&self.failed),
            cancelled: get(&self.cancelled),
            frames: get(&self.frames),
            ..MinerClientStats::default()
        }
    }
}

impl MinerClientStats {
    /// Writes the counts in Prometheus' text format.
    pub fn to_prometheus(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            let _ = write!(out, "# HELP cortensor_miner_{name} {help}.\n# TYPE cortensor_miner_{name} {kind}\n");
            let suffix = if kind == "counter" { "_total" } else { "" };
            let _ = writeln!(out, "cortensor_miner_{name}{suffix} {value}");
        };
        one("connected", "gauge", "Whether a router has the miner", u64::from(self.connected));
        one("draining", "gauge", "Whether the miner takes no new tasks", u64::from(self.draining));
        one("capacity", "gauge", "Tasks that it takes at a time", u64::from(self.capacity));
        one("in_flight", "gauge", "Attempts that it holds", self.in_flight);
        one("connections", "counter", "Connections that were welcomed", self.connections);
        one("offers_accepted", "counter", "Offers that it took", self.accepted);
        one("offers_rejected", "counter", "Offers that it did not take", self.rejected);
        one("answers_finished", "counter", "Answers that the backend finished", self.finished);
        one("answers_committed", "counter", "Answers that became results", self.committed);
        one("attempts_failed", "counter", "Attempts that failed", self.failed);
        one("attempts_cancelled", "counter", "Attempts that were cancelled", self.cancelled);
        one("frames_sent", "counter", "Pieces that were sent", self.frames);
        out.push_str("# EOF\n");
        out
    }
}
