//! `tasks`: lists, shows and cancels tasks.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use crate::candidates;
use crate::client::Remote;
use crate::exit::Done;
use crate::output::{self, ago, text};
use crate::runtime;
use crate::submit::path_segment;

const EXAMPLES: &str = "\
Examples:
  cortensor-router tasks list 0                the newest tasks of session 0, oldest first
  cortensor-router tasks list 0 --state queued
  cortensor-router tasks show 0 12
  cortensor-router tasks cancel 0 12";

/// The arguments of `tasks`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the tasks of a session
    List(List),
    /// Show a task with its answers
    Show(One),
    /// Cancel a task
    Cancel(One),
}

#[derive(Debug, Args)]
struct List {
    /// The session's id
    #[arg(value_name = "SESSION", default_value = "0", add = candidates::sessions())]
    session: String,
    /// List only tasks in this state: queued, acked, ended ...
    #[arg(long)]
    state: Option<String>,
    /// List only tasks of this key
    #[arg(long, value_name = "ID", add = candidates::keys())]
    key: Option<String>,
    /// The maximum number of tasks to list: the newest, unless --offset or --order says otherwise
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The number of the oldest tasks to leave out
    #[arg(long)]
    offset: Option<u64>,
    /// From the oldest on (asc), or from the newest back (desc)
    #[arg(long, value_parser = ["asc", "desc"])]
    order: Option<String>,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct One {
    /// The session's id
    #[arg(value_name = "SESSION", add = candidates::sessions())]
    session: String,
    /// The task's id in the session
    #[arg(value_name = "TASK", add = candidates::tasks())]
    task: String,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Tasks {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::List(list) => list.run(),
            Action::Show(one) => {
                let task = one.call(Method::GET)?;
                if one.json { output::json(&task) } else { show(&task) }
            }
            Action::Cancel(one) => {
                let task = one.call(Method::DELETE)?;
                if one.json {
                    return output::json(&task);
                }
                output::line(&format!("task {} of session {} is cancelled", one.task, one.session))
            }
        }
    }
}

impl One {
    fn call(&self, method: Method) -> Done<Value> {
        let client = self.remote.client()?;
        let path = format!("/api/v1/tasks/{}/{}", path_segment(&self.session), path_segment(&self.task));
        runtime::client(client.send(method, &path, None))
    }
}

impl List {
    fn run(&self) -> Done {
        let client = self.remote.client()?;
        let state = self.state.as_ref().map(|state| format!("&state={}", path_segment(state))).unwrap_or_default();
        let session = path_segment(&self.session);
        let offset = self.offset.map(|offset| format!("&offset={offset}")).unwrap_or_default();
        let order = self.order.as_ref().map(|order| format!("&order={order}")).unwrap_or_default();
        let key = self.key.as_ref().map(|key| format!("&key={}", path_segment(key))).unwrap_or_default();
        let path = format!("/api/v1/tasks/{session}?limit={}{offset}{order}{state}{key}", self.limit);
        let answer = runtime::client(client.get(&path))?;
        if self.json {
            return output::json(&answer);
        }
        let tasks = answer.get("tasks").and_then(Value::as_array).cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = tasks
            .iter()
            .map(|task| {
                vec![
                    text(task, "id"),
                    state_of(task),
                    text(task, "attempts"),
                    ago(task, "created_at"),
                    text(task, "model"),
                    text(task, "prompt"),
                ]
            })
            .collect();
        output::table(&["TASK", "STATE", "ATTEMPTS", "CREATED", "MODEL", "PROMPT"], &rows)
    }
}

/// The state of a task as it is shown, for example `ended (ok)` or `queued`.
pub(crate) fn state_of(task: &Value) -> String {
    match text(task, "outcome") {
        outcome if outcome.is_empty() => text(task, "state"),
        outcome => format!("{} ({outcome})", text(task, "state")),
    }
}

/// The fate of a task's message, for example `delivered, https://host/path, tries: 2`; empty: it has none.
pub(crate) fn webhook_of(task: &Value) -> String {
    let Some(delivery) = task.get("webhook").filter(|webhook| webhook.is_object()) else { return String::new() };
    let (state, url, tries) = (text(delivery, "state"), text(delivery, "url"), text(delivery, "attempts"));
    let why = Some(text(delivery, "last_error")).filter(|why| !why.is_empty());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    match state.as_str() {
        "waiting" => format!("{url} hears of the end"),
        state => format!("{state}, {url}, tries: {tries}{why}{}", next_try(delivery)),
    }
}

fn next_try(delivery: &Value) -> String {
    let wait = delivery.get("next_at").and_then(Value::as_u64).filter(|_| text(delivery, "attempts") != "0");
    let left = |at: u64| at.saturating_sub(cortensor_router::model::Timestamp::wall_clock().as_secs());
    wait.map(|at| format!("; next try in {}", output::span(left(at)))).unwrap_or_default()
}

fn show(task: &Value) -> Done {
    let usage = task.get("usage").map(|usage| {
        format!("{} prompt + {} answer tokens", text(usage, "prompt_tokens"), text(usage, "completion_tokens"))
    });
    output::fields(&[
        ("task", format!("{} of session {} (gid {})", text(task, "id"), text(task, "session_id"), text(task, "gid"))),
        ("state", state_of(task)),
        ("failure", text(task, "failure")),
        ("queue position", text(task, "queue_position")),
        ("model", text(task, "model")),
        ("attempts", text(task, "attempts")),
        ("miners", text(task, "assigned_miners")),
        ("created", ago(task, "created_at")),
        ("finished", ago(task, "finished_at")),
        ("finish reason", text(task, "finish_reason")),
        ("usage", usage.unwrap_or_default()),
        ("webhook", webhook_of(task)),
        ("prompt", text(task, "prompt")),
        ("answer", text(task, "text")),
    ])
}
