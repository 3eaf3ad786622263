//! The stream of a task's tokens, which the host pulls.

use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};
use std::ptr;

use cortensor_router::embed::{self, ErrorKind, Next, Result};
use parking_lot::{Mutex, RwLock};

use crate::guard::{done, give, not_yet, of, timeout};
use crate::table::{self, Table};
use crate::unwind::quietly;
use crate::{Error, Status, Task};

/// The tokens of a task, as they come. Only one thread may read a stream at a time. A stream counts as a handle of its
/// task.
#[derive(Debug)]
pub struct Stream {
    /// The stream; `None` after a subscriber has taken it.
    pub(crate) source: RwLock<Option<embed::Stream>>,
    /// The last event, which stays valid until the host asks for the next one.
    shown: Mutex<Option<Shown>>,
}

impl From<embed::Stream> for Stream {
    fn from(stream: embed::Stream) -> Self {
        Self { source: RwLock::new(Some(stream)), shown: Mutex::new(None) }
    }
}

/// The kinds of events.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A piece of the text: `data`. `seq` is its number, one more than that of the event before it. The first piece has
    /// number 1; each later start of the store adds 2^32 to the first number.
    Token = 1,
    /// A restart mark: all pieces before it are void, and the text begins again. `seq` is the number of the mark. It
    /// comes if another miner or a later start of the router begins the answer again, if the number to resume from does
    /// not belong to this text, or if the pieces of an ended task are no longer kept.
    Restart = 2,
    /// The end of the stream: the completion as JSON in `data`, or an `error` that is not NULL. Every stream has
    /// exactly one end, as its last event.
    End = 3,
}

/// One event of a stream.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// `sizeof(cortensor_event)`. The program that makes the struct must set it.
    pub struct_size: usize,
    /// The kind of the event.
    pub kind: EventKind,
    /// The number of the piece or mark; 0 for the end.
    pub seq: u64,
    /// The text: complete characters of UTF-8, without a NUL at the end.
    pub data: *const c_char,
    /// The number of bytes at `data`.
    pub len: usize,
    /// The error of a failed task, or NULL. It belongs to the event, so the host must not free it.
    pub error: *const Error,
}

// SAFETY: it is `repr(C)` with the size first. It is only ever written for the host, never read from it.
unsafe impl Table for Event {
    const LEAST: usize = offset_of!(Self, error) + size_of::<usize>();
}

/// An event with the data that it points to.
#[derive(Debug)]
pub(crate) enum Shown {
    Event(embed::Event),
    Failed(Box<Error>),
}

impl From<embed::Event> for Shown {
    fn from(event: embed::Event) -> Self {
        match event {
            embed::Event::End(Err(error)) => Self::Failed(Box::new(error.into())),
            event => Self::Event(event),
        }
    }
}

impl Shown {
    /// The event in the host's form. It is valid as long as `self`.
    pub(crate) fn event(&self) -> Event {
        let (kind, seq, data, error) = match self {
            Self::Event(embed::Event::Token { seq, text }) => (EventKind::Token, *seq, &text[..], ptr::null()),
            Self::Event(embed::Event::Restart { seq }) => (EventKind::Restart, *seq, &b""[..], ptr::null()),
            Self::Event(embed::Event::End(Ok(text))) => (EventKind::End, 0, text.as_bytes(), ptr::null()),
            // `From` has already turned a failed end into `Failed`.
            Self::Event(embed::Event::End(Err(_))) => (EventKind::End, 0, &b""[..], ptr::null()),
            Self::Failed(error) => (EventKind::End, 0, &b""[..], ptr::from_ref(&**error)),
        };
        Event { struct_size: size_of::<Event>(), kind, seq, data: data.as_ptr().cast(), len: data.len(), error }
    }
}

pub(crate) fn in_use() -> embed::Error {
    embed::Error::new(ErrorKind::Conflict, "another thread reads this stream: a stream has one consumer at a time")
        .with_code("stream_in_use")
}

pub(crate) fn subscribed() -> embed::Error {
    embed::Error::new(ErrorKind::Conflict, "this stream has a subscriber: open another one with cortensor_task_stream")
        .with_code("stream_in_use")
}

impl Stream {
    fn next(&self, timeout_ms: i64) -> Result<parking_lot::MutexGuard<'_, Option<Shown>>> {
        // The lock is held during the wait, so that a second reader gets an error and never frees the event that the
        // first one reads.
        let mut shown = self.shown.try_lock().ok_or_else(in_use)?;
        let source = self.source.read();
        *shown = match source.as_ref().ok_or_else(subscribed)?.next(timeout(timeout_ms))? {
            Next::Event(event) => Some(event.into()),
            Next::Timeout => return Err(not_yet("nothing came")),
            Next::Over => {
                let message = "the stream is over: its end was given before";
                return Err(embed::Error::new(ErrorKind::Closed, message).with_code("stream_over"));
            }
        };
        Ok(shown)
    }

    /// Calls `wake` when [`next`](Self::next) would return at once.
    pub(crate) fn notify(&self, wake: impl FnOnce() + Send + 'static) -> Result<()> {
        let source = self.source.try_read().ok_or_else(in_use)?;
        source.as_ref().ok_or_else(subscribed)?.notify(wake)
    }
}

/// Opens a stream of the task's tokens after the one with number `seq`; 0: from the first on. The task may have ended.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_stream(
    task: Option<&Task>,
    seq: u64,
    out: Option<&mut MaybeUninit<*mut Stream>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(task, "task")?.0.stream(seq))
}

/// Waits for the next event, at most for `timeout_ms`; a negative time is no limit. Blocks. `event->struct_size` must
/// be set. The event's data is valid until the next call for this stream. `CORTENSOR_STATUS_TIMEOUT`: no event came;
/// `CORTENSOR_STATUS_CLOSED` with the code `stream_over`: the end was given already. A failed task is not a failure of
/// this call: the event `CORTENSOR_EVENT_KIND_END` carries the error.
///
/// # Safety
/// `event` is NULL or has as many bytes as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_stream_next(
    stream: Option<&Stream>,
    timeout_ms: i64,
    event: *mut Event,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises that it begins with its size.
        unsafe { table::size(event, "event") }?;
        let shown = of(stream, "stream")?.next(timeout_ms)?;
        if let Some(shown) = &*shown {
            // SAFETY: its size was checked above, and the caller promises the rest.
            unsafe { table::write(event, &shown.event()) };
        }
        Ok(())
    })
}

/// Frees a stream. The task continues while another handle of it exists.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_stream_free(stream: Option<Box<Stream>>) {
    quietly(|| drop(stream));
}
