//! A task's tokens as they come.

use std::sync::Arc;

use cortensor_router::embed::{Bound, Event, Stream, error_json};
use parking_lot::Mutex;

use crate::error::Result;
use crate::mailbox::Post;

/// An event of a stream.
#[derive(uniffi::Enum)]
pub enum NativeEvent {
    /// Pieces of the text, with consecutive numbers.
    Tokens {
        /// The number of the first piece.
        seq: u64,
        /// The pieces.
        texts: Vec<String>,
    },
    /// A restart mark: all pieces before it are void, and the text begins again.
    Restart {
        /// The number of the mark.
        seq: u64,
    },
    /// The end of a task with an answer.
    Completed {
        /// The completion as JSON.
        completion: String,
    },
    /// The end of a task without one.
    Failed {
        /// The error as JSON.
        error: String,
    },
}

/// A task's tokens. One reader at a time.
#[derive(uniffi::Object)]
pub struct NativeStream {
    stream: Bound<Mutex<Option<Stream>>>,
    post: Bound<Arc<Post>>,
}

impl NativeStream {
    pub(crate) fn new(stream: Stream, post: Arc<Post>) -> Self {
        Self { stream: Bound::new(Mutex::new(Some(stream))), post: Bound::new(post) }
    }
}

/// The events as the languages get them: consecutive pieces together.
fn told(events: Vec<Event>) -> Vec<NativeEvent> {
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Token { seq, text } => {
                // Pieces are whole characters.
                let text = String::from_utf8_lossy(&text).into_owned();
                match out.last_mut() {
                    Some(NativeEvent::Tokens { seq: first, texts }) if *first + texts.len() as u64 == seq => {
                        texts.push(text);
                    }
                    _ => out.push(NativeEvent::Tokens { seq, texts: vec![text] }),
                }
            }
            Event::Restart { seq } => out.push(NativeEvent::Restart { seq }),
            Event::End(Ok(completion)) => out.push(NativeEvent::Completed { completion }),
            Event::End(Err(error)) => out.push(NativeEvent::Failed { error: error_json(&error) }),
        }
    }
    out
}

#[uniffi::export]
impl NativeStream {
    /// Takes the events that are ready. None: the stream is over. An empty list: no event is ready, and a message with
    /// the number `token` will tell when one is.
    pub fn take(&self, token: u64) -> Result<Option<Vec<NativeEvent>>> {
        self.post.check()?;
        let stream = self.stream.lock();
        let Some(stream) = &*stream else { return Ok(None) };
        let events = stream.take_ready()?;
        if events.as_ref().is_some_and(Vec::is_empty) {
            stream.notify(self.post.signal(token))?;
        }
        Ok(events.map(told))
    }

    /// Releases the stream: it is read no further.
    pub fn release(&self) {
        if self.post.check().is_ok() {
            let stream = self.stream.lock().take();
            drop(stream);
        }
    }
}
