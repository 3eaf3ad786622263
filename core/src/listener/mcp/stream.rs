//! A completion as a stream: progress while it comes, and the result at its end.

use std::sync::Arc;

use rmcp::model::{JsonRpcNotification, JsonRpcVersion2_0, ProgressNotificationParam, ProgressToken, RequestId};
use serde::Serialize;

use super::call::result;
use super::fault::error_of;
use super::outcome;
use super::version::Form;
use crate::listener::cut::LastEvent;
use crate::listener::reply::{self, cortensor_error};
use crate::listener::sse::Layout;
use crate::model::chat::write_raw_event;
use crate::model::{Completion, CompletionRecord};
use crate::{Result, StreamEvent};

/// Writes one stream.
pub(super) struct CallStream {
    id: RequestId,
    token: ProgressToken,
    form: Form,
    /// The pieces so far, which is how far the work has got. It never falls, also where an answer begins anew.
    pieces: u64,
}

/// A notification of progress.
#[derive(Serialize)]
struct Progress {
    method: &'static str,
    params: ProgressNotificationParam,
}

impl CallStream {
    pub(super) fn new(id: RequestId, token: ProgressToken, form: Form) -> Self {
        Self { id, token, form, pieces: 0 }
    }

    /// The event with which the stream ends early.
    pub(super) fn last_event(&self) -> LastEvent {
        let id = self.id.clone();
        LastEvent(Arc::new(move |error, out| event(&error_of(Some(id.clone()), error), out)))
    }

    fn progress(&self, text: String, out: &mut Vec<u8>) {
        let params = ProgressNotificationParam::new(self.token.clone(), self.pieces as f64).with_message(text);
        let notification = Progress { method: "notifications/progress", params };
        // The record has no map with keys that are not text.
        let message = JsonRpcNotification { jsonrpc: JsonRpcVersion2_0, notification };
        event(&serde_json::to_vec(&message).unwrap_or_default(), out);
    }

    fn end(&self, end: Result<Arc<Completion>>, out: &mut Vec<u8>) {
        let written = end.and_then(|completion| reply::written(&CompletionRecord::whole(&completion, false)));
        let is_success = written.is_ok();
        let json = written.unwrap_or_else(|error| cortensor_error(&error));
        match outcome::message(&self.id, &result(json, is_success, self.form)) {
            Ok(message) => event(&message, out),
            Err(error) => event(&error_of(Some(self.id.clone()), &error), out),
        }
    }
}

/// Appends a message as an event.
fn event(message: &[u8], out: &mut Vec<u8>) {
    write_raw_event("message", message, out);
}

impl Layout for CallStream {
    /// Writes the pieces that are ready in one notification, so that a client with many of them is told less often.
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        let mut text = String::new();
        let before = self.pieces;
        let mut end = None;
        for event in events {
            match event {
                StreamEvent::Token { text: piece, .. } => {
                    self.pieces += 1;
                    text.push_str(&piece);
                }
                StreamEvent::Restart { .. } => {
                    self.pieces += 1;
                    "(the answer begins anew) ".clone_into(&mut text);
                }
                StreamEvent::End(ended) => end = Some(ended),
            }
        }
        if self.pieces > before {
            self.progress(text, out);
        }
        if let Some(end) = end {
            self.end(end, out);
        }
    }
}
