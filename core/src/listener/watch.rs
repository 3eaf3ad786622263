//! Spares the polls of a future that rarely becomes ready and stands beside another one that is polled often.

use std::task::{Context, Poll, Waker};

use tokio::task::coop::has_budget_remaining;

/// The waker that a future beside the work knows already. A future that was polled wakes its task by itself, so that
/// another poll before it is due tells nothing.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<Waker>);

impl Watch {
    /// Polls the future if it is due, or if it does not know the waker of this task.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        is_due: bool,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !is_due && self.0.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let polled = poll(cx);
        // A task that has used its budget up gets `Pending` from tokio's futures, which then note no waker.
        self.0 = has_budget_remaining().then(|| cx.waker().clone());
        polled
    }

    /// Makes the next poll reach the future, because it has forgotten the waker.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_polled_when_it_is_due_or_does_not_know_the_task() {
        let (mut watch, mut polls) = (Watch::default(), 0);
        let (one, other) = (Waker::from(std::sync::Arc::new(Sleeper)), Waker::noop());
        let mut poll = |waker: &Waker, is_due: bool, forgets: bool| {
            if forgets {
                watch.forget();
            }
            let polled = watch.poll(&mut Context::from_waker(waker), is_due, |_| {
                polls += 1;
                if is_due { Poll::Ready(()) } else { Poll::Pending }
            });
            assert_eq!(polled.is_ready(), is_due);
            polls
        };
        let steps = [
            (&one, false, false),
            (&one, false, false),
            (other, false, false),
            (other, false, true),
            (other, true, false),
        ];
        assert_eq!(steps.map(|(waker, is_due, forgets)| poll(waker, is_due, forgets)), [1, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_poll_without_budget_is_made_again() {
        let (mut watch, mut polls) = (Watch::default(), 0);
        std::future::poll_fn(|cx| {
            while has_budget_remaining() {
                let _ = std::pin::pin!(tokio::task::consume_budget()).poll(cx);
            }
            for _ in 0..2 {
                let _ = watch.poll(cx, false, |_| {
                    polls += 1;
                    Poll::<()>::Pending
                });
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(polls, 2);
    }

    struct Sleeper;

    impl std::task::Wake for Sleeper {
        fn wake(self: std::sync::Arc<Self>) {}
    }
}
