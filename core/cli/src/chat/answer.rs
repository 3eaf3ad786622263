//! One answer of a chat: asked for, shown as it comes, and given up at Ctrl-C.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::conversation::Conversation;
use super::markdown::Markdown;
use crate::client::Client;
use crate::exit::{Done, Exit};
use crate::output::{self, text};
use crate::sse::Events;
use crate::submit::failure;
use crate::waiting::Waiting;

/// The outcome of a question.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    /// Whether the user gave it up.
    pub(super) cancelled: bool,
    usage: Value,
    model: String,
    first: Option<Duration>,
    whole: Duration,
}

/// How an answer is asked for and shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Whether Markdown is shown with styles.
    pub(super) styled: bool,
    /// Whether a sign tells what the answer waits for.
    pub(super) sign: bool,
}

/// Asks for the next message of a conversation and shows it. Ctrl-C gives the answer up: the connection is closed, and
/// the router cancels the task.
pub(super) async fn ask(client: &Client, conversation: &Conversation, manner: Manner) -> Done<Answer> {
    let mut answer = Answer::default();
    let mut markdown = Markdown::new(manner.styled);
    let since = Instant::now();
    let done = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            answer.cancelled = true;
            Ok(())
        }
        done = read(client, conversation, manner, &mut answer, &mut markdown, since) => done,
    };
    answer.whole = since.elapsed();
    output::write(&markdown.end())?;
    if !answer.text.is_empty() && !answer.text.ends_with('\n') {
        output::line("")?;
    }
    done.map(|()| answer)
}

async fn read(
    client: &Client,
    conversation: &Conversation,
    manner: Manner,
    answer: &mut Answer,
    markdown: &mut Markdown,
    since: Instant,
) -> Done {
    let mut waiting = Waiting::begin(client, manner.sign);
    let body = waiting.referred(&conversation.request());
    let headers: Vec<_> = conversation.session.iter().map(|id| ("x-cortensor-session", id.clone())).collect();
    let response = waiting.during(client.stream("/v1/chat/completions", &body, &headers)).await?;
    let mut events = Events::new(response.into_body());
    while let Some(data) = waiting.during(events.next()).await? {
        if &data[..] == b"[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_slice(&data)
            .map_err(|e| Exit::failed(format!("the router sent an event that is no JSON: {e}")))?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(failure(&event, error));
        }
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            answer.usage = usage.clone();
        }
        answer.model = text(&event, "model");
        let Some(piece) = event.pointer("/choices/0/delta/content").and_then(Value::as_str) else { continue };
        if !piece.is_empty() {
            waiting.end();
            answer.first.get_or_insert(since.elapsed());
            answer.text.push_str(piece);
            let shown = if manner.styled || manner.sign { markdown.add(piece) } else { piece.to_owned() };
            output::write(&shown)?;
        }
    }
    Err(Exit::new(6, "the connection ended before the answer did"))
}

impl Answer {
    /// The tokens and the times, as they are told below an answer.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.cancelled {
            parts.push("cancelled".to_owned());
        }
        if self.usage.is_object() {
            let (prompt, answer) = (text(&self.usage, "prompt_tokens"), text(&self.usage, "completion_tokens"));
            parts.push(format!("{prompt} + {answer} tokens"));
        }
        parts.push(format!("{:.1} s", self.whole.as_secs_f64()));
        if let Some(first) = self.first {
            parts.push(format!("first after {:.1} s", first.as_secs_f64()));
        }
        if !self.model.is_empty() {
            parts.push(self.model.clone());
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_summary_has_what_is_known() {
        let mut answer = Answer { whole: Duration::from_millis(1_240), ..Answer::default() };
        assert_eq!(answer.summary(), "1.2 s");
        answer.usage = json!({"prompt_tokens": 12, "completion_tokens": 34});
        answer.first = Some(Duration::from_millis(320));
        answer.model = "tiny".to_owned();
        assert_eq!(answer.summary(), "12 + 34 tokens, 1.2 s, first after 0.3 s, tiny");
        answer.cancelled = true;
        assert!(answer.summary().starts_with("cancelled, "));
    }
}
