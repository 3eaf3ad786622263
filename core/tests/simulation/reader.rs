//! A client that reads a task's tokens as the router's streams do.

use cortensor_router::engine::Transcript;

/// What it has read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    seq: u64,
    pub(crate) text: String,
    /// Whether it said that it can start over.
    pub(crate) resets: bool,
    pub(crate) restarts: u64,
}

impl Reader {
    pub(crate) fn new(resets: bool) -> Self {
        Self { resets, ..Self::default() }
    }

    /// Reads all that is there.
    pub(crate) fn read(&mut self, transcript: &Transcript) -> Result<(), String> {
        if self.seq < transcript.base() {
            if self.seq > 0 && !self.resets {
                return Err(format!("I4: what a reader had up to {} was taken back", self.seq));
            }
            if self.seq > 0 {
                self.restarts += 1;
            }
            self.seq = transcript.base();
            self.text.clear();
        }
        if self.seq > transcript.last_seq() {
            return Err(format!("I4: a reader had {}, but the text ends at {}", self.seq, transcript.last_seq()));
        }
        for piece in transcript.after(self.seq) {
            if piece.seq != self.seq + 1 {
                return Err(format!("I4: after the piece {} came {}", self.seq, piece.seq));
            }
            self.seq = piece.seq;
            self.text.push_str(&piece.text);
        }
        if self.text != transcript.text() {
            return Err(format!("I4: a reader has {:?} of {:?}", self.text, transcript.text()));
        }
        Ok(())
    }
}
