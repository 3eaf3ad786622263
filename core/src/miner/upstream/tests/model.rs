//! A real server with a real model, if the environment names one: `CORTENSOR_TEST_LLAMA_SERVER` is
//! llama.cpp's `llama-server`, `CORTENSOR_TEST_MODEL` a small instruct model for it.

use std::num::NonZeroU64;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::miner::recorder::within;
use crate::miner::{FailClass, ProbeReport};
use crate::model::{FinishReason, RequestKind};

/// The context size of each of the server's two slots, in tokens.
const SLOT: u64 = 512;

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server; `None`: the environment names none.
fn start() -> Option<Server> {
    let program = std::env::var_os("CORTENSOR_TEST_LLAMA_SERVER");
    let weights = std::env::var_os("CORTENSOR_TEST_MODEL");
    let (Some(program), Some(weights)) = (program, weights) else {
        assert!(std::env::var_os("CORTENSOR_REQUIRE_MODEL").is_none(), "CORTENSOR_TEST_LLAMA_SERVER is not set");
        eprintln!("skipped: CORTENSOR_TEST_LLAMA_SERVER and CORTENSOR_TEST_MODEL name no server and no model");
        return None;
    };
    // The port is free now. Another process is unlikely to take it before the server starts.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(&program)
        .env("LD_LIBRARY_PATH", std::path::Path::new(&program).parent().unwrap())
        .arg("-m")
        .arg(weights)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--parallel", "2", "--no-kv-unified"])
        .args(["-c", &(2 * SLOT).to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Some(Server { child, url: format!("http://127.0.0.1:{port}") })
}

/// Probes until the model is loaded.
async fn up(miner: &UpstreamMiner) -> ProbeReport {
    let (tell, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let probe = miner.probe().run(move |report| drop(tell.send(report)));
    let ready = async {
        loop {
            let report = reports.recv().await.unwrap();
            if report.up {
                return report;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), async {
        tokio::select! {
            () = probe => unreachable!("a probe never ends"),
            report = ready => report,
        }
    })
    .await
    .expect("the model is not loaded after a minute")
}

#[tokio::test]
async fn a_real_model_answers() {
    let Some(server) = start() else { return };
    let miner =
        miner_of(UpstreamConfig { probe_interval_ms: 50, probe_threshold: 1, ..UpstreamConfig::new(&server.url) });
    let report = up(&miner).await;
    assert_eq!((report.models.len(), report.max_context_tokens), (1, NonZeroU64::new(SLOT)));

    let asked = |max_tokens| chat().max_tokens(max_tokens);
    let unary = offer(&miner, asked(5), false).end().await.unwrap();
    assert!(!unary.text.is_empty());
    assert_eq!((unary.finish_reason, unary.usage.completion_tokens), (FinishReason::Length, 5));

    let sink = offer(&miner, asked(5), true);
    let streamed = sink.end().await.unwrap();
    assert!(!sink.text().is_empty());
    assert_eq!((streamed.finish_reason, streamed.usage.completion_tokens), (FinishReason::Length, 5));
    assert_eq!(streamed.usage.prompt_tokens, unary.usage.prompt_tokens);

    let raw = r#"{"prompt":"1, 2, 3, 4, 5,","prompt_type":1,"max_tokens":4,"temperature":0}"#;
    let counted = offer(&miner, serde_json::from_str(raw).unwrap(), false).end().await.unwrap();
    assert!(counted.text.contains('6'), "{}", counted.text);

    let long = TaskRequest::completion("word ".repeat(2 * SLOT as usize));
    for stream in [false, true] {
        let failure = offer(&miner, long.clone(), stream).end().await.unwrap_err();
        assert_eq!(failure.class, FailClass::Context, "{}", failure.message);
    }
    let wrong = serde_json::from_str::<TaskRequest>(r#"{"messages":"no list"}"#).unwrap().kind(RequestKind::Chat);
    let failure = offer(&miner, wrong, false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Invalid, "{}", failure.message);

    // Long jobs take both slots. A cancellation must free the slots long before the jobs would end.
    let endless = || {
        let request = r#"{"prompt":"Once","prompt_type":1,"max_tokens":400,"ignore_eos":true}"#;
        serde_json::from_str::<TaskRequest>(request).unwrap()
    };
    let streams = [offer(&miner, endless(), true), offer(&miner, endless(), true)];
    for sink in &streams {
        sink.pieces(3).await;
    }
    assert_eq!(busy_slots(&miner).await, 2);
    for sink in &streams {
        sink.cancel();
        assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
    }
    within(async { while busy_slots(&miner).await > 0 {} }).await;
    for sink in &streams {
        assert!(sink.chunks().len() < 200, "the work was done before it was cancelled");
    }
}

/// The number of the server's slots that are busy.
async fn busy_slots(miner: &UpstreamMiner) -> usize {
    let slots = http::Uri::from_static("/slots");
    let pool = &miner.shared.pool;
    let (mut link, _) = pool.send(pool.endpoint().get(&slots), &|| true).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(data) = link.data().await {
        bytes.extend_from_slice(&data.unwrap());
    }
    let slots: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    slots.iter().filter(|slot| slot["is_processing"] == true).count()
}
