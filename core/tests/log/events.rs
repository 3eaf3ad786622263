//! The line of each event. Every test drives the event and reads its line with the cause.

use std::time::Duration;

use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Config, SubmitOptions};
use cortensor_router_testkit::miners::say;
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::{Hand, Log, Server};
use serde_json::{Value, json};

fn says<'a>(miner: &'a str, beginning: &'a str) -> impl Fn(&Value) -> bool + use<'a> {
    move |line| line["miner"] == miner && line["message"].as_str().is_some_and(|words| words.starts_with(beginning))
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_refused_task_names_its_bound() {
    let log = Log::of_process();
    let mut config = Config::default();
    config.limits.max_queued_tasks = 1;
    let server = Server::open(config).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("full", 1));
    let running = server.submit("a", false).await;
    let job = hand.take().await;
    let waiting = server.submit("b", false).await;
    let third = server.router.submit(SessionId(0), TaskRequest::completion("c"), SubmitOptions::default()).await;
    assert_eq!(third.unwrap_err().code(), "queue_full");
    let line = log.line(|line| line["code"] == "queue_full" && message(line) == "a task is refused").await;
    assert_eq!((&line["level"], &line["session"]), (&json!("INFO"), &json!(0)));
    assert!(line["bound"].as_str().unwrap().contains("limits.max_queued_tasks"), "{line}");
    drop((running, waiting, job));
}

#[tokio::test]
async fn a_task_beyond_the_limits_of_its_key_is_told_too() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let spec = json!({"name": "app", "limits": {"tokens_per_day": 1}});
    let token = server.post_json("/api/v1/keys", &spec).await.1["token"].as_str().unwrap().to_owned();
    let body = r#"{"prompt":"one two","max_tokens":5}"#;
    let reply = server.send("POST", "/v1/completions", &format!("X-API-Key: {token}\r\n"), body).await;
    assert_eq!(reply.error().2, "quota_exceeded");
    let line = log.line(|line| line["code"] == "quota_exceeded" && message(line) == "a task is refused").await;
    assert_eq!((&line["level"], &line["bound"]), (&json!("INFO"), &json!("the limits of the key or of the session")));
}

#[tokio::test]
async fn a_breaker_tells_its_ways_with_the_last_failure() {
    let log = Log::of_process();
    let mut config = Config::default();
    config.dispatch.breaker_failures = 1;
    config.dispatch.breaker_open_ms = 100;
    config.dispatch.max_attempts = 1;
    let server = Server::open(config).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("breaks", 1));
    let task = server.submit("a", false).await;
    hand.take().await.fail(Failure::new(FailClass::Internal, "it ran out of luck"));
    assert!(task.result().await.is_err());
    let opened = log.line(says("breaks", "a breaker opened")).await;
    assert_eq!((&opened["level"], &opened["last_failure"]), (&json!("WARN"), &json!("it ran out of luck")));
    assert!((1..=100).contains(&opened["for_ms"].as_u64().unwrap()), "{opened}");
    let failed = log.line(says("breaks", "an attempt failed")).await;
    assert_eq!((&failed["level"], &failed["class"], failed.get("words")), (&json!("DEBUG"), &json!("internal"), None));
    assert_eq!(log.line(says("breaks", "a breaker is half open")).await["last_failure"], "it ran out of luck");
    let task = server.submit("b", false).await;
    hand.take().await.finish(Answer::default().text("well"));
    task.result().await.unwrap();
    log.line(says("breaks", "a breaker closed")).await;
    let ended = log.line(says("breaks", "a task ended")).await;
    assert_eq!((&ended["outcome"], &ended["code"]), (&json!("failed"), &json!("miner_failed")), "{ended}");
}

#[tokio::test]
async fn a_miner_joins_drains_and_goes() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let hand = Hand::join(&server.router, MinerSpec::new("guest", 1));
    assert_eq!(log.line(says("guest", "a miner joined")).await["kind"], "local");
    hand.handle.drain();
    log.line(says("guest", "a miner drains")).await;
    server.router.remove_miner("guest").unwrap();
    log.line(says("guest", "a miner is gone")).await;
}

#[tokio::test]
async fn a_retry_shows_both_attempts() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let mut first = Hand::join(&server.router, MinerSpec::new("retry-first", 1));
    let task = server.submit("a", true).await;
    let job = first.take().await;
    let mut second = Hand::join(&server.router, MinerSpec::new("retry-second", 1));
    job.emit("half ");
    job.fail(Failure::new(FailClass::Unreachable, "gone"));
    say(second.take().await, "whole");
    task.result().await.unwrap();
    assert_eq!(log.line(says("retry-first", "a miner gets a task")).await["role"], "Primary");
    let gid = log.line(says("retry-first", "an attempt failed")).await["gid"].clone();
    assert_eq!(log.line(says("retry-second", "a miner gets a task")).await["gid"], gid);
    let line = log.line(|line| line["gid"] == gid && message(line) == "the tokens of a task are void").await;
    assert_eq!(line["again"], true, "the task is queued again");
}

#[tokio::test]
async fn answers_that_differ_are_told_with_their_miners() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let mut miners: Vec<Hand> =
        ["differs-a", "differs-b"].iter().map(|name| Hand::join(&server.router, MinerSpec::new(*name, 1))).collect();
    let body = json!({"prompt": "x", "max_miners": 2, "validation": {"policy": "all"}});
    let (answer, ()) = tokio::join!(server.post_json("/api/v1/completions", &body), async {
        for (miner, words) in miners.iter_mut().zip(["one thing", "quite another"]) {
            say(miner.take().await, words);
        }
    });
    assert_eq!(answer.0, 200, "{}", answer.1);
    let line = log.line(|line| message(line) == "the answers of miners differ").await;
    let told = line["miners"].as_str().unwrap();
    assert!(told.contains("differs-a") && told.contains("differs-b"), "{line}");
    assert_eq!((&line["audit"], &line["session"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn keys_are_told_when_they_are_made_deleted_and_sent_too_late() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let spec = json!({"name": "brief", "scopes": ["read"], "ttl_secs": 1});
    let (status, made) = server.post_json("/api/v1/keys", &spec).await;
    assert_eq!(status, 201, "{made}");
    let of_key = |words: &'static str| {
        let id = made["id"].clone();
        move |line: &Value| line["key"] == id && message(line) == words
    };
    let line = log.line(of_key("a key is made")).await;
    assert!(line["name"] == "brief" && line["scopes"].as_str().unwrap().contains("Read"), "{line}");
    let token = made["token"].as_str().unwrap();
    let header = format!("Authorization: Bearer {token}\r\n");
    let mut status = 0;
    for _ in 0..100 {
        status = server.send("GET", "/api/v1/status", &header, "").await.status;
        if status == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 401);
    log.line(of_key("an expired key was sent")).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(server.send("DELETE", &format!("/api/v1/keys/{id}"), DEV, "").await.status, 200);
    assert_eq!(log.line(of_key("a key is deleted")).await["by"], "dev");
    assert!(!log.text().contains(token), "the log has the token");
}

#[tokio::test]
async fn a_drain_is_told_from_its_begin_to_its_end() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("last", 1));
    let task = server.submit("a", false).await;
    let job = hand.take().await;
    assert!(!server.router.drain(Duration::from_millis(20)).await);
    assert_eq!(log.line(|line| message(line) == "the router drains").await["unfinished"], 1);
    assert_eq!(log.line(|line| message(line) == "the time to drain is up").await["unfinished"], 1);
    say(job, "done");
    task.result().await.unwrap();
    assert!(server.router.drain(Duration::from_secs(10)).await);
    log.line(|line| message(line).starts_with("the router is drained")).await;
}
