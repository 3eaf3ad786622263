//! The engine's clock: Unix milliseconds that never go back, even if the system's clock does.

use tokio::time::Instant;

use crate::model::Timestamp;

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    unix_ms: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self::at(Timestamp::wall_clock())
    }

    /// A clock that shows that time now.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { start: Instant::now(), unix_ms: now.0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.unix_ms + self.start.elapsed().as_millis() as u64)
    }

    /// Converts a time to an instant for timers.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        self.start + std::time::Duration::from_millis(at.0.saturating_sub(self.unix_ms))
    }

    /// Waits until that time; `None`: for ever.
    pub(super) async fn until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.instant(at)).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn uptime_secs(&self) -> u64 {
        self.start.elapsed().as_secs()
    }
}
