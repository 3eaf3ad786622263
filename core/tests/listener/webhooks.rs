//! Webhooks: the ends of tasks reach the addresses that requests name.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cortensor_router::Config;
use cortensor_router::config::{Durability, ListenConfig, StorageConfig};
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router_testkit::mock::{Mock, Seen, Step, whole};
use cortensor_router_testkit::until;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{DEV, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver that answers with these statuses, then with the last of them.
async fn receiver(statuses: &[&'static str]) -> Mock {
    let left = Mutex::new(VecDeque::from(statuses.to_vec()));
    Mock::new(move |_| {
        let mut left = left.lock();
        let status = if left.len() > 1 { left.pop_front() } else { left.front().copied() };
        let status = status.unwrap_or("204 No Content");
        let location = if status.starts_with('3') { "Location: /elsewhere\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\n\r\n");
        vec![Step::Send(head.into_bytes())]
    })
    .await
}

fn config() -> Config {
    let mut config = Config::default().echo(true).listen(ListenConfig::default());
    config.webhooks.networks = vec!["127.0.0.0/8".into()];
    config.webhooks.retry_base_ms = 1;
    config
}

/// The value of a head line.
fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    let found =
        seen.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("no {name} in {}", seen.head)).1
}

/// Whether the message is signed as Standard Webhooks says.
fn is_signed(seen: &Seen, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (header(seen, "webhook-id"), header(seen, "webhook-timestamp"));
    mac.update(format!("{id}.{at}.{}", seen.body).as_bytes());
    header(seen, "webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

async fn submit(server: &Server, url: &str) -> u64 {
    let body = json!({"prompt": "hello", "webhook": {"url": url, "secret": SECRET}}).to_string();
    let reply = server.post("/api/v1/completions/0", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["task_id"].as_u64().unwrap()
}

/// Waits until the delivery of a task has that state. Gives the field of the task.
async fn delivery(server: &Server, id: u64, state: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..2_000 {
        last = server.get_json(&format!("/api/v1/tasks/0/{id}")).await.1;
        if last["webhook"]["state"] == state {
            return last["webhook"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("not {state}: {last}");
}

#[tokio::test]
async fn the_end_of_a_task_arrives_signed() {
    let (server, there) = (Server::open(config()).await, receiver(&["204 No Content"]).await);
    let url = format!("{}/done?token=hidden", there.url);
    let id = submit(&server, &url).await;
    let shown = delivery(&server, id, "delivered").await;
    let address = there.url.clone() + "/done";
    assert_eq!(
        shown,
        json!({
            "url": address, "state": "delivered", "attempts": 1, "last_status": 204, "last_error": null, "next_at": null,
        })
    );
    let seen = &there.seen()[0];
    assert!(seen.head.starts_with("POST /v1/done?token=hidden HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(header(seen, "content-type"), "application/json");
    assert!(is_signed(seen, SECRET), "{}", seen.head);
    let id_of_message = header(seen, "webhook-id");
    assert!(id_of_message.starts_with("task_") && id_of_message.ends_with(&format!("_{id}")), "{id_of_message}");
    let message: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((&message["type"], &message["data"]["task_id"]), (&json!("task.ended"), &json!(id)));
    assert_eq!((&message["data"]["outcome"], &message["data"]["session_id"]), (&json!("ok"), &json!(0)));
    assert!(message["data"]["text"].as_str().unwrap().ends_with("hello"), "{message}");
    assert!(message["timestamp"].as_str().unwrap().starts_with("20"));
    // Nothing shows the secret or the query, which may be one.
    for path in [format!("/api/v1/tasks/0/{id}"), "/api/v1/tasks/0".to_owned(), "/metrics".to_owned()] {
        let shown = server.get(&path).await.body;
        assert!(!shown.contains("MfKQ9r8") && !shown.contains("hidden"), "{path}: {shown}");
    }
    let list = server.get_json("/api/v1/tasks/0").await.1;
    assert_eq!(list["tasks"][0]["webhook"]["state"], "delivered", "{list}");
    let metrics = server.get("/metrics").await.body;
    assert!(metrics.contains("cortensor_webhook_tries_total{result=\"delivered\"} 1"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn a_message_is_sent_again_under_its_id_until_it_is_taken() {
    let statuses = ["500 X", "302 Found", "429 Too Many Requests", "200 OK"];
    let (server, there) = (Server::open(config()).await, receiver(&statuses).await);
    let id = submit(&server, &there.url).await;
    let shown = delivery(&server, id, "delivered").await;
    assert_eq!((&shown["attempts"], &shown["last_status"]), (&json!(4), &json!(200)));
    let seen = there.seen();
    assert_eq!(seen.len(), 4, "redirects are not followed");
    let (first, body) = (header(&seen[0], "webhook-id"), &seen[0].body);
    assert!(seen.iter().all(|seen| header(seen, "webhook-id") == first && is_signed(seen, SECRET)));
    assert!(seen.iter().all(|seen| seen.body == *body && !seen.head.contains("/elsewhere")));
    server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_and_one_that_never_takes_it_are_given_up() {
    let mut config = config();
    config.webhooks.max_tries = 3;
    let server = Server::open(config).await;
    let gone = receiver(&["410 Gone"]).await;
    let id = submit(&server, &gone.url).await;
    let shown = delivery(&server, id, "failed").await;
    assert_eq!((&shown["attempts"], &shown["last_status"]), (&json!(1), &json!(410)));
    let never = receiver(&["503 X"]).await;
    let id = submit(&server, &never.url).await;
    let shown = delivery(&server, id, "failed").await;
    assert_eq!((&shown["attempts"], &shown["last_error"]), (&json!(3), &json!("it answered 503 Service Unavailable")));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let id = submit(&server, &format!("http://{nobody}/x")).await;
    let shown = delivery(&server, id, "failed").await;
    assert_eq!((&shown["last_status"], shown["last_error"].as_str().unwrap().is_empty()), (&Value::Null, false));
    server.stop().await;
}

#[tokio::test]
async fn every_end_is_told_and_a_receiver_that_is_slow_holds_up_no_other() {
    let mut config = config().echo(false);
    config.webhooks.timeout_ms = 60_000;
    config.webhooks.max_concurrency = 2;
    config.webhooks.max_per_host = 1;
    let server = Server::open(config).await;
    let miner = |job: Job| match &*job.prompt() {
        "fail" => job.fail(Failure::new(FailClass::Invalid, "not this")),
        _ => job.finish(Answer::default().text("done")),
    };
    server.router.add_miner(MinerSpec::new("one", 8), miner).unwrap();
    let silent = Mock::new(|_| vec![Step::Hang]).await;
    let there = receiver(&["200 OK"]).await;
    for _ in 0..2 {
        submit(&server, &silent.url.replace("127.0.0.1", "localhost")).await;
    }
    until(|| silent.connections() == 1).await;
    let body = json!({"prompt": "fail", "webhook": {"url": there.url, "secret": SECRET}}).to_string();
    assert_eq!(server.post("/api/v1/completions/0", &body).await.status, 400);
    until(|| there.seen().len() == 1).await;
    let message: Value = serde_json::from_str(&there.seen()[0].body).unwrap();
    assert_eq!((&message["data"]["outcome"], &message["data"]["failure"]), (&json!("failed"), &json!("not this")));
    assert_eq!(silent.connections(), 1, "one at a time");
    server.stop().await;
}

#[tokio::test]
async fn a_restart_loses_no_message() {
    let dir = tempfile::tempdir().unwrap();
    let config = || {
        let storage = StorageConfig::default().data_dir(Some(dir.path().into())).durability(Durability::Relaxed);
        config().storage(storage)
    };
    let is_well = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = is_well.clone();
    let there = Mock::new(move |_| {
        let well = state.load(std::sync::atomic::Ordering::Relaxed);
        vec![Step::Send(whole(if well { "200 OK" } else { "500 X" }, "text/plain", b""))]
    })
    .await;
    let mut slow = config();
    slow.webhooks.retry_base_ms = 50;
    let server = Server::open(slow).await;
    let id = submit(&server, &there.url).await;
    until(|| !there.seen().is_empty()).await;
    server.stop().await;
    is_well.store(true, std::sync::atomic::Ordering::Relaxed);
    let server = Server::open(config()).await;
    let shown = delivery(&server, id, "delivered").await;
    // A try that the stop cut short is not counted.
    assert!(shown["attempts"].as_u64().unwrap() >= 1, "{shown}");
    let seen = there.seen();
    assert!(seen.len() >= 2);
    let (first, last) = (&seen[0], seen.last().unwrap());
    assert_eq!(header(first, "webhook-id"), header(last, "webhook-id"));
    assert!(is_signed(last, SECRET));
    server.stop().await;
}

#[tokio::test]
async fn an_administrator_sees_the_messages_that_wait_the_next_one_first() {
    let mut config = config();
    config.webhooks.retry_base_ms = 3_600_000;
    config.webhooks.timeout_ms = 60_000;
    let server = Server::open(config).await;
    let page = async |query: &str| server.get_json(&format!("/api/v1/webhooks{query}")).await;
    assert_eq!(page("").await, (200, json!({"count": 0, "webhooks": []})));
    let (ill, silent) = (receiver(&["503 X"]).await, Mock::new(|_| vec![Step::Hang]).await);
    let later = submit(&server, &format!("{}/done?token=hidden", ill.url)).await;
    until(|| ill.seen().len() == 1).await;
    let next = submit(&server, &silent.url).await;
    until(|| silent.connections() == 1).await;
    let mut seen = page("").await.1;
    while seen["webhooks"][1]["webhook"]["attempts"] != 1 {
        tokio::task::yield_now().await;
        seen = page("").await.1;
    }
    let waits: Vec<_> =
        seen["webhooks"].as_array().unwrap().iter().map(|one| (&one["task_id"], &one["sending"])).collect();
    assert_eq!(waits, [(&json!(next), &json!(true)), (&json!(later), &json!(false))], "{seen}");
    let failed = &seen["webhooks"][1];
    assert_eq!((&failed["session_id"], &failed["webhook"]["last_status"]), (&json!(0), &json!(503)));
    assert_eq!(failed["message_id"], header(&ill.seen()[0], "webhook-id"));
    let wait = failed["webhook"]["next_at"].as_u64().unwrap() - failed["ended_at"].as_u64().unwrap();
    assert!((1_799..=3_601).contains(&wait), "{failed}");
    assert!(!seen.to_string().contains("hidden") && !seen.to_string().contains("MfKQ9r8"), "{seen}");
    let (_, first) = page("?limit=1").await;
    assert_eq!((&first["count"], first["webhooks"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(first["webhooks"][0]["task_id"], next);
    assert_eq!(page("?limit=0").await.1["param"], "limit");
    // The URLs of all callers are no reader's business.
    let key = server.post("/api/v1/keys", r#"{"name": "board", "scopes": ["read", "submit"]}"#).await.json();
    let reader = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    assert_eq!(server.send("GET", "/api/v1/webhooks", &reader, "").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn the_operators_secret_signs_and_an_address_is_checked_at_every_try() {
    let mut config = config();
    config.webhooks.secret = Some(SECRET.into());
    config.webhooks.max_tries = 1;
    let (server, there) = (Server::open(config.clone()).await, receiver(&["200 OK"]).await);
    let body = json!({"prompt": "hello", "webhook": there.url}).to_string();
    let id = server.post("/api/v1/completions/0", &body).await.json()["task_id"].as_u64().unwrap();
    delivery(&server, id, "delivered").await;
    assert!(is_signed(&there.seen()[0], SECRET));
    // The name was allowed when the task came in; the address behind it is not.
    config.webhooks.networks = vec!["10.0.0.0/8".into()];
    server.router.reload(config).await.unwrap();
    let name = there.url.replace("127.0.0.1", "localhost");
    for url in [name.clone(), name.replace("http://", "https://")] {
        let id = submit(&server, &url).await;
        let shown = delivery(&server, id, "failed").await;
        assert!(shown["last_error"].as_str().unwrap().contains("webhooks.networks"), "{shown}");
    }
    assert_eq!(there.seen().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_that_cannot_be_used_is_refused_before_the_task() {
    let mut config = config();
    config.webhooks.networks = vec!["127.0.0.1".into()];
    config.webhooks.max_pending = 1;
    config.webhooks.retry_base_ms = 1_000_000;
    let server = Server::open(config.clone()).await;
    let good = "http://127.0.0.1:9/x";
    for (webhook, param) in [
        (json!({"url": "http://10.0.0.1/x", "secret": SECRET}), "webhook.url"),
        (json!({"url": "https://192.168.1.1/x", "secret": SECRET}), "webhook.url"),
        (json!({"url": "https://[fd00::1]/x", "secret": SECRET}), "webhook.url"),
        (json!({"url": "http://1.1.1.1/x", "secret": SECRET}), "webhook.url"),
        (json!({"url": "nonsense", "secret": SECRET}), "webhook.url"),
        (json!({"url": good}), "webhook.secret"),
        (json!({"url": good, "secret": "short"}), "webhook.secret"),
        (json!({"url": good, "secret": "whsec_c2hvcnQ="}), "webhook.secret"),
        (json!({"url": good, "secert": SECRET}), "webhook"),
        (json!({"secret": SECRET}), "webhook"),
        (json!(7), "webhook"),
    ] {
        for (path, text) in [
            ("/api/v1/completions/0", json!({"prompt": "x", "webhook": webhook})),
            ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "x"}], "webhook": webhook})),
        ] {
            let reply = server.post(path, &text.to_string()).await;
            let error = reply.json();
            let told = error["param"].as_str().or(error["error"]["param"].as_str()).unwrap_or_default().to_owned();
            assert_eq!(reply.status, 400, "{webhook}: {error}");
            assert!(told.starts_with(param), "{webhook}: {error}");
            assert!(!error.to_string().contains("MfKQ9r8"), "{error}");
        }
    }
    assert_eq!(server.get_json("/api/v1/tasks/0").await.1["count"], 0, "nothing was submitted");
    submit(&server, good).await;
    let body = json!({"prompt": "x", "webhook": {"url": good, "secret": SECRET}}).to_string();
    let full = server.post("/api/v1/completions/0", &body).await;
    assert_eq!((full.status, full.json()["code"].as_str()), (429, Some("webhooks_full")));
    config.webhooks.enabled = false;
    server.router.reload(config).await.unwrap();
    let off = server.send("POST", "/api/v1/completions/0", DEV, &body).await;
    assert!(off.status == 400 && off.body.contains("webhooks.enabled"), "{}", off.body);
    server.stop().await;
}
