//! The faults of a proxy.

use std::time::Duration;

/// The faults of a proxy. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The faults of the bytes that a client sends.
    pub up: Way,
    /// The faults of the bytes that a client gets.
    pub down: Way,
    /// Whether nothing listens, so that new connections are refused.
    pub refuses: bool,
    /// Whether new connections end as soon as they are accepted.
    pub drops: bool,
}

/// The faults of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The delay of every byte.
    pub latency: Duration,
    /// The most that is added to the delay, by chance. Bytes stay in order.
    pub jitter: Duration,
    /// The bytes that pass in a second; `None`: as many as there are.
    pub bytes_per_sec: Option<u32>,
    /// The bytes of each write; `None`: as many as there are.
    pub slice: Option<usize>,
    /// Whether no byte passes. Bytes that wait pass once this ends, as after a loss that TCP repairs.
    pub held: bool,
    /// Both ends see a reset after that number of bytes of a connection.
    pub reset_after: Option<u64>,
    /// The direction ends after that number of bytes of a connection, and the other direction goes on.
    pub close_after: Option<u64>,
}

impl Faults {
    /// Faults of both directions.
    pub fn both(way: Way) -> Self {
        Self { up: way.clone(), down: way, ..Self::default() }
    }

    /// New connections are refused.
    pub fn refused() -> Self {
        Self { refuses: true, ..Self::default() }
    }

    /// Connections stay open, new ones are accepted, and no byte passes.
    pub fn black_hole() -> Self {
        Self::both(Way::held())
    }
}

impl Way {
    /// A direction in which no byte passes.
    pub fn held() -> Self {
        Self { held: true, ..Self::default() }
    }

    /// A direction that delays bytes by `latency` and up to `jitter` more.
    pub fn slow(latency: Duration, jitter: Duration) -> Self {
        Self { latency, jitter, ..Self::default() }
    }

    /// The least of the two numbers of bytes after which a connection ends, if there is one.
    pub(super) fn end(&self) -> Option<u64> {
        self.reset_after.into_iter().chain(self.close_after).min()
    }
}
