//! Chooses the runtime for work that a thread starts.
//!
//! A listener may serve on threads of its own, each with its own runtime. All work of a request then stays on the
//! thread that reads the request: its task, the call to the upstream, and the connection of that call. No part of the
//! request waits for another thread to wake up. Work of other threads runs on the runtime in which the router was
//! opened.

use std::cell::RefCell;
use std::future::Future;
#[cfg(feature = "listener")]
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The number of the next home. Numbers are unique in the process; 0 means the router's own runtime.
#[cfg(feature = "listener")]
static NUMBERS: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    static HERE: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// A thread's runtime, and the work that runs on it.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    number: usize,
    runtime: Handle,
    running: TaskTracker,
}

#[cfg(feature = "listener")]
impl Home {
    /// Makes the current runtime the home of all work that starts on this thread. The runtime must run until
    /// [`left`](Self::left) has completed.
    pub(crate) fn settle() -> Self {
        let home = Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            runtime: Handle::current(),
            running: TaskTracker::new(),
        };
        HERE.set(Some(home.clone()));
        home
    }

    /// Waits until all work that started here has ended.
    pub(crate) async fn left(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

/// Runs a future at this thread's home, or on `runtime` if the thread has none.
pub(crate) fn spawn(runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
    HERE.with_borrow(|here| match here {
        Some(home) => drop(home.running.spawn_on(future, &home.runtime)),
        None => drop(runtime.spawn(future)),
    });
}

/// The number of this thread's home; 0: it has none. A connection is used again only at the home that made it.
pub(super) fn number() -> usize {
    HERE.with_borrow(|here| here.as_ref().map_or(0, |home| home.number))
}

#[cfg(test)]
#[cfg(feature = "listener")]
mod tests {
    use super::*;

    fn thread_of(runtime: &Handle) -> std::thread::ThreadId {
        let (sender, receiver) = std::sync::mpsc::channel();
        spawn(runtime, async move {
            let _ = sender.send(std::thread::current().id());
        });
        receiver.recv().unwrap()
    }

    #[test]
    fn work_stays_on_the_thread_that_has_a_home_and_is_waited_for() {
        let main = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = main.handle().clone();
        assert_eq!(number(), 0);
        assert_ne!(thread_of(&handle), std::thread::current().id());
        let own = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let home = Home::settle();
                assert_ne!(number(), 0);
                let (sender, receiver) = std::sync::mpsc::channel();
                spawn(&handle, async move {
                    tokio::task::yield_now().await;
                    let _ = sender.send(std::thread::current().id());
                });
                home.left().await;
                assert_eq!(receiver.try_recv().unwrap(), std::thread::current().id());
            });
        });
        own.join().unwrap();
    }
}
