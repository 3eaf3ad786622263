//! The host's log sink for one router.
//!
//! The router logs through `tracing` and installs no dispatcher for the process: the dispatcher below is set on the
//! router's own threads only. Records go through a bounded queue to a thread that calls the sink, so that a slow sink
//! does not delay the router.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::callback::Callback;
use crate::config::RuntimeConfig;
pub use crate::log::LogRecord;
use crate::log::LogRing;
use crate::{Error, Result};

/// The host's function for log records. It is called with one record at a time, on a thread that may block. It is
/// dropped once, after the last call has ended.
pub type LogSink = Box<dyn Fn(&LogRecord) + Send + Sync>;

type Sink = dyn Fn(&LogRecord) + Send + Sync;

/// The dispatcher of the router's threads, and the sink's thread, which it feeds.
pub(super) struct LogWorker {
    dispatch: Dispatch,
    /// `None`: there is no sink, and the lines go into the ring alone.
    sink: Option<(Arc<Callback<Sink>>, Arc<Progress>)>,
}

/// The records that were put into the queue, and those that the sink has got.
#[derive(Default)]
struct Progress {
    put: AtomicU64,
    given: Mutex<u64>,
    /// Notified when `given` grows.
    grown: Condvar,
}

impl Progress {
    /// Waits until the sink has got all records that are in the queue now. `false`: it has not within `timeout`.
    fn caught_up(&self, timeout: Option<Duration>) -> bool {
        let put = self.put.load(Ordering::Acquire);
        let mut given = self.given.lock();
        let behind = |given: &mut u64| *given < put;
        match timeout {
            None => {
                self.grown.wait_while(&mut given, behind);
                true
            }
            Some(timeout) => !self.grown.wait_while_for(&mut given, behind, timeout).timed_out(),
        }
    }
}

impl LogWorker {
    /// Starts the sink's thread. The ring keeps lines without a sink, too. `None`: nobody wants lines.
    pub(super) fn start(
        sink: Option<LogSink>,
        config: &RuntimeConfig,
        ring: Option<Arc<LogRing>>,
    ) -> Result<Option<Self>> {
        let ring = ring.filter(|ring| ring.most() > 0);
        let Some((sink, level)) = sink.zip(config.level()) else {
            return Ok(ring
                .map(|ring| Self { dispatch: Dispatch::new(Collector { sink: None, ring: Some(ring) }), sink: None }));
        };
        let (records, queue) = sync_channel(config.log_queue);
        let callback = Callback::<Sink>::new(Arc::from(sink));
        let target = callback.clone();
        let progress = Arc::<Progress>::default();
        let counted = progress.clone();
        std::thread::Builder::new()
            .name("cortensor-router-log".into())
            .spawn(move || deliver(&queue, &target, &counted))
            .map_err(|error| Error::internal(format!("the system gives no thread for the log: {error}")))?;
        let to_sink = ToSink { level, records, dropped: AtomicU64::new(0), progress: progress.clone() };
        let dispatch = Dispatch::new(Collector { sink: Some(to_sink), ring });
        Ok(Some(Self { dispatch, sink: Some((callback, progress)) }))
    }

    pub(super) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Delivers the records that wait and no further one. `false`: the sink was too slow for that within `timeout`, and
    /// goes on.
    pub(super) fn close(&self, timeout: Option<Duration>) -> bool {
        let Some((callback, progress)) = &self.sink else { return true };
        let begun = Instant::now();
        progress.caught_up(timeout) && callback.close(timeout.map(|timeout| timeout.saturating_sub(begun.elapsed())))
    }
}

fn deliver(queue: &Receiver<LogRecord>, sink: &Callback<Sink>, progress: &Progress) {
    let _last = Last(progress);
    while let Ok(record) = queue.recv() {
        if !sink.call(|sink| sink(&record)) {
            return;
        }
        *progress.given.lock() += 1;
        progress.grown.notify_all();
    }
}

/// The end of the sink's thread, also after a panic of the sink: nothing more is given, and nobody may wait for it.
struct Last<'a>(&'a Progress);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        *self.0.given.lock() = u64::MAX;
        self.0.grown.notify_all();
    }
}

thread_local! {
    static GUARD: RefCell<Option<tracing::dispatcher::DefaultGuard>> = const { RefCell::new(None) };
}

/// Makes this thread log to the sink from now on. The thread must be one of the router's own.
pub(super) fn set_for_thread(dispatch: &Dispatch) {
    let guard = tracing::dispatcher::set_default(dispatch);
    GUARD.with(|slot| *slot.borrow_mut() = Some(guard));
}

/// Turns events into records. Spans are left out, because the router's events carry all their fields themselves.
struct Collector {
    sink: Option<ToSink>,
    ring: Option<Arc<LogRing>>,
}

/// The queue of the sink.
struct ToSink {
    level: Level,
    records: SyncSender<LogRecord>,
    dropped: AtomicU64,
    progress: Arc<Progress>,
}

impl ToSink {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && crate::secrecy::logs_no_secret(metadata)
    }

    fn take(&self, event: &Event<'_>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        match self.records.try_send(LogRecord::of(event, dropped)) {
            Ok(()) => drop(self.progress.put.fetch_add(1, Ordering::Release)),
            Err(TrySendError::Full(_)) => drop(self.dropped.fetch_add(dropped + 1, Ordering::Relaxed)),
            // The sink is gone.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.wants(metadata)) || (self.ring.is_some() && LogRing::wants(metadata))
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        let sink = self.sink.as_ref().map(|sink| sink.level);
        let ring = self.ring.as_ref().map(|_| Level::INFO);
        sink.max(ring).map(Into::into)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(ring) = self.ring.as_ref().filter(|_| LogRing::wants(event.metadata())) {
            ring.take(event);
        }
        if let Some(sink) = self.sink.as_ref().filter(|sink| sink.wants(event.metadata())) {
            sink.take(event);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
