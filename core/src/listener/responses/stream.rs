//! Streams in the form of the Responses API: events of the router in, events of the API out.

use std::time::Duration;

use super::create::named;
use crate::listener::sse::{self, Layout};
use crate::listener::state::AppState;
use crate::model::Timestamp;
use crate::model::responses::{Asked, Events};
use crate::{Result, StreamEvent, Submission};

/// Writes one stream.
struct ResponseStream {
    events: Events,
    /// When the task ended, in Unix seconds, if it had ended when the stream began.
    ended_at: Option<u64>,
}

/// The events of a task's response for a reader that has those up to number `after`.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(super) async fn events(
    state: &AppState,
    submission: Submission,
    asked: Box<Asked>,
    after: Option<u64>,
) -> Result<sse::Events<impl Layout>> {
    let layout = |submission: &Submission| {
        let events = Events::new(named(submission), asked, after);
        let events = if submission.is_in_one_piece() { events.of_whole() } else { events };
        ResponseStream { events, ended_at: submission.ended_at().map(Timestamp::as_secs) }
    };
    if after.is_none() {
        return sse::begin(submission, &state.config, layout).await;
    }
    // A reader that comes back learns of a failure by an event, as it would have before.
    submission.accepted().await?;
    let (tokens, layout) = (submission.stream(), layout(&submission));
    let keepalive = Duration::from_millis(state.config.keepalive_ms);
    Ok(sse::Events::new(submission, tokens, None, layout, keepalive))
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
