//! The tokens of one task as its clients see them: numbered without gaps, and never a mixture of several miners'
//! pieces.
//!
//! An attempt either *begins* the text or *resumes* it where another attempt was lost. If an attempt begins after
//! clients have read a part of the text, that part is void: a mark takes the next number, and the new text follows the
//! mark. A task that runs again after a restart of the router starts above all numbers of its earlier runs. A reader
//! that resumes from an earlier run therefore gets a mark, too.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memmem;
use smallvec::SmallVec;

use crate::model::{Fence, SharedText};

/// The bytes of text, and the pieces, for which the first of several pieces makes room. Texts that grow from nothing
/// would be moved five times before they have as many.
const FIRST_ROOM: (usize, usize) = (128, 16);

/// The distance of the numbers of two attempts of which the first may go on where this router does not see it. No answer
/// has as many pieces, and the numbers of one run of a task have room for more attempts than it may have.
const APART: u64 = 1 << 24;

/// A numbered piece of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The number of the piece, one more than that of the piece or mark before it.
    pub seq: u64,
    /// The text of the piece.
    pub text: String,
    /// The upstream's own JSON chunk; `None`: there is none, or it is no longer kept.
    pub raw: Option<Bytes>,
}

/// The result of adding a miner's piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// The piece was added with this number.
    At(u64),
    /// The piece was ignored, because its attempt does not count any more.
    Stale,
    /// The piece was ignored, because the answer would be longer than allowed.
    TooLong,
}

/// The place at which a reader continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The reader continues after the piece with this number.
    Behind(u64),
    /// The reader's pieces are void or belong to another text: it starts over after the mark with this number.
    Anew(u64),
}

/// The tokens of a task so far.
#[derive(Debug, Default)]
pub struct Transcript {
    fence: Option<Fence>,
    /// The attempt that races the one in `fence`, until either gives its first piece.
    rival: Option<Fence>,
    /// Whether a reader has read any of the text.
    shown: bool,
    /// The number before that of the first piece. After a void text, it is the number of the mark.
    base: u64,
    /// The number of pieces that were there when the present attempt took over.
    inherited: usize,
    text: String,
    /// The text, if it is shared with the answer; `text` is empty then.
    whole: Option<SharedText>,
    /// The offset in the text at which each piece ends. An answer in one piece needs no list of its own.
    ends: SmallVec<[u32; 2]>,
    /// The raw chunks of the newest pieces.
    raw: VecDeque<Option<Bytes>>,
    raw_bytes: usize,
    max_raw_bytes: usize,
    /// Whether a chunk is gone that said more than text.
    has_lost: bool,
    max_bytes: usize,
}

impl Transcript {
    /// An empty transcript. `max_bytes` bounds the text; `max_raw_bytes` bounds the raw chunks that are kept for
    /// readers that lag behind.
    pub fn new(max_bytes: usize, max_raw_bytes: usize) -> Self {
        Self { max_raw_bytes, max_bytes: max_bytes.min(u32::MAX as usize), ..Self::default() }
    }

    /// This transcript with `base` as the number before the first piece.
    #[must_use]
    pub fn numbered_from(self, base: u64) -> Self {
        Self { base, ..self }
    }

    /// Begins the text with this attempt. Pieces of earlier attempts are void.
    pub fn begin(&mut self, fence: Fence) {
        self.void();
        self.fence = Some(fence);
    }

    /// Begins the text with this attempt, far behind the numbers that the attempt before may have used elsewhere since this
    /// router heard of it last.
    pub fn begin_apart(&mut self, fence: Fence) {
        let last = self.last_seq();
        self.void();
        (self.base, self.fence) = (last + APART, Some(fence));
    }

    /// Begins another router's text with this attempt, after the piece or mark with that number, by which the readers here
    /// are numbered, too. It counts as shown, because its readers may be anywhere.
    pub fn begin_at(&mut self, fence: Fence, base: u64) {
        self.void();
        (self.base, self.fence, self.shown) = (base, Some(fence), true);
    }

    /// Voids the text. No attempt's pieces count until one begins.
    pub fn void(&mut self) {
        let base = if self.shown && !self.ends.is_empty() { self.last_seq() + 1 } else { self.base };
        let (max_bytes, max_raw_bytes) = (self.max_bytes, self.max_raw_bytes);
        *self = Self { base, ..Self::new(max_bytes, max_raw_bytes) };
    }

    /// Continues the present text with this attempt.
    pub fn resume(&mut self, fence: Fence) {
        self.fence = Some(fence);
        self.rival = None;
        self.inherited = self.ends.len();
    }

    /// Lets this attempt race the present one, unless the present one has given a piece.
    pub fn race(&mut self, fence: Fence) {
        if !self.begun() {
            self.rival = Some(fence);
        }
    }

    /// Makes this attempt the one that counts, because the present one is lost.
    pub fn promote(&mut self, fence: Fence) {
        if self.fence != Some(fence) {
            self.begin(fence);
        }
        self.rival = None;
    }

    /// Refuses further pieces of every attempt.
    pub fn seal(&mut self) {
        self.fence = None;
        self.rival = None;
    }

    /// Refuses further pieces of this attempt.
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

    /// Whether a piece of this attempt would count at present.
    pub fn takes(&self, fence: Fence) -> bool {
        self.fence == Some(fence) || self.rival == Some(fence)
    }

    /// Whether the present attempt has given a piece.
    pub fn begun(&self) -> bool {
        self.ends.len() > self.inherited
    }

    /// Notes that a reader has read the text so far. Returns whether this is the first time.
    pub fn show(&mut self) -> bool {
        !self.ends.is_empty() && !std::mem::replace(&mut self.shown, true)
    }

    /// The number of the mark before the first piece. All pieces with lower numbers are void.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The place at which a reader continues that has read up to number `seq`; 0: it has read nothing. The end of an
    /// `ended` text has a number, too.
    pub fn place(&self, seq: u64, ended: bool) -> Place {
        let last = self.last_seq();
        match seq {
            0 => Place::Behind(self.base),
            _ if seq < self.base || seq > last + u64::from(ended) => Place::Anew(self.base),
            _ => Place::Behind(seq.min(last)),
        }
    }

    /// Adds a piece of the attempt with this fence.
    pub fn push(&mut self, fence: Fence, text: &str, raw: Option<Bytes>) -> Push {
        if self.fence != Some(fence) {
            if self.rival != Some(fence) {
                return Push::Stale;
            }
            // The first token wins the race.
            self.fence = Some(fence);
        }
        if self.text().len() + text.len() > self.max_bytes {
            return Push::TooLong;
        }
        self.rival = None;
        if let Some(whole) = self.whole.take() {
            self.text.push_str(&whole);
        }
        if self.ends.len() == 1 {
            self.text.reserve(FIRST_ROOM.0);
            self.ends.reserve(FIRST_ROOM.1);
        }
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.raw_bytes += raw.as_ref().map_or(0, Bytes::len);
        // The list stays empty for miners that give plain text only.
        if raw.is_some() || !self.raw.is_empty() {
            if self.raw.is_empty() {
                self.raw.reserve(FIRST_ROOM.1);
            }
            self.raw.push_back(raw);
        }
        while self.raw_bytes > self.max_raw_bytes
            && let Some(old) = self.raw.pop_front()
        {
            let Some(old) = old else { continue };
            self.raw_bytes -= old.len();
            let index = self.ends.len() - self.raw.len() - 1;
            let has_text = self.ends[index] > index.checked_sub(1).map_or(0, |before| self.ends[before]);
            self.has_lost |= !has_text && says_more(&old);
        }
        Push::At(self.last_seq())
    }

    /// Adds an answer that came in one piece as the whole text. The transcript shares it, where it has no text yet.
    pub fn push_whole(&mut self, fence: Fence, answer: &SharedText) -> Push {
        if !self.text().is_empty() || answer.len() > self.max_bytes {
            return self.push(fence, answer, None);
        }
        let pushed = self.push(fence, "", None);
        if let (Push::At(_), Some(end)) = (pushed, self.ends.last_mut()) {
            *end = answer.len() as u32;
            self.whole = Some(answer.clone());
        }
        pushed
    }

    /// Whether all that a reader could get from here is the text in one piece, numbered from `base`.
    pub fn is_plain(&self, base: u64) -> bool {
        self.base == base && !self.shown && self.ends.len() <= 1 && self.raw.is_empty()
    }

    /// Whether a chunk is gone that said more than text: a reader from here cannot have all events.
    pub fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// The number of bytes of text that still fit.
    pub fn room(&self) -> usize {
        self.max_bytes - self.text().len()
    }

    /// The number of the newest piece; before the first, the number of the mark, or 0.
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

    /// The bytes of text and raw chunks after number `seq`.
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

    /// Whether a reader may have more than `bytes` bytes to read: there are as many. This is quick to tell.
    pub fn exceeds(&self, bytes: usize) -> bool {
        self.text().len() + self.raw_bytes > bytes
    }

    /// The bytes of memory that the transcript takes.
    pub fn weight(&self) -> usize {
        let ends = if self.ends.spilled() { self.ends.capacity() * size_of::<u32>() } else { 0 };
        self.text.capacity() + ends + self.raw.capacity() * size_of::<Option<Bytes>>() + self.raw_bytes
    }

    /// Refuses further pieces and frees spare memory. If the text equals `answer`, both share one copy.
    pub fn settle(&mut self, answer: Option<&SharedText>) {
        self.seal();
        if let Some(answer) = answer.filter(|answer| **answer == *self.text()) {
            self.whole = Some(answer.clone());
            self.text = String::new();
        }
        // To move a list for a few bytes would cost more than they.
        if self.ends.spilled() && self.ends.capacity() > 2 * self.ends.len() + FIRST_ROOM.1 {
            self.ends.shrink_to_fit();
        }
        if self.raw.capacity() > 2 * self.raw.len() + FIRST_ROOM.1 {
            self.raw.shrink_to_fit();
        }
        self.text.shrink_to_fit();
    }

    /// Checks the bounds of the transcript, and its counts against what it holds.
    ///
    /// # Errors
    /// A text that says which bound or count is broken.
    pub fn check(&self) -> Result<(), String> {
        let raw: usize = self.raw.iter().flatten().map(Bytes::len).sum();
        if raw != self.raw_bytes || raw > self.max_raw_bytes {
            return Err(format!("{raw} bytes of chunks, {} counted, at most {}", self.raw_bytes, self.max_raw_bytes));
        }
        let (text, last) = (self.text().len(), self.ends.last().map_or(0, |end| *end as usize));
        if text != last || text > self.max_bytes {
            return Err(format!("{text} bytes of text, pieces up to {last}, at most {}", self.max_bytes));
        }
        if self.raw.len() > self.ends.len() {
            return Err(format!("{} chunks of {} pieces", self.raw.len(), self.ends.len()));
        }
        Ok(())
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.text)
    }
}

/// Whether a chunk without text may hold a part of the answer: reasoning, a call of a tool, or a server's own event.
fn says_more(chunk: &[u8]) -> bool {
    [&b"reasoning"[..], b"tool_calls", b"original_event"].iter().any(|name| memmem::find(chunk, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_may_go_on_unseen_shares_no_number_with_the_next() {
        let mut transcript = Transcript::new(100, 0).numbered_from(7);
        transcript.begin(Fence(1));
        for text in ["a", "b"] {
            transcript.push(Fence(1), text, None);
        }
        transcript.begin_apart(Fence(2));
        assert_eq!(transcript.push(Fence(1), "c", None), Push::Stale);
        assert_eq!(transcript.push(Fence(2), "x", None), Push::At(9 + APART + 1));
        // Whoever has read a piece of the first one begins anew, however many it may have given elsewhere.
        for seq in [8, 9, 9 + APART - 1] {
            assert_eq!(transcript.place(seq, false), Place::Anew(9 + APART));
        }
        assert_eq!(transcript.place(0, false), Place::Behind(9 + APART));
    }

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
        // No reader has read the second text, so it needs no mark of its own.
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
