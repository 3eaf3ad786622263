//! The tokens of one task as its clients see them: numbered without gaps, never two miners' mixed.
//!
//! An attempt *begins* the text, or *resumes* it where another one was lost. When one begins after clients have seen some of the
//! text, that text is void: a mark takes the next number, and the new text goes on behind it. A task that runs again after a
//! restart begins above every number of its earlier runs, so that a reader of one of those is told too.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::{Fence, SharedText};

/// A numbered piece of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its number, one more than that of the piece or mark before it.
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

/// Where a reader stands that has read up to some number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It goes on behind that number.
    Behind(u64),
    /// What it has read is void, or never was of this text: it starts over behind the mark of that number.
    Anew(u64),
}

/// The tokens so far.
#[derive(Debug, Default)]
pub struct Transcript {
    fence: Option<Fence>,
    /// Races the attempt whose tokens count, until one of them gives the first.
    rival: Option<Fence>,
    /// Somebody has read of the text.
    shown: bool,
    /// The number before that of the first piece: that of the mark, where something was void.
    base: u64,
    /// Pieces that were there when the present attempt took over.
    inherited: usize,
    text: String,
    /// The text where it is over and the answer holds it: then `text` is empty.
    whole: Option<SharedText>,
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

    /// The same with numbers that begin behind `base`.
    #[must_use]
    pub fn numbered_from(self, base: u64) -> Self {
        Self { base, ..self }
    }

    /// From now on this attempt's tokens count, and no other's. What an earlier attempt gave is void.
    pub fn begin(&mut self, fence: Fence) {
        self.void();
        self.fence = Some(fence);
    }

    /// What is there is void, and no attempt's tokens count until one begins.
    pub fn void(&mut self) {
        let base = if self.shown && !self.ends.is_empty() { self.last_seq() + 1 } else { self.base };
        let (max_bytes, max_raw_bytes) = (self.max_bytes, self.max_raw_bytes);
        *self = Self { base, ..Self::new(max_bytes, max_raw_bytes) };
    }

    /// From now on this attempt's tokens count, behind those that are there.
    pub fn resume(&mut self, fence: Fence) {
        self.fence = Some(fence);
        self.rival = None;
        self.inherited = self.ends.len();
    }

    /// This attempt races the one whose tokens count, unless that one has given its first.
    pub fn race(&mut self, fence: Fence) {
        if !self.begun() {
            self.rival = Some(fence);
        }
    }

    /// The attempt whose tokens were to count is lost; this one's do, from the first.
    pub fn promote(&mut self, fence: Fence) {
        if self.fence != Some(fence) {
            self.begin(fence);
        }
        self.rival = None;
    }

    /// No attempt's tokens count any more.
    pub fn seal(&mut self) {
        self.fence = None;
        self.rival = None;
    }

    /// That attempt's tokens do not count any more.
    pub fn seal_of(&mut self, fence: Fence) {
        if self.fence == Some(fence) {
            self.fence = None;
        }
        if self.rival == Some(fence) {
            self.rival = None;
        }
    }

    /// The attempt whose tokens count.
    pub fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// Whether the attempt's tokens count, or would if it gave one now.
    pub fn takes(&self, fence: Fence) -> bool {
        self.fence == Some(fence) || self.rival == Some(fence)
    }

    /// Whether the present attempt has given something.
    pub fn begun(&self) -> bool {
        self.ends.len() > self.inherited
    }

    /// Somebody has read of it. Answers whether nobody had.
    pub fn show(&mut self) -> bool {
        !self.ends.is_empty() && !std::mem::replace(&mut self.shown, true)
    }

    /// The number of the mark before the first piece: a reader that stands before it has read what is void.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Where a reader goes on that has read up to number `seq`; 0: it has read nothing. The end of an `ended` text has a number too.
    pub fn place(&self, seq: u64, ended: bool) -> Place {
        let last = self.last_seq();
        match seq {
            0 => Place::Behind(self.base),
            _ if seq < self.base || seq > last + u64::from(ended) => Place::Anew(self.base),
            _ => Place::Behind(seq.min(last)),
        }
    }

    /// A piece came under that fence.
    pub fn push(&mut self, fence: Fence, text: &str, raw: Option<Bytes>) -> Push {
        if self.fence != Some(fence) {
            if self.rival != Some(fence) {
                return Push::Stale;
            }
            // The first token wins the race.
            self.fence = Some(fence);
        }
        if self.text.len() + text.len() > self.max_bytes {
            return Push::TooLong;
        }
        self.rival = None;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.raw_bytes += raw.as_ref().map_or(0, Bytes::len);
        // Miners that give plain text alone cost nothing here.
        if raw.is_some() || !self.raw.is_empty() {
            self.raw.push_back(raw);
        }
        while self.raw_bytes > self.max_raw_bytes
            && let Some(old) = self.raw.pop_front()
        {
            self.raw_bytes -= old.as_ref().map_or(0, Bytes::len);
        }
        Push::At(self.last_seq())
    }

    /// Bytes of text that it still takes.
    pub fn room(&self) -> usize {
        self.max_bytes - self.text.len()
    }

    /// The number of the newest piece, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.base + self.ends.len() as u64
    }

    /// The pieces after number `seq`.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = Piece> + '_ {
        let first_raw = self.ends.len() - self.raw.len();
        (seq.saturating_sub(self.base) as usize..self.ends.len()).map(move |index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
            Piece {
                seq: self.base + index as u64 + 1,
                text: self.text()[start..self.ends[index] as usize].to_owned(),
                raw: index.checked_sub(first_raw).and_then(|i| self.raw[i].clone()),
            }
        })
    }

    /// Bytes of raw chunks that a reader at `seq` has not taken.
    pub fn backlog(&self, seq: u64) -> usize {
        let end = self.ends.len();
        let start = (seq.saturating_sub(self.base) as usize).min(end);
        if start == end {
            return 0;
        }
        let text = self.text().len() - if start == 0 { 0 } else { self.ends[start - 1] as usize };
        let skip = self.raw.len().saturating_sub(end - start);
        text + self.raw.iter().skip(skip).flatten().map(Bytes::len).sum::<usize>()
    }

    /// Bytes of memory that it takes.
    pub fn weight(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.raw.capacity() * size_of::<Option<Bytes>>()
            + self.raw_bytes
    }

    /// Gives back what it took for pieces to come, since there are none any more, and its text where it is `answer`'s.
    pub fn settle(&mut self, answer: Option<&SharedText>) {
        self.seal();
        if let Some(answer) = answer.filter(|answer| ***answer == *self.text) {
            self.whole = Some(answer.clone());
            self.text = String::new();
        }
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.raw.shrink_to_fit();
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.text)
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
    fn what_was_read_is_void_behind_a_mark_and_numbers_go_on() {
        let mut transcript = Transcript::new(100, 100);
        transcript.begin(Fence(1));
        transcript.push(Fence(1), "a", None);
        transcript.push(Fence(1), "b", None);
        assert!(transcript.show());
        assert!(!transcript.show());
        transcript.begin(Fence(2));
        assert_eq!(transcript.base(), 3);
        // Nobody has read of it yet, so it needs no mark of its own.
        transcript.begin(Fence(3));
        assert_eq!(transcript.base(), 3);
        assert_eq!(transcript.push(Fence(3), "c", None), Push::At(4));
        let pieces: Vec<_> = transcript.after(2).map(|piece| (piece.seq, piece.text)).collect();
        assert_eq!(pieces, [(4, "c".to_owned())]);
        assert_eq!(transcript.last_seq(), 4);
    }

    #[test]
    fn a_reader_goes_on_only_from_a_number_of_this_text() {
        let mut transcript = Transcript::new(100, 100).numbered_from(7);
        transcript.begin(Fence(1));
        for text in ["a", "b"] {
            transcript.push(Fence(1), text, None);
        }
        assert_eq!((transcript.base(), transcript.last_seq()), (7, 9));
        for (seq, running, ended) in [
            (0, Place::Behind(7), Place::Behind(7)),
            (1, Place::Anew(7), Place::Anew(7)),
            (6, Place::Anew(7), Place::Anew(7)),
            (7, Place::Behind(7), Place::Behind(7)),
            (8, Place::Behind(8), Place::Behind(8)),
            (9, Place::Behind(9), Place::Behind(9)),
            (10, Place::Anew(7), Place::Behind(9)),
            (11, Place::Anew(7), Place::Anew(7)),
            (u64::MAX, Place::Anew(7), Place::Anew(7)),
        ] {
            assert_eq!((transcript.place(seq, false), transcript.place(seq, true)), (running, ended), "{seq}");
        }
    }

    #[test]
    fn one_that_resumes_goes_on_behind_what_is_there() {
        let mut transcript = Transcript::new(100, 100);
        transcript.begin(Fence(1));
        transcript.push(Fence(1), "a", None);
        transcript.seal_of(Fence(1));
        assert_eq!(transcript.push(Fence(1), "x", None), Push::Stale);
        transcript.resume(Fence(2));
        assert!(!transcript.begun());
        assert_eq!(transcript.push(Fence(2), "b", None), Push::At(2));
        assert_eq!(transcript.text(), "ab");
    }

    #[test]
    fn the_first_token_wins_a_race() {
        let mut transcript = Transcript::new(100, 100);
        transcript.begin(Fence(1));
        transcript.race(Fence(2));
        assert_eq!(transcript.push(Fence(2), "b", None), Push::At(1));
        assert_eq!(transcript.push(Fence(1), "a", None), Push::Stale);
        let mut transcript = Transcript::new(100, 100);
        transcript.begin(Fence(1));
        transcript.race(Fence(2));
        transcript.promote(Fence(2));
        assert_eq!(transcript.push(Fence(2), "b", None), Push::At(1));
        transcript.race(Fence(3));
        assert!(!transcript.takes(Fence(3)), "it comes too late");
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

    #[test]
    fn a_text_that_is_over_is_the_answers_own_and_reads_as_before() {
        let mut transcript = Transcript::new(100, 100);
        transcript.begin(Fence(1));
        for text in ["a", "bc", ""] {
            transcript.push(Fence(1), text, None);
        }
        let before: Vec<_> = transcript.after(0).collect();
        let (backlog, answer) = (transcript.backlog(1), SharedText::from("abc"));
        transcript.settle(Some(&answer));
        assert_eq!(transcript.text().as_ptr(), answer.as_ptr(), "one copy");
        assert_eq!((transcript.after(0).collect::<Vec<_>>(), transcript.backlog(1)), (before, backlog));
        assert_eq!(transcript.push(Fence(1), "late", None), Push::Stale);
        let mut other = Transcript::new(100, 100);
        other.begin(Fence(1));
        other.push(Fence(1), "a", None);
        other.settle(Some(&answer));
        assert_eq!(other.text(), "a", "another answer was taken");
    }
}
