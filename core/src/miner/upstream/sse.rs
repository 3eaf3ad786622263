//! Reads server-sent events from frames that may be cut anywhere, as the HTML standard defines them (section 9.2.6).
//!
//! The reader works on bytes, because events and UTF-8 sequences may be split over frames. An event inside one frame is
//! a slice of that frame; only an event that spans several frames is copied. Lines end with `\n`, `\r\n` or `\r`.
//! Several `data` lines are joined with `\n`. Comments, `id` and `retry` are skipped. Of the `event` name, the reader
//! keeps only whether it is `error`.
//!
//! The reader differs from the standard in three ways. It skips an event with blank data, because proxies send `data:`
//! as a sign of life and an empty text is not a chunk. It treats the line `error: {...}`, which old versions of
//! llama.cpp send, as the `data` of an event with the name `error`. It treats a line that begins with `{` and ends with
//! `}` as `data`, because servers write errors into a stream without a field name.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The beginnings by which a body is recognised as a stream of events.
const OPENINGS: &[&[u8]] = &[b"data:", b"event:", b"id:", b"retry:", b"error:", b":"];

/// The error of an event that is longer than an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// A complete event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The data. Only an error may have blank data.
    pub(super) data: Bytes,
    /// Whether its name says that it is an error.
    pub(super) is_error: bool,
}

/// Cuts a stream of bytes into events.
#[derive(Debug)]
pub(super) struct SseReader {
    /// The frame that is being read; empty while an unfinished event waits in `carry`.
    frame: Bytes,
    /// An event whose end has not come yet.
    carry: BytesMut,
    /// The offset at which the present line starts, in `frame` or `carry`.
    line: usize,
    /// The offset up to which the present line was searched for its end.
    seen: usize,
    most: usize,
    begun: bool,
    /// Whether the last event ended with a `\r`, whose `\n` may still come.
    after_cr: bool,
}

impl SseReader {
    /// A reader that takes events of up to `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { frame: Bytes::new(), carry: BytesMut::new(), line: 0, seen: 0, most, begun: false, after_cr: false }
    }

    /// Takes the next bytes. Between two calls, [`next`](Self::next) must be called until it returns `None`.
    pub(super) fn push(&mut self, mut frame: Bytes) {
        if !frame.is_empty() && std::mem::take(&mut self.after_cr) && frame.starts_with(b"\n") {
            frame.advance(1);
        }
        if self.carry.is_empty() && self.frame.is_empty() {
            self.frame = frame;
        } else {
            self.keep_frame();
            self.carry.extend_from_slice(&frame);
        }
    }

    /// The next complete event; `None`: more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Event>, TooLong> {
        if let Some(event) = self.next_plain() {
            return Ok(Some(event));
        }
        loop {
            let text = if self.carry.is_empty() { &self.frame[..] } else { &self.carry[..] };
            let Some(end) = event_end(text, &mut self.line, &mut self.seen) else {
                if text.len() > self.most {
                    return Err(TooLong);
                }
                self.keep_frame();
                return Ok(None);
            };
            self.after_cr = end == text.len() && text[end - 1] == b'\r';
            let lines =
                if self.carry.is_empty() { self.frame.split_to(end) } else { self.carry.split_to(end).freeze() };
            self.line = 0;
            self.seen = 0;
            if let Some(event) = self.read(lines) {
                return Ok(Some(event));
            }
        }
    }

    /// The next event, if it is one line `data: {...}` and a blank line in a frame, as nearly all events are.
    fn next_plain(&mut self) -> Option<Event> {
        const FIELD: &[u8] = b"data: ";
        let data = self.frame.strip_prefix(FIELD).filter(|data| data.starts_with(b"{"))?;
        let length = memchr2(b'\n', b'\r', data)?;
        if !self.carry.is_empty() || self.seen > 0 || !data[length..].starts_with(b"\n\n") {
            return None;
        }
        let data = self.frame.slice(FIELD.len()..FIELD.len() + length);
        self.frame.advance(FIELD.len() + length + 2);
        self.begun = true;
        self.after_cr = false;
        Some(Event { data, is_error: false })
    }

    /// The event that the end of the stream cut off before its blank line.
    pub(super) fn rest(&mut self) -> Option<Event> {
        self.keep_frame();
        let lines = self.carry.split().freeze();
        self.read(lines)
    }

    /// Copies the bytes that were not read, so that they keep no more memory than their own.
    pub(super) fn own(&mut self) {
        if !self.frame.is_empty() {
            self.frame = Bytes::copy_from_slice(&self.frame);
        }
    }

    fn keep_frame(&mut self) {
        if !self.frame.is_empty() {
            self.carry.extend_from_slice(&self.frame);
            self.frame.clear();
        }
    }

    fn read(&mut self, mut lines: Bytes) -> Option<Event> {
        if !std::mem::replace(&mut self.begun, true) && lines.starts_with(BYTE_ORDER_MARK) {
            lines.advance(BYTE_ORDER_MARK.len());
        }
        let (mut first, mut joined, mut is_error): (Option<&[u8]>, BytesMut, bool) = (None, BytesMut::new(), false);
        let mut rest = &lines[..];
        while !rest.is_empty() {
            // Of `\r\n` a line without bytes is left, which has no field and is ignored.
            let end = memchr2(b'\n', b'\r', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[][..], |end| &rest[end + 1..]);
            if line.is_empty() {
                continue;
            }
            let (name, value) = if is_bare_object(line) { (&b"data"[..], line) } else { field(line) };
            match name {
                b"event" => is_error = value.eq_ignore_ascii_case(b"error"),
                b"data" | b"error" => {
                    is_error |= name == b"error";
                    match first {
                        None => first = Some(value),
                        Some(first) => {
                            if joined.is_empty() {
                                joined.extend_from_slice(first);
                            }
                            joined.extend_from_slice(b"\n");
                            joined.extend_from_slice(value);
                        }
                    }
                }
                _ => {}
            }
        }
        let first = first?;
        let data = if joined.is_empty() { lines.slice_ref(first) } else { joined.freeze() };
        (is_error || !data.trim_ascii().is_empty()).then_some(Event { data, is_error })
    }
}

/// Whether a body with these first bytes is a stream of events; `None`: more bytes are needed. Leading blanks are
/// skipped.
pub(super) fn is_stream(start: &[u8]) -> Option<bool> {
    if start.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(start) {
        return None;
    }
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    if OPENINGS.iter().any(|opening| start.starts_with(opening)) {
        return Some(true);
    }
    (!OPENINGS.iter().any(|opening| opening.starts_with(start))).then_some(false)
}

/// The offset after the blank line that ends the first event.
fn event_end(text: &[u8], line: &mut usize, seen: &mut usize) -> Option<usize> {
    while let Some(offset) = memchr2(b'\n', b'\r', &text[*seen..]) {
        let at = *seen + offset;
        // A `\n` after `\r` belongs to the same line end.
        let is_second_half = text[at] == b'\n' && at > 0 && text[at - 1] == b'\r';
        let is_blank = at == *line && !is_second_half;
        *line = at + 1;
        *seen = at + 1;
        if is_blank {
            return Some(if text[at] == b'\r' && text.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 });
        }
    }
    *seen = text.len();
    None
}

/// Whether a line is an object without a field name.
fn is_bare_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && line.trim_ascii_end().ends_with(b"}")
}

/// The name and the value of a line's field. One leading blank of the value is removed. A comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b':', line) {
        Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
        None => (line, &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(frames: &[&[u8]]) -> Vec<String> {
        events(frames).into_iter().map(|(data, _)| data).collect()
    }

    fn events(frames: &[&[u8]]) -> Vec<(String, bool)> {
        let mut reader = SseReader::new(1 << 20);
        let mut out = Vec::new();
        let mut take = |event: Event| out.push((String::from_utf8(event.data.to_vec()).unwrap(), event.is_error));
        for frame in frames {
            reader.push(Bytes::copy_from_slice(frame));
            while let Some(event) = reader.next().unwrap() {
                take(event);
            }
        }
        if let Some(event) = reader.rest() {
            take(event);
        }
        out
    }

    const STREAM: &str = "\u{feff}: hello\n\ndata: {\"a\":\"żółć 🦀\"}\n\ndata:{\"b\":1}\r\n\r\n: ping\r\n\r\nevent: x\nid: 7\ndata: one\ndata:  two\ndata\n\n\n\ndata:\n\nretry: 5\n\nerror: {\"e\":1}\n\ndata: [DONE]\n\n";
    const EVENTS: [&str; 5] = ["{\"a\":\"żółć 🦀\"}", "{\"b\":1}", "one\n two\n", "{\"e\":1}", "[DONE]"];

    #[test]
    fn every_split_in_two_reads_the_same() {
        for cut in 0..=STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(cut);
            assert_eq!(read(&[left, right]), EVENTS, "cut at {cut}");
        }
    }

    #[test]
    fn a_byte_at_a_time_reads_the_same() {
        let frames: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(read(&frames), EVENTS);
    }

    #[test]
    fn an_event_in_one_frame_is_a_slice_of_it() {
        let frame = Bytes::from_static(b"data: abc\n\ndata: d");
        let mut reader = SseReader::new(100);
        reader.push(frame.clone());
        let data = reader.next().unwrap().unwrap().data;
        assert_eq!(data.as_ptr(), frame[6..].as_ptr());
        assert_eq!(reader.next(), Ok(None));
        assert_eq!(reader.rest().unwrap().data, "d");
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = SseReader::new(1_000);
        reader.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(reader.next(), Ok(None));
        reader.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(reader.next(), Err(TooLong));
    }

    /// Reads each case of the standard as a whole, cut in two at every byte, and byte by byte.
    #[test]
    fn the_standards_rules_hold_wherever_frames_are_cut() {
        let error = |data: &str| (data.to_owned(), true);
        let plain = |data: &str| (data.to_owned(), false);
        for (stream, wanted) in [
            // The example of section 9.2.6, with its comment, name and numbers.
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![plain("YHOO\n+2\n10")]),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                vec![plain("first event"), plain("second event"), plain(" third event")],
            ),
            ("data:test\n\ndata: test\n\n", vec![plain("test"), plain("test")]),
            // The three ends of a line, alone and mixed.
            ("data: a\n\ndata: b\n\n", vec![plain("a"), plain("b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![plain("a"), plain("b")]),
            ("data: a\r\rdata: b\r\r", vec![plain("a"), plain("b")]),
            (
                "data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r",
                vec![plain("a"), plain("b"), plain("c"), plain("d"), plain("e")],
            ),
            ("data: a\rdata: b\r\ndata: c\ndata: d\r\r\n\n\r", vec![plain("a\nb\nc\nd")]),
            // A byte order mark at the very start only.
            ("\u{feff}data: a\n\n", vec![plain("a")]),
            ("\u{feff}\r\rdata: a\n\n\u{feff}data: b\n\n", vec![plain("a")]),
            ("\u{feff}\u{feff}data: a\n\ndata: b\n\n", vec![plain("b")]),
            // Blank data, with and without a colon.
            ("data\n\ndata:\n\ndata: \n\ndata\ndata\n\ndata: a\n\n", vec![plain("a")]),
            ("data: a\ndata\n\ndata\ndata: b\n\n", vec![plain("a\n"), plain("\nb")]),
            // Unknown fields, some of them similar to known ones.
            (" data: x\nDATA: x\ndata : x\ndatas: x\nid: 7\nretry: 1\nretry: soon\n\ndata: a\n\n", vec![plain("a")]),
            ("data: a: b\n\ndata::\n\n", vec![plain("a: b"), plain(":")]),
            // Names.
            ("event: error\ndata: a\n\ndata: b\n\n", vec![error("a"), plain("b")]),
            ("data: a\nevent: Error\n\nevent: error\nevent: message\ndata: b\n\n", vec![error("a"), plain("b")]),
            ("event: error\n\ndata: a\n\nevent: error\ndata\n\n", vec![plain("a"), error("")]),
            ("event: errors\ndata: a\n\nevent\ndata: b\n\n", vec![plain("a"), plain("b")]),
            ("error: {}\n\n", vec![error("{}")]),
            // An object without a field name.
            ("data: a\n\n{\"error\": 1}\n\ndata: b\n\n", vec![plain("a"), plain("{\"error\": 1}"), plain("b")]),
            ("event: error\n{\"e\":1} \r\n\r\n{\n\n{\"x\": 1\n\ndata: a\n\n", vec![error("{\"e\":1} "), plain("a")]),
            // Unicode line separators and control characters, which do not end a line.
            ("data: 🦀\u{2028}\u{85}\u{b}ż\n\n", vec![plain("🦀\u{2028}\u{85}\u{b}ż")]),
            ("data: \u{0}\n\n", vec![plain("\u{0}")]),
            // The end without a blank line.
            ("data: a\n\ndata: b", vec![plain("a"), plain("b")]),
            ("", vec![]),
        ] {
            for cut in 0..=stream.len() {
                let (left, right) = stream.as_bytes().split_at(cut);
                assert_eq!(events(&[left, right]), wanted, "{stream:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(events(&bytes), wanted, "{stream:?} a byte at a time");
        }
    }

    #[test]
    fn an_event_is_there_with_the_last_byte_of_its_blank_line() {
        for end in ["\n\n", "\r\r", "\r\n\n", "\n\r"] {
            let mut reader = SseReader::new(100);
            reader.push(Bytes::from(format!("data: a{end}")));
            assert_eq!(reader.next().unwrap().unwrap().data, "a", "{end:?}");
        }
    }

    #[test]
    fn a_stream_is_known_by_its_first_bytes() {
        for stream in
            ["data: x", "data:", ":", ": ping", "event: x", "id: 1", "retry: 1", "\u{feff}data: x", "\n\ndata: x"]
        {
            assert_eq!(is_stream(stream.as_bytes()), Some(true), "{stream:?}");
        }
        for other in ["{\"a\":1}", "[", "<html>", "database", "x", "\u{feff}{", " {"] {
            assert_eq!(is_stream(other.as_bytes()), Some(false), "{other:?}");
        }
        for start in [&b""[..], b"d", b"data", b"\n", b"\xef\xbb", b"\xef\xbb\xbf", b"even"] {
            assert_eq!(is_stream(start), None, "{start:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(cuts in proptest::collection::vec(0..STREAM.len(), 0..40)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut frames = Vec::new();
            let mut from = 0;
            for cut in cuts {
                frames.push(&STREAM.as_bytes()[from..cut]);
                from = cut;
            }
            frames.push(&STREAM.as_bytes()[from..]);
            prop_assert_eq!(read(&frames), EVENTS);
        }

        #[test]
        fn any_bytes_read_the_same_however_they_are_cut(bytes in "(data: ?|event: error|:|e|\r|\n|\n\n|\r\n|x){0,60}", cuts in proptest::collection::vec(1usize..9, 1..9)) {
            let whole = events(&[bytes.as_bytes()]);
            let mut frames = Vec::new();
            let mut rest = bytes.as_bytes();
            let mut sizes = cuts.iter().cycle();
            while !rest.is_empty() {
                let (frame, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                frames.push(frame);
                rest = tail;
            }
            prop_assert_eq!(events(&frames), whole);
        }
    }
}
