//! Events in a minute, limited by `governor`.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::clock::Clock as RateClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::Clock;

/// The router's clock, for the rates.
#[derive(Debug, Clone, Copy)]
struct Time(Clock);

impl RateClock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().0)
    }
}

/// A number of events in a minute.
pub(super) struct Rate {
    pub(super) most: NonZeroU64,
    limiter: RateLimiter<NotKeyed, InMemoryState, Time, StateInformationMiddleware>,
}

impl Rate {
    pub(super) fn new(most: NonZeroU64, clock: Clock) -> Self {
        let burst = u32::try_from(most.get()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(burst), Time(clock)).with_middleware();
        Self { most, limiter }
    }

    /// Takes one event. Gives the number of events that are left now.
    ///
    /// # Errors
    /// The milliseconds after which there is one again.
    pub(super) fn take(&self) -> Result<u64, u64> {
        match self.limiter.check() {
            Ok(state) => Ok(u64::from(state.remaining_burst_capacity())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(RateClock::now(self.limiter.clock()));
                Err((wait.as_millis() as u64).max(1))
            }
        }
    }
}
