//! `submit`: sends a prompt to a running router and prints the answer.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use cortensor_router::model::{SessionId, TaskId};
use cortensor_router::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::client::{Client, Remote};
use crate::exit::{Done, Exit};
use crate::sse::Events;
use crate::waiting::Waiting;
use crate::{candidates, output, runtime};

const EXAMPLES: &str = "\
Examples:
  cortensor-router submit 'Why is the sky blue?'
  git diff | cortensor-router submit -         the prompt comes from standard input
  cortensor-router submit --session 3 --model qwen --max-tokens 200 'Name three rivers.'
  cortensor-router submit --no-stream --json 'Say yes.' | jq -r '.choices[0].text'

Ctrl-C cancels the task. The exit status says why no answer came: see `cortensor-router --help`.";

/// The arguments of `submit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Submit {
    /// The prompt; `-` reads it from standard input
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,
    /// The session; the router chooses one where none is given
    #[arg(long, short, value_name = "ID", add = candidates::sessions())]
    session: Option<String>,
    /// The model
    #[arg(long, short, value_name = "MODEL", add = candidates::models())]
    model: Option<String>,
    /// The maximum number of tokens in the answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// The randomness of the model's choice of words, 0 to 2
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Seconds after which the router gives the task up
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// A key with which a repeated call joins the task of the first call instead of starting another
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the answer at its end instead of as it comes
    #[arg(long)]
    no_stream: bool,
    /// Print the router's JSON: one line an event, or the whole answer with --no-stream
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Submit {
    pub(crate) fn run(&self) -> Done {
        let prompt = prompt_of(self.prompt.as_deref(), "prompt")?;
        let client = self.remote.client()?;
        let (path, body, headers) = self.request(&prompt);
        runtime::client(async {
            if self.no_stream {
                let mut waiting = Waiting::begin(&client, !self.json && headers.is_empty());
                let body = waiting.referred(&body);
                let answer = waiting.during(client.wait_for(&path, &body, &headers)).await?;
                waiting.end();
                return if self.json { output::json(&answer) } else { print_text(&answer) };
            }
            stream(&client, &path, &body, &headers, self.json).await
        })
    }

    fn request(&self, prompt: &str) -> (String, Value, Vec<(&'static str, String)>) {
        let mut body =
            Map::from_iter([("prompt".to_owned(), json!(prompt)), ("stream".to_owned(), json!(!self.no_stream))]);
        let optional = [
            ("model", self.model.as_ref().map(|model| json!(model))),
            ("max_tokens", self.max_tokens.map(|n| json!(n))),
            ("temperature", self.temperature.map(|t| json!(t))),
            ("timeout", self.timeout.map(|seconds| json!(seconds))),
        ];
        body.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let path = match &self.session {
            Some(session) => format!("/api/v1/completions/{}", path_segment(session)),
            None => "/api/v1/completions".to_owned(),
        };
        let headers = self.idempotency_key.iter().map(|key| ("idempotency-key", key.clone())).collect();
        (path, Value::Object(body), headers)
    }
}

/// Streams one completion to standard output.
pub(crate) async fn stream(
    client: &Client,
    path: &str,
    body: &Value,
    headers: &[(&'static str, String)],
    json: bool,
) -> Done {
    // A repeated call under a key must be the same request, so that it gets no reference of its own.
    let mut waiting = Waiting::begin(client, !json && headers.is_empty());
    let body = waiting.referred(body);
    let response = waiting.during(client.stream(path, &body, headers)).await?;
    let mut events = Events::new(response.into_body());
    let mut ended = false;
    let mut last = String::new();
    while let Some(data) = waiting.during(events.next()).await? {
        if &data[..] == b"[DONE]" {
            ended = true;
            break;
        }
        let event: Value = serde_json::from_slice(&data)
            .map_err(|e| Exit::failed(format!("the router sent an event that is no JSON: {e}")))?;
        if json {
            output::json(&event)?;
        }
        waiting.end();
        if !json && event.get("restart").is_some() {
            output::remark("\nanother miner starts over: what came before is void");
            continue;
        }
        if let Some(message) = event.get("error") {
            return Err(failure(&event, message));
        }
        if !json
            && let Some(piece) =
                event.pointer("/choices/0/text").and_then(Value::as_str).filter(|piece| !piece.is_empty())
        {
            output::foreign(piece)?;
            piece.clone_into(&mut last);
        }
    }
    if !json && !last.ends_with('\n') {
        output::line("")?;
    }
    if ended { Ok(()) } else { Err(Exit::new(6, "the connection ended before the answer did")) }
}

/// The exit that an event with an error means.
pub(crate) fn failure(event: &Value, message: &Value) -> Exit {
    let message = message.as_str().map_or_else(|| output::text(message, "message"), str::to_owned);
    let kind = event.get("code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let kind = kind.unwrap_or(ErrorKind::MinerFailed);
    let error = Error::new(kind, message);
    let id = |name| event.get(name).and_then(Value::as_u64);
    Exit::from(match id("session_id") {
        Some(session) => error.with_ids(SessionId(session), id("task_id").map(TaskId)),
        None => error,
    })
}

fn print_text(answer: &Value) -> Done {
    let text = answer.pointer("/choices/0/text").and_then(Value::as_str).unwrap_or_default();
    output::foreign(text)?;
    if text.ends_with('\n') { Ok(()) } else { output::line("") }
}

/// The text of an argument, or of standard input if the argument is `-`, or if there is none and standard input is no
/// terminal. `name` says what the text is.
pub(crate) fn prompt_of(given: Option<&str>, name: &str) -> Done<String> {
    let prompt = match given {
        Some("-") => read(name)?,
        Some(prompt) => prompt.to_owned(),
        None if std::io::stdin().is_terminal() => {
            return Err(Exit::usage(format!("there is no {name}: give one, or `-` to read it from standard input")));
        }
        None => read(name)?,
    };
    if prompt.trim().is_empty() { Err(Exit::usage(format!("the {name} is empty"))) } else { Ok(prompt) }
}

fn read(name: &str) -> Done<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|e| Exit::usage(format!("the {name} cannot be read: {e}")))?;
    Ok(text)
}

/// Escapes a text as one segment of a path.
pub(crate) fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
