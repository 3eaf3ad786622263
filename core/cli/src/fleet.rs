//! `fleet`: shows the routers that share a database.

use clap::Args;
use serde_json::Value;

use crate::client::Remote;
use crate::exit::Done;
use crate::output::{self, text};
use crate::runtime;

/// The arguments of `fleet`.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Fleet {
    pub(crate) fn run(&self) -> Done {
        let client = self.remote.client()?;
        let answer = runtime::client(client.get("/api/v1/fleet"))?;
        if self.json {
            return output::json(&answer);
        }
        let members = answer.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        if members.is_empty() {
            return output::line("this router shares its store with no other: start each with the same `storage.url`");
        }
        let rows: Vec<Vec<String>> = members.iter().map(row).collect();
        output::table(
            &[
                "ROUTER",
                "STATE",
                "VERSION",
                "LEASE",
                "LINK",
                "ROUND TRIP",
                "LENT",
                "BORROWED",
                "MINERS",
                "QUEUED",
                "RUNNING",
            ],
            &rows,
        )
    }
}

/// The line of one router. A router without a link tells no figures.
fn row(member: &Value) -> Vec<String> {
    let link = text(member, "link");
    let is_linked = link == "up";
    let figure = |name: &str| if is_linked || link == "own" { text(member, name) } else { "-".to_owned() };
    let round_trip = member.get("round_trip_ms").and_then(Value::as_f64).filter(|_| is_linked);
    vec![
        text(member, "name"),
        text(member, "state"),
        text(member, "version"),
        format!("{} ms", text(member, "lease_left_ms")),
        link.clone(),
        round_trip.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1} ms")),
        if is_linked { text(member, "lent") } else { "-".to_owned() },
        if is_linked { text(member, "borrowed") } else { "-".to_owned() },
        figure("miners"),
        figure("queued_tasks"),
        figure("running_tasks"),
    ]
}
