//! Probes.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::*;
use crate::miner::ProbeReport;
use crate::miner::recorder::within;
use cortensor_router_testkit::mock::{Step, json};

const VLLM: &str = r#"{"object":"list","data":[{"id":"org/a","object":"model","owned_by":"vllm","max_model_len":4096},{"id":"org/b","owned_by":"vllm","max_model_len":null}]}"#;

/// Runs the miner's probe and receives its reports. The probe stops when the receiver is dropped.
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
        max_context_tokens: NonZeroU64::new(4_096),
        embeddings: true,
        ..ProbeReport::default()
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
    assert_eq!((report.models, report.max_context_tokens), (vec!["tiny.gguf".to_owned()], NonZeroU64::new(512)));
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
    let mock = Mock::saying(&[&json("500 Internal Server Error", "{}")]).await;
    let report = first(UpstreamConfig::new(&mock.url)).await;
    assert!(!report.up);
    assert!(report.reason.as_ref().is_some_and(|why| why.contains("500")), "{report:?}");
}

#[tokio::test]
async fn a_list_decides_nothing_about_life() {
    let coded = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x1b";
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"data\":";
    for (answer, warns) in [
        (json("401 Unauthorized", "{}"), "api_key"),
        (json("403 Forbidden", r#"{"error":{"message":"Missing scopes: api.model.read"}}"#), "api_key"),
        (json("400 Bad Request", "{}"), "400"),
        (json("402 Payment Required", "{}"), "402"),
        (json("307 Temporary Redirect", ""), "307"),
        (json("418 I'm a teapot", ""), "418"),
        (json("429 Too Many Requests", "{}"), ""),
        (json("404 Not Found", "<html>"), ""),
        (json("501 Not Implemented", ""), ""),
        (json("200 OK", "<html>login</html>"), "no list"),
        (json("200 OK", r#"{"error":"no"}"#), "no list"),
        (json("200 OK", &format!("[{}]", "1,".repeat(5_000))), "max_models_bytes"),
        (json("204 No Content", ""), "no list"),
        (coded.into(), "gzip"),
        (short.into(), "broke off"),
    ] {
        let words = String::from_utf8_lossy(&answer).into_owned();
        let mock = Mock::new(move |_| vec![Step::Send(answer.clone()), Step::Close]).await;
        let config = UpstreamConfig { max_models_bytes: 4_096, ..UpstreamConfig::new(&mock.url) };
        let report = first(config.clone()).await;
        assert!(report.up && report.models.is_empty() && report.reason.is_none(), "{words}: {report:?}");
        let warning = report.warning.clone().unwrap_or_default();
        assert!(warning.contains(warns) && report.warning.is_none() == warns.is_empty(), "{words}: {report:?}");
        let report = first(UpstreamConfig { models: vec!["m".into()], ..config }).await;
        assert!(report.up && report.models == ["m"], "{words}: {report:?}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_for_once_leaves_the_models_that_are_known() {
    let asked = AtomicUsize::new(0);
    let mock = Mock::new(move |_| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        vec![Step::Send(if first { json("200 OK", VLLM) } else { json("403 Forbidden", "{}") })]
    })
    .await;
    let config = UpstreamConfig { probe_interval_ms: 1, ..UpstreamConfig::new(&mock.url) };
    let mut reports = probe(&miner_of(config));
    let models = within(reports.recv()).await.unwrap().models;
    let warned = within(reports.recv()).await.unwrap();
    assert!(
        warned.up && warned.models == models && warned.warning.as_ref().is_some_and(|words| words.contains("403")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn a_list_in_pages_is_read_to_its_end() {
    let mock = Mock::new(|seen| {
        let body = match seen.head.split(' ').nth(1).unwrap() {
            "/v1/models" => r#"{"data":[{"id":"a"}],"has_more":true,"last_id":"a b"}"#,
            "/v1/models?after_id=a%20b" => r#"{"data":[{"id":"b"}],"has_more":true,"last_id":"b"}"#,
            // Every page says that there is a further page.
            _ => r#"{"data":[{"id":"b"}],"has_more":true,"last_id":"c"}"#,
        };
        vec![Step::Send(json("200 OK", body))]
    })
    .await;
    assert_eq!(first(UpstreamConfig::new(&mock.url)).await.models, ["a", "b"]);
    assert_eq!(mock.seen().len(), 3);
    assert_eq!(first(UpstreamConfig::new(&mock.url).max_model_pages(0)).await.models, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_late_is_in_soon() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let begun = tokio::time::Instant::now();
    let mut reports = probe(&miner_of(UpstreamConfig::new(format!("http://{address}/v1"))));
    assert!(!reports.recv().await.unwrap().up);
    let listener = loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(&json("200 OK", VLLM)).await;
        }
    });
    assert!(reports.recv().await.unwrap().up);
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
    server.abort();
}

#[tokio::test]
async fn a_server_that_hangs_is_down() {
    let mock = Mock::new(|_| vec![Step::Hang]).await;
    let report = first(UpstreamConfig { connect_timeout_ms: 50, ..UpstreamConfig::new(&mock.url) }).await;
    assert!(!report.up);
    assert!(report.reason.as_ref().is_some_and(|why| why.contains("connect_timeout_ms")), "{report:?}");
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

/// Gives answers to one probe after the other. Returns which of them led to a report.
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
async fn one_good_probe_brings_a_new_upstream_in() {
    assert_eq!(play(&[false, false, true, false, true], 3).await, [(1, false), (3, true)]);
}

#[tokio::test]
async fn a_threshold_of_one_believes_at_once() {
    assert_eq!(play(&[false, true, false], 1).await, [(1, false), (2, true), (3, false)]);
}
