//! The stream of a task's tokens: a host pulls events one by one or in batches, or gets them pushed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;

use super::call::may_block;
use super::callback::Callback;
use super::host::{Host, Quiesce};
use super::process::Bound;
use super::{notify, park, record};
use crate::router::{StreamEvent, TokenStream};
use crate::{Error, ErrorKind, Result};

/// The events of a stream.
#[derive(Debug, Clone)]
pub enum Event {
    /// A piece of the text.
    Token {
        /// The number of the piece, one more than that of the event before it. The first piece has number 1; each
        /// later start of the store adds 2^32 to the first number.
        seq: u64,
        /// The text of the piece: complete characters of UTF-8.
        text: Bytes,
    },
    /// A restart mark: all pieces before it are void, and the text begins again. See
    /// [`StreamEvent::Restart`](crate::StreamEvent::Restart) for the reasons.
    Restart {
        /// The number of this mark. The next piece has the next number.
        seq: u64,
    },
    /// The end of the stream, with the completion as JSON or the error. Every stream has exactly one, as its last
    /// event.
    End(Result<String>),
}

impl Event {
    fn of(event: StreamEvent) -> Self {
        match event {
            StreamEvent::Token { seq, text, .. } => Self::Token { seq, text: Bytes::from(text) },
            StreamEvent::Restart { seq } => Self::Restart { seq },
            StreamEvent::End(end) => Self::End(end.and_then(|completion| record::completion(&completion))),
        }
    }
}

/// The result of a wait for the next event.
#[derive(Debug, Clone)]
pub enum Next {
    /// An event.
    Event(Event),
    /// No event came within the timeout.
    Timeout,
    /// The stream is over: its end was given already.
    Over,
}

/// The tokens of a task, as they come. Only one thread may read a stream at a time. Dropping the stream does not cancel
/// the task while another handle of it exists.
pub struct Stream {
    host: Arc<Host>,
    reader: Bound<Mutex<Reader>>,
}

struct Reader {
    tokens: TokenStream,
    ready: VecDeque<Event>,
    over: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Reader {
    /// Resolves when `ready` has an event or the stream is over.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ready.is_empty() || self.over {
            return Poll::Ready(());
        }
        match self.tokens.poll_batch(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(batch) => {
                self.over = batch.is_none();
                self.ready.extend(batch.into_iter().flatten().map(Event::of));
                Poll::Ready(())
            }
        }
    }
}

impl Stream {
    pub(super) fn new(host: Arc<Host>, tokens: TokenStream) -> Self {
        Self { host, reader: Bound::new(Mutex::new(Reader { tokens, ready: VecDeque::new(), over: false })) }
    }

    fn reader(&self) -> Result<parking_lot::MutexGuard<'_, Reader>> {
        self.host.check_process()?;
        self.reader.try_lock().ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "another thread reads this stream: a stream has one consumer at a time")
                .with_code("stream_in_use")
        })
    }

    /// Waits for the next event, at most for `timeout`.
    ///
    /// # Errors
    /// `Conflict` while another thread reads the stream; `WouldDeadlock` on one of the router's worker threads.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Next> {
        let mut reader = self.reader()?;
        if reader.ready.is_empty() && !reader.over {
            may_block(Some(self.host.runtime()))?;
            if park::until(timeout, |cx| reader.fill(cx)).is_none() {
                return Ok(Next::Timeout);
            }
        }
        Ok(reader.ready.pop_front().map_or(Next::Over, Next::Event))
    }

    /// Waits for the next event and returns all events that are ready. Empty: the stream is over.
    ///
    /// # Errors
    /// `Conflict` while another thread reads the stream; `Closed` after a fork.
    pub async fn next_batch(&self) -> Result<Vec<Event>> {
        std::future::poll_fn(|cx| {
            let mut reader = match self.reader() {
                Ok(reader) => reader,
                Err(error) => return Poll::Ready(Err(error)),
            };
            reader.fill(cx).map(|()| Ok(reader.ready.drain(..).collect()))
        })
        .await
    }

    /// The events that are ready now, for callers that use [`notify`](Self::notify). `None`: the stream is over.
    ///
    /// # Errors
    /// `Conflict` while another thread reads the stream.
    pub fn take_ready(&self) -> Result<Option<Vec<Event>>> {
        let mut reader = self.reader()?;
        let ready = reader.fill(&mut Context::from_waker(std::task::Waker::noop()));
        let events: Vec<Event> = reader.ready.drain(..).collect();
        Ok(if ready.is_ready() && events.is_empty() { None } else { Some(events) })
    }

    /// Calls `f` once when [`take_ready`](Self::take_ready) has a result: at once, or on the thread that produces the
    /// event. `f` must neither block nor call the router. A later call replaces an earlier one.
    ///
    /// # Errors
    /// `Conflict` while another thread reads the stream.
    pub fn notify(&self, f: impl FnOnce() + Send + 'static) -> Result<()> {
        let waker = notify::waker(Box::new(f));
        let ready = self.reader()?.fill(&mut Context::from_waker(&waker));
        if ready.is_ready() {
            waker.wake();
        }
        Ok(())
    }

    /// Pushes every event to `subscriber`, in order, on threads of the router that may block.
    ///
    /// # Errors
    /// `Closed` if the router is closed.
    pub fn subscribe(self, subscriber: impl Subscriber) -> Result<Subscription> {
        let callback = Callback::<dyn Subscriber>::new(Arc::new(subscriber));
        let pushed = Arc::new(Pushed { callback: callback.clone(), over: Mutex::new(false), ended: Condvar::new() });
        let id = self.host.keep(pushed.clone())?;
        let host = self.host.clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let pump = async move {
            // The guard is dropped at the end of the pump, even if the runtime drops the pump.
            let pushing = Pushing(pushed);
            while let Some(Ok(batch)) = stopped.run_until_cancelled(self.next_batch()).await {
                let last = batch.iter().any(|event| matches!(event, Event::End(_)));
                let target = pushing.0.callback.clone();
                let given = self.host.runtime().spawn_blocking(move || {
                    batch.into_iter().all(|event| target.call(|subscriber| subscriber.on_event(event)))
                });
                if !given.await.unwrap_or(false) || last {
                    break;
                }
            }
            self.host.forget(id);
        };
        host.runtime().spawn(pump);
        Ok(Subscription { host, callback, stop })
    }
}

/// A subscriber to which events are pushed. A shutdown ends every stream and waits here until the subscriber has got
/// the end.
struct Pushed {
    callback: Arc<Callback<dyn Subscriber>>,
    over: Mutex<bool>,
    /// Notified when `over` becomes true.
    ended: Condvar,
}

impl Quiesce for Pushed {
    fn retire(&self) {
        self.callback.retire();
    }

    fn close(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut over = self.over.lock();
        while !*over {
            match deadline {
                None => self.ended.wait(&mut over),
                Some(deadline) if self.ended.wait_until(&mut over, deadline).timed_out() => return *over,
                Some(_) => {}
            }
        }
        drop(over);
        self.callback.close(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())))
    }
}

struct Pushing(Arc<Pushed>);

impl Drop for Pushing {
    fn drop(&mut self) {
        self.0.callback.retire();
        *self.0.over.lock() = true;
        self.0.ended.notify_all();
    }
}

/// The host's code that takes the events of one stream. It is dropped once, after the last call has ended.
pub trait Subscriber: Send + Sync + 'static {
    /// Takes an event. The call may block; the next event comes after it returns.
    fn on_event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync + 'static> Subscriber for F {
    fn on_event(&self, event: Event) {
        self(event);
    }
}

/// A handle of a subscription. Dropping it changes nothing; [`close`](Self::close) ends the subscription.
pub struct Subscription {
    host: Arc<Host>,
    callback: Arc<Callback<dyn Subscriber>>,
    /// Ends the pump, whose stream is a handle of the task.
    stop: CancellationToken,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Subscription {
    /// Pushes no further event, releases the stream, and waits for the running call. `false`: it did not end within
    /// `timeout`.
    ///
    /// # Errors
    /// `WouldDeadlock` inside a callback; `Closed` after a fork.
    pub fn close(&self, timeout: Option<Duration>) -> Result<bool> {
        self.host.check_process()?;
        super::callback::outside("close")?;
        self.stop.cancel();
        Ok(self.callback.close(timeout))
    }
}
