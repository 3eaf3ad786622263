//! The JSON in the rows that a store keeps, with all that a row can hold and with the least. A change here is a change
//! of the format: files of older versions must still be read.

use std::num::NonZeroU64;

use insta::assert_snapshot;
use serde::Serialize;

use super::end::StoredEnd;
use super::{ApiKey, MinerRecord, samples};
use crate::config::KeyLimits;
use crate::model::{NodeKind, Scope, SessionId, Task, TaskRequest};

fn json(row: &impl Serialize) -> String {
    serde_json::to_string_pretty(row).unwrap()
}

fn both(full: &impl Serialize, empty: &impl Serialize) -> String {
    format!("full: {}\nempty: {}", json(full), json(empty))
}

#[test]
fn the_end_of_a_task_stays_as_it_is() {
    let (full, empty) = (samples::rich(&samples::new_task(2, 3)), Task::default());
    let (end, raw) = StoredEnd::of(&full);
    let raw = String::from_utf8(raw.unwrap()).unwrap();
    assert_snapshot!("end", format!("{}\nraw: {raw}", both(&end, &StoredEnd::of(&empty).0)));
}

#[test]
fn the_request_of_a_task_stays_as_it_is() {
    let body = r#"{"kind":"embedding","input":["a"],"model":"tiny","timeout":2.50,"max_miners":2,"user":"u-1"}"#;
    let full: TaskRequest = serde_json::from_str(body).unwrap();
    assert_snapshot!("request", both(&full, &TaskRequest::default()));
}

#[test]
fn miners_and_keys_stay_as_they_are() {
    let full = MinerRecord {
        id: "mk_0f3c".into(),
        name: "rack-1".into(),
        public_key: Some("11qY".into()),
        kind: Some(NodeKind::Dedicated),
        owner: Some("acme".into()),
        models: vec!["tiny".into()],
        reputation: 0.9,
        created_at: 1_767_225_600,
        last_seen: NonZeroU64::new(1_767_225_601),
        revoked: true,
    };
    assert_snapshot!("miner", both(&full, &MinerRecord::default()));
    let full = ApiKey {
        id: "5f2a90c1b7e4".into(),
        name: "ci".into(),
        hash: "ab".repeat(32),
        scopes: vec![Scope::Submit, Scope::Read],
        sessions: vec![SessionId(2)],
        created_at: 1_767_225_600,
        expires_at: NonZeroU64::new(1_767_312_000),
        models: vec!["tiny".into()],
        owner: Some("acme".into()),
        limits: KeyLimits::default(),
    };
    assert_snapshot!("key", both(&full, &ApiKey::default()));
}
