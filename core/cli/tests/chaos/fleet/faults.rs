//! The faults of a fleet, each at one of its routers, and the order in which they come.

use std::thread;
use std::time::Duration;

use cortensor_router_testkit::random::Random;

use super::super::links::Kinds;
use super::database::{Database, ROUTERS};
use super::members::Members;
use super::miners::Miners;

/// A fault of one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Pause,
    PauseLong,
    Drain,
    KillMiners,
    Link,
    DatabaseLink,
    DatabaseRestart,
    DatabaseStorm,
    Failover,
}

impl Fault {
    /// All faults. The failover is the last.
    pub(crate) const ALL: [Self; 10] = [
        Self::Kill,
        Self::Pause,
        Self::PauseLong,
        Self::Drain,
        Self::KillMiners,
        Self::Link,
        Self::DatabaseLink,
        Self::DatabaseRestart,
        Self::DatabaseStorm,
        Self::Failover,
    ];

    /// The fault in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 of a router",
            Self::Pause => "SIGSTOP of a router, short",
            Self::PauseLong => "SIGSTOP of a router, long",
            Self::Drain => "SIGTERM of a router",
            Self::KillMiners => "kill -9 of a router's miners",
            Self::Link => "links to a router",
            Self::DatabaseLink => "a router's way to the database",
            Self::DatabaseRestart => "immediate restart of PostgreSQL",
            Self::DatabaseStorm => "storm of cut connections",
            Self::Failover => "standby without last commits",
        }
    }

    /// The time for which the fault lasts. Long pauses outlast the lease.
    pub(super) fn time(self, lease: Duration, chance: &mut Random) -> Duration {
        let lease = lease.as_millis() as u64;
        Duration::from_millis(match self {
            // Some are back before anybody has noticed, and some when their tasks run elsewhere.
            Self::Kill => chance.below(lease * 3),
            Self::Pause => chance.range(100, lease * 2 / 3),
            Self::PauseLong => chance.range(lease * 3 / 2, lease * 3 / 2 + 2_500),
            Self::Link | Self::DatabaseLink => chance.range(200, lease * 2),
            Self::DatabaseRestart => chance.below(lease),
            Self::KillMiners => chance.below(300),
            Self::Drain | Self::DatabaseStorm | Self::Failover => 0,
        })
    }
}

/// The faults that come, in their order: each of them as often as the others.
pub(super) struct Plan(Vec<Fault>);

impl Plan {
    /// Shuffles so many rounds of the faults whose names contain that text.
    pub(super) fn new(rounds: u64, fails_over: bool, only: &str, chance: &mut Random) -> Self {
        let mut all = Vec::new();
        let count = Fault::ALL.len() - usize::from(!fails_over);
        let wanted: Vec<Fault> = Fault::ALL[..count].iter().copied().filter(|one| one.name().contains(only)).collect();
        for _ in 0..rounds {
            let mut round = wanted.clone();
            while !round.is_empty() {
                all.push(round.swap_remove(chance.below(round.len() as u64) as usize));
            }
        }
        Self(all)
    }

    /// The faults of the next cycle, each with its router: one, or two at once at different routers. Commits are lost alone,
    /// because a task may be lost if its router dies with them.
    pub(super) fn next(&mut self, chance: &mut Random) -> Option<Vec<(Fault, usize)>> {
        let at = chance.below(ROUTERS as u64) as usize;
        let first = self.0.pop()?;
        let mut faults = vec![(first, at)];
        let second = self.0.last().copied().filter(|second| *second != first && *second != Fault::Failover);
        if first != Fault::Failover
            && chance.chance(30)
            && let Some(second) = second
        {
            self.0.pop();
            faults.push((second, (at + 1) % ROUTERS));
        }
        // The first one ends last: a router starts or ends well once the others are over.
        faults.sort_by_key(|(fault, _)| !matches!(fault, Fault::Kill | Fault::Drain));
        Some(faults)
    }
}

/// Everything that can be broken.
pub(super) struct Rig<'a> {
    members: &'a Members<'a>,
    miners: &'a Miners,
    database: &'a Database,
    lease: Duration,
    kinds: Kinds,
    failovers: u64,
}

impl<'a> Rig<'a> {
    /// Makes the rig. Nothing is broken yet.
    pub(super) fn new(members: &'a Members<'a>, miners: &'a Miners, database: &'a Database, lease: Duration) -> Self {
        Self { members, miners, database, lease, kinds: Kinds::default(), failovers: 0 }
    }

    /// How often each kind of a connection's fault came, in words.
    pub(super) fn kinds(&self) -> String {
        self.kinds.words()
    }

    /// Whether commits were ever lost.
    pub(super) fn has_failed_over(&self) -> bool {
        self.failovers > 0
    }

    /// Lets the fault begin.
    pub(super) fn begin(&mut self, fault: Fault, at: usize, chance: &mut Random) {
        match fault {
            Fault::Kill => self.members.kill(at),
            Fault::Pause | Fault::PauseLong => self.members.pause(at, true),
            Fault::Drain => self.members.terminate(at),
            Fault::KillMiners => self.miners.kill(at),
            Fault::Link => self.kinds.spoil(self.members.link(at), chance),
            Fault::DatabaseLink => self.kinds.spoil(&self.database.ways[at], chance),
            Fault::DatabaseRestart => self.database.stop(),
            Fault::DatabaseStorm => {
                for _ in 0..chance.range(3, 12) {
                    self.database.cut_connections();
                    thread::sleep(Duration::from_millis(chance.below(200)));
                }
            }
            Fault::Failover => {
                // Tasks of members that died before have owners by now, and every member has written what it holds.
                let calm = self.lease * 2 + Duration::from_secs(3);
                thread::sleep(calm);
                self.failovers += 1;
                self.database.fail_over(Duration::from_millis(chance.range(100, 1_000)), calm * 3);
                thread::sleep(calm);
            }
        }
    }

    /// Ends the fault.
    pub(super) fn end(&self, fault: Fault, at: usize, chance: &mut Random) {
        match fault {
            Fault::Kill => self.members.revive(at),
            Fault::Pause | Fault::PauseLong => self.members.pause(at, false),
            Fault::Drain => {
                let ends = self.members.has_ended(at, Duration::from_secs(20));
                assert!(ends, "router {at} does not end when it is asked to");
                thread::sleep(Duration::from_millis(chance.below(500)));
                self.members.revive(at);
            }
            Fault::KillMiners => self.miners.revive(),
            Fault::Link => self.members.link(at).mend(),
            Fault::DatabaseLink => self.database.ways[at].mend(),
            Fault::DatabaseRestart => self.database.restart(),
            Fault::DatabaseStorm | Fault::Failover => {}
        }
    }
}
