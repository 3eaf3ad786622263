//! `status`: shows the state of a running router.

use clap::Args;

use crate::client::Remote;
use crate::exit::Done;
use crate::output::{self, text};
use crate::runtime;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Status {
    pub(crate) fn run(&self) -> Done {
        let client = self.remote.client()?;
        let status = runtime::client(client.get("/api/v1/status"))?;
        if self.json {
            return output::json(&status);
        }
        let uptime =
            status.get("uptime").and_then(serde_json::Value::as_f64).map(|seconds| output::span(seconds as u64));
        output::fields(&[
            ("router", format!("{} {}", client.base(), text(&status, "version"))),
            ("status", text(&status, "status")),
            ("uptime", uptime.unwrap_or_default()),
            ("miners", format!("{} active of {}", text(&status, "active_miners"), text(&status, "miner_count"))),
            ("sessions", text(&status, "active_sessions")),
            ("queued", text(&status, "queued_tasks")),
            ("running", text(&status, "running_tasks")),
            ("store", format!("{}, durability {}", text(&status, "store"), text(&status, "durability"))),
        ])
    }
}
