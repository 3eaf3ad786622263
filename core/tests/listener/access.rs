//! The development token and access without one are for programs on this machine; secret keys are for everybody who has them.

use cortensor_router::config::{Anonymous, CorsConfig, ListenConfig, TokenConfig};
use serde_json::{Value, json};

use super::{DEV, Server, serve};

/// Sends a request with these head lines and no others; gives the status and the body.
async fn call(server: &Server, method: &str, path: &str, lines: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}");
    let answer = server.raw(request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn new_key(server: &Server, spec: Value) -> String {
    let spec = serde_json::from_value(spec).unwrap();
    format!("Authorization: Bearer {}\r\n", server.router.create_key(&spec).await.unwrap().token.reveal())
}

/// Heads that a page, a proxy or a stranger would bring.
const FOREIGN: [&str; 9] = [
    "Host: evil.example:9500\r\nOrigin: http://evil.example:9500\r\n",
    "Host: evil.example\r\n",
    "Host: localhost.evil.example\r\n",
    "Host: localhost\r\nX-Forwarded-For: 8.8.8.8\r\n",
    "Host: localhost\r\nX-Real-IP: 8.8.8.8\r\n",
    "Host: localhost\r\nVia: 1.1 proxy\r\n",
    "Host: localhost\r\nCF-Connecting-IP: 8.8.8.8\r\n",
    "Host: localhost\r\nOrigin: null\r\n",
    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
];

#[tokio::test]
async fn the_development_token_is_refused_to_whoever_is_not_local_and_a_secret_key_to_nobody() {
    let server = serve(ListenConfig::default()).await;
    let key = new_key(&server, json!({"name": "app"})).await;
    for lines in FOREIGN {
        for (path, body) in [("/api/v1/keys", r#"{"name":"x","scopes":["admin"]}"#), ("/v1/chat/completions", "{}")] {
            let (status, error) = call(&server, "POST", path, &format!("{lines}{DEV}"), body).await;
            let error = if path.starts_with("/v1") { &error["error"] } else { &error };
            assert_eq!((status, &error["code"]), (401, &json!("dev_token_refused")), "{lines}");
            assert!(error["message"].as_str().unwrap().contains("listen.hosts"), "{error}");
        }
        assert_eq!(call(&server, "GET", "/api/v1/info", &format!("{lines}{key}"), "").await.0, 200, "{lines}");
        for path in ["/healthz", "/readyz", "/health", "/api/v1/about", "/api/v1/ping", "/openapi.json"] {
            assert_eq!(call(&server, "GET", path, lines, "").await.0, 200, "{lines}{path}");
        }
    }
    assert_eq!(server.router.keys().await.unwrap().len(), 1, "nobody made a key");
}

#[tokio::test]
async fn a_page_of_a_browser_never_administers_by_the_development_token() {
    let cors = CorsConfig { origins: vec!["https://app.example".into()] };
    let server = serve(ListenConfig { cors, ..ListenConfig::default() }).await;
    for lines in [
        "Host: localhost\r\nOrigin: http://localhost\r\n",
        "Host: localhost\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: localhost\r\nSec-Fetch-Site: same-origin\r\n",
    ] {
        let lines = format!("{lines}{DEV}");
        assert_eq!(call(&server, "GET", "/api/v1/info", &lines, "").await.0, 200, "{lines}");
        assert_eq!(call(&server, "POST", "/api/v1/keys", &lines, r#"{"name":"x"}"#).await.0, 403, "{lines}");
    }
    let program = format!("Host: localhost\r\n{DEV}");
    assert_eq!(call(&server, "POST", "/api/v1/keys", &program, r#"{"name":"x"}"#).await.0, 201);
}

#[tokio::test]
async fn hosts_of_the_configuration_are_this_machines_too() {
    let server = serve(ListenConfig { hosts: vec!["router.lan".into()], ..ListenConfig::default() }).await;
    for (host, wanted) in [("router.lan", 200), ("Router.LAN:5010", 200), ("x.router.lan", 401)] {
        assert_eq!(
            call(&server, "GET", "/api/v1/info", &format!("Host: {host}\r\n{DEV}"), "").await.0,
            wanted,
            "{host}"
        );
    }
}

#[tokio::test]
async fn the_development_token_ends_with_the_first_key_that_administers() {
    let server = serve(ListenConfig::default()).await;
    new_key(&server, json!({"name": "app"})).await;
    assert_eq!(server.get("/api/v1/keys").await.0, 200, "a key that may not make keys locks nobody out");
    let admin = new_key(&server, json!({"name": "ops", "scopes": ["admin"]})).await;
    let (status, error) = server.get("/api/v1/keys").await;
    assert_eq!((status, &error["code"]), (401, &json!("dev_token_refused")));
    assert!(error["message"].as_str().unwrap().contains("listen.dev_token"), "{error}");
    assert_eq!(server.send("GET", "/api/v1/keys", &admin, "").await.0, 200);
    // What is set by hand is kept.
    let kept = serve(ListenConfig { dev_token: Some(true), ..ListenConfig::default() }).await;
    new_key(&kept, json!({"name": "ops", "scopes": ["admin"]})).await;
    assert_eq!(kept.get("/api/v1/keys").await.0, 200);
    let off = serve(ListenConfig { dev_token: Some(false), ..ListenConfig::default() }).await;
    assert_eq!(off.get("/api/v1/keys").await.1["code"], "dev_token_refused");
    let token = TokenConfig { name: "t".into(), value: "s3cret".into(), ..TokenConfig::default() };
    let configured = serve(ListenConfig { tokens: vec![token], ..ListenConfig::default() }).await;
    assert_eq!(configured.get("/api/v1/keys").await.1["code"], "dev_token_refused");
}

#[tokio::test]
async fn any_good_credential_of_those_that_are_sent_is_enough() {
    let server = serve(ListenConfig::default()).await;
    let line = new_key(&server, json!({"name": "app"})).await;
    let key = line.trim().strip_prefix("Authorization: Bearer ").unwrap();
    for (lines, wanted) in [
        (format!("{line}X-API-Key: sk-ant-cached\r\n"), 200),
        (format!("{line}X-API-Key: \r\n"), 200),
        (format!("{line}Authorization: Bearer other\r\n"), 200),
        (format!("Authorization: Basic eDp5\r\n{line}"), 200),
        (format!("Authorization: Bearer other, Bearer {key}\r\n"), 200),
        (format!("Authorization: Bearer other\r\nX-API-Key: {key}\r\n"), 200),
        (format!("Authorization: Bearer \r\nX-API-Key: {key}\r\n"), 200),
        (format!("X-API-Key: other\r\nX-API-Key: {key}\r\n"), 200),
        (format!("api-key: {key}\r\n"), 200),
        (format!("{DEV}X-API-Key: other\r\n"), 200),
        ("api-key: default-dev-token\r\n".to_owned(), 401),
        ("Authorization: Bearer other\r\nX-API-Key: another\r\n".to_owned(), 401),
        (format!("Authorization: Bearer {key}x\r\nX-API-Key: \r\n"), 401),
        (format!("Authorization: {key}\r\n"), 401),
    ] {
        assert_eq!(server.send("GET", "/v1/models", &lines, "").await.0, wanted, "{lines}");
    }
    // A secret key counts before the development token, wherever each stands.
    let both = format!("Authorization: Bearer default-dev-token\r\nX-API-Key: {key}\r\n");
    assert_eq!(server.send("GET", "/api/v1/keys", &both, "").await.0, 403);
}

#[tokio::test]
async fn programs_of_this_machine_may_call_without_a_token_where_that_is_set() {
    let server = serve(ListenConfig { anonymous: Anonymous::Loopback, ..ListenConfig::default() }).await;
    for lines in ["", "Authorization: Bearer \r\n", "X-API-Key: \r\n"] {
        assert_eq!(server.send("GET", "/v1/models", lines, "").await.0, 200, "{lines}");
        assert_eq!(server.send("POST", "/api/v1/keys", lines, r#"{"name":"x"}"#).await.0, 403, "{lines}");
    }
    for lines in ["Authorization: Bearer wrong\r\n", "Authorization: Basic eDp5\r\n", "X-API-Key: wrong\r\n"] {
        assert_eq!(server.send("GET", "/v1/models", lines, "").await.0, 401, "{lines}");
    }
    for lines in FOREIGN {
        let (status, error) = call(&server, "GET", "/api/v1/info", lines, "").await;
        assert_eq!((status, &error["code"]), (401, &json!("dev_token_refused")), "{lines}");
    }
    let off = serve(ListenConfig::default()).await;
    assert_eq!(off.send("GET", "/v1/models", "", "").await.0, 401);
}
