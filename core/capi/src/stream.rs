//! A task's tokens, pulled.

use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};
use std::ptr;

use cortensor_router::embed::{self, ErrorKind, Next, Result};
use parking_lot::{Mutex, RwLock};

use crate::guard::{done, give, not_yet, of, timeout};
use crate::table::{self, Table};
use crate::unwind::quietly;
use crate::{Error, Status, Task};

/// A task's tokens as they come. One thread at a time reads it. It holds its task as a task's handle does.
#[derive(Debug)]
pub struct Stream {
    /// The stream; `None` once a subscriber took it.
    pub(crate) source: RwLock<Option<embed::Stream>>,
    /// The event that the host sees until it asks for the next one.
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
    /// A piece of the text: `data`. `seq` is its number, one more than that of the event before it; the first is 1, and 2^32 more at each later start of the store.
    Token = 1,
    /// A restart mark: all pieces before it are void, and `seq` is the number of this mark. Another miner or a later
    /// start of the router begins anew, or the number to resume from does not belong to this text.
    Restart = 2,
    /// The end, exactly one and last: the completion as JSON in `data`, or `error`, which is then not NULL.
    End = 3,
}

/// One event of a stream.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// `sizeof(cortensor_event)`, set by the program that makes the struct.
    pub struct_size: usize,
    /// The kind of the event.
    pub kind: EventKind,
    /// The number of the piece.
    pub seq: u64,
    /// UTF-8, no NUL behind it; whole characters.
    pub data: *const c_char,
    /// Bytes at `data`.
    pub len: usize,
    /// The error, if there is no completion. It belongs to the event: do not free it.
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
    /// The event in the host's form; valid as long as this.
    pub(crate) fn event(&self) -> Event {
        let (kind, seq, data, error) = match self {
            Self::Event(embed::Event::Token { seq, text }) => (EventKind::Token, *seq, &text[..], ptr::null()),
            Self::Event(embed::Event::Restart { seq }) => (EventKind::Restart, *seq, &b""[..], ptr::null()),
            Self::Event(embed::Event::End(Ok(text))) => (EventKind::End, 0, text.as_bytes(), ptr::null()),
            // `From` sorts those out.
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
        // The lock is held while it waits, so that a second reader finds the stream in use and never frees the event
        // that the first one reads.
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
}

/// Opens a stream of the task's tokens after number `seq`; 0: from the first. It also works for a task that has
/// ended.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_stream(
    task: Option<&Task>,
    seq: u64,
    out: Option<&mut MaybeUninit<*mut Stream>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(task, "task")?.0.stream(seq)))
}

/// Waits for the next event, at most for `timeout_ms`; a negative time is no limit. Blocks. `event->struct_size` must
/// be set. The event's data lives until the next call for this stream. `CORTENSOR_STATUS_TIMEOUT`: nothing came;
/// `CORTENSOR_STATUS_CLOSED` with the code `stream_over`: the end was given before. A failed task is not a failure of
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

/// Frees a stream. Its task goes on while another handle of it exists.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_stream_free(stream: Option<Box<Stream>>) {
    quietly(|| drop(stream));
}
