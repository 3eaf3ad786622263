//! Plays the scenarios of `core/tests/conformance` against two routers of one fleet: tasks are submitted at the first one,
//! and the miners and the readers are at the second one. Most of them must hold as with one router.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cortensor_router::embed::Router;
use cortensor_router_testkit::Postgres;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::conformance::{Stage, fault, scenarios};

/// The scenarios that are played beside each other. Each of them has two routers, which mostly wait.
const BESIDE: usize = 8;

/// The scenarios that do not hold over a fleet, each with the reason.
const LEFT_OUT: [(&str, &str); 7] = [
    ("cancel: leaving a stream does not cancel while the task is held", PROGRESS),
    ("cancel: a task can be detached later", PROGRESS),
    (
        "router: an empty router answers with zeros and not with missing keys",
        "a router of a fleet has a name of its own",
    ),
    ("router: miners and their models are shown", "`status` counts the miners of the router that is asked"),
    ("shutdown: a shutdown tells the miner and ends the stream", "the reader's router is not the one that ends"),
    ("shutdown: after a shutdown every call says so", "the reader's router is not the one that ends"),
    ("tasks: a task waits for a miner that is busy", PROGRESS),
];

/// The record of an open task is that of its row, which tells neither its progress nor its place in the queue.
const PROGRESS: &str = "another router shows an open task as its row has it";

/// The scenario's configuration for a router of a fleet.
fn config(of: &Value, name: &str, url: &str, schema: &str) -> String {
    let mut config = of.clone();
    let is_named = config["name"].is_string() && name == "first";
    if !is_named {
        config["name"] = json!(name);
    }
    config["storage"] = json!({"url": url, "schema": schema, "lease_ms": 2_000});
    config.to_string()
}

/// Two routers that are linked.
fn stage(scenario: &Value, url: &str, schema: &str) -> Stage {
    let open = |name: &str| Router::open(&config(&scenario["config"], name, url, schema), None).wait().unwrap();
    let (first, second) = (open("first"), open("second"));
    let deadline = Instant::now() + Duration::from_secs(20);
    for router in [&first, &second] {
        loop {
            let status: Value = serde_json::from_str(&router.status().unwrap()).unwrap();
            let fleet = &status["fleet"];
            if fleet["members"] == 2 && fleet["unlinked"] == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "the routers are not linked: {status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Stage::of(first, Some(second))
}

#[test]
fn every_scenario_holds_over_two_routers_of_a_fleet() {
    let Some(server) = Postgres::start() else { return };
    let (all, url) = (scenarios(), server.url());
    for (place, why) in LEFT_OUT {
        assert!(all.iter().any(|(name, _)| name == place), "there is no scenario {place:?} ({why})");
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some((place, scenario)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = all.iter().position(|(name, _)| name == place).unwrap();
                    if LEFT_OUT.iter().any(|(name, _)| name == place) {
                        continue;
                    }
                    let stage = stage(scenario, &url, &format!("s{number}"));
                    if let Some(fault) = fault(stage, scenario) {
                        found.lock().push(format!("{place}\n  {fault}"));
                    }
                }
            });
        }
    });
    let faults = found.into_inner();
    assert!(faults.is_empty(), "{} of {} scenarios do not hold:\n{}", faults.len(), all.len(), faults.join("\n"));
}
