//! Streams in the form of the Responses API: events of the router in, events of the API out.

use std::time::Duration;

use axum::response::Response;

use super::create::named;
use crate::listener::sse::Layout;
use crate::listener::state::AppState;
use crate::listener::{openai, sse};
use crate::model::Timestamp;
use crate::model::responses::{Asked, Events};
use crate::{Result, StreamEvent, Submission};

/// Writes one stream.
struct ResponseStream {
    events: Events,
    /// When the task ended, in Unix seconds, if it had ended when the stream began.
    ended_at: Option<u64>,
}

/// Streams a task's response to a reader that has the events up to number `after`.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(super) async fn respond(
    state: &AppState,
    submission: Submission,
    asked: Asked,
    after: Option<u64>,
) -> Result<Response> {
    let names = openai::Named::from(&submission);
    let layout = |submission: &Submission| {
        let events = Events::new(named(submission), asked, after);
        let events = if submission.is_in_one_piece() { events.of_whole() } else { events };
        ResponseStream { events, ended_at: submission.state().ended_at.map(Timestamp::as_secs) }
    };
    let events = if after.is_none() {
        sse::begin(submission, &state.config, layout).await?
    } else {
        // A reader that comes back learns of a failure by an event, as it would have before.
        submission.accepted().await?;
        let (tokens, layout) = (submission.stream(), layout(&submission));
        sse::Events::new(submission, tokens, None, layout, Duration::from_millis(state.config.keepalive_ms))
    };
    let mut response = sse::respond(events);
    names.tell(response.headers_mut());
    Ok(response)
}

impl Layout for ResponseStream {
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.events.is_over() {
                return;
            }
            match event {
                StreamEvent::Token { text, raw, .. } => self.events.piece(&text, raw.as_deref(), out),
                StreamEvent::Restart { .. } => {
                    if let Err(error) = self.events.restart() {
                        self.events.fail(&error, out);
                    }
                }
                StreamEvent::End(Ok(completion)) => {
                    let ended_at = self.ended_at.unwrap_or_else(|| Timestamp::wall_clock().as_secs());
                    self.events.end(&completion.answer, Some(ended_at), out);
                }
                StreamEvent::End(Err(error)) => self.events.fail(&error, out),
            }
        }
    }

    fn ended(&self) -> bool {
        self.events.is_over()
    }
}
