//! The mailbox: the router's messages to a language, until one of its threads takes them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use cortensor_router::embed::{Bound, Call, Canceller, Error, ErrorKind, Job, LogRecord, LogSink};
use parking_lot::{Condvar, Mutex};

use crate::error::Result;
use crate::message::NativeMessage;
use crate::{job, process, visit};

/// Log records that wait; further ones are dropped while the language is busy, and the next one says how many.
const MOST_RECORDS: usize = 1_024;

/// The messages that wait. Any thread may add one.
#[derive(Default)]
pub(crate) struct Post {
    state: Mutex<State>,
    /// Notified when a message comes in and when the mailbox is closed.
    filled: Condvar,
}

#[derive(Default)]
struct State {
    messages: Vec<NativeMessage>,
    /// Whether a thread was woken, or knows by itself, and has not taken the messages yet.
    woken: bool,
    closed: bool,
    /// Written to when a thread is to be woken.
    #[cfg(unix)]
    descriptor: Option<std::os::unix::net::UnixStream>,
    /// The handles of the calls that can be cancelled.
    held: HashMap<u64, Canceller>,
    records: usize,
    dropped: u64,
}

impl Post {
    /// Puts a message in. It neither blocks nor enters the language.
    pub(crate) fn push(&self, message: NativeMessage) {
        let wakes = {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                message.refuse();
                return;
            }
            state.messages.push(message);
            !std::mem::replace(&mut state.woken, true)
        };
        if wakes && !visit::note(self) {
            self.wake();
        }
    }

    /// Wakes a thread that waits for messages.
    pub(crate) fn wake(&self) {
        #[cfg(unix)]
        if let Some(descriptor) = &self.state.lock().descriptor {
            use std::io::Write as _;
            // A full socket wakes its reader anyway, and one without a reader has none to wake.
            let _ = (&mut &*descriptor).write(&[1]);
        }
        self.filled.notify_all();
    }

    /// Passes the answer of a call on.
    pub(crate) fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        token: u64,
        call: Call<T>,
        message: impl FnOnce(T) -> NativeMessage + Send + 'static,
    ) {
        let post = Arc::clone(self);
        call.then(move |answer| {
            post.push(answer.map_or_else(|error| NativeMessage::failed(token, &error), message));
        });
    }

    /// Passes the answer of a call on that [`NativeMailbox::cancel`] can cancel.
    pub(crate) fn answer_unless_cancelled<T: Send + 'static>(
        self: &Arc<Self>,
        token: u64,
        call: Call<T>,
        message: impl FnOnce(T) -> NativeMessage + Send + 'static,
    ) {
        self.state.lock().held.insert(token, call.canceller());
        let post = Arc::clone(self);
        call.then(move |answer| {
            let held = post.state.lock().held.remove(&token);
            // Dropping it may end work, so it must come without the lock.
            drop(held);
            post.push(answer.map_or_else(|error| NativeMessage::failed(token, &error), message));
        });
    }

    /// Makes a function that sends [`NativeMessage::Done`]. If it is dropped without a call, it sends the message, too:
    /// whoever waits for it must not wait for ever.
    pub(crate) fn signal(self: &Arc<Self>, token: u64) -> impl FnOnce() + Send + 'static {
        let signal = Signal { post: Arc::clone(self), token };
        move || drop(signal)
    }

    /// Sends a job to a miner.
    pub(crate) fn offer(self: &Arc<Self>, token: u64, job: Job) {
        self.push(NativeMessage::Job { token, job: Arc::new(job::NativeJob::new(job, Arc::clone(self))) });
    }

    /// Makes a log sink; `None` for the number 0.
    pub(crate) fn log_sink(self: &Arc<Self>, token: u64) -> Option<LogSink> {
        let post = Arc::clone(self);
        (token != 0).then(|| Box::new(move |record: &LogRecord| post.log(token, record)) as LogSink)
    }

    fn log(&self, token: u64, record: &LogRecord) {
        let mut message = record.message.clone();
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
                let _ = write!(message, " dropped_before={dropped}");
            }
        }
        let (level, target) = (record.level.to_owned(), record.target.to_owned());
        self.push(NativeMessage::Log { token, time_ms: record.time_ms, level, target, message });
    }

    fn take(state: &mut State) -> Vec<NativeMessage> {
        state.woken = false;
        state.records = 0;
        std::mem::take(&mut state.messages)
    }

    fn end(&self) {
        let (messages, held) = {
            let mut state = self.state.lock();
            state.closed = true;
            #[cfg(unix)]
            {
                state.descriptor = None;
            }
            (std::mem::take(&mut state.messages), std::mem::take(&mut state.held))
        };
        self.filled.notify_all();
        // Both may end work of the router, which sends messages.
        messages.into_iter().for_each(NativeMessage::refuse);
        drop(held);
    }
}

/// A message that is sent exactly once: when this is dropped.
struct Signal {
    post: Arc<Post>,
    token: u64,
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.post.push(NativeMessage::Done { token: self.token });
    }
}

/// A mailbox. Messages must be taken by one thread after another: by the thread that waits for them, and by the threads
/// whose own calls told that there are messages.
#[derive(uniffi::Object)]
pub struct NativeMailbox {
    pub(crate) post: Bound<Arc<Post>>,
}

impl NativeMailbox {
    pub(crate) fn post(&self) -> Result<&Arc<Post>> {
        self.post.check()?;
        Ok(&self.post)
    }
}

#[uniffi::export]
impl NativeMailbox {
    /// Makes a mailbox.
    #[uniffi::constructor]
    #[allow(clippy::new_without_default, reason = "the languages call it, and Rust does not")]
    pub fn new() -> Self {
        process::count_forks();
        Self { post: Bound::new(Arc::default()) }
    }

    /// A descriptor of a file that can be read when there are messages, for languages that wait by themselves. It
    /// belongs to the caller, who must read a byte of it before taking the messages. A second call replaces the first.
    pub fn descriptor(&self) -> Result<i32> {
        let post = self.post()?;
        #[cfg(unix)]
        {
            use std::os::fd::IntoRawFd as _;
            let pair = std::os::unix::net::UnixStream::pair().and_then(|(writer, reader)| {
                writer.set_nonblocking(true)?;
                Ok((writer, reader))
            });
            let (writer, reader) = pair.map_err(|error| {
                Error::new(ErrorKind::Unavailable, format!("the system gives no descriptor for the mailbox: {error}"))
            })?;
            post.state.lock().descriptor = Some(writer);
            Ok(reader.into_raw_fd())
        }
        #[cfg(not(unix))]
        {
            let _ = post;
            Err(Error::new(ErrorKind::Unavailable, "this system has no descriptors: wait with `ready`").into())
        }
    }

    /// Takes the messages that are there.
    pub fn take(&self) -> Result<Vec<NativeMessage>> {
        Ok(Post::take(&mut self.post()?.state.lock()))
    }

    /// Blocks until there are messages. `false`: `timeout_ms` has passed, or the mailbox was closed.
    pub fn ready(&self, timeout_ms: u64) -> Result<bool> {
        let post = self.post()?;
        let mut state = post.state.lock();
        let waits = |state: &mut State| state.messages.is_empty() && !state.closed;
        post.filled.wait_while_for(&mut state, waits, Duration::from_millis(timeout_ms));
        Ok(!state.messages.is_empty())
    }

    /// Cancels a call that only waits; its task is cancelled, too. The call is then answered with an error. After the
    /// answer this does nothing.
    pub fn cancel(&self, token: u64) -> Result<bool> {
        let post = self.post()?;
        let held = post.state.lock().held.remove(&token);
        Ok(visit::filled(post, || {
            if let Some(held) = held {
                held.cancel();
            }
        }))
    }

    /// Closes the mailbox: messages are dropped from now on, and jobs go to other miners.
    pub fn end(&self) {
        if let Ok(post) = self.post() {
            post.end();
        }
    }
}

impl Drop for NativeMailbox {
    /// Closes the mailbox, because messages must not pile up for a language that is gone.
    fn drop(&mut self) {
        self.end();
    }
}
