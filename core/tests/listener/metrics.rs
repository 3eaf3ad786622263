//! Metrics: their names and labels, both text formats, and the files for operators that name them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cortensor_router::config::ListenConfig;
use cortensor_router::internals::store::SharedMemory;
use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::{MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Config, Router, SubmitOptions};
use cortensor_router_testkit::{Hand, Server, miners, within};
use serde_json::{Value, json};

use super::{DEV, serve_with};

const OPEN_METRICS: &str = "Accept: application/openmetrics-text; version=1.0.0, text/plain;q=0.5\r\n";

/// A router that has answered, failed and refused something.
async fn busy() -> Server {
    let mut config = Config::default();
    config.dispatch.breaker_failures = 1;
    config.dispatch.max_attempts = 1;
    config.dispatch.no_miner_grace_ms = 0;
    let server = serve_with(config, ListenConfig::default()).await;
    server.router.add_miner(MinerSpec::new("words", 8).models(["tiny"]), miners::words).unwrap();
    let mut hand = Hand::join(&server.router, MinerSpec::new("breaks", 1).models(["own"]));
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "one two three"}]});
    assert_eq!(server.post_json("/v1/chat/completions", &chat("tiny")).await.0, 200);
    let own = chat("own");
    let (failed, ()) = tokio::join!(server.post_json("/v1/chat/completions", &own), async {
        hand.take().await.fail(Failure::new(FailClass::Internal, "no luck"));
    });
    assert_eq!(failed.0, 502, "{}", failed.1);
    assert_eq!(server.post_json("/v1/chat/completions", &chat("never-heard-of")).await.0, 404);
    server
}

async fn text(server: &Server, accept: &str) -> String {
    let reply = server.send("GET", "/metrics", &format!("{DEV}{accept}"), "").await;
    assert_eq!(reply.status, 200);
    reply.body
}

#[tokio::test]
async fn metrics_have_labels_by_model_miner_key_and_outcome() {
    let server = busy().await;
    let text = text(&server, "").await;
    for line in [
        "cortensor_tasks_submitted_total 2",
        "cortensor_tasks_ended_total{model=\"tiny\",outcome=\"ok\"} 1",
        "cortensor_tasks_refused_total{code=\"model_not_found\"} 1",
        "cortensor_queue_seconds_count{model=\"tiny\"} 1",
        "cortensor_first_token_seconds_count{model=\"tiny\"} 1",
        "cortensor_attempts_total{miner=\"words\"} 1",
        "cortensor_attempt_failures_total{miner=\"breaks\"} 1",
        "cortensor_attempt_failures_total{miner=\"words\"} 0",
        "cortensor_miner_up{miner=\"words\"} 1",
        "cortensor_miner_breaker{miner=\"words\",state=\"closed\"} 1",
        "cortensor_miner_breaker{miner=\"breaks\",state=\"open\"} 1",
        "cortensor_http_requests_total{method=\"POST\",route=\"/v1/chat/completions\",status=\"2xx\"} 1",
        "cortensor_key_requests_total{key=\"dev\"} 4",
        &format!("cortensor_build_info{{version=\"{}\"}} 1", cortensor_router::VERSION),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse::<f64>().unwrap()
    };
    assert!(value("cortensor_tokens_total{model=\"tiny\",part=\"answer\"}") > 0.0);
    assert!(value("cortensor_tokens_total{model=\"tiny\",part=\"prompt\"}") > 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_start_time_seconds") > 1e9);
    assert!(!text.contains("never-heard-of"), "a stranger made a label:\n{text}");
}

#[tokio::test]
async fn the_client_chooses_the_text_format() {
    let server = busy().await;
    for (accept, kind, ends) in [
        ("", "text/plain; version=0.0.4; charset=utf-8", false),
        ("Accept: */*\r\n", "text/plain; version=0.0.4; charset=utf-8", false),
        (OPEN_METRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8", true),
    ] {
        let reply = server.send("GET", "/metrics", &format!("{DEV}{accept}"), "").await;
        assert_eq!(reply.header("content-type"), Some(kind), "{accept}");
        assert_eq!(reply.body.ends_with("# EOF\n"), ends, "{accept}");
        let types: Vec<&str> = reply.body.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        assert_eq!(types.len(), types.iter().collect::<BTreeSet<_>>().len(), "a name stands twice: {types:#?}");
        let counter = types.iter().find(|line| line.contains("tasks_submitted")).unwrap();
        assert_eq!(counter.contains("_total"), !ends, "{counter}");
    }
}

/// A router whose store is a file in that directory.
fn kept_in(dir: &Path) -> Config {
    let mut config = Config::default();
    config.storage.data_dir = Some(dir.to_owned());
    config
}

/// The metrics of a router whose store is a file, and of one that shares its store with others, beside those of that one.
async fn all(server: &Server) -> [String; 3] {
    let dir = tempfile::tempdir().unwrap();
    let in_a_file = Router::builder().config(kept_in(dir.path())).open().await.unwrap();
    let mut config = Config::default();
    config.fleet.links = false;
    let store = Arc::new(SharedMemory::new(Duration::from_secs(10)).join("one").unwrap());
    let shared = Router::builder().config(config).store(store).open().await.unwrap();
    let texts = [text(server, "").await, in_a_file.metrics_text(), shared.metrics_text()];
    in_a_file.close().await;
    shared.close().await;
    texts
}

/// The names of all metrics in these texts, of which two are `OpenMetrics`.
fn names_of(texts: &[String]) -> BTreeSet<String> {
    let types =
        texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| match kind {
            "counter" if !name.ends_with("_total") => format!("{name}_total"),
            _ => name.to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn a_store_in_a_file_shows_its_commits() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::builder().config(kept_in(dir.path()).echo(true)).open().await.unwrap();
    let request = TaskRequest::completion("kept");
    let task = router.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
    task.result().await.unwrap();
    let mut text = router.metrics_text();
    within(async {
        // A write counts as answered a moment after its answer.
        while !text.lines().any(|line| line == "cortensor_store_waiting 0") {
            tokio::task::yield_now().await;
            text = router.metrics_text();
        }
    })
    .await;
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in:\n{text}"))
    };
    let value = |name: &str| word(name).parse::<f64>().unwrap();
    assert_eq!(word("cortensor_store_up"), "1");
    // The session, the task and its end were written, in one commit or in several.
    assert!(value("cortensor_store_commit_seconds_count") >= 1.0, "{text}");
    assert_eq!(word("cortensor_store_commit_seconds_count"), word("cortensor_store_batch_operations_count"));
    assert!(value("cortensor_store_batch_operations_sum") >= 3.0, "{text}");
    assert!(value("cortensor_store_commit_seconds_sum") > 0.0, "{text}");
    router.close().await;
    assert!(!router.metrics_text().contains("cortensor_fleet_"), "it has no fleet");
}

#[tokio::test]
async fn prometheus_finds_no_fault() {
    let server = busy().await;
    let text = text(&server, "").await;
    let Some((passed, said)) = run("promtool", &["check", "metrics"], &text) else {
        eprintln!("skipped: promtool is not installed (Debian's package prometheus has it)");
        return;
    };
    assert!(passed && said.trim().is_empty(), "{said}");
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/monitoring/alerts.yml");
    let (passed, said) = run("promtool", &["check", "rules", alerts], "").unwrap();
    assert!(passed, "{said}");
}

/// Runs a program on a text. Gives whether it succeeded, and all that it wrote; `None`: there is no such program.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    Some((out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()))
}

/// The names of metrics in a query, without the suffixes of a histogram's samples.
fn names_in(query: &str) -> BTreeSet<String> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("cortensor_") || word.starts_with("process_"))
        .map(|word| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_metrics_that_exist() {
    let server = busy().await;
    let known = names_of(&all(&server).await);
    let alerts = include_str!("../../../examples/monitoring/alerts.yml");
    let dashboard = include_str!("../../../examples/monitoring/dashboard.json");
    let parsed: Value = serde_json::from_str(dashboard).unwrap();
    let mut queries: Vec<&str> = parsed["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    queries.push(alerts);
    let mut seen = 0;
    for query in queries {
        for name in names_in(query) {
            assert!(known.contains(&name), "{name} of {query} is no metric: {known:#?}");
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} names were found");
}
