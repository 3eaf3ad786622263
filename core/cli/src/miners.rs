//! `miners`: lists the miners of a running router.

use clap::Args;
use serde_json::Value;

use crate::client::Remote;
use crate::exit::Done;
use crate::output::{self, text};
use crate::runtime;

/// The arguments of `miners`.
#[derive(Debug, Args)]
pub(crate) struct Miners {
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Miners {
    pub(crate) fn run(&self) -> Done {
        let client = self.remote.client()?;
        let answer = runtime::client(client.get("/api/v1/miners"))?;
        if self.json {
            return output::json(&answer);
        }
        let miners = answer.get("miners").and_then(Value::as_array).cloned().unwrap_or_default();
        if miners.is_empty() {
            return output::line("there are no miners: attach one with `serve --upstream http://127.0.0.1:8080/v1`");
        }
        let is_of_fleet = miners.iter().any(|miner| !text(miner, "router").is_empty());
        let rows: Vec<Vec<String>> = miners
            .iter()
            .map(|miner| {
                let models = text(miner, "models");
                let router = is_of_fleet.then(|| text(miner, "router"));
                let rest = [
                    text(miner, "kind"),
                    text(miner, "status"),
                    format!("{}/{}", text(miner, "in_flight"), text(miner, "capacity")),
                    if models.is_empty() { "any".to_owned() } else { models },
                    text(miner, "reason"),
                ];
                [text(miner, "id")].into_iter().chain(router).chain(rest).collect()
            })
            .collect();
        let router: &[&str] = if is_of_fleet { &["ROUTER"] } else { &[] };
        let columns = [&["MINER"], router, &["KIND", "STATUS", "IN FLIGHT", "MODELS", "REMARK"]].concat();
        output::table(&columns, &rows)
    }
}
