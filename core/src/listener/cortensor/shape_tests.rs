//! The JSON of Cortensor's routes beyond the records of the model: pages, notes and errors. Each literal names all
//! members, so that a new member does not compile until it stands here too.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use insta::assert_snapshot;
use serde::Serialize;

use super::schema::{
    About, Accepted, Greeting, Health, KeyPage, KeyRevoked, MinerPage, Readiness, SessionCreated, SessionDetail,
    SessionPage, TaskPage, Tasks,
};
use crate::listener::reply::Family;
use crate::model::{MinerInfo, NodeStats, Session, SessionId, SessionSpec, Task, TaskId, TaskRecord, Timestamp};
use crate::store::ApiKey;
use crate::{Error, ErrorKind};

fn json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap()
}

fn session() -> Session {
    Session::new(SessionId(2), "0x5d1c".into(), SessionSpec::default().name("chat"), Timestamp(0))
}

#[test]
fn pages_stay_as_they_are() {
    let (task, miner) = (Task::default(), MinerInfo::default().id("rack-1".into()));
    let page = |tasks, corrupt| Tasks::Page(TaskPage { count: 9, tasks, corrupt });
    let miners = [miner];
    let stats = NodeStats::default().dedicated_count(0).ephemeral_count(1).total_count(1);
    let nodes = BTreeMap::from([("rack-1", &miners[0])]);
    let key = ApiKey { id: "5f2a".into(), ..ApiKey::default() };
    let lines = [
        json(&page(vec![TaskRecord::row(&task)], vec![4])),
        json(&page(Vec::new(), Vec::new())),
        json(&Tasks::Array(vec![TaskRecord::row(&task)])),
        json(&SessionPage { count: 1, sessions: vec![session()] }),
        json(&SessionPage { count: 0, sessions: Vec::new() }),
        json(&MinerPage { nodes, stats, miners: &miners, count: 1 }),
        json(&MinerPage { nodes: BTreeMap::new(), stats: NodeStats::default(), miners: &[], count: 0 }),
        json(&KeyPage { count: 1, keys: vec![key] }),
        json(&KeyPage { count: 0, keys: Vec::new() }),
    ];
    assert_snapshot!("pages", lines.join("\n"));
}

#[test]
fn notes_stay_as_they_are() {
    let lines = [
        json(&Accepted { session_id: 2, task_id: 3, id: 3, gid: 7, status: "accepted", state: "queued" }),
        json(&SessionCreated { session: session(), session_id: 2, status: "created", tx_hash: "0x5d1c".into() }),
        json(&SessionDetail { session: session(), max_context_tokens: NonZeroU64::new(8_192) }),
        json(&Greeting {
            name: "cortensor-router",
            version: "0.1.0",
            status: "ok",
            message: "A router.",
            openapi: "/openapi.json",
            health: "/healthz",
        }),
        json(&About {
            name: "router-1".into(),
            version: "0.1.0".into(),
            from_address: "0x8c1f".into(),
            x402_enabled: false,
            endpoints: vec!["/healthz"],
        }),
        json(&Health::OK),
        json(&Readiness { status: "ready", miners: 3, active_miners: 2, queued_tasks: 4, running_tasks: 5 }),
        json(&KeyRevoked::new("5f2a".into())),
    ];
    assert_snapshot!("notes", lines.join("\n"));
}

#[test]
fn errors_stay_as_they_are() {
    let full = Error::invalid("max_tokens", "max_tokens is \"0\"")
        .with_code("too_few")
        .with_ids(SessionId(2), Some(TaskId(3)));
    let errors = [full, Error::new(ErrorKind::Overloaded, "full").with_retry_after_ms(250)];
    let lines = [Family::Cortensor, Family::Anthropic]
        .map(|family| errors.each_ref().map(|error| String::from_utf8(family.error(error)).unwrap()).join("\n"));
    assert_snapshot!("errors", lines.join("\n"));
}
