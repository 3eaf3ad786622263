//! Completions as Cortensor's event streams. Published parsers expect exactly this layout.

use std::io::Write as _;

use crate::listener::reply::cortensor_error;
use crate::listener::sse::Layout;
use crate::model::{Completion, CompletionIds, CompletionRecord};
use crate::router::{StreamEvent, Submission};

/// A completion as events: constant ids, the new piece in `choices[0].text`, and the whole answer in the last event.
pub(super) struct CortensorStream {
    ids: CompletionIds,
    /// The number of the last piece. The final event has the next number.
    last_seq: u64,
}

impl CortensorStream {
    /// The stream of a task.
    pub(super) fn new(task: &Submission) -> Self {
        let ids = CompletionIds::new(task.gid(), task.session_id(), task.task_id(), task.created(), task.model());
        Self { ids, last_seq: 0 }
    }

    fn event(&self, seq: u64, piece: &str, end: Option<&Completion>, out: &mut Vec<u8>) {
        // Writing to a vector never fails, and the record has no map with keys that are not text.
        let _ = write!(out, "id: {seq}\ndata: ");
        let _ = serde_json::to_writer(&mut *out, &CompletionRecord::event(&self.ids, piece, end));
        out.extend_from_slice(b"\n\n");
    }
}

impl Layout for CortensorStream {
    fn stands_at(&mut self, seq: u64) {
        self.last_seq = seq;
    }

    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            match event {
                // A piece without text carries data that only OpenAI's clients can read.
                StreamEvent::Token { seq, text, .. } => {
                    if !text.is_empty() {
                        self.event(seq, &text, None, out);
                    }
                }
                StreamEvent::Restart { seq } => {
                    let _ = write!(out, "id: {seq}\ndata: ");
                    let _ = serde_json::to_writer(&mut *out, &CompletionRecord::restart(&self.ids));
                    out.extend_from_slice(b"\n\n");
                }
                StreamEvent::End(Ok(completion)) => {
                    self.event(self.last_seq + 1, "", Some(&completion), out);
                    out.extend_from_slice(b"data: [DONE]\n\n");
                }
                // Another router goes on with the task: the client resumes there behind the last piece.
                StreamEvent::End(Err(error)) if error.code() == "task_moved" => {
                    let _ = write!(out, "event: moved\nid: {}\ndata: ", self.last_seq);
                    out.extend_from_slice(&cortensor_error(&error));
                    out.extend_from_slice(b"\n\n");
                }
                StreamEvent::End(Err(error)) => {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(&cortensor_error(&error));
                    out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
                }
            }
        }
    }
}
