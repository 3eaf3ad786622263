//! The W3C trace context of a request goes to the miner that answers it.

use std::sync::{Arc, Mutex};

use cortensor_router::config::UpstreamConfig;
use cortensor_router::internals::{Span, SpanKind, SpanSink, SpanValue};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, RequestKind, SessionId, TaskRequest};
use cortensor_router::{Config, Router, SubmitOptions};
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::{Mock, Server, mock};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const BODIES: [(&str, &str); 4] = [
    ("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"x"}]}"#),
    ("/v1/completions", r#"{"prompt":"x"}"#),
    ("/api/v1/completions", r#"{"prompt":"x"}"#),
    ("/api/v1/chat/completions", r#"{"messages":[{"role":"user","content":"x"}]}"#),
];

/// The lines of the head whose names begin with `trace`, in the order of their names.
fn trace_lines(head: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        head.lines().filter(|line| line.to_lowercase().starts_with("trace")).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn an_upstream_gets_the_context_of_every_route_that_makes_a_task() {
    let answer = r#"{"choices":[{"text":"y","message":{"content":"y"},"finish_reason":"stop"}]}"#;
    let upstream = Mock::new(move |_| vec![mock::Step::Send(mock::json("200 OK", answer))]).await;
    let server = Server::open(Config::default().upstreams(vec![UpstreamConfig::new(&upstream.url)])).await;
    let sent = |from: usize| {
        let seen = upstream.seen();
        let posts: Vec<_> = seen.iter().filter(|seen| seen.head.starts_with("POST")).collect();
        assert_eq!(posts.len(), from + 1, "one request of a task is one request to the upstream");
        trace_lines(&posts[from].head)
    };
    for (number, (path, body)) in BODIES.into_iter().enumerate() {
        let headers = format!("{DEV}traceparent: {PARENT}\r\ntracestate: a=1\r\nTraceState: b=2\r\n");
        assert_eq!(server.send("POST", path, &headers, body).await.status, 200, "{path}");
        assert_eq!(sent(number), [format!("traceparent: {PARENT}"), "tracestate: a=1,b=2".to_owned()], "{path}");
    }
    let ignored = [
        String::new(),
        "traceparent: 00-xyz-01\r\ntracestate: a=1\r\n".to_owned(),
        format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n"),
        "tracestate: a=1\r\n".to_owned(),
    ];
    for (number, headers) in (BODIES.len()..).zip(ignored) {
        let reply = server.send("POST", BODIES[0].0, &format!("{DEV}{headers}"), BODIES[0].1).await;
        assert_eq!((reply.status, sent(number)), (200, Vec::new()), "{headers}");
    }
}

#[tokio::test]
async fn the_hosts_own_miner_gets_the_context_in_its_job() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let server = Server::open(Config::default()).await;
    let keep = told.clone();
    let miner = move |job: Job| {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        keep.lock().unwrap().push((text(&job.info().traceparent), text(&job.info().tracestate)));
        job.finish(Answer::default().text("y"));
    };
    server.router.add_miner(MinerSpec::new("own", 1), miner).unwrap();
    let headers = format!("{DEV}traceparent: {PARENT}\r\ntracestate: a\r\n");
    assert_eq!(server.send("POST", BODIES[0].0, &headers, BODIES[0].1).await.status, 200);
    for (parent, state) in [(Some(PARENT), Some("b=2")), (Some("malformed"), Some("b=2")), (None, Some("b=2"))] {
        let mut options = SubmitOptions::default();
        (options.traceparent, options.tracestate) = (parent.map(str::to_owned), state.map(str::to_owned));
        let request = TaskRequest::completion("x").kind(RequestKind::Completion);
        server.router.submit(SessionId(0), request, options).await.unwrap().result().await.unwrap();
    }
    let (parent, state) = (|| Some(PARENT.to_owned()), Some("b=2".to_owned()));
    assert_eq!(*told.lock().unwrap(), [(parent(), None), (parent(), state), (None, None), (None, None)]);
}

/// Keeps all spans.
#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl SpanSink for Kept {
    fn take(&self, spans: Vec<Span>) {
        self.0.lock().unwrap().extend(spans);
    }

    fn sent(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn dropped(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn the_work_of_the_hosts_own_miner_lies_below_its_attempt() {
    let (kept, told) = (Arc::new(Kept::default()), Arc::new(Mutex::new(Vec::new())));
    let keep = told.clone();
    let miner = move |job: Job| {
        keep.lock().unwrap().push(job.info().traceparent.as_deref().unwrap_or_default().to_owned());
        job.finish(Answer::default().text("y"));
    };
    let router = Router::builder().spans(kept.clone()).miner(MinerSpec::new("own", 1), miner).open().await.unwrap();
    let options = SubmitOptions::default().traceparent(PARENT).tracestate("a=1");
    let task = router.submit(SessionId(0), TaskRequest::completion("x").model("m"), options).await.unwrap();
    task.result().await.unwrap();
    let spans = kept.0.lock().unwrap().clone();
    let named = |name: &str| spans.iter().find(|span| span.name == name && span.parent.is_some()).unwrap();
    let root = spans.iter().find(|span| span.parent == Some(0x00f0_67aa_0ba9_02b7)).unwrap();
    let (queue, attempt) = (named("queue"), named("attempt"));
    let call = spans.iter().find(|span| span.parent == Some(attempt.id)).unwrap();
    assert_eq!((queue.parent, attempt.parent, spans.len()), (Some(root.id), Some(root.id), 4));
    assert_eq!((root.name.as_str(), call.name.as_str()), ("text_completion m", "text_completion m"));
    assert!(spans.iter().all(|span| span.kind == SpanKind::Internal && span.state.as_deref() == Some("a=1")));
    assert_eq!(*told.lock().unwrap(), [format!("00-{:032x}-{:016x}-01", call.trace_id, call.id)]);
    let reasons = call.attributes.iter().find(|(name, _)| *name == "gen_ai.response.finish_reasons");
    assert_eq!(reasons.map(|(_, value)| value), Some(&SpanValue::Texts(vec!["stop".to_owned()])));
    assert!(router.metrics_text().contains("cortensor_spans_sent_total 4\n"));
    router.close().await;
}

#[tokio::test]
async fn a_program_that_cannot_export_spans_says_so() {
    let mut config = Config::default();
    config.otel.endpoint = Some("http://127.0.0.1:4318".to_owned());
    let error = Router::open(config).await.unwrap_err();
    assert_eq!(error.details().param.as_deref(), Some("otel.endpoint"));
    assert!(error.message().contains("feature otel"), "{error}");
}
