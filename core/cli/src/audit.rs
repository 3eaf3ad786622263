//! `audit`: shows who changed keys, miners, upstreams, sessions and the configuration.

use clap::Args;
use cortensor_router::internals::store::{ActKind, AuditQuery};
use cortensor_router::model::Timestamp;
use serde_json::{Value, json};

use crate::exit::Done;
use crate::keys::{Holding, Place, with_store};
use crate::output::{self, text};
use crate::runtime;

const EXAMPLES: &str = "\
Examples:
  cortensor-router audit                       the newest changes
  cortensor-router audit --act key_revoked
  cortensor-router audit --after 120 --json    what came after number 120

WHO is the id of a key or the name of a token; `command` is this command on the data
directory itself, `host` a program that embeds the router.";

/// The arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Audit {
    /// Only changes of this kind: `key_created`, `key_limited`, `key_revoked`, `miner_enrolled`, `miner_revoked`,
    /// `miner_forgotten`, `session_closed`, `config_reloaded`, `upstream_added`, `upstream_changed` or
    /// `upstream_removed`
    #[arg(long)]
    act: Option<ActKind>,
    /// Only entries after the one with this number, from the oldest on; the newest where none is given
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// The maximum number of entries
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    place: Place,
}

impl Audit {
    pub(crate) fn run(&self) -> Done {
        let Self { act, after, limit, place } = self;
        let answer = match place.find()? {
            Holding::Router(client) => {
                let mut path = format!("/api/v1/audit?limit={limit}");
                path.extend(after.map(|after| format!("&after={after}")));
                path.extend(act.map(|act| format!("&act={}", act.as_str())));
                runtime::client(client.get(&path))?
            }
            Holding::Store(config) => {
                let query = AuditQuery { act: *act, after: *after, limit: *limit };
                let page = with_store(&config, |store| store.audit(query).wait())?;
                let mut answer = json!({"count": page.total, "audit": page.entries});
                if !page.corrupt.is_empty() {
                    answer["corrupt"] = json!(page.corrupt);
                }
                answer
            }
        };
        if place.json {
            return output::json(&answer);
        }
        let corrupt = text(&answer, "corrupt");
        if !corrupt.is_empty() {
            output::remark(&format!("these entries are damaged: {corrupt}"));
        }
        let entries = answer.get("audit").and_then(Value::as_array).cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                let detail = entry.get("detail").map(Value::to_string).unwrap_or_default();
                vec![
                    text(entry, "number"),
                    at(entry),
                    text(entry, "key_id"),
                    text(entry, "act"),
                    text(entry, "subject"),
                    detail,
                ]
            })
            .collect();
        output::table(&["NUMBER", "TIME", "WHO", "ACT", "SUBJECT", "DETAIL"], &rows)
    }
}

/// The time of an entry, as `2026-01-31T12:00:00Z`.
fn at(entry: &Value) -> String {
    let at = Timestamp(entry.get("at").and_then(Value::as_u64).unwrap_or_default());
    at.rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc() {
        assert_eq!(at(&json!({"at": 1_769_864_461_999_u64})), "2026-01-31T13:01:01Z");
    }
}
