//! The messages that wait for their webhooks, as an operator sees them.

use serde::Serialize;

use super::shared::Router;
use crate::model::WebhookRecord;

/// A message that its receiver has not taken yet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct WaitingMessage {
    /// The session of the task; null: the router has forgotten it.
    session_id: Option<u64>,
    /// The task's number in its session; null where `session_id` is.
    task_id: Option<u64>,
    /// The task's number among all sessions.
    gid: u64,
    /// The `webhook-id` of the message, which is the same in every try.
    message_id: String,
    /// Unix seconds of the task's end.
    ended_at: u64,
    /// Whether it is being sent now.
    sending: bool,
    /// The receiver, and the tries so far.
    webhook: WebhookRecord,
}

impl Router {
    /// The messages that wait for their receivers: their number, and at most so many of those whose next try comes first.
    /// In a fleet they are the messages of this router alone.
    pub(crate) fn waiting_messages(&self, most: usize) -> (usize, Vec<WaitingMessage>) {
        let (all, first) = self.shared.outbox.first(most);
        let messages = first.into_iter().map(|(gid, sending, delivery)| {
            let task = self.shared.task_of_message(&delivery.id);
            WaitingMessage {
                session_id: task.map(|(session, _)| session.0),
                task_id: task.map(|(_, task)| task.0),
                gid: gid.0,
                ended_at: delivery.ended_at.as_secs(),
                sending,
                webhook: WebhookRecord::of(&delivery),
                message_id: delivery.id,
            }
        });
        (all, messages.collect())
    }
}
