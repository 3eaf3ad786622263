//! A client that reads a task's tokens as the router's streams do.

use cortensor_router::internals::{Place, Transcript};

/// The state of a reader.
#[derive(Debug, Default, Clone)]
pub(crate) struct Reader {
    seq: u64,
    /// The run of the task from which the reader's pieces came.
    run: u64,
    pub(crate) text: String,
    /// Whether the reader declared that it can start over, or resumes.
    pub(crate) resets: bool,
    pub(crate) restarts: u64,
    /// Whether the reader sometimes reads several pieces late.
    pub(crate) slow: bool,
}

impl Reader {
    pub(crate) fn new(resets: bool, slow: bool) -> Self {
        Self { resets, slow, ..Self::default() }
    }

    /// Whether the reader has a number from which it can resume.
    pub(crate) fn has_read(&self) -> bool {
        self.seq > 0
    }

    /// Handles the message that the pieces so far are void.
    pub(crate) fn start_over(&mut self) {
        (self.seq, self.restarts) = (0, self.restarts + 1);
        self.text.clear();
    }

    /// Reads all pieces that the transcript of that run has.
    pub(crate) fn read(&mut self, transcript: &Transcript, run: u64) -> Result<(), String> {
        let from = match transcript.place(self.seq, false) {
            Place::Behind(seq) => seq,
            Place::Anew(_) if !self.resets => {
                return Err(format!("I4: what a reader had up to {} was taken back", self.seq));
            }
            Place::Anew(mark) => {
                self.restarts += 1;
                self.text.clear();
                self.seq = mark;
                mark
            }
        };
        if !self.text.is_empty() && self.run != run {
            return Err(format!("I4: a reader goes on at {from} with pieces of another run"));
        }
        self.run = run;
        let mut last = from;
        for piece in transcript.after(from) {
            if piece.seq != last + 1 {
                return Err(format!("I4: after the piece {last} came {}", piece.seq));
            }
            (last, self.seq) = (piece.seq, piece.seq);
            self.text.push_str(&piece.text);
        }
        if self.text != transcript.text() {
            return Err(format!("I4: a reader has {:?} of {:?}", self.text, transcript.text()));
        }
        Ok(())
    }
}
