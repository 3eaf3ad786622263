//! Upstreams that are managed over HTTP.

use cortensor_router::config::{Durability, ListenConfig, StorageConfig, TokenConfig, UpstreamConfig};
use cortensor_router::{Config, Router};
use cortensor_router_testkit::server::Reply;
use cortensor_router_testkit::upstream::{Say, Upstream};
use serde_json::{Value, json};

use super::{DEV, Server};

const OPS: &str = "Authorization: Bearer secret-of-ops\r\n";

fn config() -> Config {
    let token = TokenConfig::default().name(Some("ops".into())).value(Some("secret-of-ops".into()));
    let mut listen = ListenConfig::default().tokens(vec![token]).manage_upstreams(true).dev_token(Some(true));
    listen.upstream_networks = vec!["127.0.0.0/8".into()];
    Config::default().listen(listen)
}

async fn upstream() -> Upstream {
    let answer = json!({"choices": [{"index": 0, "message": {"content": "from there"}, "finish_reason": "stop"}]});
    Upstream::new(move |_, _| Say::Json(200, answer.to_string())).await
}

async fn send(server: &Server, method: &str, name: &str, body: &Value) -> Reply {
    let path = if name.is_empty() { "/api/v1/upstreams".to_owned() } else { format!("/api/v1/upstreams/{name}") };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.send(method, &path, OPS, &body).await
}

/// Waits until the upstream has that state. Gives its record.
async fn state(server: &Server, name: &str, wanted: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..1_000 {
        last = send(server, "GET", "", &Value::Null).await.json();
        let found =
            last["upstreams"].as_array().unwrap().iter().find(|one| one["name"] == name && one["state"] == wanted);
        if let Some(found) = found {
            return found.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{name} is not {wanted}: {last}");
}

async fn ask(server: &Server, model: &str) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    server.send("POST", "/v1/chat/completions", OPS, &body).await
}

#[tokio::test]
async fn an_upstream_is_added_drained_resumed_changed_and_removed() {
    let there = upstream().await;
    let mut config = config();
    config.dispatch.no_miner_grace_ms = 0;
    let server = Server::open(config).await;
    let body = json!({"name": "gpu", "url": there.url, "api_key": "a key that is secret", "weight": 3});
    let added = send(&server, "POST", "", &body).await;
    assert_eq!(added.status, 201, "{}", added.body);
    let shown = added.json();
    assert_eq!(
        (&shown["source"], &shown["has_api_key"], &shown["weight"]),
        (&json!("managed"), &json!(true), &json!(3))
    );
    let up = state(&server, "gpu", "up").await;
    assert_eq!(up["models"], json!(["up-model"]));
    assert!(up["last_probe"]["at"].as_u64() > Some(0), "{up}");
    assert_eq!((&up["last_probe"]["error"], &up["server"]), (&Value::Null, &Value::Null));
    assert_eq!(ask(&server, "up-model").await.status, 200);
    assert!(there.heads().iter().all(|head| head.contains("Bearer a key that is secret")), "{:?}", there.heads());

    let drained = send(&server, "PATCH", "gpu", &json!({"drained": true})).await;
    assert_eq!((drained.status, &drained.json()["state"]), (200, &json!("drained")));
    assert_eq!(ask(&server, "up-model").await.status, 503);
    assert_eq!(send(&server, "PATCH", "gpu", &json!({"drained": true})).await.status, 200, "again changes nothing");
    assert_eq!(send(&server, "PATCH", "gpu", &json!({"drained": false})).await.status, 200);
    state(&server, "gpu", "up").await;
    assert_eq!(ask(&server, "up-model").await.status, 200);

    // The key stays although the change does not name it; null removes it.
    let changed = send(&server, "PATCH", "gpu", &json!({"models": ["other"], "weight": null})).await.json();
    assert_eq!(
        (&changed["models"], &changed["weight"], &changed["has_api_key"]),
        (&json!(["other"]), &json!(1), &json!(true))
    );
    state(&server, "gpu", "up").await;
    assert_eq!(ask(&server, "other").await.status, 200);
    assert!(there.heads().last().unwrap().contains("a key that is secret"));
    let without = send(&server, "PATCH", "gpu", &json!({"api_key": null})).await.json();
    assert_eq!(without["has_api_key"], false);

    assert_eq!(send(&server, "DELETE", "gpu", &Value::Null).await.json(), json!({"name": "gpu", "status": "removed"}));
    assert_eq!(send(&server, "DELETE", "gpu", &Value::Null).await.status, 404);
    server.no_miner().await;
    let audit = server.send("GET", "/api/v1/audit", OPS, "").await;
    let acts: Vec<_> = audit.json()["audit"].as_array().unwrap().iter().map(|entry| entry["act"].clone()).collect();
    assert_eq!(acts.len(), 6, "{}", audit.body);
    assert_eq!((&acts[0], &acts[5]), (&json!("upstream_added"), &json!("upstream_removed")));
    assert!(!audit.body.contains("a key that is secret"), "{}", audit.body);
    server.stop().await;
}

#[tokio::test]
async fn a_managed_upstream_comes_back_with_its_key_and_its_drain() {
    let there = upstream().await;
    let dir = tempfile::tempdir().unwrap();
    let config = || {
        let storage = StorageConfig::default().data_dir(Some(dir.path().into())).durability(Durability::Relaxed);
        config().storage(storage)
    };
    let server = Server::open(config()).await;
    for name in ["one", "two"] {
        let body = json!({"name": name, "url": there.url, "models": [name], "api_key": format!("the key of {name}")});
        assert_eq!(send(&server, "POST", "", &body).await.status, 201);
    }
    assert_eq!(send(&server, "PATCH", "two", &json!({"drained": true})).await.status, 200);
    server.stop().await;
    let server = Server::open(config()).await;
    state(&server, "one", "up").await;
    state(&server, "two", "drained").await;
    assert_eq!(ask(&server, "one").await.status, 200);
    assert!(there.heads().last().unwrap().contains("the key of one"));
    server.stop().await;
    // An upstream of the configuration with the name of a managed one wins, and the other is shown as down.
    let taken = UpstreamConfig::new(&there.url).name(Some("one".into()));
    let server = Server::open(config().upstreams(vec![taken])).await;
    let list = send(&server, "GET", "", &Value::Null).await.json();
    let of = |source: &str| list["upstreams"].as_array().unwrap().iter().filter(|one| one["source"] == source).count();
    assert_eq!((of("config"), of("managed")), (1, 2), "{list}");
    server.stop().await;
}

#[tokio::test]
async fn who_may_not_change_upstreams_is_told_why() {
    let server = Server::open(config()).await;
    let body = json!({"name": "x", "url": "http://127.0.0.1:9/v1"}).to_string();
    let refused = |reply: &Reply| (reply.status, reply.json()["code"].as_str().unwrap().to_owned());
    for (method, path) in
        [("POST", "/api/v1/upstreams"), ("PATCH", "/api/v1/upstreams/x"), ("DELETE", "/api/v1/upstreams/x")]
    {
        let reply = server.send(method, path, DEV, &body).await;
        assert_eq!(refused(&reply), (403, "secret_key_needed".into()), "{method}");
        assert_eq!(server.send(method, path, "", &body).await.status, 401);
    }
    let seen = server.get("/api/v1/upstreams").await;
    assert_eq!(seen.status, 200, "the development token may look");
    let words = |list: &Value| list["read_only"].as_str().unwrap().to_owned();
    assert!(words(&seen.json()).contains("use a key with the scope admin"), "{}", seen.body);
    assert_eq!(send(&server, "GET", "", &Value::Null).await.json()["read_only"], Value::Null);
    server.stop().await;
    let mut config = config();
    config.listen.manage_upstreams = false;
    let server = Server::open(config).await;
    let reply = server.send("POST", "/api/v1/upstreams", OPS, &body).await;
    assert_eq!(refused(&reply), (403, "upstreams_not_managed".into()));
    let seen = send(&server, "GET", "", &Value::Null).await.json();
    assert!(words(&seen).contains("listen.manage_upstreams = true"), "{seen}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_added() {
    let mut config = config();
    config.listen.max_managed_upstreams = 1;
    config.listen.upstream_networks = vec!["127.0.0.1".into()];
    config.upstreams = vec![UpstreamConfig::new("http://127.0.0.1:9/v1").name(Some("own".into()))];
    let server = Server::open(config).await;
    let good = |url: &str| json!({"name": "x", "url": url});
    for (body, status, param) in [
        (json!({"url": "http://127.0.0.1:9"}), 400, "name"),
        (json!({"name": "x"}), 400, "url"),
        (good("nonsense"), 400, "url"),
        (good("ftp://127.0.0.1"), 400, "url"),
        (good("http://user:word@127.0.0.1:9/v1"), 400, "url"),
        (good("http://127.0.0.2:9/v1"), 400, "url"),
        (good("http://10.0.0.1/v1"), 400, "url"),
        (good("http://[::1]:9/v1"), 400, "url"),
        (good("http://169.254.169.254/latest"), 400, "url"),
        (good("http://0x7f.1/v1"), 400, "url"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "api_key_env": "HOME"}), 400, "api_key_env"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "ca_file": "/etc/passwd"}), 400, "ca_file"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "command": "sh"}), 400, "command"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "wieght": 2}), 400, "wieght"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "weight": 0}), 400, "weight"),
        (json!({"name": "x", "url": "http://127.0.0.1:9", "weight": "much"}), 400, "weight"),
        (json!({"name": "own", "url": "http://127.0.0.1:9"}), 409, "name"),
    ] {
        let reply = send(&server, "POST", "", &body).await;
        let error = reply.json();
        let told = error["param"].as_str();
        // A number that some systems read as an address leads nowhere public on any.
        if body["url"] == "http://0x7f.1/v1" && reply.status == 201 {
            assert_eq!(send(&server, "DELETE", "x", &Value::Null).await.status, 200);
            continue;
        }
        assert_eq!((reply.status, told), (status, Some(param)), "{body}: {error}");
    }
    let ours = send(&server, "PATCH", "own", &json!({"weight": 2})).await;
    assert_eq!((ours.status, ours.json()["code"].as_str()), (409, Some("upstream_configured")));
    assert_eq!(send(&server, "DELETE", "own", &Value::Null).await.status, 409);
    assert_eq!(send(&server, "PATCH", "none", &json!({"weight": 2})).await.status, 404);
    assert_eq!(send(&server, "POST", "", &good("http://127.0.0.1:9/v1")).await.status, 201);
    assert_eq!(send(&server, "POST", "", &good("http://127.0.0.1:9/v1")).await.status, 409, "the name is taken");
    let second = send(&server, "POST", "", &json!({"name": "y", "url": "http://127.0.0.1:9"})).await;
    assert_eq!((second.status, second.json()["code"].as_str()), (429, Some("upstreams_full")));
    for (body, param) in [
        (json!({"url": "http://10.0.0.1"}), "url"),
        (json!({"name": "z"}), "name"),
        (json!({"drained": "yes"}), "drained"),
        (json!({"weight": 1_000}), "weight"),
        (json!({"api_key_env": "HOME"}), "api_key_env"),
    ] {
        let reply = send(&server, "PATCH", "x", &body).await;
        assert_eq!((reply.status, reply.json()["param"].as_str()), (400, Some(param)), "{body}");
    }
    server.stop().await;
}

/// A name may lead to another address once it was checked, so the rule also counts when the router connects.
#[tokio::test]
async fn an_address_that_is_not_allowed_any_more_is_not_reached() {
    let there = upstream().await;
    let server = Server::open(config()).await;
    let body = json!({"name": "gpu", "url": there.url, "probe_interval_ms": 10, "idle_timeout_ms": 1});
    assert_eq!(send(&server, "POST", "", &body).await.status, 201);
    state(&server, "gpu", "up").await;
    let mut new = Config::clone(&server.router.config());
    new.listen.upstream_networks.clear();
    Router::reload(&server.router, new).await.unwrap();
    let down = state(&server, "gpu", "down").await;
    for words in [&down["reason"], &down["last_probe"]["error"]] {
        assert!(words.as_str().unwrap().contains("listen.upstream_networks"), "{down}");
    }
    server.stop().await;
}
