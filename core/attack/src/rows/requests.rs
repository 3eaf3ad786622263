//! Requests that make the router open connections, seen by a canary that counts them.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::http::Ask;
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command};
use crate::upstream::{Upstream, json as answer};

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let canary = Upstream::new(|_| answer("200 OK", "{}"))?;
    let url = format!("http://{}/canary", canary.address);
    // The upstream itself answers each request for work with a redirect to the canary.
    let location = url.clone();
    let upstream = Upstream::new(move |request| {
        if request.starts_with("GET /v1/models") {
            return answer("200 OK", r#"{"object":"list","data":[{"id":"up"}]}"#);
        }
        let status = ["301", "302", "303", "307", "308"][request.len() % 5];
        format!(
            "HTTP/1.1 {status} X\r\nLocation: {location}\r\nRefresh: 0; url={location}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    })?;
    let settings = format!(
        "[[upstream]]\nurl = \"http://{}/v1\"\n[dispatch]\n\
         max_attempts = 1\nretry_base_ms = 1\nbreaker_failures = 1000000\nno_miner_grace_ms = 1\n",
        upstream.address
    );
    let proxy = format!("http://{}", canary.address);
    let variables: Vec<(&str, &str)> = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
        .iter()
        .map(|name| (*name, &*proxy))
        .collect();
    let target = command.guarded_with(&settings, &[], &variables)?;
    let mut tally = Tally::default();
    for request in requests(&url) {
        let shown = request.shown();
        let before = canary.connections();
        let text = request.token(ADMIN).exchange(target.address)?.text();
        tally.must(canary.connections() == before, || format!("{shown} made the router connect"));
        tally.must(!text.is_empty(), || format!("{shown}: no answer"));
    }
    // Upstreams come from the configuration alone.
    for path in ["/api/v1/upstreams", "/api/v1/miners", "/api/v1/upstreams/x", "/api/v1/config", "/api/v1/webhooks"] {
        for method in ["POST", "PUT", "PATCH"] {
            let body = json!({"url": url, "name": "evil", "command": ["touch", "x"], "api_key_env": "HOME"});
            let answer = target.send(Ask::new(method, path).json(&body).token(ADMIN))?;
            tally.must(!answer.is_success(), || format!("{method} {path}: {}", answer.told()));
        }
    }
    sleep(Duration::from_millis(500));
    tally.must(canary.connections() == 0, || format!("{} connections in the end", canary.connections()));
    control(upstream.connections() > 0, || "the router never asked its upstream".to_owned())?;
    drop(std::net::TcpStream::connect(canary.address));
    sleep(Duration::from_millis(50));
    control(canary.connections() == 1, || "the canary does not count".to_owned())?;
    Ok(tally)
}

/// Requests that name the canary wherever a URL could stand.
fn requests(url: &str) -> Vec<Ask> {
    let chat = |content: Value| json!({"model": "up", "messages": [{"role": "user", "content": content}]});
    let mut all = Vec::new();
    let mut spellings = vec![url.to_owned(), url.replace("127.0.0.1", "localhost")];
    for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0", "evil@127.0.0.1"] {
        spellings.push(url.replace("127.0.0.1", host));
    }
    for spelled in &spellings {
        all.push(Ask::post(
            "/v1/chat/completions",
            &chat(json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": spelled}}])),
        ));
        all.push(Ask::post(
            "/v1/chat/completions",
            &json!({"model": spelled, "messages": [{"role": "user", "content": "x"}]}),
        ));
        all.push(Ask::post("/v1/embeddings", &json!({"model": "up", "input": spelled})));
    }
    let names = [
        "webhook",
        "webhook_url",
        "callback",
        "callback_url",
        "url",
        "base_url",
        "api_base",
        "endpoint",
        "upstream",
        "provider",
        "proxy",
        "file",
        "image",
        "audio",
        "$ref",
        "$schema",
        "notify",
        "redirect_uri",
        "prompt_template",
        "metadata",
    ];
    for name in names {
        let mut body = chat("x".into());
        body[name] = url.into();
        all.push(Ask::post("/v1/chat/completions", &body));
        all.push(Ask::post("/api/v1/completions", &json!({"prompt": "x", "model": "up", "timeout": 2, name: url})));
        all.push(Ask::post("/api/v1/sessions", &json!({"name": "x", name: url})));
    }
    let tools = json!([{"type": "mcp", "server_url": url}, {"type": "function", "function": {"name": "x", "parameters": {"$ref": url}}}]);
    let mut body = chat("x".into());
    body["tools"] = tools;
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": url}}});
    all.push(Ask::post("/v1/chat/completions", &body));
    for name in
        ["Referer", "X-Forwarded-Host", "X-Original-URL", "X-Callback", "Link", "Destination", "X-Upstream", "Proxy"]
    {
        all.push(Ask::post("/v1/chat/completions", &chat("x".into())).line(name, url));
    }
    let authority = url.trim_start_matches("http://").trim_end_matches("/canary");
    all.push(Ask::get("/v1/models").host(Some(authority)));
    all.push(Ask::get(url));
    all.push(Ask::new("CONNECT", authority));
    all.push(Ask::get(&format!("//{authority}/v1/models")));
    all.push(Ask::get(&format!("/v1/models/{}", url.replace('/', "%2f"))));
    all
}
