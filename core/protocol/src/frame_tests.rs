//! The JSON of every frame, once with all of its fields and once with none. Each literal names all fields, so that a new
//! field does not compile until it stands here too.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use cortensor_router_model::{FinishReason, Hardware, ModelDetails, NodeKind, RequestKind, Usage};
use insta::assert_snapshot;
use serde_json::value::RawValue;

use super::*;
use crate::record::{Adopt, Auth, Channel, Class, Fate, Held, Intervals, Limits, Resume, Timings};

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn held() -> Vec<Held> {
    vec![Held { attempt: 1, fence: 9, sent_seq: 2 }]
}

/// A frame on a line. It reads back as it was written.
fn line(text: &str, again: &str) -> String {
    assert_eq!(again, text);
    format!("{text}\n")
}

fn miner_lines(frames: &[MinerFrame]) -> String {
    let again = |text: &str| MinerFrame::parse(text).unwrap().unwrap().to_text();
    frames.iter().map(MinerFrame::to_text).map(|text| line(&text, &again(&text))).collect()
}

fn router_lines(frames: &[RouterFrame]) -> String {
    let again = |text: &str| RouterFrame::parse(text).unwrap().unwrap().to_text();
    frames.iter().map(RouterFrame::to_text).map(|text| line(&text, &again(&text))).collect()
}

fn hello() -> Hello {
    Hello {
        v: 1,
        miner_id: "mk_0f3c".into(),
        name: Some("rack-1".into()),
        auth: Auth {
            token: Some("ctr_a_b".into()),
            public_key: Some("11qY".into()),
            signature: Some("c2ln".into()),
            binding: Some("tls-exporter".into()),
        },
        epoch: 77,
        agent: "rack/1.4".into(),
        features: texts(["raw"]),
        kind: NodeKind::Dedicated.into(),
        owner: "acme".into(),
        max_concurrency: 4,
        models: vec![ModelDetails::default().id("tiny")],
        hw: Some(
            Hardware::default()
                .gpu(Some("RTX 4090".into()))
                .vram(NonZeroU64::new(24_576))
                .cpu(Some("EPYC 7302".into())),
        ),
        resume: Some(Resume { inflight: held() }),
    }
}

#[test]
fn the_frames_of_a_miner_stay_as_they_are() {
    let full = vec![
        hello().into(),
        Credit { generation: 3, free: BTreeMap::from([("*".into(), 4), ("tiny".into(), 2)]), seen: 8 }.into(),
        Accept { attempt: 1, fence: 9 }.into(),
        Reject { attempt: 1, fence: 9, reason: "busy".into(), retry_after_ms: Some(250) }.into(),
        Tokens {
            attempt: 1,
            fence: 9,
            seq: 2,
            off: 5,
            ch: Channel::Tool.into(),
            data: "a \"b\"\n".into(),
            raw: Some(raw(r#"{"id":"up"}"#)),
        }
        .into(),
        Done {
            attempt: 1,
            fence: 9,
            seq: 2,
            sha256: "ab".repeat(32),
            finish_reason: FinishReason::ToolCalls,
            usage: Usage::new(12, 3),
            model: Some("tiny-q4".into()),
            timings: Some(Timings { first_token_ms: 180, total_ms: 900 }),
        }
        .into(),
        Fail {
            attempt: 1,
            fence: 9,
            class: Class::Overloaded.into(),
            message: "full".into(),
            retryable: true,
            retry_after_ms: Some(250),
            http_status: Some(429),
            raw: Some(raw(r#"{"error":{}}"#)),
        }
        .into(),
        Ping { t: 5, inflight: held() }.into(),
        Pong { t: 5, inflight: held() }.into(),
        Drain { deadline_ms: 30_000 }.into(),
        Bye { reason: "update".into() }.into(),
        ErrorFrame { code: "bad_frame".into(), message: "no".into(), fatal: true }.into(),
    ];
    let empty = vec![
        Hello::default().into(),
        Credit::default().into(),
        Accept::default().into(),
        Reject::default().into(),
        Tokens::default().into(),
        Done::default().into(),
        Fail::default().into(),
        Ping::default().into(),
        Pong::default().into(),
        Drain::default().into(),
        Bye::default().into(),
        ErrorFrame::default().into(),
    ];
    assert_snapshot!("miner_frames", format!("full:\n{}\nempty:\n{}", miner_lines(&full), miner_lines(&empty)));
}

#[test]
fn the_frames_of_a_router_stay_as_they_are() {
    let full = vec![
        Challenge {
            nonce: "bm9uY2U".into(),
            server_time: 1_767_225_600_000,
            router: "router-1".into(),
            versions: vec![1],
            features: texts(["continue", "raw"]),
            binding: "none".into(),
        }
        .into(),
        Welcome {
            v: 1,
            features: texts(["raw"]),
            intervals: Intervals { ping_ms: 15_000, dead_ms: 45_000, flush_ms: 50, grace_ms: 30_000 },
            limits: Limits { frame: 1_048_576, task: 4_194_304, window: 262_144, output: 16_777_216 },
            adopt: vec![Adopt { attempt: 1, fence: 9, ack_seq: 2 }],
            drop: vec![DropFrame { attempt: 2, fence: 10 }],
        }
        .into(),
        TaskFrame {
            attempt: 1,
            fence: 9,
            task: 7,
            session: Some(2),
            model: Some("tiny".into()),
            kind: RequestKind::Chat.into(),
            prompt: Some("Hi".into()),
            raw_prompt: true,
            messages: Some(raw(r#"[{"role":"user","content":"Hi"}]"#)),
            input: Some(raw(r#"["a"]"#)),
            max_tokens: Some(16),
            seed: Some(-1),
            params: Some(raw(r#"{"top_p":0.90}"#)),
            stream: true,
            partial: Some("so far".into()),
            deadline_ms: 60_000,
            accept_ms: 2_000,
            trace: Some("00-ab-cd-01".into()),
            tracestate: Some("a=1".into()),
        }
        .into(),
        Ack { attempt: 1, fence: 9, seq: 2 }.into(),
        Final { attempt: 1, fence: 9, result: Fate::Superseded.into() }.into(),
        Cancel { attempt: 1, fence: 9, reason: "the caller left".into() }.into(),
        DropFrame { attempt: 1, fence: 9 }.into(),
        Ping { t: 5, inflight: held() }.into(),
        Pong { t: 5, inflight: held() }.into(),
        Drain { deadline_ms: 30_000 }.into(),
        Bye { reason: "update".into() }.into(),
        ErrorFrame { code: "bad_frame".into(), message: "no".into(), fatal: false }.into(),
    ];
    let empty = vec![
        Challenge::default().into(),
        Welcome::default().into(),
        TaskFrame::default().into(),
        Ack::default().into(),
        Final::default().into(),
        Cancel::default().into(),
        DropFrame::default().into(),
        Ping::default().into(),
        Pong::default().into(),
        Drain::default().into(),
        Bye::default().into(),
        ErrorFrame::default().into(),
    ];
    assert_snapshot!("router_frames", format!("full:\n{}\nempty:\n{}", router_lines(&full), router_lines(&empty)));
}
