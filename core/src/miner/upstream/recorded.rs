//! Reads a stream that was recorded, with the readers of a call and without its connection. Fuzz targets use it.

use bytes::Bytes;

use super::assembly::{Assembly, Wish};
use super::sse::{Event, SseReader};
use crate::miner::Chunk;
use crate::model::Answer;

/// The content of a recorded stream.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The data of every event, and whether the event is an error.
    pub events: Vec<(Bytes, bool)>,
    /// The pieces that a job would emit, up to the first event that makes it fail.
    pub chunks: Vec<Chunk>,
    /// The answer, or the message of the failure.
    pub answer: Option<Result<Answer, String>>,
}

/// Reads the frames of a stream. An event may have up to `most` bytes; a longer one ends the reading.
pub fn recorded(frames: impl IntoIterator<Item = Bytes>, most: usize) -> Recorded {
    let mut found = Recorded::default();
    let mut reader = SseReader::new(most);
    for frame in frames {
        reader.push(frame);
        while let Ok(Some(event)) = reader.next() {
            found.events.push((event.data, event.is_error));
        }
    }
    found.events.extend(reader.rest().map(|Event { data, is_error }| (data, is_error)));

    let mut assembly = Assembly::new(Wish { most, usage: true, whole: true, ..Wish::default() });
    for (data, is_error) in &found.events {
        match assembly.take("recorded", data.clone()) {
            Ok(chunks) if !is_error => found.chunks.extend(chunks),
            Ok(_) => return found,
            Err(failure) => {
                found.answer = Some(Err(failure.message));
                return found;
            }
        }
    }
    found.answer = Some(assembly.into_answer("recorded").map_err(|failure| failure.message));
    found
}
