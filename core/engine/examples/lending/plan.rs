//! The size of a world, and the figures that all worlds have in common.

/// The slots of a miner.
pub(crate) const SLOTS: u32 = 4;
/// The sessions of a router.
pub(crate) const SESSIONS: u64 = 10;
/// The average time of a task, in milliseconds.
pub(crate) const SERVICE: f64 = 8_000.0;
/// The time of a frame over a link.
pub(crate) const WORD: u64 = 1;
/// The time of a commit.
pub(crate) const COMMIT: u64 = 2;
/// The times of the product: between two looks at the queue, and for which a wish stands.
pub(crate) const GAP: u64 = 4;
pub(crate) const ROUND: u64 = 20;
pub(crate) const STANDS: u64 = 250;
/// The time at which a world begins.
pub(crate) const START: u64 = 1_000;
/// The number of tasks that a wish names, and the routers that are asked at first.
pub(crate) const WANTS: usize = 8;
pub(crate) const FAN_OUT: usize = 4;

/// The size of a world, and what happens in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The routers to which tasks come.
    pub(crate) routers: usize,
    /// The engines that have the routers' tasks and miners: one for each router, or a single one for all.
    pub(crate) engines: usize,
    pub(crate) miners: usize,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    /// The tasks that come, as a share of what the miners can do.
    pub(crate) load: f64,
}

impl Plan {
    /// The routers that get more than the others, the first ones.
    pub(crate) fn busy(&self) -> usize {
        self.routers.div_ceil(10)
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.routers as u64 * SESSIONS
    }

    /// The miners of each engine but the last one.
    pub(crate) fn miners_each(&self) -> usize {
        self.miners.div_ceil(self.engines)
    }

    /// A world that shows the shares of sessions. All of them have work, but only for so long that its start does not count:
    /// while slots are free at first, busy sessions get ahead, and the others catch up for forty seconds. It is small, so that
    /// each session has many tasks.
    pub(crate) fn for_shares(&self) -> Self {
        let routers = self.routers.min(10);
        Self { routers, engines: routers, miners: routers * 50, seconds: 64, load: 2.0, ..*self }
    }

    /// These tasks and miners with one queue for all.
    pub(crate) fn central(&self) -> Self {
        Self { engines: 1, ..*self }
    }
}
