//! Reads a stream that was recorded, with the readers of a call and without its connection. Fuzz targets use it.

use bytes::Bytes;

use super::assembly::{Assembly, Wish};
use super::call::read_event;
use super::sse::{Event, SseReader};
use crate::miner::{Chunk, Failure};
use crate::model::Answer;

/// The content of a recorded stream.
#[derive(Debug)]
pub struct Recorded {
    /// The data of every event, and whether the event is an error.
    pub events: Vec<(Bytes, bool)>,
    /// The pieces that a job would emit, up to the first event that makes it fail.
    pub chunks: Vec<Chunk>,
    /// The answer, or the message of the failure.
    pub answer: Result<Answer, String>,
}

/// Reads the frames of a stream. An event may have up to `most` bytes; a longer one ends the reading.
pub fn recorded(frames: impl IntoIterator<Item = Bytes>, most: usize) -> Recorded {
    let mut events = Vec::new();
    let mut reader = SseReader::new(most);
    for frame in frames {
        reader.push(frame);
        while let Ok(Some(event)) = reader.next() {
            events.push(event);
        }
    }
    events.extend(reader.rest());
    let mut chunks = Vec::new();
    let answer = answer(&events, most, &mut chunks).map_err(|failure| failure.message);
    Recorded { events: events.into_iter().map(|event| (event.data, event.is_error)).collect(), chunks, answer }
}

/// The answer that the events make. Their pieces go to `chunks`.
fn answer(events: &[Event], most: usize, chunks: &mut Vec<Chunk>) -> Result<Answer, Failure> {
    let mut assembly = Assembly::new(Wish { most, usage: true, whole: true, ..Wish::default() });
    for event in events {
        match read_event("recorded", &mut assembly, event.clone())? {
            Some(pieces) => chunks.extend(pieces),
            None => break,
        }
    }
    assembly.into_answer("recorded")
}
