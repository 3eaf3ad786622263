//! The console's page and files, and the routes that it stands on: live events, the log, the caller's rights.

use std::sync::Arc;

use cortensor_router::KeySpec;
use cortensor_router::config::Anonymous;
use cortensor_router::internals::LogRing;
use cortensor_router::model::Scope;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::*;

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

/// The path of a file, as the page names it.
fn path_of(page: &str, file: &str) -> String {
    let (before, _) = page.split_once(&format!("/{file}\"")).unwrap_or_else(|| panic!("{page} names no {file}"));
    format!("/{}/{file}", &before[before.rfind("console/").unwrap()..])
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_program_gets_json() {
    let server = serve(ListenConfig::default()).await;
    for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n", "Accept: text/html;q=0\r\n"] {
        let reply = server.send("GET", "/", accept, "").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{accept}");
        assert_eq!(reply.json()["name"], "cortensor-router");
        assert_eq!(reply.header("vary"), Some("accept"));
    }
    let page = server.send("GET", "/", HTML, "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!((page.header("vary"), page.header("cache-control")), (Some("accept"), Some("no-cache")));
    // No word of the page stands for something that the router has not put in.
    assert!(!page.body.contains('{') && page.body.contains("<script type=\"module\""), "{}", page.body);
    let head = server.send("HEAD", "/", HTML, "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", page.header("etag")));
    let again =
        server.send("GET", "/", &format!("{HTML}If-None-Match: {}\r\n", page.header("etag").unwrap()), "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    server.stop().await;
}

#[tokio::test]
async fn the_files_never_change_under_their_addresses() {
    let server = serve(ListenConfig::default()).await;
    let page = server.send("GET", "/", HTML, "").await.body;
    for (file, content_type) in [
        ("main.js", "text/javascript; charset=utf-8"),
        ("tokens.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let path = path_of(&page, file);
        // Neither a token nor a known name of the host is asked for.
        for host in ["", "Host: evil.example\r\nOrigin: http://evil.example\r\nX-Forwarded-For: 8.8.8.8\r\n"] {
            let bare = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
            let bare = if host.is_empty() { bare.replace("Connection", "Host: localhost\r\nConnection") } else { bare };
            let raw = server.raw(bare.as_bytes()).await;
            assert!(raw.starts_with("HTTP/1.1 200"), "{raw}");
        }
        let reply = server.send("GET", &path, "", "").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let tag = reply.header("etag").unwrap().to_owned();
        for (known, status) in [
            (tag.clone(), 304),
            (format!("\"other\", W/{tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let again = server.send("GET", &path, &format!("If-None-Match: {known}\r\n"), "").await;
            assert_eq!(
                (again.status, again.body.is_empty(), again.header("etag")),
                (status, status == 304, Some(&*tag))
            );
        }
    }
    for (wrong, code) in [
        ("/console/0000000000000000/main.js", "not_found"),
        (&*path_of(&page, "main.js").replace("main.js", "no.js"), "not_found"),
        ("/console/x", "route_not_found"),
    ] {
        let (status, error) = server.get_json(wrong).await;
        assert_eq!((status, &error["code"]), (404, &json!(code)), "{wrong}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_browser_runs_nothing_but_the_consoles_own_files() {
    let server = serve(ListenConfig::default()).await;
    let page = server.send("GET", "/", HTML, "").await;
    let file = server.send("GET", &path_of(&page.body, "main.js"), "", "").await;
    for reply in [&page, &file] {
        let policy = reply.header("content-security-policy").unwrap();
        let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(rules.contains(&rule), "{policy} lacks {rule}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_knows_the_way_in() {
    let token = || vec![TokenConfig::default().value(Some("a-token-of-the-operators-own".into()))];
    for (listen, way) in [
        (ListenConfig::default(), "development"),
        (ListenConfig::default().dev_token(Some(false)), "token"),
        (ListenConfig::default().tokens(token()), "token"),
        (ListenConfig::default().anonymous(Anonymous::Loopback).tokens(token()), "anonymous"),
    ] {
        let server = serve(listen).await;
        let page = server.send("GET", "/", HTML, "").await;
        assert!(page.body.contains(&format!("data-sign-in=\"{way}\"")), "{way}: {}", page.body);
        server.stop().await;
    }
    let server = serve(ListenConfig::default()).await;
    let before = server.send("GET", "/", HTML, "").await;
    server.router.create_key(&KeySpec::new("first").scopes(vec![Scope::Admin])).await.unwrap();
    // A page in a cache does not count once there is an administrator.
    let known = format!("{HTML}If-None-Match: {}\r\n", before.header("etag").unwrap());
    let after = server.send("GET", "/", &known, "").await;
    assert!(after.status == 200 && after.body.contains("data-sign-in=\"token\""), "{}", after.body);
    server.stop().await;
}

#[tokio::test]
async fn a_console_that_is_off_leaves_only_json() {
    let on = serve(ListenConfig::default()).await;
    let path = path_of(&on.send("GET", "/", HTML, "").await.body, "main.js");
    on.stop().await;
    let server = serve(ListenConfig::default().console(false)).await;
    let root = server.send("GET", "/", HTML, "").await;
    assert_eq!((root.status, &root.json()["openapi"]), (200, &json!("/openapi.json")));
    let file = server.send("GET", &path, "", "").await;
    assert_eq!(file.status, 404);
    assert!(file.body.contains("listen.console = false"), "{}", file.body);
    server.stop().await;
}

#[tokio::test]
async fn a_caller_learns_its_rights() {
    let server = with_words().await;
    let (status, program) = server.get_json("/api/v1/whoami").await;
    assert_eq!((status, &program["id"], &program["scopes"]), (200, &json!("dev"), &json!(["submit", "read", "admin"])));
    // The token that everybody knows gives a page fewer.
    let page = server.send("GET", "/api/v1/whoami", &format!("{DEV}Sec-Fetch-Site: same-origin\r\n"), "").await.json();
    assert_eq!(page["scopes"], json!(["submit", "read"]));
    let spec = KeySpec::new("worker").scopes(vec![Scope::Miner]).models(["tiny"]);
    let made = server.router.create_key(&spec).await.unwrap();
    let own = format!("X-API-Key: {}\r\n", made.token.reveal());
    let worker = server.send("GET", "/api/v1/whoami", &own, "").await.json();
    assert_eq!(
        worker,
        json!({"id": made.key.id, "name": "worker", "scopes": ["miner"], "sessions": [], "models": ["tiny"], "expires_at": 0})
    );
    assert_eq!(server.send("GET", "/api/v1/whoami", "", "").await.status, 401);
    server.stop().await;
}

fn events(body: &str) -> Vec<Value> {
    let datum = |event: &str| event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
    body.split("\n\n").filter_map(datum).map(|data| serde_json::from_str(&data).unwrap()).collect()
}

#[tokio::test]
async fn events_tell_state_and_totals() {
    let server = with_words().await;
    assert_eq!(server.post_json("/api/v1/completions", &json!({"prompt": "one two three"})).await.0, 200);
    let reply = server.get("/api/v1/events?count=2").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let events = events(&reply.body);
    assert_eq!(events.len(), 2, "{}", reply.body);
    assert!(reply.body.starts_with("event: status\ndata: "), "{}", reply.body);
    for event in &events {
        let (status, totals) = (&event["status"], &event["totals"]);
        assert_eq!((&status["status"], &status["connected_miners"]), (&json!("ok"), &json!(1)));
        assert_eq!((&totals["submitted"], &totals["ok"], &totals["failed"]), (&json!(1), &json!(1), &json!(0)));
        assert!(totals["answer_tokens"].as_u64().unwrap() > 0, "{totals}");
        let last = totals["first_tokens"].as_array().unwrap().last().unwrap();
        assert_eq!(last, &json!({"within_ms": null, "count": 1}));
    }
    assert!(events[0]["time_ms"].as_u64() < events[1]["time_ms"].as_u64());
    for (query, param) in [("count=0", "count"), ("count=x", "count")] {
        let (status, error) = server.get_json(&format!("/api/v1/events?{query}")).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)));
    }
    let spec = KeySpec::new("submitter").scopes(vec![Scope::Submit]);
    let own = format!("X-API-Key: {}\r\n", server.router.create_key(&spec).await.unwrap().token.reveal());
    assert_eq!(server.send("GET", "/api/v1/events?count=1", &own, "").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_key_and_with_the_listener() {
    let server = with_words().await;
    let spec = KeySpec::new("watcher").scopes(vec![Scope::Admin]);
    for path in ["/api/v1/events", "/api/v1/logs?follow=true"] {
        let made = server.router.create_key(&spec).await.unwrap();
        let own = format!("X-API-Key: {}\r\n", made.token.reveal());
        let mut stream = server.ask("GET", path, &own, "").await;
        let mut begun = vec![0; 12];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(begun, b"HTTP/1.1 200", "{path}");
        assert!(server.router.delete_key(&made.key.id).await.unwrap());
        let mut rest = String::new();
        let read = stream.read_to_string(&mut rest);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("the stream ends").unwrap();
        assert!(rest.contains("key_revoked"), "{path}: {rest}");
    }
    let made = server.router.create_key(&spec).await.unwrap();
    let own = format!("X-API-Key: {}\r\n", made.token.reveal());
    let mut streams = Vec::new();
    for path in ["/api/v1/events", "/api/v1/logs?follow=true"] {
        let mut stream = server.ask("GET", path, &own, "").await;
        stream.read_exact(&mut [0; 12]).await.unwrap();
        streams.push(stream);
    }
    server.stop().await;
    for mut stream in streams {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("the listener waits for no watcher").unwrap();
    }
}

/// Gives the events of a thread to a ring, as the command and the bindings do.
struct Taker(Arc<LogRing>);

impl Subscriber for Taker {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        LogRing::wants(metadata)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.take(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn write(ring: &Arc<LogRing>) {
    tracing::dispatcher::with_default(&Dispatch::new(Taker(ring.clone())), || {
        tracing::info!(target: "cortensor_router::a", count = 1, "first");
        tracing::warn!(target: "cortensor_router::b", said = "\u{1b}[31m\nforged", "second");
        // Lines about single requests, lines below `info`, and what libraries tell are left out.
        tracing::info!(target: "cortensor_router::access", prompt = "a secret", "request");
        tracing::debug!(target: "cortensor_router::a", "a secret");
        tracing::info!(target: "hyper", "a secret");
        tracing::error!(target: "hyper", "third");
    });
}

async fn logging(lines: usize) -> (Server, Arc<LogRing>) {
    let ring = Arc::new(LogRing::new(7));
    let config = Config::from_toml(&format!("[log]\nrecent_lines = {lines}")).unwrap();
    let router = Router::builder().config(config).log_ring(ring.clone()).open().await.unwrap();
    (Server::of(router).await, ring)
}

#[tokio::test]
async fn the_log_is_read_and_followed_by_administrators() {
    let (server, ring) = logging(3).await;
    write(&ring);
    let (status, page) = server.get_json("/api/v1/logs").await;
    assert_eq!((status, &page["recent_lines"]), (200, &json!(3)));
    let lines = page["logs"].as_array().unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
    let forged = "second said=\"\\u{1b}[31m\\nforged\"";
    assert_eq!(told, [("info", "first count=1"), ("warn", forged), ("error", "third")]);
    assert_eq!((&lines[0]["number"], &lines[0]["target"]), (&json!(1), &json!("cortensor_router::a")));
    for (query, numbers) in [
        ("level=error", json!([3])),
        ("level=warn", json!([2, 3])),
        ("limit=1", json!([3])),
        ("after=1&limit=1", json!([3])),
        ("after=3", json!([])),
    ] {
        let page = server.get_json(&format!("/api/v1/logs?{query}")).await.1;
        let found: Value = page["logs"].as_array().unwrap().iter().map(|line| line["number"].clone()).collect();
        assert_eq!(found, numbers, "{query}");
    }
    for (query, param) in
        [("level=trace", "level"), ("follow=maybe", "follow"), ("after=x", "after"), ("limit=0", "limit")]
    {
        let (status, error) = server.get_json(&format!("/api/v1/logs?{query}")).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{query}: {error}");
    }
    // A reader gets the newest lines, then each further one.
    let mut stream = server.ask("GET", "/api/v1/logs?follow=true&limit=1", DEV, "").await;
    let mut seen = String::new();
    read_until(&mut stream, &mut seen, "\"number\":3").await;
    assert!(!seen.contains("\"number\":2"), "{seen}");
    write(&ring);
    read_until(&mut stream, &mut seen, "\"number\":6").await;
    assert!(seen.contains("id: 4\n") && seen.contains("\"number\":5") && !seen.contains("a secret"), "{seen}");
    let reader = KeySpec::new("reader").scopes(vec![Scope::Read, Scope::Submit]);
    let own = format!("X-API-Key: {}\r\n", server.router.create_key(&reader).await.unwrap().token.reveal());
    assert_eq!(server.send("GET", "/api/v1/logs", &own, "").await.status, 403);
    drop(stream);
    server.stop().await;
}

async fn read_until(stream: &mut TcpStream, seen: &mut String, wanted: &str) {
    while !seen.contains(wanted) {
        let mut bytes = vec![0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut bytes));
        let count = read.await.unwrap_or_else(|_| panic!("{wanted} does not come: {seen}")).unwrap();
        assert!(count > 0, "the stream ends before {wanted}: {seen}");
        seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
}

#[tokio::test]
async fn a_log_that_is_not_kept_is_empty() {
    let (server, ring) = logging(0).await;
    write(&ring);
    assert_eq!(server.get_json("/api/v1/logs").await, (200, json!({"recent_lines": 0, "logs": []})));
    server.stop().await;
    let error = Config::from_toml("[log]\nrecent_lines = 100001").unwrap_err();
    assert_eq!(
        (error.kind(), error.details().param.as_deref()),
        (ErrorKind::InvalidArgument, Some("log.recent_lines"))
    );
}
