//! Probes.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::mock::{Mock, Step, json};
use super::*;
use crate::miner::ProbeReport;
use crate::miner::recorder::within;

const VLLM: &str = r#"{"object":"list","data":[{"id":"org/a","object":"model","owned_by":"vllm","max_model_len":4096},{"id":"org/b","owned_by":"vllm","max_model_len":null}]}"#;

/// The reports of that miner's probe, for as long as they are listened to.
fn probe(miner: &UpstreamMiner) -> mpsc::UnboundedReceiver<ProbeReport> {
    let (tell, reports) = mpsc::unbounded_channel();
    let probe = miner.probe();
    tokio::spawn(async move {
        let hung_up = tell.clone();
        tokio::select! {
            () = probe.run(move |report| drop(tell.send(report))) => {}
            () = hung_up.closed() => {}
        }
    });
    reports
}

async fn first(config: UpstreamConfig) -> ProbeReport {
    within(probe(&miner_of(config)).recv()).await.unwrap()
}

#[tokio::test]
async fn models_and_context_are_found() {
    let mock = Mock::saying(&[&json("200 OK", VLLM)]).await;
    let wanted = ProbeReport {
        up: true,
        models: vec!["org/a".into(), "org/b".into()],
        max_context_tokens: 4_096,
        embeddings: true,
        reason: String::new(),
    };
    assert_eq!(first(UpstreamConfig::new(&mock.url)).await, wanted);
    assert!(mock.seen()[0].head.starts_with("GET /v1/models HTTP/1.1"));
}

#[tokio::test]
async fn aliases_of_models_that_are_there_are_offered_beside_them() {
    let mock = Mock::saying(&[&json("200 OK", VLLM)]).await;
    let aliases = [("a", "org/a"), ("z", "org/z")].map(|(alias, model)| (alias.to_owned(), model.to_owned()));
    let config = UpstreamConfig { aliases: aliases.into(), ..UpstreamConfig::new(&mock.url) };
    assert_eq!(first(config.clone()).await.models, ["org/a", "org/b", "a"]);
    assert_eq!(first(UpstreamConfig { models: vec!["org/b".into()], ..config }).await.models, ["org/b", "a"]);
}

#[tokio::test]
async fn a_llama_server_says_what_a_slot_can_read() {
    let mock = Mock::new(|seen| {
        let body = if seen.head.starts_with("GET /props ") {
            r#"{"default_generation_settings":{"n_ctx":512,"params":{}},"total_slots":4}"#
        } else {
            r#"{"models":[{"name":"tiny.gguf"}],"object":"list","data":[{"id":"tiny.gguf","owned_by":"llamacpp","meta":{"n_ctx_train":8192,"n_vocab":3}}]}"#
        };
        vec![Step::Send(json("200 OK", body))]
    })
    .await;
    let report = first(UpstreamConfig::new(&mock.url)).await;
    assert_eq!((report.models, report.max_context_tokens), (vec!["tiny.gguf".to_owned()], 512));
}

#[tokio::test]
async fn a_server_without_models_is_up_with_the_configured_ones() {
    for answer in [json("404 Not Found", "{}"), json("200 OK", r#"{"object":"list","data":null}"#)] {
        let mock = Mock::saying(&[&answer]).await;
        let config = UpstreamConfig { models: vec!["m".into()], ..UpstreamConfig::new(&mock.url) };
        let report = first(config).await;
        assert!(report.up);
        assert_eq!(report.models, ["m"]);
    }
}

#[tokio::test]
async fn the_first_probe_decides() {
    let mock = Mock::saying(&[&json("401 Unauthorized", "{}")]).await;
    let report = first(UpstreamConfig::new(&mock.url)).await;
    assert!(!report.up);
    assert!(report.reason.contains("api_key"), "{}", report.reason);
}

#[tokio::test]
async fn a_server_that_hangs_is_down() {
    let mock = Mock::new(|_| vec![Step::Hang]).await;
    let report = first(UpstreamConfig { connect_timeout_ms: 50, ..UpstreamConfig::new(&mock.url) }).await;
    assert!(!report.up);
    assert!(report.reason.contains("connect_timeout_ms"), "{}", report.reason);
    mock.hung_up().await;
}

#[tokio::test]
async fn a_server_too_busy_to_list_is_up_while_it_answers() {
    let mock = Mock::new(|seen| {
        if seen.head.starts_with("GET") {
            return vec![Step::Hang];
        }
        vec![Step::Send(json("200 OK", r#"{"choices":[{"message":{"content":"x"}}]}"#))]
    })
    .await;
    let config = UpstreamConfig {
        connect_timeout_ms: 50,
        probe_interval_ms: 1,
        probe_threshold: 1,
        ..UpstreamConfig::new(&mock.url)
    };
    let miner = miner_of(config);
    offer(&miner, chat(), false).end().await.unwrap();
    let mut reports = probe(&miner);
    assert!(within(reports.recv()).await.unwrap().up);
    assert!(!within(reports.recv()).await.unwrap().up, "nothing was answered since");
}

#[tokio::test]
async fn the_first_model_serves_who_names_none() {
    let mock = Mock::new(|seen| {
        let ok = r#"{"choices":[{"message":{"content":"x"}}]}"#;
        vec![Step::Send(json("200 OK", if seen.head.starts_with("GET") { VLLM } else { ok }))]
    })
    .await;
    let miner = miner(&mock);
    within(probe(&miner).recv()).await.unwrap();
    offer(&miner, chat(), false).end().await.unwrap();
    assert!(mock.seen()[1].body.starts_with(r#"{"model":"org/a","#));
}

/// Plays answers to one probe after the other and gives which of them led to a report.
async fn play(answers: &'static [bool], threshold: u32) -> Vec<(usize, bool)> {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let (done, mut all) = mpsc::unbounded_channel();
    let mock = Mock::new(move |_| {
        let at = asked.fetch_add(1, Ordering::SeqCst);
        if at >= answers.len() {
            let _ = done.send(());
        }
        let up = answers.get(at).or(answers.last()).copied().unwrap_or(true);
        vec![Step::Send(if up { json("200 OK", VLLM) } else { json("500 Internal Server Error", "") })]
    })
    .await;
    let config = UpstreamConfig { probe_interval_ms: 1, probe_threshold: threshold, ..UpstreamConfig::new(&mock.url) };
    let news = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&news);
    let probe = miner_of(config).probe().run(move |report| {
        heard.lock().push((count.load(Ordering::SeqCst), report.up));
    });
    within(async {
        tokio::select! {
            () = probe => {}
            _ = all.recv() => {}
        }
    })
    .await;
    news.lock().clone()
}

#[tokio::test]
async fn a_change_needs_as_many_probes_as_the_threshold() {
    let news = play(&[true, false, true, false, false, true, false, true, true, true], 2).await;
    assert_eq!(news, [(1, true), (5, false), (9, true)]);
}

#[tokio::test]
async fn a_threshold_of_one_believes_at_once() {
    assert_eq!(play(&[false, true, false], 1).await, [(1, false), (2, true), (3, false)]);
}
