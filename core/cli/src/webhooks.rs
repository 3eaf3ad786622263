//! `webhooks`: lists the messages of a running router that wait for their webhooks.

use clap::Args;
use cortensor_router::model::Timestamp;
use serde_json::Value;

use crate::exit::Done;
use crate::keys::Place;
use crate::output::{self, ago, text};
use crate::reload::running;
use crate::runtime;

const EXAMPLES: &str = "\
Examples:
  cortensor-router webhooks                    what waits, the next try first
  cortensor-router webhooks --limit 10 --json

A message goes out when its task has ended, and again until its receiver takes it or the
router gives up. `tasks show` tells what became of a message that is done.";

/// The arguments of `webhooks`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Webhooks {
    /// The maximum number of messages
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    place: Place,
}

impl Webhooks {
    pub(crate) fn run(&self) -> Done {
        let client = running(&self.place)?;
        let answer = runtime::client(client.get(&format!("/api/v1/webhooks?limit={}", self.limit)))?;
        if self.place.json {
            return output::json(&answer);
        }
        let messages = answer.get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default();
        let left =
            answer.get("count").and_then(Value::as_u64).unwrap_or_default().saturating_sub(messages.len() as u64);
        let now = Timestamp::wall_clock().as_secs();
        let rows: Vec<Vec<String>> = messages
            .iter()
            .map(|message| {
                let webhook = &message["webhook"];
                vec![
                    text(message, "session_id"),
                    text(message, "task_id"),
                    ago(message, "ended_at"),
                    text(webhook, "attempts"),
                    next_try(message, now),
                    text(webhook, "url"),
                    text(webhook, "last_error"),
                ]
            })
            .collect();
        output::table(&["SESSION", "TASK", "ENDED", "TRIES", "NEXT TRY", "RECEIVER", "LAST ANSWER"], &rows)?;
        if left > 0 {
            output::remark(&format!("{left} more wait: see them with a greater --limit"));
        }
        Ok(())
    }
}

/// When a message is sent next, as `now` or `in 5 s`.
fn next_try(message: &Value, now: u64) -> String {
    if message.get("sending") == Some(&Value::Bool(true)) {
        return "now".to_owned();
    }
    let at = message["webhook"].get("next_at").and_then(Value::as_u64).unwrap_or_default();
    match at.saturating_sub(now) {
        0 => "now".to_owned(),
        wait => format!("in {}", output::span(wait)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_says_when_it_is_sent_next() {
        let message = |sending: bool, next_at: u64| json!({"sending": sending, "webhook": {"next_at": next_at}});
        for (sending, next_at, words) in
            [(false, 105, "in 5 s"), (false, 100, "now"), (false, 90, "now"), (true, 105, "now")]
        {
            assert_eq!(next_try(&message(sending, next_at), 100), words, "{sending} {next_at}");
        }
    }
}
