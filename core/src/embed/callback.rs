//! The callback law: no call of the host's code starts after the code was released; the code is released exactly once;
//! and it is released only after all calls of it have ended. [`Callback::close`] waits for that, so that the router
//! never runs the host's code afterwards.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::{Error, ErrorKind, Result};

thread_local! {
    /// The number of callbacks that this thread is inside.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread runs a callback of the host.
pub(super) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Refuses a call that waits for callbacks if it comes from inside a callback.
pub(super) fn outside(call: &str) -> Result<()> {
    if is_inside() {
        return Err(Error::new(
            ErrorKind::WouldDeadlock,
            format!(
                "{call} waits until no callback runs, and was called from inside of one: call it from another thread"
            ),
        ));
    }
    Ok(())
}

/// Code of the host, with a count of its running calls.
pub(super) struct Callback<T: ?Sized> {
    state: Mutex<State<T>>,
    idle: Condvar,
}

struct State<T: ?Sized> {
    host: Option<Arc<T>>,
    active: usize,
}

impl<T: ?Sized> Callback<T> {
    pub(super) fn new(host: Arc<T>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { host: Some(host), active: 0 }), idle: Condvar::new() })
    }

    /// Calls the host's code. `false`: the code was released and not called.
    pub(super) fn call(&self, with: impl FnOnce(&T)) -> bool {
        let host = {
            let mut state = self.state.lock();
            let Some(host) = state.host.clone() else { return false };
            state.active += 1;
            host
        };
        let call = Call { callback: self, host: Some(host) };
        DEPTH.set(DEPTH.get() + 1);
        if let Some(host) = &call.host {
            with(host);
        }
        drop(call);
        true
    }

    /// Lets no further call start. The host's code is dropped when the last running call has ended.
    pub(super) fn retire(&self) {
        let host = {
            let mut state = self.state.lock();
            state.host.take()
        };
        drop(host);
    }

    /// Lets no further call start, and waits for the running calls. `false`: they did not end within `timeout`.
    pub(super) fn close(&self, timeout: Option<Duration>) -> bool {
        self.retire();
        let mut state = self.state.lock();
        match timeout {
            None => {
                self.idle.wait_while(&mut state, |state| state.active > 0);
                true
            }
            Some(timeout) => !self.idle.wait_while_for(&mut state, |state| state.active > 0, timeout).timed_out(),
        }
    }
}

/// One running call. Its drop also handles a panic of the host's code.
struct Call<'a, T: ?Sized> {
    callback: &'a Callback<T>,
    host: Option<Arc<T>>,
}

impl<T: ?Sized> Drop for Call<'_, T> {
    fn drop(&mut self) {
        // The code is released before waiters are woken, so that it no longer exists when they continue.
        self.host.take();
        DEPTH.set(DEPTH.get() - 1);
        let mut state = self.callback.state.lock();
        state.active -= 1;
        if state.active == 0 {
            self.callback.idle.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Host(mpsc::Sender<&'static str>);

    impl Drop for Host {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }

    #[test]
    fn closing_waits_for_the_call_under_way_and_drops_the_host_once() {
        let (told, heard) = mpsc::channel();
        let callback = Callback::new(Arc::new(Host(told)));
        let (entered, inside) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let caller = callback.clone();
        let thread = std::thread::spawn(move || {
            assert!(caller.call(|host| {
                assert!(is_inside() && outside("shutdown").is_err());
                entered.send(()).unwrap();
                released.recv().unwrap();
                host.0.send("called").unwrap();
            }));
        });
        inside.recv().unwrap();
        assert!(!callback.close(Some(Duration::from_millis(1))), "a call is still under way");
        assert!(!callback.call(|_| unreachable!("no call starts after the close")));
        release.send(()).unwrap();
        assert!(callback.close(None));
        thread.join().unwrap();
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["called", "dropped"]);
    }
}
