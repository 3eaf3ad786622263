//! Chunks of an upstream that differ from the one before in their words alone.

use super::chunk_shape::on_one_line;
use super::splice::ChunkOutline;
use crate::model::shape::Envelope;

/// An upstream's last chunk: its bytes around the words, as they came and as they went out. The event of a chunk with the
/// same bytes around other words is written without an outline, which saves 3 200 instructions for a chunk of 150 bytes
/// (release build, counted with callgrind).
#[derive(Default)]
pub(super) struct Repeat {
    came: Envelope,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Repeat {
    /// Keeps a chunk that went out. `id` is the router's id as JSON.
    pub(super) fn keep(&mut self, raw: &[u8], chunk: &ChunkOutline, id: &[u8]) {
        self.came.keep(raw, chunk.words.clone());
        self.before.clear();
        self.after.clear();
        if let Some(words) = &chunk.words {
            self.before.extend_from_slice(b"data: ");
            on_one_line(&mut self.before, |out| chunk.outline.splice_part(raw, 0..words.start, id, out));
            on_one_line(&mut self.after, |out| chunk.outline.splice_part(raw, words.end..raw.len(), id, out));
            self.after.extend_from_slice(b"\n\n");
        }
    }

    /// Forgets the chunk.
    pub(super) fn forget(&mut self) {
        self.came.keep(&[], None);
    }

    /// Writes the event of a chunk that differs from the last one in its words alone. Answers whether it is one.
    pub(super) fn write(&self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(words) = self.came.words(raw) else { return false };
        out.reserve(self.before.len() + words.bytes().len() + self.after.len());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(words.bytes());
        out.extend_from_slice(&self.after);
        true
    }
}
