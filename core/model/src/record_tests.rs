//! The JSON of every record, once with all of its members and once with none. Each literal names all members, so that a
//! new member does not compile until it stands here too.

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
use insta::assert_snapshot;
use serde::Serialize;

use super::fields::FIELDS;
use super::parts::MessageParts;
use super::*;

/// A record as JSON with line breaks, with the order and the digits that clients get.
fn json(record: &impl Serialize) -> String {
    serde_json::to_string_pretty(record).unwrap()
}

/// A record with all of its members, and one with none.
fn both(full: &impl Serialize, empty: &impl Serialize) -> String {
    format!("full: {}\nempty: {}", json(full), json(empty))
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn validation() -> ValidationSpec {
    ValidationSpec {
        validation_policy: Some(Policy::Medoid),
        matching: Some(Matching::Embedding),
        min_score: Some(0.85),
        tie_break: Some(true),
        match_tolerance: Some(0.000_001),
        match_pointers: Some(texts(["/answer"])),
        match_model: Some("tiny-embed".into()),
    }
}

fn session_spec() -> SessionSpec {
    SessionSpec {
        name: "chat".into(),
        metadata: "{\"team\":\"a\"}".into(),
        owner: Some("5f2a90c1b7e4".into()),
        mode: SessionMode::Hybrid,
        redundant: 3,
        min_num_of_nodes: 1,
        max_num_of_nodes: NonZeroU32::new(9),
        num_of_validator_nodes: 2,
        reserve_ephemeral_nodes: true,
        reserve_period: NonZeroU64::new(60),
        sla: 3,
        model: Some("tiny".into()),
        model_identifier: Some("42".into()),
        max_task_execution_count: NonZeroU64::new(1_000),
        priority: 9,
        weight: 1_000,
        validation: validation(),
        affinity: Some(false),
        retention: Retention::Result,
        limits: SessionQuota::default().tokens_per_day(NonZeroU64::new(1_000)).concurrent_tasks(NonZeroU64::new(4)),
        models: texts(["tiny", "large"]),
        expires_at: NonZeroU64::new(1_900_000_000),
    }
}

fn verdict() -> Verdict {
    Verdict {
        verdict: Standing::Disputed,
        score: 0.625,
        method: Matching::Lexical,
        policy: Some(Policy::Medoid),
        winner: Some("0xa".into()),
        per_miner: vec![MinerVerdict { miner: "0xa".into(), score: 1.0, agrees: true }],
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        text: text.into(),
        parts: None,
        finish_reason: FinishReason::Length,
        usage: Usage::new(12, 3),
        model: Some("tiny-q4".into()),
        raw: Some(Bytes::from_static(
            br#"{"choices":[{"message":{"content":"a","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        )),
        outline: shape::Outlined::default(),
        content_type: None,
        sha256: Some("ab".into()),
    }
}

fn completion() -> Completion {
    Completion {
        session_id: SessionId(2),
        task_id: TaskId(3),
        gid: Gid(7),
        created: 1_767_225_600,
        model: "tiny".into(),
        answer: answer("4 \"four\"\n"),
        miner_address: "0xa".into(),
        alternatives: vec![("0xa".into(), answer("4 \"four\"\n")), ("0xb".into(), answer("five"))],
        verdict: Some(verdict()),
    }
}

fn empty_completion() -> Completion {
    Completion {
        session_id: SessionId::default(),
        task_id: TaskId::default(),
        gid: Gid::default(),
        created: 0,
        model: String::new(),
        answer: Answer::default(),
        miner_address: SharedText::default(),
        alternatives: Vec::new(),
        verdict: None,
    }
}

/// A body with every named field and one that the router does not know.
const REQUEST: &str = r#"{"kind":"chat","prompt":"Hi","messages":[{"role":"user","content":"Hi"}],"input":["a"],
    "prompt_template":"<{prompt}>","model":"tiny","timeout":1.5,"precommit_timeout":0.5,"max_tokens":16,
    "max_completion_tokens":8,"client_reference":"order-17","max_miners":3,"priority":9,"on_failure":"continue",
    "validation_policy":"quorum","match":"json","min_score":0.5,"tie_break":true,"match_tolerance":0.1,
    "match_pointers":["/a"],"match_model":"tiny-embed","prompt_type":1,"stream":true,"raw":true,"responses":{"input":[]},"original":{"messages":{}},"webhook":{"url":"https://h/x","secret":"s"},
    "top_p":0.90}"#;

fn request() -> TaskRequest {
    serde_json::from_str(REQUEST).unwrap()
}

fn task() -> Task {
    Task {
        gid: Gid(7),
        id: TaskId(3),
        session_id: SessionId(2),
        key_id: Some("5f2a90c1b7e4".into()),
        request: request().into(),
        state: TaskState::Ended,
        outcome: Some(Outcome::Disputed),
        created_at: Timestamp(1_767_225_600_000),
        started_at: Some(Timestamp(1_767_225_600_500)),
        first_token_at: Some(Timestamp(1_767_225_600_700)),
        precommitted_at: Some(Timestamp(1_767_225_601_000)),
        committed_at: Some(Timestamp(1_767_225_601_500)),
        ended_at: Some(Timestamp(1_767_225_602_000)),
        deadline: Timestamp(1_767_225_660_000),
        assigned_miners: vec!["0xa".into(), "0xb".into()],
        text: "4".into(),
        results: vec![MinerResult { miner: "0xa".into(), answer: answer("4"), hash: "4b22".into() }],
        attempts: 2,
        verdict: Some(verdict()),
        error: Some(Error::new(ErrorKind::MinerFailed, "the second one hung up")),
        model: Some("tiny".into()),
        fence: Fence(9),
        bytes: 512,
        queue_position: Some(4),
        webhook: None,
    }
}

fn hardware() -> Hardware {
    Hardware { gpu: Some("RTX 4090".into()), vram: NonZeroU64::new(24_576), cpu: Some("EPYC 7302".into()) }
}

fn model_details() -> ModelDetails {
    ModelDetails {
        id: "tiny".into(),
        digest: Some("sha256:ab".into()),
        quant: Some("Q4_1".into()),
        context: NonZeroU64::new(8_192),
        max_output: NonZeroU64::new(2_048),
        warm: true,
        embeddings: true,
        tools: true,
    }
}

#[test]
fn sessions_stay_as_they_are() {
    let full = Session {
        id: SessionId(2),
        sid: "0x5d1c".into(),
        spec: session_spec(),
        address: "0x8c1f".into(),
        active: true,
        state: SessionState::Closed,
        created_at: 1_767_225_600,
        updated_at: 1_767_225_601,
        ephemeral_nodes: texts(["rack-1"]),
        dedicated_nodes: texts(["rack-2"]),
        reserved_nodes: texts(["rack-1"]),
        miners_count: 2,
        total_tasks: 9,
        active_tasks: 1,
    };
    let empty = Session::new(SessionId(0), String::new(), SessionSpec::default(), Timestamp(0));
    assert_snapshot!("session", both(&full, &empty));
    let patch = SessionPatch {
        name: Some("chat".into()),
        metadata: Some("m".into()),
        model: Change::Set("tiny".into()),
        redundant: Some(2),
        max_task_execution_count: Change::Set(NonZeroU64::new(5).unwrap()),
        priority: Some(3),
        weight: Some(7),
        affinity: Some(true),
        retention: Some(Retention::Nothing),
        min_num_of_nodes: Some(1),
        max_num_of_nodes: Change::Set(NonZeroU32::new(4).unwrap()),
        sla: Some(2),
        validation_policy: Some(Policy::All),
        matching: Some(Matching::Exact),
        min_score: Some(1.0),
        tie_break: Some(false),
        limits: Some(SessionQuota::default().tokens_per_day(NonZeroU64::new(5)).into()),
        models: Some(texts(["tiny"])),
        expires_at: Change::Set(NonZeroU64::new(9).unwrap()),
    };
    assert_snapshot!("session_patch", both(&patch, &SessionPatch::default()));
}

#[test]
fn requests_stay_as_they_are() {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(REQUEST).unwrap();
    for field in FIELDS {
        assert!(members.contains_key(field.name), "give the request a {}", field.name);
    }
    assert_snapshot!("request", both(&request(), &TaskRequest::default()));
}

#[test]
fn tasks_stay_as_they_are() {
    let (full, empty) = (task(), Task::default());
    assert_snapshot!("task", both(&TaskRecord::detail(&full), &TaskRecord::detail(&empty)));
    assert_snapshot!("task_row", both(&TaskRecord::row(&full), &TaskRecord::row(&empty)));
}

#[test]
fn completions_stay_as_they_are() {
    let (full, empty) = (completion(), empty_completion());
    let parts: Vec<_> =
        full.alternatives.iter().map(|(_, answer)| MessageParts::of(answer.raw.as_deref().unwrap())).collect();
    let whole = CompletionRecord::with_parts(&full, true, &parts);
    assert_snapshot!("completion", both(&whole, &CompletionRecord::whole(&empty, false)));
    let ids = |of: &Completion| CompletionIds::new(of.gid, of.session_id, of.task_id, of.created, of.model.clone());
    let (full_ids, empty_ids) = (ids(&full), ids(&empty));
    let last = CompletionRecord::event(&full_ids, "\n", Some(&full));
    assert_snapshot!("completion_event", both(&last, &CompletionRecord::event(&empty_ids, "", None)));
    assert_snapshot!("completion_restart", json(&CompletionRecord::restart(&full_ids)));
}

#[test]
fn miners_stay_as_they_are() {
    let spec = MinerSpec {
        name: "rack-1".into(),
        kind: MinerKind::Remote,
        models: texts(["tiny"]),
        capacity: 4,
        weight: 2,
        owner: Some("acme".into()),
        dedicated: true,
        embeddings: true,
        max_context_tokens: NonZeroU64::new(8_192),
        features: texts([CONTINUE]),
        agent: Some("rack/1.4".into()),
        hardware: Some(hardware()),
        model_details: vec![model_details()],
    };
    assert_snapshot!("miner_spec", both(&spec, &MinerSpec::default()));
    let info = MinerInfo {
        id: "rack-1".into(),
        miner_id: "rack-1".into(),
        address: "0x8c1f".into(),
        active: true,
        status: MinerStatus::Idle,
        router: "router-1".into(),
        kind: MinerKind::Upstream,
        node_type: NodeKind::Dedicated,
        models: texts(["tiny"]),
        capacity: 4,
        credits: 3,
        in_flight: 1,
        owner: Some("acme".into()),
        embeddings: true,
        max_context_tokens: NonZeroU64::new(8_192),
        features: texts([CONTINUE]),
        agent: Some("rack/1.4".into()),
        hardware: Some(hardware()),
        model_details: vec![model_details(), ModelDetails::default()],
        load: 0.25,
        error_rate: 0.01,
        tokens_per_second: 38.5,
        first_token_ms: 180.5,
        completed: 12,
        failed: 1,
        breaker: Breaker::HalfOpen,
        reputation: 0.9,
        service_class: 3,
        reserved_for: Some(SessionId(2)),
        reason: Some("slow".into()),
        connected_at: 1_767_225_600,
        last_seen: 1_767_225_601,
    };
    assert_snapshot!("miner_info", both(&info, &MinerInfo::default()));
    assert_snapshot!("hardware", both(&hardware(), &Hardware::default()));
}

#[test]
fn the_router_stays_as_it_is() {
    let info = NodeInfo {
        active_sessions: 2,
        address: "0x8c1f".into(),
        ip_address: "203.0.113.7".into(),
        name: "router-1".into(),
        node_stats: NodeStats { dedicated_count: 1, ephemeral_count: 2, total_count: 3 },
        total_sessions: 5,
        version: "0.1.0".into(),
        models: texts(["tiny"]),
        capabilities: texts(["completions", "chat"]),
        max_context_tokens: NonZeroU64::new(8_192),
    };
    assert_snapshot!("node_info", both(&info, &NodeInfo::default()));
    let status = NodeStatus {
        status: NodeState::Ok,
        active_sessions: 2,
        connected_miners: 3,
        miner_count: 3,
        active_miners: 2,
        cpu_usage: 3.2,
        memory_usage: 84.5,
        uptime: 3_600,
        version: "0.1.0".into(),
        queued_tasks: 4,
        running_tasks: 5,
        durability: Durability::Full,
        store: StoreKind::Sqlite,
        fleet: FleetStatus {
            members: 3,
            up: 2,
            draining: 1,
            unlinked: 1,
            miners: 7,
            queued_tasks: 8,
            running_tasks: 9,
        },
        block_height: 0,
    };
    assert_snapshot!("node_status", both(&status, &NodeStatus::default()));
}
