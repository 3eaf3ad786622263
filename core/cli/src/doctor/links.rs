//! Checks the links of the router that runs with these settings to the other routers of its fleet, both ways.

use std::time::Duration;

use cortensor_router::Config;
use serde_json::Value;

use super::Findings;
use crate::client::Client;
use crate::output::text;

/// The time that the router may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time from which on a link is slow: loans and pieces wait for it.
const SLOW_MS: f64 = 50.0;

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    if config.storage.url.is_none() || !config.listen.enabled {
        return;
    }
    let Some(fleet) = asked(config).await else {
        return findings
            .ok("links", "the router does not run here, or refuses this command: nothing is known of its links");
    };
    let members = fleet.get("members").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if members.len() < 2 {
        return findings.ok("links", "no other router is there");
    }
    for member in members {
        report(member, findings);
    }
}

/// The fleet as the router sees it; `None`: it does not answer.
async fn asked(config: &Config) -> Option<Value> {
    let token = config.listen.tokens.iter().find_map(|token| token.secret().ok());
    let client = Client::new(&config.listen.url_at(config.listen.address()), token.as_deref(), None).ok()?;
    tokio::time::timeout(PATIENCE, client.get("/api/v1/fleet")).await.ok()?.ok()
}

fn report(member: &Value, findings: &mut Findings) {
    let name = text(member, "name");
    let millis = |name: &str| member.get(name).and_then(Value::as_f64).unwrap_or_default();
    let (here, there) = (millis("round_trip_ms"), millis("round_trip_there_ms"));
    match text(member, "link").as_str() {
        "own" => {}
        "up" if there <= 0.0 => {
            findings.warn("link", format!("{name} is linked, but says nothing of its own round trip yet: ask again"));
        }
        "up" if here.max(there) > SLOW_MS => findings.warn(
            "link",
            format!("{name}: {here:.1} ms there and back, {there:.1} ms as it says: slots are lent as slowly"),
        ),
        "up" => findings.ok("link", format!("{name}: {here:.1} ms there and back, {there:.1} ms as it says")),
        "none" => findings.warn(
            "link",
            format!("{name} has no links: its tasks are read by their rows, and its miners serve its own tasks alone"),
        ),
        _ => findings.fail(
            "link",
            format!(
                "there is no link to {name} at {:?}, and it has none to this router: let one of the two reach the other's \
                 fleet.port, and set fleet.address to what others can reach",
                text(member, "address")
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn each_link_is_judged_both_ways() {
        let mut findings = Findings::default();
        for (name, link, here, there) in [
            ("me", "own", 0.0, 0.0),
            ("near", "up", 0.4, 0.5),
            ("far", "up", 0.4, 80.0),
            ("new", "up", 0.4, 0.0),
            ("apart", "down", 0.0, 0.0),
            ("bare", "none", 0.0, 0.0),
        ] {
            let member = json!({"name": name, "link": link, "address": "h:1", "round_trip_ms": here, "round_trip_there_ms": there});
            report(&member, &mut findings);
        }
        let levels: Vec<Level> = findings.0.iter().map(|(level, ..)| *level).collect();
        assert_eq!(levels, [Level::Ok, Level::Warn, Level::Warn, Level::Fail, Level::Warn]);
        assert!(findings.0[0].2.contains("near: 0.4 ms there and back, 0.5 ms"), "{:?}", findings.0[0]);
        assert!(findings.0[3].2.contains("apart"), "{:?}", findings.0[3]);
    }
}
