//! Work that is polled by the thread which makes it go on, without a switch to a thread of the runtime and back.
//!
//! A call of the host program into the router is a *visit* of the host's thread. Work that is woken during a visit is
//! polled at the end of the visit, on the same thread. Work that is woken elsewhere moves to the runtime and stays
//! there, and so does work that wakes itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tracing::Dispatch;

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here { depth: 0, woken: VecDeque::new() }) };
}

/// The visit of this thread.
struct Here {
    /// The number of calls of the host that this thread is inside: a call may call the host, which calls again.
    depth: usize,
    /// Work that was woken since the outermost of them began.
    woken: VecDeque<Arc<Work>>,
}

/// Makes a call of the host a visit: work that it wakes is polled before this returns.
pub(super) fn during<R>(call: impl FnOnce() -> R) -> R {
    let _visit = Visit::begin();
    call()
}

struct Visit {
    /// Whether the thread could count the visit. A thread that is ending cannot.
    counted: bool,
}

impl Visit {
    fn begin() -> Self {
        Self { counted: HERE.try_with(|here| here.borrow_mut().depth += 1).is_ok() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        // The thread is still inside while the work runs, so that work which this work wakes runs here, too.
        while let Some(work) = next() {
            if std::thread::panicking() { work.depart() } else { work.poll() }
        }
        HERE.with(|here| here.borrow_mut().depth -= 1);
    }
}

/// The next work of the outermost call; `None` in an inner one.
fn next() -> Option<Arc<Work>> {
    HERE.with(|here| {
        let mut here = here.borrow_mut();
        if here.depth > 1 { None } else { here.woken.pop_front() }
    })
}

/// Keeps woken work for the end of this thread's visit. Gives the work back if there is no visit.
fn keep(work: Arc<Work>) -> Option<Arc<Work>> {
    let mut work = Some(work);
    // A thread that is ending has no visit.
    let _ = HERE.try_with(|here| {
        let mut here = here.borrow_mut();
        if here.depth > 0 {
            here.woken.extend(work.take());
        }
    });
    work
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that is not tied to a thread. Its wakers own it, and so may the handle of its call.
pub(super) struct Work {
    runtime: Handle,
    /// The router's log. The runtime's own threads have it anyway.
    log: Option<Dispatch>,
    place: Mutex<Place>,
    /// How often the work was woken while it was polled, since it last waited. Work that a miner of the host answers at
    /// once wakes itself once; work that does so again would keep the host's thread.
    turns: AtomicUsize,
}

enum Place {
    /// It waits until it is woken.
    Waiting(Job),
    /// A thread polls it. Meanwhile it may be woken again, or be ended.
    Polled { woken: bool, ended: bool },
    /// The runtime has it.
    Departed(AbortHandle),
    /// It is over.
    Over,
}

impl Work {
    /// Starts work on this thread, as far as it gets without waiting.
    pub(super) fn start(
        runtime: &Handle,
        log: Option<&Dispatch>,
        job: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let place = Mutex::new(Place::Waiting(Box::pin(job)));
        let turns = AtomicUsize::new(0);
        let work = Arc::new(Self { runtime: runtime.clone(), log: log.cloned(), place, turns });
        during(|| work.poll());
        work
    }

    /// Ends the work where it stands. After its end this does nothing.
    pub(super) fn end(&self) {
        let job = {
            let mut place = self.place.lock();
            match &mut *place {
                Place::Waiting(_) => std::mem::replace(&mut *place, Place::Over),
                Place::Polled { ended, .. } => {
                    *ended = true;
                    return;
                }
                Place::Departed(task) => return task.abort(),
                Place::Over => return,
            }
        };
        // The end of the work may end tasks of the router, so it must come without the lock.
        during(|| drop(job));
    }

    fn poll(self: &Arc<Self>) {
        let Some(mut job) = self.take() else { return };
        let waker = Waker::from(Arc::clone(self));
        let done = {
            let _inside = self.runtime.enter();
            let _log = self.log.as_ref().map(tracing::dispatcher::set_default);
            job.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
        };
        let again = {
            let mut place = self.place.lock();
            match &*place {
                Place::Polled { ended: false, woken } if !done => {
                    let woken = *woken;
                    *place = Place::Waiting(job);
                    woken
                }
                _ => {
                    *place = Place::Over;
                    drop(place);
                    drop(job);
                    false
                }
            }
        };
        if again {
            self.depart();
        }
    }

    /// Takes the work to poll it. `None`: it cannot be polled here; a thread that polls it learns that it was woken.
    fn take(&self) -> Option<Job> {
        let mut place = self.place.lock();
        match std::mem::replace(&mut *place, Place::Polled { woken: false, ended: false }) {
            Place::Waiting(job) => return Some(job),
            Place::Polled { ended, .. } => *place = Place::Polled { woken: true, ended },
            other => *place = other,
        }
        None
    }

    /// Notes that the work was woken. Answers whether it must leave this thread after its present poll.
    fn is_restless(&self) -> bool {
        let mut place = self.place.lock();
        let Place::Polled { woken, .. } = &mut *place else {
            self.turns.store(0, Ordering::Relaxed);
            return false;
        };
        let restless = self.turns.fetch_add(1, Ordering::Relaxed) > 0;
        *woken |= restless;
        restless
    }

    /// Moves the work to the runtime.
    fn depart(&self) {
        let Some(job) = self.take() else { return };
        let task = self.runtime.spawn(job).abort_handle();
        let mut place = self.place.lock();
        if matches!(*place, Place::Polled { ended: true, .. }) {
            task.abort();
        }
        *place = Place::Departed(task);
    }
}

impl Wake for Work {
    fn wake(self: Arc<Self>) {
        if self.is_restless() {
            return;
        }
        if let Some(work) = keep(self) {
            work.depart();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::oneshot;

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    /// Work that waits for a message and then tells on which thread it went on.
    fn waiting(
        runtime: &Runtime,
    ) -> (oneshot::Sender<()>, Arc<Work>, std::sync::mpsc::Receiver<std::thread::ThreadId>) {
        let (wake, woken) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let work = Work::start(runtime.handle(), None, async move {
            if woken.await.is_ok() {
                let _ = tell.send(std::thread::current().id());
            }
        });
        (wake, work, told)
    }

    #[test]
    fn work_goes_on_where_a_visit_wakes_it_and_else_on_the_runtime() {
        let runtime = runtime();
        let here = std::thread::current().id();
        let (wake, _work, told) = waiting(&runtime);
        during(|| {
            during(|| wake.send(()).unwrap());
            assert!(told.try_recv().is_err(), "only the end of the outermost call polls");
        });
        assert_eq!(told.try_recv(), Ok(here));
        let (wake, _work, told) = waiting(&runtime);
        wake.send(()).unwrap();
        assert_ne!(told.recv().unwrap(), here);
    }

    #[test]
    fn work_that_is_over_or_ended_is_dropped_wherever_it_is() {
        let runtime = runtime();
        let (wake, work, told) = waiting(&runtime);
        work.end();
        assert!(wake.send(()).is_err() && told.recv().is_err(), "it waited");
        let (wake, work, told) = waiting(&runtime);
        work.depart();
        work.end();
        assert!(told.recv().is_err(), "the runtime had it");
        drop(wake);
        let (wake, work, told) = waiting(&runtime);
        during(|| wake.send(()).unwrap());
        work.end();
        assert!(told.recv().is_ok(), "it was over");
        let (wake, _work, told) = waiting(&runtime);
        drop(runtime);
        wake.send(()).unwrap();
        assert!(told.recv().is_err(), "a runtime that is gone drops it");
    }

    #[test]
    fn work_that_wakes_itself_leaves_the_hosts_thread() {
        let runtime = runtime();
        let polls = Arc::new(AtomicUsize::new(0));
        let (tell, told) = std::sync::mpsc::channel();
        let here = std::thread::current().id();
        let counted = polls.clone();
        Work::start(runtime.handle(), None, async move {
            for _ in 0..3 {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            let _ = tell.send(std::thread::current().id());
        });
        assert_ne!(told.recv().unwrap(), here);
        assert_eq!(polls.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn work_that_is_woken_from_another_thread_while_it_is_polled_is_not_lost() {
        let runtime = runtime();
        for _ in 0..200 {
            let (wake, woken) = oneshot::channel();
            let (tell, told) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || wake.send(()).unwrap());
            Work::start(runtime.handle(), None, async move {
                woken.await.unwrap();
                let _ = tell.send(());
            });
            thread.join().unwrap();
            told.recv().unwrap();
        }
    }
}
