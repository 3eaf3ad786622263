//! The way back to JavaScript: a queue for each environment (the main thread, a worker), and a weak function that wakes
//! the environment.

use std::fmt::Write as _;
use std::sync::Arc;

use cortensor_router::embed::{Call, Error, Job, LogRecord, LogSink};
use napi::Status;
use napi::bindgen_prelude::{Array, Env, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use parking_lot::Mutex;

use crate::error::Result;
use crate::near;
use crate::payload::Payload;

/// The number of a call that JavaScript waits for, or the number that it gave to a miner or a log sink.
pub(crate) type Id = i64;

/// Weak: it does not keep the event loop alive. `lib/bridge.cjs` does that, as long as a promise is pending.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Log records that wait for JavaScript; further ones are dropped while it is busy, and the next one says how many.
const MOST_RECORDS: usize = 1_024;

/// A message to JavaScript.
pub(crate) enum Event {
    /// The answer of a call.
    Answer(Id, std::result::Result<Payload, Error>),
    /// A job for a miner.
    Job(Id, Job),
    /// A record for a log sink.
    Log(Id, LogRecord),
}

/// The messages that wait. Any thread may add one.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// Whether the function was called and JavaScript has not emptied the queue yet.
    woken: bool,
    /// Whether the environment has ended.
    closed: bool,
    records: usize,
    dropped: u64,
}

impl Queue {
    /// Sends an event to JavaScript. If the environment has ended, the event is dropped, so that a job in it counts as
    /// failed.
    pub(crate) fn push(&self, event: Event) {
        let wake = {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                drop(event);
                return;
            }
            state.events.push(event);
            !std::mem::replace(&mut state.woken, true)
        };
        if wake && !near::note(self) {
            self.wake();
        }
    }

    /// Wakes the event loop.
    pub(crate) fn wake(&self) {
        if self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
            self.close();
        }
    }

    /// Makes the function that passes the answer of a call on.
    pub(crate) fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        id: Id,
        call: Call<T>,
        payload: impl FnOnce(T) -> Payload + Send + 'static,
    ) {
        let queue = self.clone();
        call.then(move |answer| queue.push(Event::Answer(id, answer.map(payload))));
    }

    /// Makes a function that answers a call with an empty value, as a signal.
    pub(crate) fn signal(self: &Arc<Self>, id: Id) -> impl FnOnce() + Send + 'static {
        let queue = self.clone();
        move || queue.push(Event::Answer(id, Ok(Payload::Nothing)))
    }

    /// Makes a log sink; `None` for the number 0.
    pub(crate) fn log_sink(self: &Arc<Self>, id: Id) -> Option<LogSink> {
        let queue = self.clone();
        (id != 0).then(|| Box::new(move |record: &LogRecord| queue.log(id, record)) as LogSink)
    }

    fn log(&self, id: Id, record: &LogRecord) {
        let mut record = record.clone();
        {
            let mut state = self.state.lock();
            if state.records >= MOST_RECORDS {
                state.dropped += 1;
                return;
            }
            state.records += 1;
            let dropped = std::mem::take(&mut state.dropped);
            if dropped > 0 {
                // Writing to a string never fails.
                let _ = write!(record.message, " dropped_before={dropped}");
            }
        }
        self.push(Event::Log(id, record));
    }

    fn take(&self) -> Vec<Event> {
        let mut state = self.state.lock();
        state.woken = false;
        state.records = 0;
        std::mem::take(&mut state.events)
    }

    fn close(&self) {
        let events = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.events)
        };
        // Dropping a job may send another event, so it must not happen while the lock is held.
        drop(events);
    }
}

/// An environment's end of the queue.
#[napi]
pub struct Bridge {
    pub(crate) queue: Arc<Queue>,
}

#[napi]
impl Bridge {
    /// The queue calls `wake`, on the event loop, when there are messages for [`drain`](Self::drain).
    #[napi(constructor)]
    pub fn new(wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build()?;
        Ok(Self { queue: Arc::new(Queue { state: Mutex::default(), wake }) })
    }

    /// Takes all messages, as a flat list of kind (0 answered, 1 failed, 2 a job, 3 a log record), number, value.
    #[napi]
    pub fn drain<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        let events = self.queue.take();
        let mut told = env.create_array(events.len() as u32 * 3)?;
        for (at, event) in (0..).step_by(3).zip(events) {
            let (kind, id, payload) = match event {
                Event::Answer(id, Ok(payload)) => (0, id, payload),
                Event::Answer(id, Err(error)) => (1, id, Payload::Error(error)),
                Event::Job(id, job) => (2, id, Payload::Job(job, self.queue.clone())),
                Event::Log(id, record) => (3, id, Payload::Record(record)),
            };
            told.set(at, kind)?;
            told.set(at + 1, id)?;
            told.set(at + 2, payload)?;
        }
        Ok(told)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.queue.close();
    }
}
