//! Checks the PostgreSQL database of `storage.url`: whether it can be used, how fast it is, and what a failover may lose.

use std::time::Duration;

use cortensor_router::config::StorageConfig;
use cortensor_router::internals::store::{PostgresOptions, survey};

use super::Findings;

/// The starts and takeovers that the numbers of one schema are enough for.
const MOST_STARTS: u64 = 1 << 20;

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
    if found.routers.is_empty() {
        findings.ok("routers", "no router uses the database");
    }
    for (name, since) in &found.routers {
        findings.ok("router", format!("the router {name:?} uses the database since {since}"));
    }
    let left = MOST_STARTS.saturating_sub(found.starts);
    if left < MOST_STARTS / 4 {
        findings.warn(
            "starts",
            format!("{left} starts and takeovers of routers are left in this schema: move to a new one in good time"),
        );
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
