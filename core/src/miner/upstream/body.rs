//! Finds the end of an answer's body, and takes its data out of the bytes that were read (RFC 9112, sections 6 and 7).

use bytes::{Buf as _, Bytes};

/// The part of a body that has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// That number of bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All that comes until the connection ends.
    UntilClose,
    /// Nothing.
    Ended,
}

/// The place within chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// The bytes of the present chunk that have not come yet. While its size is read, the size so far.
    left: u64,
    /// The bytes of the present line's extension or of the trailers so far, which are skipped.
    skipped: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    Start,
    Size,
    /// In blanks after a size.
    Blank,
    Extension,
    /// Before the `\n` of the line of a size.
    SizeEnd,
    Data,
    /// Before the `\r` after the data, and before its `\n`.
    DataEnd,
    DataEndLf,
    /// At the start of a line after the last chunk, within it, and before its `\n`.
    Line,
    Trailer,
    TrailerEnd,
    /// Before the last `\n`.
    LastLf,
    End,
}

/// The reason why the bytes are no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("a chunk has no size")]
    NoSize,
    #[error("a chunk's size is no number")]
    Size,
    #[error("a line among the chunks has another end than CR LF")]
    LineEnd,
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    #[error("the lines among and after the chunks are longer than max_answer_head_bytes")]
    TooLong,
    #[error("the connection ended before the body did")]
    Early,
}

impl Body {
    /// A body of that length.
    pub(super) fn of_length(length: u64) -> Self {
        if length == 0 { Self::Ended } else { Self::Length(length) }
    }

    /// A body of chunks, before the first one.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks { at: At::Start, left: 0, skipped: 0 })
    }

    /// Takes the next data out of the bytes; `None`: the body has ended, or more bytes are needed. Extensions of chunks
    /// and trailers are skipped. One chunk's extensions may have `most` bytes, and so may the trailers.
    pub(super) fn take(&mut self, unread: &mut Bytes, most: usize) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Length(left) => {
                let data = first(unread, *left);
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(Some(data).filter(|data| !data.is_empty()))
            }
            Self::Chunked(chunks) => {
                let data = chunks.take(unread, most)?;
                if chunks.at == At::End {
                    *self = Self::Ended;
                }
                Ok(data)
            }
            Self::UntilClose => Ok(Some(std::mem::take(unread)).filter(|data| !data.is_empty())),
            Self::Ended => Ok(None),
        }
    }

    /// Takes notice of bytes of a length that were read by another way.
    pub(super) fn passed(&mut self, count: u64) {
        if let Self::Length(left) = self {
            *self = Self::of_length(left.saturating_sub(count));
        }
    }

    /// Takes notice of the end of the connection.
    pub(super) fn close(&mut self) -> Result<(), Broken> {
        match std::mem::replace(self, Self::Ended) {
            Self::UntilClose | Self::Ended => Ok(()),
            Self::Length(_) | Self::Chunked(_) => Err(Broken::Early),
        }
    }
}

impl Chunks {
    fn take(&mut self, unread: &mut Bytes, most: usize) -> Result<Option<Bytes>, Broken> {
        if self.at != At::Data
            && let Some((count, size)) = self.size_of(unread)
        {
            unread.advance(count);
            (self.at, self.left) = (At::Data, size);
        } else if self.at != At::Data {
            let mut count = 0;
            for byte in unread.iter() {
                count += 1;
                self.step(*byte, most)?;
                if matches!(self.at, At::Data | At::End) {
                    break;
                }
            }
            unread.advance(count);
        }
        if self.at != At::Data {
            return Ok(None);
        }
        let data = first(unread, self.left);
        self.left -= data.len() as u64;
        if self.left == 0 {
            self.at = At::DataEnd;
            // The line end nearly always comes with its chunk.
            if unread.starts_with(b"\r\n") {
                unread.advance(2);
                self.at = At::Start;
            }
        }
        Ok(Some(data).filter(|data| !data.is_empty()))
    }

    /// The length of the bytes before the next chunk's data, and the size of that data, where all of them are there and
    /// nothing else is among them. Nearly every chunk begins so.
    fn size_of(&self, unread: &[u8]) -> Option<(usize, u64)> {
        let line = match self.at {
            At::Start => unread,
            At::DataEnd => unread.strip_prefix(b"\r\n")?,
            _ => return None,
        };
        let (mut size, mut digits) = (0, 0);
        // More than eight digits are no usual size, and cannot make the number too great here.
        while let Some(digit) = line.get(digits).and_then(|byte| char::from(*byte).to_digit(16)).filter(|_| digits < 8)
        {
            (size, digits) = (size << 4 | u64::from(digit), digits + 1);
        }
        let is_usual = size > 0 && line.get(digits..)?.starts_with(b"\r\n");
        is_usual.then_some((unread.len() - line.len() + digits + 2, size))
    }

    /// Takes a byte that is no data.
    fn step(&mut self, byte: u8, most: usize) -> Result<(), Broken> {
        self.at = match (self.at, byte) {
            (At::Start | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = self.left.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
                self.left = size.ok_or(Broken::Size)?;
                At::Size
            }
            (At::Start, _) => return Err(Broken::NoSize),
            (At::Size | At::Blank, b' ' | b'\t') => {
                self.skip(most)?;
                At::Blank
            }
            (At::Size | At::Blank, b';') => At::Extension,
            (At::Size | At::Blank | At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, b'\n') => return Err(Broken::LineEnd),
            (At::Extension, _) => {
                self.skip(most)?;
                At::Extension
            }
            (At::Size | At::Blank, _) => return Err(Broken::Size),
            (At::SizeEnd, b'\n') => {
                self.skipped = 0;
                if self.left == 0 { At::Line } else { At::Data }
            }
            (At::DataEnd, b'\r') => At::DataEndLf,
            (At::DataEndLf, b'\n') => At::Start,
            (At::DataEnd | At::DataEndLf, _) => return Err(Broken::ChunkEnd),
            (At::Line, b'\r') => At::LastLf,
            (At::LastLf, b'\n') => At::End,
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => At::Line,
            (At::SizeEnd | At::LastLf | At::TrailerEnd, _) => return Err(Broken::LineEnd),
            (At::Line | At::Trailer, _) => {
                self.skip(most)?;
                At::Trailer
            }
            (At::Data | At::End, _) => self.at,
        };
        Ok(())
    }

    fn skip(&mut self, most: usize) -> Result<(), Broken> {
        self.skipped += 1;
        if self.skipped > most { Err(Broken::TooLong) } else { Ok(()) }
    }
}

/// Takes the first `most` bytes, or all if there are fewer.
fn first(unread: &mut Bytes, most: u64) -> Bytes {
    if unread.len() as u64 <= most { std::mem::take(unread) } else { unread.split_to(most as usize) }
}
