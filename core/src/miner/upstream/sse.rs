//! Server-sent events out of frames that are cut anywhere.
//!
//! Works on bytes: neither an event nor a UTF-8 sequence need arrive whole. An event that lies in one
//! frame is a slice of that frame; only what straddles frames is copied. Lines end with `\n` or
//! `\r\n`; comments and fields other than `data` are skipped, several `data` lines are joined with
//! `\n`. The line `error: {...}`, which old versions of llama.cpp send, counts as `data`.

use bytes::{Buf, Bytes, BytesMut};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event has more bytes than an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Cuts a stream of bytes into events.
#[derive(Debug)]
pub(super) struct SseReader {
    /// The frame that is being read; empty while an unfinished event waits in `carry`.
    frame: Bytes,
    /// An event whose end has not come yet.
    carry: BytesMut,
    /// Where the line that is being read starts, in `frame` or `carry`.
    line: usize,
    /// Up to where there is no line end after `line`.
    seen: usize,
    most: usize,
    begun: bool,
}

impl SseReader {
    /// A reader that takes events of up to `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { frame: Bytes::new(), carry: BytesMut::new(), line: 0, seen: 0, most, begun: false }
    }

    /// Takes the next bytes. Call [`next`](Self::next) until it answers `None` before the next `push`.
    pub(super) fn push(&mut self, frame: Bytes) {
        if self.carry.is_empty() && self.frame.is_empty() {
            self.frame = frame;
        } else {
            self.keep_frame();
            self.carry.extend_from_slice(&frame);
        }
    }

    /// The data of the next event that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let text = if self.carry.is_empty() { &self.frame[..] } else { &self.carry[..] };
            let Some(end) = event_end(text, &mut self.line, &mut self.seen) else {
                if text.len() > self.most {
                    return Err(TooLong);
                }
                self.keep_frame();
                return Ok(None);
            };
            let event =
                if self.carry.is_empty() { self.frame.split_to(end) } else { self.carry.split_to(end).freeze() };
            self.line = 0;
            self.seen = 0;
            if let Some(data) = self.data_of(event) {
                return Ok(Some(data));
            }
        }
    }

    /// The data of an event that the end of the stream cut off before its blank line.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        self.keep_frame();
        let event = self.carry.split().freeze();
        self.data_of(event)
    }

    fn keep_frame(&mut self) {
        if !self.frame.is_empty() {
            self.carry.extend_from_slice(&self.frame);
            self.frame.clear();
        }
    }

    fn data_of(&mut self, mut event: Bytes) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            if event.starts_with(BYTE_ORDER_MARK) {
                event.advance(BYTE_ORDER_MARK.len());
            }
        }
        let mut values = event.split(|byte| *byte == b'\n').filter_map(data_value);
        let first = values.next()?;
        match values.next() {
            None => Some(event.slice_ref(first)),
            Some(second) => {
                let mut joined = BytesMut::from(first);
                for value in std::iter::once(second).chain(values) {
                    joined.extend_from_slice(b"\n");
                    joined.extend_from_slice(value);
                }
                Some(joined.freeze())
            }
        }
    }
}

/// The offset behind the blank line that ends the first event.
fn event_end(text: &[u8], line: &mut usize, seen: &mut usize) -> Option<usize> {
    while let Some(offset) = text[*seen..].iter().position(|byte| *byte == b'\n') {
        let newline = *seen + offset;
        let blank = matches!(&text[*line..newline], b"" | b"\r");
        *line = newline + 1;
        *seen = newline + 1;
        if blank {
            return Some(newline + 1);
        }
    }
    *seen = text.len();
    None
}

/// The value of a `data` line, without its one leading space.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line == b"data" {
        return Some(&line[line.len()..]);
    }
    let value = line.strip_prefix(b"data:").or_else(|| line.strip_prefix(b"error:"))?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(frames: &[&[u8]]) -> Vec<String> {
        let mut reader = SseReader::new(1 << 20);
        let mut out = Vec::new();
        let mut take = |data: Bytes| out.push(String::from_utf8(data.to_vec()).unwrap());
        for frame in frames {
            reader.push(Bytes::copy_from_slice(frame));
            while let Some(data) = reader.next().unwrap() {
                take(data);
            }
        }
        if let Some(data) = reader.rest() {
            take(data);
        }
        out
    }

    const STREAM: &str = "\u{feff}: hello\n\ndata: {\"a\":\"żółć 🦀\"}\n\ndata:{\"b\":1}\r\n\r\n: ping\r\n\r\nevent: x\nid: 7\ndata: one\ndata:  two\ndata\n\n\n\nretry: 5\n\nerror: {\"e\":1}\n\ndata: [DONE]\n\n";
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
        let data = reader.next().unwrap().unwrap();
        assert_eq!(data.as_ptr(), frame[6..].as_ptr());
        assert_eq!(reader.next(), Ok(None));
        assert_eq!(reader.rest().unwrap(), "d");
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = SseReader::new(1_000);
        reader.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(reader.next(), Ok(None));
        reader.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(reader.next(), Err(TooLong));
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
        fn any_bytes_read_the_same_however_they_are_cut(bytes in "(data: ?|:|e|\r|\n|\n\n|x){0,60}", cuts in proptest::collection::vec(1usize..9, 1..9)) {
            let whole = read(&[bytes.as_bytes()]);
            let mut frames = Vec::new();
            let mut rest = bytes.as_bytes();
            let mut sizes = cuts.iter().cycle();
            while !rest.is_empty() {
                let (frame, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                frames.push(frame);
                rest = tail;
            }
            prop_assert_eq!(read(&frames), whole);
        }
    }
}
