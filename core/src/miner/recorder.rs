//! A [`JobSink`] for tests of miners. It keeps every message and can play a slow or absent reader.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Chunk, Emit, Failure, Job, JobInfo, JobSink, MinerEvent};
use crate::model::{Answer, TaskRequest};

/// The messages of a job.
pub(super) struct Recorder {
    chunks: Mutex<Vec<Chunk>>,
    count: watch::Sender<usize>,
    end: Mutex<Option<Result<Answer, Failure>>>,
    ended: Notify,
    cancel: CancellationToken,
    worker: AtomicWaker,
    /// The number of further pieces after which the reader is slow.
    room: AtomicUsize,
    writable: Arc<Notify>,
}

impl Recorder {
    /// A reader that takes everything.
    pub(super) fn new() -> Arc<Self> {
        Self::with_room(usize::MAX)
    }

    /// A reader that is slow after this many pieces, until [`read`](Self::read).
    pub(super) fn with_room(room: usize) -> Arc<Self> {
        Arc::new(Self {
            chunks: Mutex::default(),
            count: watch::Sender::new(0),
            end: Mutex::default(),
            ended: Notify::new(),
            cancel: CancellationToken::new(),
            worker: AtomicWaker::new(),
            room: AtomicUsize::new(room),
            writable: Arc::new(Notify::new()),
        })
    }

    /// A job that reports to this recorder.
    pub(super) fn job(self: &Arc<Self>, request: TaskRequest, stream: bool) -> Job {
        let mut info = JobInfo::new(request);
        info.stream = stream;
        Job::new(info, Arc::clone(self) as Arc<dyn JobSink>)
    }

    /// Lets the reader catch up and take this many more pieces.
    pub(super) fn read(&self, room: usize) {
        self.room.store(room, Ordering::SeqCst);
        self.writable.notify_one();
    }

    pub(super) fn cancel(&self) {
        self.cancel.cancel();
        self.worker.wake();
    }

    pub(super) fn chunks(&self) -> Vec<Chunk> {
        self.chunks.lock().clone()
    }

    /// The number of pieces that came.
    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// The pieces' text.
    pub(super) fn text(&self) -> String {
        self.chunks.lock().iter().map(|chunk| chunk.text.as_str()).collect()
    }

    /// Waits until this many pieces have come.
    pub(super) async fn pieces(&self, count: usize) {
        let mut counts = self.count.subscribe();
        within(counts.wait_for(|now| *now >= count)).await.unwrap();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.lock().is_some()
    }

    /// Waits for the end.
    pub(super) async fn end(&self) -> Result<Answer, Failure> {
        within(async {
            loop {
                let ended = self.ended.notified();
                if let Some(end) = self.end.lock().clone() {
                    return end;
                }
                ended.await;
            }
        })
        .await
    }
}

impl JobSink for Recorder {
    fn emit(&self, chunk: Chunk) -> Emit {
        assert!(!self.has_ended(), "a piece after the end");
        self.chunks.lock().push(chunk);
        self.count.send_modify(|count| *count += 1);
        if self.cancel.is_cancelled() {
            return Emit::Cancelled;
        }
        let room = self.room.load(Ordering::SeqCst);
        assert!(room > 0, "a piece for a reader that had no room");
        if room == usize::MAX {
            return Emit::Ok;
        }
        self.room.store(room - 1, Ordering::SeqCst);
        if room == 1 { Emit::Full } else { Emit::Ok }
    }

    fn event(&self, event: MinerEvent) {
        let end = match event {
            MinerEvent::Accept => return,
            MinerEvent::Done(answer) => Ok(answer),
            MinerEvent::Fail(failure) => Err(failure),
            MinerEvent::Reject { reason, .. } => panic!("rejected: {reason}"),
        };
        assert!(self.end.lock().replace(end).is_none(), "two ends");
        self.ended.notify_waiters();
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.register(cx.waker());
        if self.cancel.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.cancel.clone().cancelled_owned().boxed()
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let (cancel, writable) = (self.cancel.clone(), Arc::clone(&self.writable));
        async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = writable.notified() => {}
            }
        }
        .boxed()
    }
}

/// Fails a test that hangs.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(10), future).await.expect("nothing happened for 10 s")
}
