//! Streams in the form of the Messages API: events of the router in, events of the API out.

use crate::StreamEvent;
use crate::listener::reply::Family;
use crate::listener::sse::Layout;
use crate::model::messages::Events;

/// Writes one stream.
pub(super) struct MessageStream(Events);

impl MessageStream {
    pub(super) fn new(events: Events) -> Self {
        Self(events)
    }

    fn fail(&mut self, error: &crate::Error, out: &mut Vec<u8>) {
        self.0.fail(&Family::Anthropic.error(error), out);
    }
}

impl Layout for MessageStream {
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.0.is_over() {
                return;
            }
            match event {
                StreamEvent::Token { text, raw, .. } => self.0.piece(&text, raw.as_deref(), out),
                StreamEvent::Restart { .. } => {
                    if let Err(error) = self.0.restart() {
                        self.fail(&error, out);
                    }
                }
                StreamEvent::End(Ok(completion)) => self.0.end(&completion, out),
                StreamEvent::End(Err(error)) => self.fail(&error, out),
            }
        }
    }

    fn alive(&mut self, out: &mut Vec<u8>) {
        self.0.ping(out);
    }

    fn ended(&self) -> bool {
        self.0.is_over()
    }
}
