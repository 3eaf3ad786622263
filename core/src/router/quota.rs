//! The meter of a key or of a session with limits. Every listener of a router uses one meter for a key, however its
//! token is sent.
//!
//! A task reserves the tokens that it may take, its prompt and its greatest answer, before it is admitted. At its end the
//! tokens that it took are counted instead. The counted tokens therefore exceed a limit by no more than miners use
//! beyond the estimate.
//!
//! Requests and tasks of a minute have a [`Rate`]. It cannot give back an event that was taken, so tokens are counted
//! here: in minutes and days of the router's clock, which never goes back, and in months.

use std::num::NonZeroU64;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::clock::Clock;
use super::rate::Rate;
use super::spent::Spent;
use crate::config::KeyLimits;
use crate::model::{Day, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// Milliseconds after which a caller should try again that has too much under way. Nobody knows when a task ends.
const AGAIN_MS: u64 = 1_000;

/// A limit as a client is told about it.
#[cfg(feature = "listener")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// The limit.
    pub(crate) limit: u64,
    /// The part of it that is left.
    pub(crate) remaining: u64,
    /// Milliseconds until all of it is there again.
    pub(crate) reset_ms: u64,
}

/// Counts what a key or a session uses, against its limits.
pub(crate) struct Meter {
    /// The words for whose meter it is, for errors: `this key`, or `session` and its id.
    whose: Arc<str>,
    clock: Clock,
    state: Mutex<State>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("limits", &self.state.lock().limits).finish_non_exhaustive()
    }
}

struct State {
    limits: KeyLimits,
    requests: Option<Rate>,
    tasks: Option<Rate>,
    /// The present minute since 1970, and the tokens that were counted in it.
    minute: (u64, u64),
    spent: Spent,
    /// The tokens that the tasks under way may take.
    reserved: u64,
    open_tasks: u64,
    open_streams: u64,
}

impl State {
    /// Brings the minute and the day up to date.
    fn turn(&mut self, now: Timestamp) {
        let minute = now.0 / MINUTE_MS;
        if minute > self.minute.0 {
            self.minute = (minute, 0);
        }
        self.spent.turn(Day::of(now));
    }

    /// The limits of tokens: name, limit, the tokens counted, and the time at which the count begins anew.
    fn windows(&self) -> [(&'static str, Option<NonZeroU64>, u64, Timestamp); 3] {
        let (limits, spent) = (&self.limits, &self.spent);
        let minute_ends = Timestamp((self.minute.0 + 1) * MINUTE_MS);
        [
            ("tokens_per_minute", limits.tokens_per_minute, self.minute.1, minute_ends),
            ("tokens_per_day", limits.tokens_per_day, spent.day, spent.on.end()),
            ("tokens_per_month", limits.tokens_per_month, spent.month, spent.on.end_of_month()),
        ]
    }
}

impl Meter {
    pub(super) fn new(whose: Arc<str>, limits: &KeyLimits, spent: Spent, clock: Clock) -> Arc<Self> {
        let mut state = State {
            limits: KeyLimits::default(),
            requests: None,
            tasks: None,
            minute: (0, 0),
            spent,
            reserved: 0,
            open_tasks: 0,
            open_streams: 0,
        };
        state.limit(limits, clock);
        Arc::new(Self { whose, clock, state: Mutex::new(state) })
    }

    /// Sets other limits. Rates whose limits do not change go on as they are.
    pub(super) fn limit(&self, limits: &KeyLimits) {
        self.state.lock().limit(limits, self.clock);
    }

    /// Whether there is a limit for a day or a month.
    pub(super) fn has_quotas(&self) -> bool {
        let state = self.state.lock();
        state.limits.tokens_per_day.is_some() || state.limits.tokens_per_month.is_some()
    }

    /// Sets what is used up, as the store has counted it for all routers.
    pub(super) fn set_spent(&self, spent: Spent) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.spent = spent;
        state.turn(now);
    }

    /// Counts tokens that nobody reserved.
    pub(super) fn count(&self, tokens: u64) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.turn(now);
        state.count(tokens);
    }

    /// Takes a request. Gives the requests that are left; `None`: they are not limited. The error is `Overloaded` with the
    /// code `rate_limited`.
    #[cfg(feature = "listener")]
    pub(crate) fn request(&self) -> (Option<Left>, Result<()>) {
        let Some((most, taken)) = self.requests_left() else { return (None, Ok(())) };
        let remaining = *taken.as_ref().unwrap_or(&0);
        let reset_ms = most.get().saturating_sub(remaining).saturating_mul(MINUTE_MS) / most;
        (Some(Left { limit: most.get(), remaining, reset_ms }), taken.map(drop))
    }

    /// Takes a request whose caller is told no headers.
    ///
    /// # Errors
    /// `Overloaded` with the code `rate_limited`.
    pub(super) fn take_request(&self) -> Result<()> {
        self.requests_left().map_or(Ok(()), |(_, taken)| taken.map(drop))
    }

    /// Takes a request. Gives the limit, and the requests that are left; `None`: they are not limited.
    fn requests_left(&self) -> Option<(NonZeroU64, Result<u64>)> {
        let state = self.state.lock();
        let rate = state.requests.as_ref()?;
        let taken = rate.take().map_err(|wait| self.too_fast("requests_per_minute", rate.most, wait));
        Some((rate.most, taken))
    }

    /// The tokens that are left in the shortest time for which they are limited.
    #[cfg(feature = "listener")]
    pub(crate) fn tokens(&self) -> Option<Left> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.turn(now);
        let (_, limit, used, ends) = state.windows().into_iter().find(|(_, limit, ..)| limit.is_some())?;
        let limit = limit?.get();
        let remaining = limit.saturating_sub(used.saturating_add(state.reserved));
        Some(Left { limit, remaining, reset_ms: ends.since(now) })
    }

    /// Admits a task that may take that many tokens.
    ///
    /// # Errors
    /// `Overloaded` with the code `rate_limited` or `quota_exceeded`.
    pub(super) fn admit(self: &Arc<Self>, estimate: u64) -> Result<Reservation> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.turn(now);
        if let Some(most) = state.limits.concurrent_tasks.filter(|most| state.open_tasks >= most.get()) {
            return Err(self.too_many("concurrent_tasks", most));
        }
        for (name, limit, used, ends) in state.windows() {
            let Some(limit) = limit else { continue };
            if estimate > limit.get() {
                return Err(Error::new(
                    ErrorKind::Overloaded,
                    format!(
                        "the task may take {estimate} tokens with its prompt and its longest answer, and {} may use \
                         {limit} ({name}): ask for fewer max_tokens",
                        self.whose
                    ),
                )
                .with_code("quota_exceeded")
                .with_param("max_tokens"));
            }
            if used.saturating_add(state.reserved).saturating_add(estimate) > limit.get() {
                let code = if name == "tokens_per_minute" { "rate_limited" } else { "quota_exceeded" };
                let left = limit.get().saturating_sub(used.saturating_add(state.reserved));
                return Err(Error::new(
                    ErrorKind::Overloaded,
                    format!(
                        "{} may use {limit} tokens ({name}), {left} are left, and the task may take {estimate}: ask for \
                         fewer max_tokens, or try again later",
                        self.whose
                    ),
                )
                .with_code(code)
                .with_retry_after_ms(ends.since(now).max(1)));
            }
        }
        if let Some(rate) = &state.tasks {
            rate.take().map_err(|wait| self.too_fast("tasks_per_minute", rate.most, wait))?;
        }
        state.open_tasks += 1;
        state.reserved = state.reserved.saturating_add(estimate);
        Ok(Reservation { meter: self.clone(), estimate, used: 0 })
    }

    /// Admits a stream.
    ///
    /// # Errors
    /// `Overloaded` with the code `rate_limited`.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<StreamPermit> {
        let mut state = self.state.lock();
        if let Some(most) = state.limits.concurrent_streams.filter(|most| state.open_streams >= most.get()) {
            return Err(self.too_many("concurrent_streams", most));
        }
        state.open_streams += 1;
        Ok(StreamPermit(self.clone()))
    }

    fn too_fast(&self, name: &str, most: NonZeroU64, wait: u64) -> Error {
        let words = format!("{} has used up its {most} ({name}): try again later", self.whose);
        Error::new(ErrorKind::Overloaded, words).with_code("rate_limited").with_retry_after_ms(wait)
    }

    fn too_many(&self, name: &str, most: NonZeroU64) -> Error {
        let words = format!(
            "{} has {most} under way, which are all that it may have ({name}): try again when one has ended",
            self.whose
        );
        Error::new(ErrorKind::Overloaded, words).with_code("rate_limited").with_retry_after_ms(AGAIN_MS)
    }
}

impl State {
    fn limit(&mut self, limits: &KeyLimits, clock: Clock) {
        for (rate, most) in
            [(&mut self.requests, limits.requests_per_minute), (&mut self.tasks, limits.tasks_per_minute)]
        {
            if rate.as_ref().map(|rate| rate.most) != most {
                *rate = most.map(|most| Rate::new(most, clock));
            }
        }
        self.limits = *limits;
    }

    fn count(&mut self, tokens: u64) {
        self.minute.1 = self.minute.1.saturating_add(tokens);
        let today = self.spent.on;
        self.spent.add(tokens, today);
    }
}

/// The place of a task under way, with the tokens that it may take. Dropping it gives both back.
pub(super) struct Reservation {
    meter: Arc<Meter>,
    estimate: u64,
    used: u64,
}

impl Reservation {
    /// Counts the tokens that the task took in place of those that were reserved.
    pub(super) fn settle(mut self, tokens: u64) {
        self.used = tokens;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let now = self.meter.clock.now();
        let mut state = self.meter.state.lock();
        state.turn(now);
        state.open_tasks = state.open_tasks.saturating_sub(1);
        state.reserved = state.reserved.saturating_sub(self.estimate);
        state.count(self.used);
    }
}

/// The way in which the tokens of a task are counted at its end.
pub(super) enum Charge {
    /// In place of those that were reserved for it, by the meters of its key and of its session.
    Reserved(SmallVec<[Reservation; 1]>),
    /// Under its key and its session, because an earlier start admitted it.
    Restored,
}

/// The place of an open stream, which is free again when this is dropped.
pub(crate) struct StreamPermit(Arc<Meter>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.open_streams = state.open_streams.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn most(number: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(number)
    }

    /// A runtime whose time stands still until a test moves it.
    fn paused() -> Runtime {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    fn meter(limits: KeyLimits) -> Arc<Meter> {
        Meter::new("this key".into(), &limits, Spent::default(), Clock::new())
    }

    #[derive(Debug, Clone)]
    enum Move {
        Admit(u64),
        /// Ends one of the tasks under way, which took this share of its estimate.
        End(usize, u8),
        Give(usize),
        Wait(u64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        prop::collection::vec(
            prop_oneof![
                5 => (0u64..400).prop_map(Move::Admit),
                3 => (0usize..9, 0u8..=100).prop_map(|(at, share)| Move::End(at, share)),
                1 => (0usize..9).prop_map(Move::Give),
                2 => (1u64..90_000).prop_map(Move::Wait),
                1 => (1u64..40).prop_map(|hours| Move::Wait(hours * 3_600_000)),
            ],
            1..150,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        /// Whatever is admitted and whenever it ends: what is counted and what may come stay within every limit, nothing
        /// that fits is refused, and nothing is lost.
        #[test]
        fn no_limit_is_ever_exceeded(moves in moves()) {
            let runtime = paused();
            let _guard = runtime.enter();
            let limits = KeyLimits::default()
                .tokens_per_minute(most(700))
                .tokens_per_day(most(1_500))
                .tokens_per_month(most(6_000))
                .concurrent_tasks(most(4));
            let meter = meter(limits);
            let mut open: Vec<(u64, Reservation)> = Vec::new();
            let mut counted = Vec::new();
            for step in moves {
                let now = meter.clock.now();
                match step {
                    Move::Admit(estimate) => {
                        let reserved: u64 = open.iter().map(|(estimate, _)| estimate).sum();
                        let of = |same: &dyn Fn(Timestamp) -> bool| -> u64 {
                            counted.iter().filter(|(at, _)| same(*at)).map(|(_, tokens)| tokens).sum()
                        };
                        let (minute, day) = (now.0 / MINUTE_MS, Day::of(now));
                        let fits = open.len() < 4
                            && of(&|at| at.0 / MINUTE_MS == minute) + reserved + estimate <= 700
                            && of(&|at| Day::of(at) == day) + reserved + estimate <= 1_500
                            && of(&|at| Day::of(at).first_of_month() == day.first_of_month()) + reserved + estimate
                                <= 6_000;
                        match meter.admit(estimate) {
                            Ok(reservation) => {
                                prop_assert!(fits, "{estimate} was admitted");
                                open.push((estimate, reservation));
                            }
                            Err(error) => {
                                prop_assert!(!fits, "{estimate} was refused: {error}");
                                prop_assert!(error.details().retry_after_ms.is_some());
                            }
                        }
                    }
                    Move::End(at, share) if !open.is_empty() => {
                        let (estimate, reservation) = open.remove(at % open.len());
                        let tokens = estimate * u64::from(share) / 100;
                        reservation.settle(tokens);
                        counted.push((now, tokens));
                    }
                    Move::Give(at) if !open.is_empty() => drop(open.remove(at % open.len())),
                    Move::End(..) | Move::Give(_) => {}
                    Move::Wait(millis) => runtime.block_on(tokio::time::advance(Duration::from_millis(millis))),
                }
                let mut state = meter.state.lock();
                state.turn(meter.clock.now());
                for (name, limit, used, _) in state.windows() {
                    prop_assert!(used + state.reserved <= limit.unwrap().get(), "{name}");
                }
                prop_assert_eq!(state.reserved, open.iter().map(|(estimate, _)| estimate).sum::<u64>());
                prop_assert_eq!(state.open_tasks, open.len() as u64);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_comes_back_with_time() {
        let meter = meter(KeyLimits::default().requests_per_minute(most(3)).tasks_per_minute(most(1)));
        let left: Vec<u64> = (0..3).map(|_| meter.request().0.unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let (left, refused) = meter.request();
        assert_eq!(left, Some(Left { limit: 3, remaining: 0, reset_ms: 60_000 }));
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Overloaded, "rate_limited"));
        let wait = error.details().retry_after_ms.unwrap();
        assert!((1..=20_000).contains(&wait), "{wait}");
        tokio::time::advance(Duration::from_millis(wait)).await;
        meter.request().1.unwrap();
        drop(meter.admit(0).unwrap());
        assert!(meter.admit(0).is_err_and(|error| error.message().contains("tasks_per_minute")));
        // Limits that change leave the other rate as it is.
        meter.limit(&KeyLimits::default().requests_per_minute(most(3)));
        assert!(meter.request().1.is_err());
        drop(meter.admit(0).unwrap());
        assert_eq!(meter.tokens(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_are_limited_while_they_are_open() {
        let meter = meter(KeyLimits::default().concurrent_streams(most(2)));
        let (one, _two) = (meter.stream().unwrap(), meter.stream().unwrap());
        assert!(meter.stream().is_err_and(|error| error.message().contains("concurrent_streams")));
        drop(one);
        meter.stream().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_no_limit_would_ever_admit_is_told_so() {
        let meter = meter(KeyLimits::default().tokens_per_day(most(100)));
        let Err(error) = meter.admit(101) else { panic!("it was admitted") };
        assert_eq!((error.code(), error.details().retry_after_ms), ("quota_exceeded", None));
        meter.admit(60).unwrap().settle(60);
        let Err(error) = meter.admit(60) else { panic!("it was admitted") };
        assert_eq!(error.code(), "quota_exceeded");
        assert!(error.message().contains("40 are left"), "{error}");
        let left = meter.tokens().unwrap();
        assert_eq!((left.limit, left.remaining, Some(left.reset_ms)), (100, 40, error.details().retry_after_ms));
        tokio::time::advance(Duration::from_millis(left.reset_ms)).await;
        meter.admit(60).unwrap();
    }

    #[test]
    fn a_day_and_a_month_end_in_utc() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let mut spent = Spent { on: day("2026-01-31"), day: 5, month: 50 };
        spent.add(1, day("2026-01-31"));
        assert_eq!((spent.day, spent.month), (6, 51));
        spent.add(1, day("2026-02-01"));
        assert_eq!((spent.day, spent.month), (1, 1));
        // A clock that is set back does not give tokens back.
        spent.add(1, day("2026-01-05"));
        assert_eq!(spent, Spent { on: day("2026-02-01"), day: 2, month: 2 });
    }
}
