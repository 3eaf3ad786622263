//! Checks the PostgreSQL database of `storage.url`: whether it can be used, how fast it is, and what a failover may lose.

use std::time::Duration;

use cortensor_router::config::StorageConfig;
use cortensor_router::internals::store::{PostgresOptions, survey};

use super::Findings;

/// The time from which on a commit is slow.
const SLOW: Duration = Duration::from_millis(50);

pub(super) fn check(url: &str, storage: &StorageConfig, findings: &mut Findings) {
    let found = match survey(url, &PostgresOptions::from(storage)) {
        Ok(found) => found,
        Err(error) => return findings.fail("database", error.message()),
    };
    let protection = if found.encrypted { "encrypted and verified" } else { "not encrypted" };
    findings.ok("database", format!("PostgreSQL {} at {}, {protection}", found.version, found.url));
    match found.schema {
        Some(version) => findings.ok("schema", format!("{} has version {version}", storage.schema)),
        None => findings.ok("schema", format!("{} will be created at the first start", storage.schema)),
    }
    findings.ok("round trip", format!("{} ms", millis(found.round_trip)));
    if let Some(commit) = found.commit {
        let words = format!("a commit takes {} ms", millis(commit));
        if commit < SLOW {
            findings.ok("commit", words);
        } else {
            findings.warn("commit", format!("{words}: a task waits that long for its acknowledgement"));
        }
    }
    if found.standbys.is_empty() {
        findings.warn(
            "replication",
            "no standby is synchronous: after a failover the last acknowledged tasks may be gone; set \
             synchronous_standby_names where there is a standby",
        );
    } else {
        findings.ok("replication", format!("a commit waits for {}", found.standbys));
    }
    match found.holder {
        None => findings.ok("router", "no router has the database"),
        Some((name, since)) => findings.ok("router", format!("the router {name:?} has the database since {since}")),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
