//! The development token and access without a token are for programs on this machine; secret keys are for every caller
//! that has one.

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

/// Heads that a page, a proxy or a caller on another machine would send.
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
    let cors = CorsConfig::default().origins(vec!["https://app.example".into()]);
    let server = serve(ListenConfig::default().cors(cors)).await;
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
    let server = serve(ListenConfig::default().hosts(vec!["router.lan".into()])).await;
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
    assert_eq!(server.get_json("/api/v1/keys").await.0, 200, "a key that may not make keys locks nobody out");
    let admin = new_key(&server, json!({"name": "ops", "scopes": ["admin"]})).await;
    let (status, error) = server.get_json("/api/v1/keys").await;
    assert_eq!((status, &error["code"]), (401, &json!("dev_token_refused")));
    assert!(error["message"].as_str().unwrap().contains("listen.dev_token"), "{error}");
    assert_eq!(server.parts("GET", "/api/v1/keys", &admin, "").await.0, 200);
    // A setting that the operator made explicitly stays in force.
    let kept = serve(ListenConfig::default().dev_token(Some(true))).await;
    new_key(&kept, json!({"name": "ops", "scopes": ["admin"]})).await;
    assert_eq!(kept.get_json("/api/v1/keys").await.0, 200);
    let off = serve(ListenConfig::default().dev_token(Some(false))).await;
    assert_eq!(off.get_json("/api/v1/keys").await.1["code"], "dev_token_refused");
    let token = TokenConfig::default().name(Some("t".into())).value(Some("s3cret".into()));
    let configured = serve(ListenConfig::default().tokens(vec![token])).await;
    assert_eq!(configured.get_json("/api/v1/keys").await.1["code"], "dev_token_refused");
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
        assert_eq!(server.parts("GET", "/v1/models", &lines, "").await.0, wanted, "{lines}");
    }
    // A secret key has priority over the development token, whatever their order.
    let both = format!("Authorization: Bearer default-dev-token\r\nX-API-Key: {key}\r\n");
    assert_eq!(server.parts("GET", "/api/v1/keys", &both, "").await.0, 403);
}

#[tokio::test]
async fn programs_of_this_machine_may_call_without_a_token_where_that_is_set() {
    let server = serve(ListenConfig::default().anonymous(Anonymous::Loopback)).await;
    for lines in ["", "Authorization: Bearer \r\n", "X-API-Key: \r\n"] {
        assert_eq!(server.parts("GET", "/v1/models", lines, "").await.0, 200, "{lines}");
        assert_eq!(server.parts("POST", "/api/v1/keys", lines, r#"{"name":"x"}"#).await.0, 403, "{lines}");
    }
    for lines in ["Authorization: Bearer wrong\r\n", "Authorization: Basic eDp5\r\n", "X-API-Key: wrong\r\n"] {
        assert_eq!(server.parts("GET", "/v1/models", lines, "").await.0, 401, "{lines}");
    }
    for lines in FOREIGN {
        let (status, error) = call(&server, "GET", "/api/v1/info", lines, "").await;
        assert_eq!((status, &error["code"]), (401, &json!("dev_token_refused")), "{lines}");
    }
    let off = serve(ListenConfig::default()).await;
    assert_eq!(off.parts("GET", "/v1/models", "", "").await.0, 401);
}

#[tokio::test]
async fn a_key_of_some_sessions_takes_nothing_that_all_share() {
    let server = serve(ListenConfig::default()).await;
    let (_, session) = server.post_json("/api/v1/create", &json!({"name": "own"})).await;
    let id = session["session_id"].as_u64().unwrap();
    for scopes in [json!(["submit", "read"]), json!(["submit", "read", "admin"])] {
        let key = new_key(&server, json!({"name": "tenant", "scopes": scopes, "sessions": [id]})).await;
        for (method, path, body) in [
            ("POST", "/api/v1/create".to_owned(), r#"{"name":"more"}"#),
            ("POST", "/api/v1/sessions".to_owned(), r#"{"name":"more"}"#),
            ("PATCH", format!("/api/v1/sessions/{id}"), r#"{"weight":1000}"#),
            ("POST", "/api/v1/miners/enrolments".to_owned(), r#"{"name":"gpu"}"#),
            ("GET", "/api/v1/miners/enrolments".to_owned(), ""),
            ("GET", "/api/v1/miners/identities".to_owned(), ""),
            ("DELETE", "/api/v1/miners/identities/mk_0".to_owned(), ""),
        ] {
            assert_eq!(server.parts(method, &path, &key, body).await.0, 403, "{method} {path}");
        }
        assert_eq!(server.parts("GET", &format!("/api/v1/sessions/{id}"), &key, "").await.0, 200);
    }
}

#[tokio::test]
async fn a_key_makes_no_key_that_can_do_more_than_itself() {
    let server = serve(ListenConfig::default()).await;
    let ops = new_key(&server, json!({"name": "ops", "scopes": ["admin"]})).await;
    let spec = json!({"name": "tenant", "scopes": ["admin"], "sessions": [3, 4], "ttl_secs": 1000});
    let tenant = new_key(&server, spec).await;
    for (body, param) in [
        (json!({"name": "x", "sessions": [5]}), "sessions"),
        (json!({"name": "x", "sessions": [3, 5]}), "sessions"),
        (json!({"name": "x", "ttl_secs": 2000}), "ttl_secs"),
    ] {
        let (status, _, answer) = server.parts("POST", "/api/v1/keys", &tenant, &body.to_string()).await;
        let error: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &error["param"]), (403, &json!(param)), "{body}");
    }
    // A miner works for every session, so a limited key may not make keys for miners.
    for scope in ["miner", "enrol"] {
        let body = json!({"name": "x", "scopes": [scope]}).to_string();
        let (status, _, answer) = server.parts("POST", "/api/v1/keys", &tenant, &body).await;
        assert_eq!(status, 400, "{answer}");
    }
    let (status, _, answer) =
        server.parts("POST", "/api/v1/keys", &tenant, r#"{"name":"heir","scopes":["admin","read"]}"#).await;
    let heir: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &heir["sessions"]), (201, &json!([3, 4])), "{answer}");
    assert!(heir["expires_at"].as_u64().unwrap() > 0);
    // The key sees and revokes keys that are limited at least as much, and no others.
    let (_, _, list) = server.parts("GET", "/api/v1/keys", &tenant, "").await;
    assert!(list.contains("heir") && list.contains("tenant") && !list.contains("ops"), "{list}");
    let id = ops.split('_').nth(1).unwrap();
    assert_eq!(server.parts("DELETE", &format!("/api/v1/keys/{id}"), &tenant, "").await.0, 404);
    assert_eq!(server.parts("GET", "/api/v1/keys", &ops, "").await.0, 200);
    let heir_path = format!("/api/v1/keys/{}", heir["id"].as_str().unwrap());
    assert_eq!(server.parts("DELETE", &heir_path, &tenant, "").await.0, 200);
}

#[tokio::test]
async fn sessions_that_are_closed_take_no_room() {
    let mut config = cortensor_router::Config::default();
    config.limits.max_sessions = 4;
    let server = super::serve_with(config.clone(), ListenConfig::default()).await;
    for _ in 0..10 {
        let (status, session) = server.post_json("/api/v1/create", &json!({"name": "s"})).await;
        assert_eq!(status, 200, "{session}");
        let path = format!("/api/v1/sessions/{}", session["session_id"]);
        assert_eq!(server.parts("DELETE", &path, DEV, "").await.0, 200);
    }
    let mut last = 200;
    for _ in 0..5 {
        last = server.post_json("/api/v1/create", &json!({"name": "s"})).await.0;
    }
    assert_eq!(last, 429);
    // Closed sessions stay in lists, and their number is bounded too.
    config.limits.max_closed_sessions = 2;
    let server = super::serve_with(config, ListenConfig::default()).await;
    for _ in 0..2 {
        let (_, session) = server.post_json("/api/v1/create", &json!({"name": "s"})).await;
        let path = format!("/api/v1/sessions/{}", session["session_id"]);
        assert_eq!(server.parts("DELETE", &path, DEV, "").await.0, 200);
    }
    let (status, error) = server.post_json("/api/v1/create", &json!({"name": "s"})).await;
    assert!(status == 429 && error["error"].as_str().unwrap().contains("limits.max_closed_sessions"), "{error}");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_uses_a_programming_kit() {
    let cors = CorsConfig::default().origins(vec!["https://app.example".into()]);
    let server = serve(ListenConfig::default().cors(cors)).await;
    let asked = "authorization,content-type,x-stainless-arch,x-stainless-retry-count,idempotency-key,x-cortensor-session,last-event-id,openai-organization";
    let preflight = |origin: &str| {
        format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {asked}\r\n"
        )
    };
    for path in ["/v1/chat/completions", "/api/v1/completions", "/v1/models"] {
        let (status, head, _) = server.parts("OPTIONS", path, &preflight("https://app.example"), "").await;
        let line = head.lines().find_map(|line| line.strip_prefix("access-control-allow-headers: ")).unwrap();
        assert_eq!((status, line), (200, asked), "{path}");
        let (_, head, _) = server.parts("OPTIONS", path, &preflight("https://evil.example"), "").await;
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
    let (status, head, _) = server.parts("GET", "/v1/models", "Origin: https://app.example\r\n", "").await;
    assert!(status == 401 && head.contains("access-control-allow-origin: https://app.example"), "{head}");
    let exposed = head.lines().find_map(|line| line.strip_prefix("access-control-expose-headers: ")).unwrap();
    for name in ["x-cortensor-session", "x-cortensor-task", "retry-after", "x-request-id"] {
        assert!(exposed.split(',').any(|one| one == name), "{exposed}");
    }
}
