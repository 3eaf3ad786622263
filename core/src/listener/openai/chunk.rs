//! Streams in OpenAI's shapes: events of the router in, `data:` lines out.
//!
//! An upstream's chunks go out as its own bytes with one constant id. For other miners the router writes chunks of the
//! types in [`super::chunk_shape`]. All events that are ready together become one buffer, hence one write.

use bytes::Bytes;

use super::answer;
use super::chunk_shape::{Chunk, Frame, Piece, event, on_one_line};
use super::counts::TokenCounts;
use super::repeat::Repeat;
use super::splice::{ChunkOutline, quoted};
use crate::listener::sse::Layout;
use crate::model::shape::{Outline, Words, split};
use crate::model::{Answer, Completion, Gid, RequestKind, Verdict};
use crate::{Error, StreamEvent};

const DONE: &[u8] = b"data: [DONE]\n\n";

/// The facts of a submission that its stream is made of.
pub(super) struct StreamSpec {
    pub(super) kind: RequestKind,
    pub(super) gid: Gid,
    pub(super) created: u64,
    pub(super) model: String,
    /// Whether the caller wants a last chunk with the usage (`stream_options.include_usage`).
    pub(super) include_usage: bool,
    /// The text before the first piece of a text completion: the prompt, with `"echo":true`.
    pub(super) echo: Option<String>,
}

/// Writes one stream.
pub(super) struct ChunkWriter {
    id: String,
    /// The id as it stands in an upstream's chunks.
    id_json: Vec<u8>,
    kind: RequestKind,
    created: u64,
    model: String,
    /// The bytes that the router's own chunks have in common with those of other streams.
    frame: &'static Frame,
    /// The bytes that they have in common with one another.
    head: Vec<u8>,
    include_usage: bool,
    echo: Option<String>,
    /// The last of the upstream's own chunks that went out.
    repeat: Repeat,
    /// Whether the role was told.
    started: bool,
    /// Whether a piece of the answer is out, so that starting over is no longer possible.
    spoken: bool,
    /// Whether a chunk of the miner's own is out.
    chunked: bool,
    /// Whether a chunk told why the text ends.
    finished: bool,
    /// The upstream's own chunk with the usage: it comes last, and only where it is wanted.
    usage: Option<(Bytes, ChunkOutline)>,
    /// Whether the usage went out within another chunk.
    usage_told: bool,
    ended: bool,
}

impl ChunkWriter {
    pub(super) fn new(spec: StreamSpec) -> Self {
        let StreamSpec { kind, gid, created, model, include_usage, echo } = spec;
        let id = answer::id_of(kind, gid, created);
        let frame = Frame::of(kind, include_usage);
        Self {
            head: frame.head(&id, created, &model),
            frame,
            id_json: quoted(&id),
            id,
            kind,
            created,
            model,
            include_usage,
            echo,
            repeat: Repeat::default(),
            started: false,
            spoken: false,
            chunked: false,
            finished: false,
            usage: None,
            usage_told: false,
            ended: false,
        }
    }

    /// An error after the first byte: the status is long gone, so it is told in the stream.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        super::failure::write(error, out);
        out.extend_from_slice(b"\n\n");
        self.done(out);
    }

    fn pass(&mut self, raw: Bytes, chunk: ChunkOutline, out: &mut Vec<u8>) {
        if chunk.choices == Some(0) && chunk.usage {
            self.usage = Some((raw, chunk));
            return;
        }
        if chunk.outline.is_headless() && chunk.choices.is_some() && !chunk.has_text() {
            return self.told(&raw, &chunk, out);
        }
        // A chunk without choices is no part of the answer.
        if chunk.choices.is_some_and(|count| count > 0) {
            self.started = true;
            self.spoken = true;
            self.chunked = true;
        }
        self.finished |= chunk.finished;
        self.usage_told |= chunk.usage;
        self.repeat.keep(&raw, &chunk, &self.id_json);
        self.spliced(&raw, &chunk, out);
    }

    /// A chat's chunk without a head, which the router makes of what is no text: a completion's stream has no place for it.
    fn told(&mut self, raw: &[u8], chunk: &ChunkOutline, out: &mut Vec<u8>) {
        self.start(out);
        if self.kind != RequestKind::Chat {
            return;
        }
        self.spoken = true;
        self.chunked = true;
        self.finished |= chunk.finished;
        self.frame.members(&self.head, chunk.outline.members(raw), out);
    }

    /// One event of an upstream's chunk, on one line whatever blanks the upstream wrote.
    fn spliced(&self, raw: &[u8], chunk: &ChunkOutline, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        on_one_line(out, |out| chunk.outline.splice(raw, &self.id_json, out));
        out.extend_from_slice(b"\n\n");
    }

    fn piece(&mut self, text: &str, out: &mut Vec<u8>) {
        self.start(out);
        if text.is_empty() {
            return;
        }
        self.spoken = true;
        self.frame.text(&self.head, text, out);
    }

    /// Writes the event before the first piece: the role of a chat, the prompt of a completion that repeats it.
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if self.kind == RequestKind::Chat {
            self.frame.opening(&self.head, out);
        } else if let Some(prompt) = self.echo.take() {
            self.piece(&prompt, out);
        }
    }

    /// A chunk of the router's own with these choices.
    fn chunk<'a>(&'a self, choices: &'a [Piece<'a>]) -> Chunk<'a, Piece<'a>> {
        let chunk = Chunk::new(self.kind, &self.id, self.created, &self.model, choices);
        Chunk { usage: self.include_usage.then_some(None), ..chunk }
    }

    /// Writes a chunk that says nothing but a field of the router's own. It has a choice without words, because clients
    /// look for one.
    fn aside(&self, restart: Option<bool>, verdict: Option<&Verdict>, out: &mut Vec<u8>) {
        event(&Chunk { restart, verdict, ..self.chunk(&[Piece::of(self.kind, None, None)]) }, out);
    }

    fn end(&mut self, completion: &Completion, out: &mut Vec<u8>) {
        self.rest(&completion.answer, out);
        if !self.finished {
            self.frame.ending(&self.head, completion.answer.finish_reason.as_str(), out);
        }
        if let Some(verdict) = &completion.verdict {
            self.aside(None, Some(verdict), out);
        }
        if self.include_usage && !self.usage_told {
            if let Some((raw, chunk)) = self.usage.take() {
                self.spliced(&raw, &chunk, out);
            } else {
                let counts = TokenCounts::from(completion.answer.usage);
                event(&Chunk { usage: Some(Some(counts)), ..self.chunk(&[]) }, out);
            }
        }
        self.done(out);
    }

    /// Writes the part of the answer that no event has told: all of it where the miner answered in one piece, and calls of
    /// tools and the like where only its text came in pieces.
    fn rest(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let whole = answer.raw.as_deref().filter(|_| !self.chunked).and_then(|raw| std::str::from_utf8(raw).ok());
        let has_place = |whole: &&str| {
            Outline::of(whole).is_some_and(|outline| self.kind == RequestKind::Chat || !outline.is_chat())
        };
        let words = if self.spoken { Words::Said } else { Words::Unsaid };
        let chunks = whole.filter(has_place).map(|whole| split(whole, words)).unwrap_or_default();
        if chunks.is_empty() && !self.spoken {
            return self.piece(&answer.text, out);
        }
        for raw in chunks {
            if let Some(chunk) = ChunkOutline::of(raw.as_bytes()) {
                self.pass(raw.into(), chunk, out);
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(DONE);
        self.ended = true;
    }
}

impl Layout for ChunkWriter {
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.ended {
                return;
            }
            match event {
                StreamEvent::Token { raw: Some(raw), .. } if self.repeat.write(&raw, out) => {}
                StreamEvent::Token { raw: Some(raw), text, .. } => match ChunkOutline::of(&raw) {
                    Some(chunk) => self.pass(raw, chunk, out),
                    None => self.piece(&text, out),
                },
                StreamEvent::Token { text, .. } => self.piece(&text, out),
                // Comes only to those who asked for it. Where nothing is out yet nothing is void.
                StreamEvent::Restart { .. } => {
                    if std::mem::take(&mut self.spoken) {
                        self.aside(Some(true), None, out);
                    }
                    (self.chunked, self.finished, self.usage, self.usage_told) = (false, false, None, false);
                    self.repeat.forget();
                }
                StreamEvent::End(Ok(completion)) => self.end(&completion, out),
                StreamEvent::End(Err(error)) => self.fail(&error, out),
            }
        }
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
