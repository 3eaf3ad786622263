//! The bounded queue of a thread of a store.

use std::collections::VecDeque;
#[cfg(feature = "postgres")]
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "postgres")]
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The reason why the queue refuses an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

/// A queue, first in and first out. Taking waits for items; putting never waits.
///
/// A thread waits in [`take`](Queue::take). A task waits in [`filled`](Queue::filled) and takes without patience.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    /// The number of items that were ever put in.
    put: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    /// The task that waits for items.
    waiter: Option<Waker>,
}

impl<T> State<T> {
    /// Wakes the task that waits.
    fn wake(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// Closes the queue however its thread or task ends, so that no caller waits for ever.
pub(super) struct AbandonOnDrop<T>(pub(super) Arc<Queue<T>>);

impl<T> Drop for AbandonOnDrop<T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The result of waiting for items.
#[derive(Debug)]
pub(super) enum Taken<T> {
    Items(Vec<T>),
    /// No item came in time.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { items: VecDeque::new(), closed: false, waiter: None };
        Self { state: Mutex::new(state), filled: Condvar::new(), put: AtomicU64::new(0) }
    }

    /// Puts an item in, unless the queue holds `bound` items.
    pub(super) fn put(&self, item: T, bound: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= bound {
            return Err(Refused::Full);
        }
        self.push(&mut state, item);
        Ok(())
    }

    /// Puts the last item in, without a bound, and closes the queue.
    pub(super) fn put_last(&self, item: T) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        state.closed = true;
        self.push(&mut state, item);
        drop(state);
        self.filled.notify_all();
        Ok(())
    }

    fn push(&self, state: &mut State<T>, item: T) {
        state.items.push_back(item);
        // The count grows under the lock, so that it is never ahead of the queue.
        self.put.fetch_add(1, Ordering::Release);
        self.filled.notify_one();
        state.wake();
    }

    /// Closes the queue. Items inside can still be taken.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.wake();
        drop(state);
        self.filled.notify_all();
    }

    /// Closes the queue and drops its items.
    pub(super) fn abandon(&self) {
        let items = {
            let mut state = self.state.lock();
            state.closed = true;
            state.wake();
            std::mem::take(&mut state.items)
        };
        self.filled.notify_all();
        drop(items);
    }

    /// Waits until there are items, or the queue is closed.
    #[cfg(feature = "postgres")]
    pub(super) async fn filled(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if state.closed || !state.items.is_empty() {
                return Poll::Ready(());
            }
            state.waiter = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The number of items that were ever put in.
    pub(super) fn count(&self) -> u64 {
        self.put.load(Ordering::Acquire)
    }

    /// Waits for items, then takes them as long as `joins` agrees. `joins` gets the number of items taken so far and
    /// the next item. The first item is always taken.
    pub(super) fn take(&self, patience: Option<Duration>, mut joins: impl FnMut(usize, &T) -> bool) -> Taken<T> {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            match patience {
                None => self.filled.wait(&mut state),
                Some(patience) => {
                    if self.filled.wait_for(&mut state, patience).timed_out() && state.items.is_empty() {
                        return if state.closed { Taken::Closed } else { Taken::Idle };
                    }
                }
            }
        }
        let mut items = Vec::with_capacity(state.items.len().min(64));
        while let Some(next) = state.items.front() {
            if !joins(items.len(), next) && !items.is_empty() {
                break;
            }
            items.extend(state.items.pop_front());
        }
        Taken::Items(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_closed_one_is_emptied_first() {
        let queue = Queue::new();
        queue.put(1, 2).unwrap();
        queue.put(2, 2).unwrap();
        assert_eq!(queue.put(3, 2), Err(Refused::Full));
        queue.put_last(4).unwrap();
        assert_eq!(queue.put(5, 9), Err(Refused::Closed));
        assert_eq!(queue.put_last(5), Err(Refused::Closed));
        assert!(matches!(queue.take(None, |taken, _| taken < 2), Taken::Items(items) if items == [1, 2]));
        assert!(matches!(queue.take(None, |_, _| true), Taken::Items(items) if items == [4]));
        assert!(matches!(queue.take(None, |_, _| true), Taken::Closed));
        assert_eq!(queue.count(), 3);
    }

    #[test]
    fn an_empty_queue_is_idle_after_a_while() {
        let queue = Queue::<u8>::new();
        assert!(matches!(queue.take(Some(Duration::from_millis(1)), |_, _| true), Taken::Idle));
    }
}
