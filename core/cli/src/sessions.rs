//! `sessions`: lists, shows, creates and closes sessions.

use clap::{Args, Subcommand};
use cortensor_router::model::Timestamp;
use http::Method;
use serde_json::{Map, Value, json};

use crate::candidates;
use crate::client::Remote;
use crate::exit::Done;
use crate::keys::{limit, object};
use crate::output::{self, ago, text};
use crate::runtime;
use crate::submit::path_segment;

const EXAMPLES: &str = "\
Examples:
  cortensor-router sessions list
  cortensor-router sessions create research --model qwen --priority 5
  cortensor-router sessions show 3
  cortensor-router sessions close 3";

/// The arguments of `sessions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sessions {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List sessions
    List(List),
    /// Show a session
    Show(One),
    /// Create a session
    Create(Box<Create>),
    /// Close a session: running tasks finish, new ones are refused
    Close(One),
}

#[derive(Debug, Args)]
struct List {
    /// List only sessions in this state: open or closed
    #[arg(long)]
    state: Option<String>,
    /// The maximum number of sessions to list
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The number of sessions to leave out at the beginning
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct One {
    /// The session's id
    #[arg(value_name = "ID", add = candidates::sessions())]
    id: String,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Create {
    /// A name for people
    #[arg(value_name = "NAME")]
    name: String,
    /// The model of the session's tasks if they name none
    #[arg(long, add = candidates::models())]
    model: Option<String>,
    /// The band of the session's tasks, 0 to 9; a higher band is served first
    #[arg(long, value_name = "0-9")]
    priority: Option<u8>,
    /// The session's share within a band, 1 to 1000
    #[arg(long, value_name = "1-1000")]
    weight: Option<u32>,
    /// How many miners answer each task
    #[arg(long, value_name = "N")]
    redundant: Option<u32>,
    /// How several answers are compared: first, quorum, medoid or all
    #[arg(long, value_name = "POLICY")]
    validation_policy: Option<String>,
    /// When two answers match: exact, normalized, json, lexical, embedding or verdict
    #[arg(long = "match", value_name = "METHOD")]
    matching: Option<String>,
    /// The score from which on two answers match, 0 to 1
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f64>,
    /// Ask one more miner if the answers do not agree
    #[arg(long)]
    tie_break: bool,
    /// The maximum number of tasks that the session ever accepts
    #[arg(long, value_name = "N")]
    max_tasks: Option<u64>,
    /// The parts of ended tasks that are kept: all, result (no prompt) or none
    #[arg(long)]
    retention: Option<String>,
    /// A limit for all tasks of the session (repeatable): the names of `key create --limit`
    #[arg(long = "limit", value_name = "LIMIT=NUMBER", value_parser = limit)]
    limits: Vec<(String, Option<u64>)>,
    /// The models that the session's tasks may use (repeatable)
    #[arg(long = "only-model", value_name = "MODEL", value_delimiter = ',', add = candidates::models())]
    models: Vec<String>,
    /// Days after which the session takes no new tasks
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    expires_in: Option<u64>,
    /// Any text to keep with the session
    #[arg(long)]
    metadata: Option<String>,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Sessions {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::List(list) => list.run(),
            Action::Show(one) => {
                let client = one.remote.client()?;
                let session = runtime::client(client.get(&one.path()))?;
                if one.json { output::json(&session) } else { show(&session) }
            }
            Action::Create(create) => create.run(),
            Action::Close(one) => {
                let client = one.remote.client()?;
                let session = runtime::client(client.send(Method::DELETE, &one.path(), None))?;
                if one.json { output::json(&session) } else { output::line(&format!("session {} is closed", one.id)) }
            }
        }
    }
}

impl One {
    fn path(&self) -> String {
        format!("/api/v1/sessions/{}", path_segment(&self.id))
    }
}

impl List {
    fn run(&self) -> Done {
        let client = self.remote.client()?;
        let state = self.state.as_ref().map(|state| format!("&state={}", path_segment(state))).unwrap_or_default();
        let path = format!("/api/v1/sessions?limit={}&offset={}{state}", self.limit, self.offset);
        let answer = runtime::client(client.get(&path))?;
        if self.json {
            return output::json(&answer);
        }
        let sessions = answer.get("sessions").and_then(Value::as_array).cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = sessions
            .iter()
            .map(|session| {
                vec![
                    text(session, "id"),
                    text(session, "name"),
                    text(session, "state"),
                    text(session, "model"),
                    text(session, "priority"),
                    text(session, "active_tasks"),
                    text(session, "total_tasks"),
                    text(session, "miners_count"),
                    ago(session, "created_at"),
                ]
            })
            .collect();
        output::table(&["ID", "NAME", "STATE", "MODEL", "PRIORITY", "ACTIVE", "TASKS", "MINERS", "CREATED"], &rows)
    }
}

impl Create {
    fn run(&self) -> Done {
        let mut body = Map::from_iter([("name".to_owned(), json!(self.name))]);
        let optional = [
            ("model", self.model.as_ref().map(|value| json!(value))),
            ("priority", self.priority.map(|value| json!(value))),
            ("weight", self.weight.map(|value| json!(value))),
            ("redundant", self.redundant.map(|value| json!(value))),
            ("validation_policy", self.validation_policy.as_ref().map(|value| json!(value))),
            ("match", self.matching.as_ref().map(|value| json!(value))),
            ("min_score", self.min_score.map(|value| json!(value))),
            ("tie_break", self.tie_break.then_some(json!(true))),
            ("max_task_execution_count", self.max_tasks.map(|value| json!(value))),
            ("retention", self.retention.as_ref().map(|value| json!(value))),
            ("limits", (!self.limits.is_empty()).then(|| object(&self.limits))),
            ("models", (!self.models.is_empty()).then(|| json!(self.models))),
            ("expires_at", self.expires_in.map(|days| json!(Timestamp::wall_clock().as_secs() + days * 86_400))),
            ("metadata", self.metadata.as_ref().map(|value| json!(value))),
        ];
        body.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let client = self.remote.client()?;
        let session = runtime::client(client.send(Method::POST, "/api/v1/sessions", Some(&Value::Object(body))))?;
        if self.json {
            return output::json(&session);
        }
        output::line(&format!("session {} {:?} is open", text(&session, "id"), text(&session, "name")))
    }
}

fn show(session: &Value) -> Done {
    output::fields(&[
        ("session", text(session, "id")),
        ("name", text(session, "name")),
        ("state", text(session, "state")),
        ("sid", text(session, "sid")),
        ("model", text(session, "model")),
        ("priority", text(session, "priority")),
        ("weight", text(session, "weight")),
        ("answers per task", text(session, "redundant")),
        ("validation", format!("{} {}", text(session, "validation_policy"), text(session, "match"))),
        ("retention", text(session, "retention")),
        ("tasks", format!("{} active of {}", text(session, "active_tasks"), text(session, "total_tasks"))),
        ("miners", text(session, "miners_count")),
        ("context", text(session, "max_context_tokens")),
        ("metadata", text(session, "metadata")),
        ("created", ago(session, "created_at")),
        ("updated", ago(session, "updated_at")),
    ])
}
