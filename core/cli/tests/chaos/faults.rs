//! The faults, drawn so that all of them come in turn.

use std::time::Duration;

use cortensor_router_testkit::random::Random;

use super::clock::Clock;
use super::links::{Kinds, Links, card};
use super::miners::Miners;
use super::router::Router;

/// A fault of one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillRouter,
    KillMiners,
    KillBoth,
    PauseRouter,
    PauseRouterLong,
    PauseMiners,
    PauseMinersLong,
    ClientLink,
    MinerLink,
    UpstreamLink,
    FullDisk,
    ClockJump,
}

impl Fault {
    /// All faults. The jump of the clock is the last.
    pub(crate) const ALL: [Self; 12] = [
        Self::KillRouter,
        Self::KillMiners,
        Self::KillBoth,
        Self::PauseRouter,
        Self::PauseRouterLong,
        Self::PauseMiners,
        Self::PauseMinersLong,
        Self::ClientLink,
        Self::MinerLink,
        Self::UpstreamLink,
        Self::FullDisk,
        Self::ClockJump,
    ];

    /// The fault in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillRouter => "kill -9 of the router",
            Self::KillMiners => "kill -9 of the miners",
            Self::KillBoth => "kill -9 of router and miners",
            Self::PauseRouter => "SIGSTOP of the router, short",
            Self::PauseRouterLong => "SIGSTOP of the router, long",
            Self::PauseMiners => "SIGSTOP of the miners, short",
            Self::PauseMinersLong => "SIGSTOP of the miners, long",
            Self::ClientLink => "link from the clients",
            Self::MinerLink => "link from the miners",
            Self::UpstreamLink => "link to the upstream",
            Self::FullDisk => "full disk",
            Self::ClockJump => "jump of the clock",
        }
    }

    /// The time for which the fault lasts. The long pauses outlast the time after which a silent miner is given up.
    pub(crate) fn time(self, chance: &mut Random) -> Duration {
        Duration::from_millis(match self {
            Self::KillRouter | Self::KillMiners | Self::KillBoth => chance.below(60),
            Self::PauseRouter | Self::PauseMiners => chance.range(50, 400),
            Self::PauseRouterLong | Self::PauseMinersLong => chance.range(1_600, 2_200),
            Self::ClientLink | Self::MinerLink | Self::UpstreamLink => chance.range(200, 1_700),
            Self::FullDisk | Self::ClockJump => chance.range(200, 900),
        })
    }
}

/// Shuffled cards: every fault, and every kind of a link's fault, comes once before any comes again.
pub(crate) struct Deck {
    faults: Vec<Fault>,
    left: Vec<Fault>,
    /// The kinds of the links' faults.
    pub(crate) kinds: Kinds,
}

impl Deck {
    /// Makes the deck, with jumps of the clock if there is a clock that can jump.
    pub(crate) fn new(jumps: bool) -> Self {
        let faults = Fault::ALL.into_iter().filter(|fault| jumps || *fault != Fault::ClockJump).collect();
        Self { faults, left: Vec::new(), kinds: Kinds::default() }
    }

    /// Draws the faults of one cycle: one, or two at once.
    pub(crate) fn draw(&mut self, chance: &mut Random) -> Vec<Fault> {
        let count = if chance.chance(30) { 2 } else { 1 };
        let mut drawn: Vec<Fault> = (0..count).map(|_| card(&mut self.left, &self.faults, chance)).collect();
        drawn.dedup();
        drawn
    }
}

/// Everything that can be broken.
pub(crate) struct Rig<'a> {
    pub(crate) router: &'a Router<'a>,
    pub(crate) miners: &'a Miners,
    pub(crate) links: &'a Links,
    pub(crate) clock: Option<&'a Clock>,
}

impl Rig<'_> {
    /// Lets the fault begin.
    pub(crate) fn begin(&self, fault: Fault, chance: &mut Random, deck: &mut Deck) {
        match fault {
            Fault::KillRouter => self.router.kill(),
            Fault::KillMiners => self.miners.kill(),
            Fault::KillBoth => {
                self.router.kill();
                self.miners.kill();
            }
            Fault::PauseRouter | Fault::PauseRouterLong => self.router.pause(true),
            Fault::PauseMiners | Fault::PauseMinersLong => self.miners.pause(true),
            Fault::ClientLink => deck.kinds.spoil(&self.links.clients, chance),
            Fault::MinerLink => deck.kinds.spoil(&self.links.miners, chance),
            Fault::UpstreamLink => deck.kinds.spoil(&self.links.upstream, chance),
            Fault::FullDisk => self.router.fill_disk(true),
            Fault::ClockJump => self.set_clock(if chance.chance(50) { 100 } else { -100 }),
        }
    }

    /// Ends the fault. A router that was killed may be killed again while it starts.
    pub(crate) fn end(&self, fault: Fault, chance: &mut Random) {
        match fault {
            Fault::KillRouter | Fault::KillBoth => {
                // The end of another fault of this cycle may have started it.
                if !self.router.runs() {
                    while chance.below(6) == 0 {
                        self.router.start_and_kill_within(Duration::from_millis(chance.below(60)));
                    }
                    self.router.start();
                }
                self.miners.revive();
            }
            Fault::KillMiners => self.miners.revive(),
            Fault::PauseRouter | Fault::PauseRouterLong => self.router.pause(false),
            Fault::PauseMiners | Fault::PauseMinersLong => self.miners.pause(false),
            Fault::ClientLink => self.links.clients.mend(),
            Fault::MinerLink => self.links.miners.mend(),
            Fault::UpstreamLink => self.links.upstream.mend(),
            Fault::FullDisk => self.router.fill_disk(false),
            Fault::ClockJump => self.set_clock(0),
        }
    }

    fn set_clock(&self, ahead: i64) {
        if let Some(clock) = self.clock {
            clock.set(ahead);
        }
    }
}
