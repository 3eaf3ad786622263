//! A bounded queue with an end, for Python threads.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    emptied: Condvar,
    bound: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// The result of a wait.
pub(crate) enum Taken<T> {
    Items(T),
    Nothing,
    Closed,
}

impl<T> Queue<T> {
    /// Makes a queue. A push waits while it holds `bound` items.
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new(), bound }
    }

    /// Puts an item in. Gives the item back if the queue was closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        while state.items.len() >= self.bound && !state.closed {
            self.emptied.wait(&mut state);
        }
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for the next item; `None` waits for ever. Items that are left when the queue is closed are given first.
    pub(crate) fn take(&self, timeout: Option<Duration>) -> Taken<T> {
        self.wait(timeout, VecDeque::pop_front)
    }

    /// Waits for items and takes all that are there.
    pub(crate) fn take_all(&self, timeout: Option<Duration>) -> Taken<VecDeque<T>> {
        self.wait(timeout, |items| (!items.is_empty()).then(|| std::mem::take(items)))
    }

    fn wait<R>(&self, timeout: Option<Duration>, mut take: impl FnMut(&mut VecDeque<T>) -> Option<R>) -> Taken<R> {
        let mut state = self.state.lock();
        loop {
            if let Some(taken) = take(&mut state.items) {
                drop(state);
                self.emptied.notify_all();
                return Taken::Items(taken);
            }
            if state.closed {
                return Taken::Closed;
            }
            match timeout {
                None => self.filled.wait(&mut state),
                // A spurious wake-up gives `Nothing` early, but callers wait in slices of time anyway.
                Some(timeout) if self.filled.wait_for(&mut state, timeout).timed_out() && state.items.is_empty() => {
                    return if state.closed { Taken::Closed } else { Taken::Nothing };
                }
                Some(_) => {}
            }
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}
