//! A timer that is set again and again, and rarely goes off.
//!
//! Setting a timer of the runtime takes a lock and moves it in a wheel. An alarm remembers when it is due instead: its
//! timer goes off at the time of an earlier setting, and is set anew only then.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::watch::Watch;

/// The alarm. Until it is polled for the first time, it has no timer.
#[derive(Debug)]
pub(in crate::listener) struct Alarm {
    due: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    watch: Watch,
}

impl Alarm {
    /// An alarm that goes off after that time.
    pub(in crate::listener) fn after(wait: Duration) -> Self {
        Self { due: Instant::now() + wait, timer: None, watch: Watch::default() }
    }

    /// Sets the alarm anew.
    pub(in crate::listener) fn set(&mut self, wait: Duration) {
        self.due = Instant::now() + wait;
    }

    /// Ready when the time is up.
    pub(in crate::listener) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if due < timer.deadline() {
            timer.as_mut().reset(due);
            self.watch.forget();
        }
        let is_due = timer.is_elapsed();
        self.watch.poll(cx, is_due, |cx| {
            loop {
                ready!(timer.as_mut().poll(cx));
                if timer.deadline() >= due {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(due);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_goes_off_when_its_last_setting_is_due() {
        let begin = Instant::now();
        let mut alarm = Alarm::after(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(6)).await;
        alarm.set(Duration::from_secs(10));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 16);
        alarm.set(Duration::from_secs(3));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 19, "an earlier time counts too");
    }

    proptest! {
        #[test]
        fn an_alarm_waits_as_long_as_a_timer(steps in prop::collection::vec((0_u64..20, 1_u64..20), 1..20)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut alarm = Alarm::after(Duration::from_secs(1));
                for (pass, wait) in steps {
                    // The alarm is polled between its settings, as a stream polls it that has nothing to say.
                    let polled = poll_fn(|cx| alarm.poll(cx));
                    let _ = tokio::time::timeout(Duration::from_secs(pass), polled).await;
                    alarm.set(Duration::from_secs(wait));
                    let since = Instant::now();
                    poll_fn(|cx| alarm.poll(cx)).await;
                    // The runtime's timers have a step of a millisecond.
                    assert_eq!(since.elapsed().as_millis().div_ceil(1_000), u128::from(wait));
                }
            });
        }
    }
}
