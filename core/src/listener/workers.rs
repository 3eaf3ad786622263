//! Threads that serve connections, each with its own runtime.
//!
//! A connection stays on its thread, and its requests run there too (see [`Home`]). An answer passes from the
//! upstream's socket to the client's without waking another thread, which would cost more than all other steps. A new
//! connection goes to the thread that has the fewest.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::miner::Home;
use crate::{Error, Result};

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = Box<dyn FnOnce(TcpStream) -> Serving + Send>;

/// The period of the pulse, which must be shorter than the timers of connections.
const PULSE: Duration = Duration::from_secs(5);

/// The number of polls after which a thread checks its sockets. A stream that is always ready takes about 0.1 ms a
/// poll, so a new request waits for at most 2 ms; with tokio's default, 61, it would wait 6 ms.
const POLLS: u32 = 16;

/// A connection on its way to its thread.
struct Newcomer {
    stream: std::net::TcpStream,
    start: Start,
    place: Place,
}

/// The threads of one listener. Without any, the current runtime serves. On drop, the threads drop their remaining
/// connections and end when the work that was started on them has ended.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    /// The channel is unbounded because the listener bounds its connections.
    newcomers: UnboundedSender<Newcomer>,
    connections: Arc<AtomicUsize>,
}

/// The place of one connection in its worker's count, given back on drop.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the system gives no more threads or files.
    pub(super) fn start(count: usize) -> Result<Self> {
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let failed = |error| Error::internal(format!("a thread of the listener does not start: {error}"));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .event_interval(POLLS)
                .build()
                .map_err(failed)?;
            let (newcomers, arriving) = unbounded_channel();
            std::thread::Builder::new()
                .name("cortensor-http".to_owned())
                .spawn(move || runtime.block_on(work(arriving)))
                .map_err(failed)?;
            threads.push(Worker { newcomers, connections: Arc::default() });
        }
        Ok(Self(threads))
    }

    /// Serves a connection on the thread that has the fewest.
    pub(super) fn serve<F>(&self, stream: TcpStream, start: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed)) else {
            drop(tokio::spawn(start(stream)));
            return;
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be passed to its thread");
                return;
            }
        };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&worker.connections));
        let start: Start = Box::new(|stream| Box::pin(start(stream)));
        if worker.newcomers.send(Newcomer { stream, start, place }).is_err() {
            tracing::error!("a thread of the listener is gone; its connection is closed");
        }
    }
}

/// Runs one thread: serves the connections that arrive.
async fn work(mut arriving: UnboundedReceiver<Newcomer>) {
    let home = Home::settle();
    let mut serving = JoinSet::new();
    // Setting a timer that is due before all others wakes the driver, and every idle connection has a timer. While this
    // pulse is due before them, they do not wake it.
    let mut pulse = tokio::time::interval(PULSE);
    loop {
        let newcomer = tokio::select! {
            newcomer = arriving.recv() => newcomer,
            Some(_) = serving.join_next() => continue,
            _ = pulse.tick() => continue,
        };
        let Some(Newcomer { stream, start, place }) = newcomer else { break };
        match TcpStream::from_std(stream) {
            Ok(stream) => {
                let connection = start(stream);
                serving.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }
    serving.shutdown().await;
    // Tasks outlive the connections that brought them, because they belong to the router, not to the listener.
    home.left().await;
}
