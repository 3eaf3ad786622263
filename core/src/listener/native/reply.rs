//! The bytes of answers: heads, and the frames of streams.

use std::cell::Cell;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::listener::answer::{Answer, Named};
use crate::listener::intake::LEFT_OUT;
use crate::listener::reply::{Failed, Family};
use crate::listener::sse::{Events, Layout};
use crate::listener::written::Written;

/// The most bytes that stand before the data of a frame: its length and the end of that line.
const BEFORE: usize = 16 + 2;

/// The end of a frame, and the last frame with its end.
const ENDS: [&[u8]; 2] = [b"\r\n", b"\r\n0\r\n\r\n"];

/// The last frame of a stream whose frame before it has ended.
const LAST: &[u8] = b"0\r\n\r\n";

/// An answer, ready to be written.
pub(super) enum Reply {
    Whole(Named, Written),
    Events(Named, Box<Events<dyn Layout>>),
    /// An error, or whatever else has headers of its own.
    Said(StatusCode, HeaderMap, Vec<u8>),
}

impl From<Failed> for Reply {
    fn from(failed: Failed) -> Self {
        let (status, headers, body) = failed.into_parts();
        Self::Said(status, headers, body)
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Whole(named, body) => Self::Whole(named, body),
            Answer::Events(named, events) => Self::Events(named, events),
            Answer::Failed(task, failed) => {
                let (status, mut headers, body) = failed.into_parts();
                if let Some(task) = task {
                    task.name(&mut headers);
                }
                Self::Said(status, headers, body)
            }
        }
    }
}

/// The end of a head.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    /// The length of the body; `None`: the body is a stream.
    pub(super) body: Option<usize>,
    /// Whether the connection ends after the answer.
    pub(super) closes: bool,
}

/// Writes the head of an answer about a task. `id`: the request's id that its caller gave; `more`: further headers.
pub(super) fn task_head(
    named: &Named,
    family: Family,
    id: Option<&HeaderValue>,
    more: &HeaderMap,
    ending: Ending,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(match ending.body {
        Some(_) => b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-cortensor-session: ",
        // These are the headers of `sse::HEADERS`.
        None => {
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
              x-accel-buffering: no\r\nx-cortensor-session: "
        }
    });
    push_number(named.session.0, out);
    out.extend_from_slice(b"\r\nx-cortensor-task: ");
    push_number(named.task.0, out);
    out.extend_from_slice(b"\r\nx-request-id: ");
    let push_id = |out: &mut Vec<u8>| match id {
        Some(id) => out.extend_from_slice(id.as_bytes()),
        None => named.id.push_id(out),
    };
    push_id(out);
    if family == Family::Anthropic {
        // This is the header `reply::ANTHROPIC_ID`.
        out.extend_from_slice(b"\r\nrequest-id: ");
        push_id(out);
    }
    out.extend_from_slice(b"\r\n");
    if let Some(kinds) = &named.left_out {
        push_header(&LEFT_OUT, kinds, out);
    }
    push_headers(more, out);
    push_ending(ending, out);
}

/// Writes the head of an answer that has headers of its own.
pub(super) fn head(status: StatusCode, headers: &HeaderMap, ending: Ending, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    out.extend_from_slice(b"\r\n");
    push_headers(headers, out);
    push_ending(ending, out);
}

fn push_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        push_header(name, value, out);
    }
}

fn push_header(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn push_ending(ending: Ending, out: &mut Vec<u8>) {
    if ending.closes {
        out.extend_from_slice(b"connection: close\r\n");
    }
    match ending.body {
        Some(length) => {
            out.extend_from_slice(b"content-length: ");
            push_number(length as u64, out);
            out.extend_from_slice(b"\r\ndate: ");
        }
        None => out.extend_from_slice(b"transfer-encoding: chunked\r\ndate: "),
    }
    push_date(out);
    out.extend_from_slice(b"\r\n\r\n");
}

fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The length of a date in a header.
const DATE: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

/// Writes the present date, which a thread makes once a second.
fn push_date(out: &mut Vec<u8>) {
    thread_local! {
        static MADE: Cell<(u64, [u8; DATE])> = const { Cell::new((u64::MAX, [b' '; DATE])) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (made, mut date) = MADE.get();
    if made != second {
        let text = httpdate::fmt_http_date(now);
        if text.len() == DATE {
            date.copy_from_slice(text.as_bytes());
        }
        MADE.set((second, date));
    }
    out.extend_from_slice(&date);
}

/// A part of a stream: the head of the answer if it is the first part, and one frame. The data of the frame is written
/// first, because its length stands before it.
pub(super) struct Part {
    out: Vec<u8>,
    /// The length of the room before the data.
    room: usize,
}

impl Part {
    /// Begins a part in that buffer.
    pub(super) fn begin(mut out: Vec<u8>, head: &[u8]) -> Self {
        let room = head.len() + BEFORE;
        out.resize(room, 0);
        Self { out, room }
    }

    /// The buffer, to which the data is appended.
    pub(super) fn data(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The number of bytes of data.
    pub(super) fn len(&self) -> usize {
        self.out.len() - self.room
    }

    /// Ends the part. Gives the buffer and the place in it at which the bytes to write begin. `is_last`: the stream
    /// ends.
    pub(super) fn end(mut self, head: &[u8], is_last: bool) -> (Vec<u8>, usize) {
        let length = self.len();
        let mut at = self.room;
        if length > 0 {
            self.out.extend_from_slice(ENDS[usize::from(is_last)]);
            at -= 2;
            self.out[at..at + 2].copy_from_slice(b"\r\n");
            let mut rest = length;
            while rest > 0 {
                at -= 1;
                self.out[at] = b"0123456789abcdef"[rest % 16];
                rest /= 16;
            }
        } else if is_last {
            self.out.extend_from_slice(LAST);
        }
        at -= head.len();
        self.out[at..at + head.len()].copy_from_slice(head);
        (self.out, at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listener::reply::ANTHROPIC_ID;
    use crate::listener::{request_id, sse};

    fn part(head: &[u8], data: &[u8], is_last: bool) -> String {
        let mut part = Part::begin(Vec::new(), head);
        part.data().extend_from_slice(data);
        let (out, at) = part.end(head, is_last);
        String::from_utf8(out[at..].to_vec()).unwrap()
    }

    #[test]
    fn a_part_has_the_head_and_one_frame() {
        assert_eq!(part(b"head", b"", false), "head");
        assert_eq!(part(b"", b"", true), "0\r\n\r\n");
        assert_eq!(part(b"head", b"hello, world", false), "headc\r\nhello, world\r\n");
        assert_eq!(part(b"", &[b'x'; 0x1a3], true), format!("1a3\r\n{}\r\n0\r\n\r\n", "x".repeat(0x1a3)));
    }

    #[test]
    fn the_head_of_a_stream_has_the_headers_of_a_stream() {
        let named = Named::of_test().leaving_out(&["web_search".to_owned(), "mcp".to_owned()]);
        let mut out = Vec::new();
        let ending = Ending { body: None, closes: true };
        task_head(&named, Family::Anthropic, None, &HeaderMap::new(), ending, &mut out);
        let out = String::from_utf8(out).unwrap();
        for (name, value) in sse::HEADERS {
            assert!(out.contains(&format!("\r\n{name}: {value}\r\n")), "{out}");
        }
        for name in [request_id::HEADER, ANTHROPIC_ID] {
            assert!(out.contains(&format!("\r\n{name}: {}\r\n", named.id.id())), "{out}");
        }
        assert!(out.contains(&format!("\r\n{LEFT_OUT}: web_search, mcp\r\n")), "{out}");
        assert!(out.contains("\r\nconnection: close\r\ntransfer-encoding: chunked\r\ndate: "), "{out}");
    }

    proptest! {
        #[test]
        fn numbers_are_written_in_decimal(number in any::<u64>()) {
            let mut out = Vec::new();
            push_number(number, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
