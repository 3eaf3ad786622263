//! The tokens of one task as its clients see them: numbered without gaps, from one miner only.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::Fence;

/// A numbered piece of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its number, from 1.
    pub seq: u64,
    /// Its text.
    pub text: String,
    /// The upstream's own JSON chunk, while it is kept.
    pub raw: Option<Bytes>,
}

/// What became of a piece that a miner sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It has this number.
    At(u64),
    /// It came under a fence that counts no more; it changed nothing.
    Stale,
    /// The answer would be longer than allowed; it changed nothing.
    TooLong,
}

/// The tokens so far.
#[derive(Debug, Default)]
pub struct Transcript {
    fence: Option<Fence>,
    text: String,
    /// Where each piece's text ends.
    ends: Vec<u32>,
    /// The newest pieces' raw chunks.
    raw: VecDeque<Option<Bytes>>,
    raw_bytes: usize,
    max_raw_bytes: usize,
    max_bytes: usize,
}

impl Transcript {
    /// Empty. `max_bytes` bounds the text, `max_raw_bytes` the raw chunks that are kept for readers that lag.
    pub fn new(max_bytes: usize, max_raw_bytes: usize) -> Self {
        Self { max_raw_bytes, max_bytes: max_bytes.min(u32::MAX as usize), ..Self::default() }
    }

    /// From now on this attempt's tokens count, and no other's. What an earlier attempt gave is void.
    pub fn begin(&mut self, fence: Fence) {
        let (max_bytes, max_raw_bytes) = (self.max_bytes, self.max_raw_bytes);
        *self = Self { fence: Some(fence), ..Self::new(max_bytes, max_raw_bytes) };
    }

    /// No attempt's tokens count any more.
    pub fn seal(&mut self) {
        self.fence = None;
    }

    /// The attempt whose tokens count.
    pub fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// A piece came under that fence.
    pub fn push(&mut self, fence: Fence, text: &str, raw: Option<Bytes>) -> Push {
        if self.fence != Some(fence) {
            return Push::Stale;
        }
        if self.text.len() + text.len() > self.max_bytes {
            return Push::TooLong;
        }
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.raw_bytes += raw.as_ref().map_or(0, Bytes::len);
        self.raw.push_back(raw);
        while self.raw_bytes > self.max_raw_bytes
            && let Some(old) = self.raw.pop_front()
        {
            self.raw_bytes -= old.as_ref().map_or(0, Bytes::len);
        }
        Push::At(self.ends.len() as u64)
    }

    /// The number of the newest piece, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The pieces after number `seq`.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = Piece> + '_ {
        let first_raw = self.ends.len() - self.raw.len();
        (seq as usize..self.ends.len()).map(move |index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
            Piece {
                seq: index as u64 + 1,
                text: self.text[start..self.ends[index] as usize].to_owned(),
                raw: index.checked_sub(first_raw).and_then(|i| self.raw[i].clone()),
            }
        })
    }

    /// Bytes of raw chunks that a reader at `seq` has not taken.
    pub fn backlog(&self, seq: u64) -> usize {
        let end = self.ends.len();
        let start = (seq as usize).min(end);
        if start == end {
            return 0;
        }
        let text = self.text.len() - if start == 0 { 0 } else { self.ends[start - 1] as usize };
        let skip = self.raw.len().saturating_sub(end - start);
        text + self.raw.iter().skip(skip).flatten().map(Bytes::len).sum::<usize>()
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fence_in_force_adds_and_a_new_one_starts_over() {
        let mut transcript = Transcript::new(100, 100);
        assert_eq!(transcript.push(Fence(1), "x", None), Push::Stale);
        transcript.begin(Fence(1));
        assert_eq!(transcript.push(Fence(1), "a", None), Push::At(1));
        transcript.begin(Fence(2));
        assert_eq!(transcript.push(Fence(1), "b", None), Push::Stale);
        assert_eq!(transcript.push(Fence(2), "c", None), Push::At(1));
        assert_eq!(transcript.text(), "c");
    }

    #[test]
    fn pieces_keep_their_text_when_their_raw_chunk_is_gone() {
        let mut transcript = Transcript::new(100, 4);
        transcript.begin(Fence(1));
        for text in ["ab", "c", "ä"] {
            transcript.push(Fence(1), text, Some(Bytes::from_static(b"{}")));
        }
        let pieces: Vec<_> = transcript.after(0).collect();
        assert_eq!(pieces.iter().map(|p| p.text.as_str()).collect::<Vec<_>>(), ["ab", "c", "ä"]);
        assert_eq!(pieces[0].raw, None);
        assert!(pieces[2].raw.is_some());
        assert_eq!(transcript.after(2).count(), 1);
    }

    #[test]
    fn a_text_that_is_too_long_changes_nothing() {
        let mut transcript = Transcript::new(3, 0);
        transcript.begin(Fence(1));
        assert_eq!(transcript.push(Fence(1), "abcd", None), Push::TooLong);
        assert_eq!(transcript.text(), "");
    }
}
