//! `usage`: shows what was used.

use clap::Args;
use serde_json::Value;

use crate::candidates;
use crate::client::Remote;
use crate::exit::Done;
use crate::output::{self, text};
use crate::runtime;
use crate::submit::path_segment;

const EXAMPLES: &str = "\
Examples:
  cortensor-router usage                       this month, by day
  cortensor-router usage --by key --from 2026-01-01 --to 2026-01-31
  cortensor-router usage --by model --key 0f3c9a1b2d4e

A day is one in UTC. A column with the cost is there if the router has prices. A token without the scope admin sees its own usage and that of its sessions.";

/// The arguments of `usage`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Usage {
    /// Tell usage apart by these
    #[arg(long, default_value = "day", value_parser = ["day", "key", "model", "session", "miner"])]
    by: String,
    /// The first day; the first of this month where none is given
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// The last day; today where none is given
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<String>,
    /// Only tasks of this key
    #[arg(long, value_name = "ID", add = candidates::keys())]
    key: Option<String>,
    /// Only tasks of this session
    #[arg(long, value_name = "ID", add = candidates::sessions())]
    session: Option<String>,
    /// Only tasks for this model
    #[arg(long, add = candidates::models())]
    model: Option<String>,
    /// Only tasks of the miner with this address
    #[arg(long, value_name = "ADDRESS", add = candidates::miners())]
    miner: Option<String>,
    /// The maximum number of lines
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The number of lines to leave out at the beginning
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// Print the router's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Usage {
    pub(crate) fn run(&self) -> Done {
        let mut path = format!("/api/v1/usage?by={}&limit={}&offset={}", self.by, self.limit, self.offset);
        for (name, value) in [
            ("from", &self.from),
            ("to", &self.to),
            ("key", &self.key),
            ("session", &self.session),
            ("model", &self.model),
            ("miner", &self.miner),
        ] {
            if let Some(value) = value {
                path.extend(["&", name, "=", &path_segment(value)]);
            }
        }
        let client = self.remote.client()?;
        let answer = runtime::client(client.get(&path))?;
        if self.json {
            return output::json(&answer);
        }
        let parts = answer.get("usage").and_then(Value::as_array).cloned().unwrap_or_default();
        let currency = answer.get("currency").and_then(Value::as_str);
        let mut columns = vec![
            "name",
            "requests",
            "ok",
            "failed",
            "cancelled",
            "expired",
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "bytes",
            "attempts",
        ];
        let cost = currency.map(|currency| format!("COST {currency}"));
        if cost.is_some() {
            columns.push("cost");
        }
        let rows: Vec<Vec<String>> =
            parts.iter().map(|part| columns.iter().map(|name| text(part, name)).collect()).collect();
        let by = self.by.to_uppercase();
        let mut head = vec![
            by.as_str(),
            "REQUESTS",
            "OK",
            "FAILED",
            "CANCELLED",
            "EXPIRED",
            "PROMPT",
            "COMPLETION",
            "CACHED",
            "BYTES",
            "ATTEMPTS",
        ];
        head.extend(cost.as_deref());
        let unpriced = |part: &Value| part.get("unpriced_tokens").and_then(Value::as_u64).unwrap_or_default();
        let unpriced: u64 = parts.iter().map(unpriced).sum();
        if cost.is_some() && unpriced > 0 {
            output::remark(&format!("the cost leaves out {unpriced} tokens of models without a price"));
        }
        output::table(&head, &rows)
    }
}
