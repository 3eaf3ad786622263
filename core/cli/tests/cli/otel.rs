//! The export of spans, against a collector of the tests' own.

use std::collections::HashMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::{Home, PATIENCE, Server};
use crate::model::Model;
use crate::request::Request;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const CHAT: &str = "/v1/chat/completions";
const HELLO: &str = r#"{"messages":[{"role":"user","content":"a secret prompt"}]}"#;

/// A server that answers every POST by a script: a status line, and a body; `None`: it never answers.
struct Scripted {
    url: String,
    posts: Receiver<Request>,
}

type Script = Arc<dyn Fn(&Request) -> Option<(String, String)> + Send + Sync>;

impl Scripted {
    fn start(script: impl Fn(&Request) -> Option<(String, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, posts) = channel();
        let script: Script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, seen) = (script.clone(), seen.clone());
                thread::spawn(move || serve(stream, &script, &seen));
            }
        });
        Self { url, posts }
    }

    /// An upstream that answers like this.
    fn saying(status: &'static str, body: &'static str) -> Self {
        Self::start(move |_| Some((status.to_owned(), body.to_owned())))
    }

    fn upstream(&self) -> String {
        format!("{}/v1", self.url)
    }

    fn next(&self) -> Request {
        self.posts.recv_timeout(PATIENCE).expect("no request came")
    }
}

fn serve(stream: TcpStream, script: &Script, seen: &Sender<Request>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let request = Request::read(&mut reader)?;
        let (status, body) = if request.head.starts_with("get ") {
            ("200 OK".to_owned(), r#"{"object":"list","data":[{"id":"tiny","object":"model"}]}"#.to_owned())
        } else {
            let answer = script(&request);
            seen.send(request).ok()?;
            let Some(answer) = answer else {
                // The other end gives up.
                let _ = reader.read(&mut [0; 1]);
                return None;
            };
            answer
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .ok()?;
    }
}

/// A collector that takes everything.
fn collector() -> Scripted {
    Scripted::saying("200 OK", "{}")
}

/// A span as the collector got it.
#[derive(Debug, Clone)]
struct Span(Value);

impl Span {
    fn of(export: &Request) -> Vec<Self> {
        let body: Value = serde_json::from_str(&export.body).unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.iter().cloned().map(Self).collect()
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// The only value of an attribute.
    fn attribute(&self, name: &str) -> Option<Value> {
        let pair = self.0["attributes"].as_array()?.iter().find(|pair| pair["key"] == name)?;
        pair["value"].as_object()?.values().next().cloned()
    }

    fn is(&self, name: &str, value: impl Into<Value>) -> bool {
        self.attribute(name) == Some(value.into())
    }

    fn failed(&self) -> bool {
        self.0["status"]["code"] == 2
    }
}

/// The spans of one task, in a tree.
struct Tree(Vec<Span>);

impl Tree {
    /// Waits for the export in which the request's own span is.
    fn next(collector: &Scripted) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let mut spans = Vec::new();
        while !spans.iter().any(|span: &Span| span.0["kind"] == 2) {
            let export = collector.posts.recv_timeout(deadline - Instant::now()).expect("no spans came");
            assert!(!export.body.contains("secret prompt") && !export.body.contains("secret answer"), "{export:?}");
            spans.extend(Span::of(&export));
        }
        let tree = Self(spans);
        tree.check();
        tree
    }

    /// Every span is in the trace of the request, lies below it, and has an id of its own.
    fn check(&self) {
        let root = self.root();
        let parents: HashMap<&str, &Span> = self.0.iter().map(|span| (span.text("spanId"), span)).collect();
        assert_eq!(parents.len(), self.0.len(), "{:?}", self.0);
        for span in &self.0 {
            assert_eq!(span.text("traceId"), root.text("traceId"));
            let time = |name: &str| span.text(name).parse::<u64>().unwrap();
            assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span:?}");
            if span.text("spanId") != root.text("spanId") {
                assert!(parents.contains_key(span.text("parentSpanId")), "{span:?}");
            }
        }
    }

    fn root(&self) -> &Span {
        self.0.iter().find(|span| span.0["kind"] == 2).unwrap()
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        let mut spans: Vec<&Span> = self.0.iter().filter(|span| span.text("name") == name).collect();
        spans.sort_by_key(|span| span.text("startTimeUnixNano").to_owned());
        spans
    }

    /// The spans right below a span.
    fn below(&self, span: &Span) -> Vec<&Span> {
        self.0.iter().filter(|other| other.text("parentSpanId") == span.text("spanId")).collect()
    }
}

/// Starts a router with that collector, which gets all spans of a task at once.
fn serving<'a>(home: &'a Home, collector: &str, more: &[&str]) -> Server<'a> {
    let endpoint = format!("otel.endpoint={collector}");
    let mut arguments = vec!["--durability", "memory", "--set", &endpoint, "--set", "otel.interval_ms=100"];
    arguments.extend_from_slice(more);
    home.serve(&arguments)
}

/// Sends a request and gives the connection on which its answer comes.
fn ask(server: &Server<'_>, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap().trim_end_matches("/v1").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

/// Sends a request and gives its whole answer.
fn post(server: &Server<'_>, headers: &str, body: &str) -> String {
    let mut answer = String::new();
    ask(server, "POST", CHAT, headers, body).read_to_string(&mut answer).unwrap();
    answer
}

fn metric(server: &Server<'_>, name: &str) -> u64 {
    let mut text = String::new();
    ask(server, "GET", "/metrics", "", "").read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).trim().parse().unwrap()
}

const ANSWER: &str = r#"{"model":"tiny-2","choices":[{"index":0,"message":{"role":"assistant","content":"a secret answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9}}"#;

#[test]
fn a_whole_answer_is_a_tree_of_spans_below_its_caller() {
    let (home, collector, upstream) = (Home::new(), collector(), Scripted::saying("200 OK", ANSWER));
    let secret = ["--set", "otel.headers=api-key=s3cret", "--set", "otel.service_name=edge"];
    let server = serving(&home, &collector.url, &[&["--upstream", &upstream.upstream()][..], &secret].concat());
    let headers = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\ntracestate: a=1\r\n");
    assert!(post(&server, &headers, HELLO).starts_with("HTTP/1.1 200"));
    let export = collector.next();
    assert!(export.head.starts_with("post /v1/traces http/1.1"), "{}", export.head);
    assert_eq!(export.header("api-key").as_deref(), Some("s3cret"));
    assert_eq!(export.header("content-type").as_deref(), Some("application/json"));
    let resource = &serde_json::from_str::<Value>(&export.body).unwrap()["resourceSpans"][0]["resource"];
    assert_eq!(resource["attributes"][0], json!({ "key": "service.name", "value": { "stringValue": "edge" } }));
    assert!(!export.body.contains("secret"), "{}", export.body);
    let tree = Tree(Span::of(&export));
    tree.check();
    let root = tree.root();
    assert_eq!((root.text("traceId"), root.text("parentSpanId"), root.text("traceState")), (TRACE, SPAN, "a=1"));
    assert_eq!((root.text("name"), root.failed()), ("POST /v1/chat/completions", false));
    assert!(
        root.is("http.route", CHAT) && root.is("cortensor.task.outcome", "ok") && root.is("cortensor.session.id", "0")
    );
    let mut below: Vec<&str> = tree.below(root).iter().map(|span| span.text("name")).collect();
    below.sort_unstable();
    assert_eq!(below, ["attempt", "queue"]);
    let attempt = tree.named("attempt")[0];
    assert!(attempt.is("cortensor.miner.kind", "upstream"), "{attempt:?}");
    let calls = tree.below(attempt);
    assert_eq!(calls.len(), 1);
    let call = calls[0];
    assert_eq!((call.0["kind"].as_u64(), call.failed()), (Some(3), false));
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.response.model", json!("tiny-2")),
        ("gen_ai.usage.input_tokens", json!("4")),
        ("gen_ai.usage.output_tokens", json!("5")),
        ("gen_ai.response.finish_reasons", json!({ "values": [{ "stringValue": "stop" }] })),
    ] {
        assert_eq!(call.attribute(name), Some(value), "{name}");
    }
    // The upstream's own spans lie below the call.
    let sent = upstream.next();
    assert_eq!(sent.header("traceparent"), Some(format!("00-{TRACE}-{}-01", call.text("spanId"))));
    assert_eq!(sent.header("tracestate").as_deref(), Some("a=1"));
}

#[test]
fn the_sampled_flag_decides_and_a_trace_of_the_routers_own_begins_without_a_caller() {
    let (home, collector, upstream) = (Home::new(), collector(), Scripted::saying("200 OK", ANSWER));
    let server = serving(&home, &collector.url, &["--upstream", &upstream.upstream()]);
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    post(&server, &format!("traceparent: {unsampled}\r\n"), HELLO);
    assert_eq!(upstream.next().header("traceparent"), Some(unsampled));
    post(&server, "", HELLO);
    let tree = Tree::next(&collector);
    assert_ne!(tree.root().text("traceId"), TRACE, "the unsampled request has no spans");
    assert_eq!(tree.root().text("parentSpanId"), "");
    let sent = upstream.next().header("traceparent").unwrap();
    assert!(sent.contains(tree.root().text("traceId")) && sent.ends_with("-01"), "{sent}");
}

#[test]
fn a_stream_tells_the_time_to_its_first_chunk() {
    let (home, collector, model) = (Home::new(), collector(), Model::start());
    let server = serving(&home, &collector.url, &["--upstream", &model.url()]);
    let mut stream = ask(&server, "POST", CHAT, "", &HELLO.replacen('{', r#"{"stream":true,"#, 1));
    model.wait_for_request();
    model.answer("a secret answer");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("[DONE]"), "{answer}");
    let tree = Tree::next(&collector);
    let call = tree.below(tree.named("attempt")[0])[0].clone();
    assert!(call.is("gen_ai.request.stream", true), "{call:?}");
    let first = call.attribute("gen_ai.response.time_to_first_chunk").unwrap().as_f64().unwrap();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&first), "{first}");
}

#[test]
fn each_miner_that_is_tried_has_an_attempt_of_its_own() {
    let (home, collector) = (Home::new(), collector());
    let tries = Arc::new(Mutex::new(0));
    let script = move |_: &Request| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        let broken = ("500 Internal Server Error".to_owned(), "{}".to_owned());
        Some(if *tries == 1 { broken } else { ("200 OK".to_owned(), ANSWER.to_owned()) })
    };
    let script = Arc::new(script);
    let upstreams: Vec<Scripted> = (0..2)
        .map(|_| {
            let script = script.clone();
            Scripted::start(move |seen| script(seen))
        })
        .collect();
    let (one, two) = (upstreams[0].upstream(), upstreams[1].upstream());
    let server = serving(&home, &collector.url, &["--upstream", &one, "--upstream", &two]);
    assert!(post(&server, "", HELLO).starts_with("HTTP/1.1 200"));
    let tree = Tree::next(&collector);
    let attempts = tree.named("attempt");
    assert_eq!(attempts.len(), 2, "{:?}", tree.0);
    assert_ne!(attempts[0].attribute("cortensor.miner.name"), attempts[1].attribute("cortensor.miner.name"));
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.failed()).collect();
    assert_eq!(failed.len(), 1, "{attempts:?}");
    assert!(failed[0].is("error.type", "internal") && tree.below(failed[0])[0].is("error.type", "internal"));
    assert!(!tree.root().failed() && tree.root().is("cortensor.task.outcome", "ok"));
    let mut sent: Vec<String> = upstreams.iter().map(|one| one.next().header("traceparent").unwrap()).collect();
    sent.dedup();
    assert_eq!(sent.len(), 2, "each call has a span of its own");
}

#[test]
fn a_refused_request_is_one_span() {
    let (home, collector) = (Home::new(), collector());
    let server = serving(&home, &collector.url, &[]);
    let headers = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    assert!(post(&server, &headers, r#"{"messages":[]}"#).starts_with("HTTP/1.1 400"));
    let tree = Tree::next(&collector);
    assert_eq!(tree.0.len(), 1, "{:?}", tree.0);
    let root = tree.root();
    assert_eq!((root.text("traceId"), root.text("parentSpanId")), (TRACE, SPAN));
    assert!(root.is("http.response.status_code", "400") && root.is("error.type", "invalid_argument"), "{root:?}");
    assert!(!root.failed(), "a server does not fail by refusing a wrong request");
}

#[test]
fn a_cancelled_request_says_so() {
    let (home, collector, model) = (Home::new(), collector(), Model::start());
    let server = serving(&home, &collector.url, &["--upstream", &model.url()]);
    let stream = ask(&server, "POST", CHAT, "", &HELLO.replacen('{', r#"{"stream":true,"#, 1));
    model.wait_for_request();
    drop(stream);
    model.wait_for_hang_up();
    let tree = Tree::next(&collector);
    assert!(tree.root().is("cortensor.task.outcome", "cancelled"), "{:?}", tree.root());
    assert!(tree.root().is("error.type", "cancelled"), "{:?}", tree.root());
    assert!(tree.named("attempt")[0].is("error.type", "cancelled"), "{:?}", tree.0);
}

/// Waits until a metric has at least that value.
fn until(server: &Server<'_>, name: &str, least: u64) {
    let deadline = Instant::now() + PATIENCE;
    while metric(server, name) < least {
        assert!(Instant::now() < deadline, "{name} stays below {least}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_collector_that_is_down_slow_or_refuses_delays_no_request_and_its_spans_are_counted() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let slow = Scripted::start(|_| None);
    let refusing = Scripted::saying("400 Bad Request", "{}");
    let partial = Scripted::saying("200 OK", r#"{"partialSuccess":{"rejectedSpans":"1"}}"#);
    for (collector, dropped) in [(format!("http://{closed}"), 4), (slow.url, 4), (refusing.url, 4), (partial.url, 1)] {
        let home = Home::new();
        let server = serving(&home, &collector, &["--set", "otel.timeout_ms=300"]);
        let begun = Instant::now();
        assert!(post(&server, "", HELLO).starts_with("HTTP/1.1 200"), "{collector}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{collector}");
        until(&server, "cortensor_spans_dropped_total", dropped);
    }
}

#[test]
fn a_collector_that_has_too_much_to_do_gets_the_spans_again() {
    let tries = Mutex::new(0);
    let collector = Scripted::start(move |_| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        Some(if *tries == 1 { ("503 Service Unavailable", "{}") } else { ("200 OK", "{}") })
            .map(|(status, body)| (status.to_owned(), body.to_owned()))
    });
    let home = Home::new();
    let server = serving(&home, &collector.url, &[]);
    post(&server, "", HELLO);
    assert_eq!(collector.next().body, collector.next().body);
    until(&server, "cortensor_spans_sent_total", 4);
    assert_eq!(metric(&server, "cortensor_spans_dropped_total"), 0);
}

#[test]
fn a_full_queue_drops_spans_and_counts_them() {
    let slow = Scripted::start(|_| None);
    let home = Home::new();
    let bounds = ["--set", "otel.max_queued_spans=2", "--set", "otel.max_batch_spans=1"];
    let server = serving(&home, &slow.url, &bounds);
    for _ in 0..4 {
        assert!(post(&server, "", HELLO).starts_with("HTTP/1.1 200"));
    }
    // A batch of one is under way, and two wait.
    assert!(metric(&server, "cortensor_spans_dropped_total") >= 16 - 3);
}

#[test]
fn the_last_spans_are_sent_when_the_router_ends() {
    let (home, collector) = (Home::new(), collector());
    let server = serving(&home, &collector.url, &["--set", "otel.interval_ms=600000"]);
    post(&server, "", HELLO);
    server.signal("TERM");
    assert_eq!(Tree::next(&collector).0.len(), 4);
}

#[test]
fn the_standard_variables_set_the_export_and_a_wrong_endpoint_is_refused() {
    let home = Home::new();
    let shown = home
        .command(&["config", "show"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret")
        .env("OTEL_SERVICE_NAME", "edge")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .output();
    assert!(shown.stdout.contains("http://collector:4318") && shown.stdout.contains("edge"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("s3cret"), "{}", shown.stdout);
    let refused = home.run(&["serve", "--port", "0", "--set", "otel.endpoint=collector:4318"]);
    assert!(refused.status == 2 && refused.stderr.contains("otel.endpoint must be a URL"), "{}", refused.stderr);
}
