//! A running operation of the router. The caller can block on it, await it, or register a function that gets the
//! answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::Dispatch;

use super::visit::{self, Work};
use super::{callback, park};
use crate::{Error, ErrorKind, Result};

/// An operation that runs on the router's own threads. If the call is dropped, an operation that changes something
/// continues without its caller, and an operation that only waits ends.
///
/// A `Call` is a future for any runtime. [`wait`](Self::wait) blocks a thread; [`then`](Self::then) is for event loops.
#[must_use]
pub struct Call<T> {
    answer: oneshot::Receiver<Result<T>>,
    /// The router's runtime, whose own workers must not block; `None`: the answer is already there.
    runtime: Option<Handle>,
    /// Ends the operation when the call is dropped; `None`: the operation continues.
    abort: Option<Abort>,
    /// The answer if the router ended first.
    gone: fn() -> Result<T>,
}

/// An operation that can be ended.
#[derive(Clone)]
enum Abort {
    /// A task of the runtime.
    Task(AbortHandle),
    Work(Arc<Work>),
}

impl Abort {
    fn now(&self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Work(work) => work.end(),
        }
    }
}

impl std::fmt::Debug for Abort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Abort")
    }
}

impl<T> std::fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Call<T> {
    pub(super) fn spawn(runtime: &Handle, work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let (tell, answer) = oneshot::channel();
        runtime.spawn(async move {
            // The call may have been dropped.
            let _ = tell.send(work.await);
        });
        Self { answer, runtime: Some(runtime.clone()), abort: None, gone: given_up }
    }

    /// Starts an operation that ends when the call is dropped.
    pub(super) fn watch(runtime: &Handle, work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let (tell, answer) = oneshot::channel();
        let watching = runtime.spawn(async move {
            let _ = tell.send(work.await);
        });
        Self {
            answer,
            runtime: Some(runtime.clone()),
            abort: Some(Abort::Task(watching.abort_handle())),
            gone: given_up,
        }
    }

    /// The call, with this answer if the router ends first.
    pub(super) fn or(mut self, gone: fn() -> Result<T>) -> Self {
        self.gone = gone;
        self
    }

    /// A handle that ends this call, for callers that pass the call itself to [`then`](Self::then).
    pub fn canceller(&self) -> Canceller {
        Canceller(self.abort.clone())
    }

    /// Starts an operation on this thread, which may be the host's, as far as it gets without waiting. It goes on
    /// where it is woken, see [`visit`], and continues if the call is dropped.
    pub(super) fn visit(
        runtime: &Handle,
        log: Option<&Dispatch>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        let (tell, answer) = oneshot::channel();
        Work::start(runtime, log, async move {
            // The call may have been dropped.
            let _ = tell.send(work.await);
        });
        Self { answer, runtime: Some(runtime.clone()), abort: None, gone: given_up }
    }

    /// Starts an operation like [`visit`](Self::visit) that ends when the call is dropped. If its answer is already
    /// there, the call is ready at once, so that even a wait with a timeout of 0 returns the answer.
    pub(super) fn look(
        runtime: &Handle,
        log: Option<&Dispatch>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        let (tell, answer) = oneshot::channel();
        let work = Work::start(runtime, log, async move {
            let _ = tell.send(work.await);
        });
        Self { answer, runtime: Some(runtime.clone()), abort: Some(Abort::Work(work)), gone: given_up }
    }

    pub(super) fn ready(result: Result<T>) -> Self {
        let (tell, answer) = oneshot::channel();
        let _ = tell.send(result);
        Self { answer, runtime: None, abort: None, gone: given_up }
    }

    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// The operation's own errors; `WouldDeadlock` on one of the router's worker threads; `Closed` if the router was
    /// closed before the operation ended.
    pub fn wait(mut self) -> Result<T> {
        self.wait_for(None).unwrap_or_else(given_up)
    }

    /// Blocks at most for `timeout`. `None`: the answer is not there yet, and the operation continues.
    pub fn wait_for(&mut self, timeout: Option<Duration>) -> Option<Result<T>> {
        if let Err(error) = may_block(self.runtime.as_ref()) {
            return Some(Err(error));
        }
        park::until(timeout, |cx| Pin::new(&mut *self).poll(cx))
    }

    /// Calls `f` once with the answer: at once if the answer is there, else on the thread that produces it. `f` must
    /// neither block nor call the router. It is meant to pass the answer to the host's event loop.
    pub fn then(self, f: impl FnOnce(Result<T>) + Send + 'static) {
        let then = Arc::new(Then(Mutex::new(Some((self, Box::new(f) as Answer<T>)))));
        visit::during(|| then.look());
    }
}

/// Refuses to block one of the router's workers. The thread of a callback is not a worker and may block.
pub(super) fn may_block(runtime: Option<&Handle>) -> Result<()> {
    let ours = runtime.zip(Handle::try_current().ok()).is_some_and(|(ours, here)| ours.id() == here.id());
    if ours && !callback::is_inside() {
        return Err(Error::new(
            ErrorKind::WouldDeadlock,
            "this call blocks, and was made on a thread that does the router's own work: call it from a thread of the host's",
        ));
    }
    Ok(())
}

fn given_up<T>() -> Result<T> {
    let why = "the router was closed, or the call was given up, before the operation ended";
    Err(Error::new(ErrorKind::Closed, why))
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = self.gone;
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or_else(|_| gone()))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.now();
        }
    }
}

/// Ends a call like dropping it: an operation that only waits ends with `Closed`, and an operation that changes
/// something continues.
#[derive(Debug, Clone)]
pub struct Canceller(Option<Abort>);

impl Canceller {
    /// Ends the call. After the answer this does nothing.
    pub fn cancel(&self) {
        if let Some(abort) = &self.0 {
            abort.now();
        }
    }
}

type Answer<T> = Box<dyn FnOnce(Result<T>) + Send>;

struct Then<T>(Mutex<Option<(Call<T>, Answer<T>)>>);

impl<T: Send + 'static> Then<T> {
    fn look(self: &Arc<Self>) {
        let waker = Waker::from(self.clone());
        let answered = {
            let mut waiting = self.0.lock();
            let Some((call, _)) = waiting.as_mut() else { return };
            match Pin::new(call).poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => return,
                Poll::Ready(result) => waiting.take().map(|(_, f)| (result, f)),
            }
        };
        if let Some((result, f)) = answered {
            f(result);
        }
    }
}

impl<T: Send + 'static> Wake for Then<T> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}
