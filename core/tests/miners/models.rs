//! A task that asks for a model goes to a miner that lists it, even if other miners are free.

use cortensor_router::ErrorKind;
use cortensor_router::config::UpstreamConfig;
use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::MinerStatus;

use super::*;

fn asking(model: &str) -> TaskRequest {
    TaskRequest::completion("hi").model(model.to_owned())
}

async fn submit_any(router: &Router, request: TaskRequest) -> Submission {
    router.submit(DEFAULT, request, SubmitOptions::default().any_model(true)).await.unwrap()
}

#[tokio::test]
async fn who_lists_the_model_comes_first_and_who_lists_none_only_without_it() {
    let router = router(DispatchConfig::default()).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    let mut lister = Hand::join(&router, MinerSpec::new("lister", 1).models(["m"]));
    for by_any_door in [false, true] {
        let ask = || async {
            if by_any_door { submit_any(&router, asking("m")).await } else { submit(&router, asking("m")).await }
        };
        let (first, second) = (ask().await, ask().await);
        let job = lister.take().await;
        assert!(any.is_idle(), "the lister is busy, and up");
        say(job, "one");
        say(lister.take().await, "two");
        assert_eq!(first.result().await.unwrap().answer.model.as_deref(), Some("m"));
        second.result().await.unwrap();
    }
    let waits = submit(&router, asking("m")).await;
    let held = lister.take().await;
    let next = submit(&router, asking("m")).await;
    assert!(any.is_idle());
    lister.handle.set_up(false);
    say(any.take().await, "three");
    let answer = next.result().await.unwrap();
    assert_eq!((answer.model.as_str(), answer.answer.model.as_deref()), ("m", Some("any")));
    say(held, "four");
    waits.result().await.unwrap();
    lister.handle.set_up(true);
    let again = submit(&router, asking("m")).await;
    say(lister.take().await, "five");
    again.result().await.unwrap();
    // Any miner may serve another model, or a task without one.
    for request in [asking("x"), TaskRequest::completion("hi")] {
        let task = submit(&router, request).await;
        tokio::select! {
            job = any.take() => say(job, "six"),
            job = lister.take() => say(job, "six"),
        }
        task.result().await.unwrap();
    }
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_lister_that_fails_is_asked_again_and_one_that_has_not_the_model_is_not() {
    let router = router(DispatchConfig::default().breaker_failures(100)).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    let mut lister = Hand::join(&router, MinerSpec::new("lister", 8).models(["m"]));
    let task = submit(&router, asking("m")).await;
    lister.take().await.fail(Failure::new(FailClass::Internal, "a hiccup"));
    let job = lister.take().await;
    assert!(any.is_idle());
    say(job, "m");
    task.result().await.unwrap();
    let task = submit(&router, asking("m")).await;
    lister.take().await.fail(Failure::new(FailClass::Model, "no such model here"));
    say(any.take().await, "any");
    task.result().await.unwrap();
    let task = submit(&router, asking("m")).await;
    lister.take().await.reject("not now");
    say(any.take().await, "any");
    task.result().await.unwrap();
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_lister_whose_breaker_is_open_is_not_waited_for() {
    let router = router(DispatchConfig::default().breaker_failures(1).max_attempts(2)).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    let mut lister = Hand::join(&router, MinerSpec::new("lister", 1).models(["m"]));
    let (first, second) = (submit(&router, asking("m")).await, submit(&router, asking("m")).await);
    lister.take().await.fail(Failure::new(FailClass::Internal, "out of memory"));
    say(any.take().await, "any");
    say(any.take().await, "any");
    first.result().await.unwrap();
    second.result().await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn a_name_without_a_tag_means_the_latest_where_no_exact_one_is_listed() {
    let router = router(DispatchConfig::default()).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    let mut latest = Hand::join(&router, MinerSpec::new("latest", 8).models(["llama3:latest", "other"]));
    let task = submit(&router, asking("llama3")).await;
    let job = latest.take().await;
    assert_eq!(job.info().model.as_deref(), Some("llama3:latest"), "in the miner's own words");
    say(job, "x");
    let done = task.result().await.unwrap();
    assert_eq!((done.model.as_str(), done.answer.model.as_deref()), ("llama3", Some("llama3:latest")));
    let mut exact = Hand::join(&router, MinerSpec::new("exact", 8).models(["llama3"]));
    for (asked, hand) in [("llama3", &mut exact), ("llama3:latest", &mut latest)] {
        let task = submit(&router, asking(asked)).await;
        say(hand.take().await, "x");
        task.result().await.unwrap();
    }
    let task = submit(&router, asking("llama3:8b")).await;
    say(any.take().await, "x");
    task.result().await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn a_miner_that_lists_none_can_be_asked_for_by_its_name() {
    let router = router(DispatchConfig::default()).await;
    let mut one = Hand::join(&router, MinerSpec::new("one", 1));
    let mut two = Hand::join(&router, MinerSpec::new("two", 1));
    let names: Vec<String> = router.models().into_iter().map(|model| model.id).collect();
    assert_eq!(names, ["one", "two"]);
    for (name, hand) in [("two", &mut two), ("one", &mut one)] {
        let tasks = [submit(&router, asking(name)).await, submit(&router, asking(name)).await];
        for task in tasks {
            say(hand.take().await, "x");
            assert_eq!(task.result().await.unwrap().answer.model.as_deref(), Some(name));
        }
    }
    router.close().await;
}

#[tokio::test]
async fn a_model_that_nobody_has_is_any_model_where_that_is_wanted() {
    let router = router(DispatchConfig::default()).await;
    let mut lister = Hand::join(&router, MinerSpec::new("lister", 8).models(["m", "n"]));
    let error = router.submit(DEFAULT, asking("gpt"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "model_not_found");
    let task = submit_any(&router, asking("gpt")).await;
    let job = lister.take().await;
    assert_eq!(job.info().model.as_deref(), Some("m"), "one that it has");
    say(job, "x");
    let done = task.result().await.unwrap();
    assert_eq!((done.model.as_str(), done.answer.model.as_deref()), ("gpt", Some("m")));
    router.close().await;
}

#[tokio::test]
async fn answers_beside_each_other_come_from_those_that_list_the_model() {
    let router = router(DispatchConfig::default()).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    let mut one = Hand::join(&router, MinerSpec::new("one", 8).models(["m"]));
    let mut two = Hand::join(&router, MinerSpec::new("two", 8).models(["m"]));
    let task = submit(&router, asking("m").max_miners(5)).await;
    say(one.take().await, "x");
    say(two.take().await, "x");
    assert_eq!(task.result().await.unwrap().alternatives.len(), 2);
    assert!(any.is_idle());
    router.close().await;
}

/// A server that lists a model after a permit, and names that model in every answer.
async fn upstream(listing: std::sync::Arc<tokio::sync::Semaphore>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let listing = listing.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 8_192];
                let read = stream.read(&mut bytes).await.unwrap();
                let body = if bytes[..read].starts_with(b"GET") {
                    let _told = listing.acquire().await.unwrap();
                    r#"{"data":[{"id":"m"}]}"#
                } else {
                    r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"up"},"finish_reason":"stop"}]}"#
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_first_list_is_waited_for() {
    let listing = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let url = upstream(listing.clone()).await;
    let router = router(DispatchConfig::default()).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    router.add_upstream(UpstreamConfig::new(url).name(Some("up".into()))).unwrap();
    let (listed, by_any_door) = (submit(&router, asking("m")).await, submit_any(&router, asking("m")).await);
    let other = submit(&router, asking("other")).await;
    let none = submit(&router, TaskRequest::completion("hi")).await;
    say(any.take().await, "no model was asked for");
    none.result().await.unwrap();
    assert!(any.is_idle(), "the upstream may list either");
    listing.add_permits(1);
    assert_eq!(within(listed.result()).await.unwrap().answer.text, "up");
    assert_eq!(within(by_any_door.result()).await.unwrap().answer.text, "up");
    say(any.take().await, "nobody lists it");
    assert_eq!(other.result().await.unwrap().answer.text, "nobody lists it");
    router.close().await;
}

#[tokio::test]
async fn a_first_list_that_does_not_come_is_not_waited_for() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", closed.local_addr().unwrap());
    drop(closed);
    let router = router(DispatchConfig::default()).await;
    let mut any = Hand::join(&router, MinerSpec::new("any", 8));
    router.add_upstream(UpstreamConfig::new(url).models(vec!["m".into()])).unwrap();
    let task = submit(&router, asking("m")).await;
    say(any.take().await, "x");
    assert_eq!(task.result().await.unwrap().answer.text, "x");
    let down = router.miners().into_iter().find(|miner| miner.status == MinerStatus::Down).unwrap();
    assert!(down.reason.as_deref().is_some_and(|why| why.contains("connect")), "{:?}", down.reason);
    router.close().await;
}

#[tokio::test]
async fn the_echo_answers_only_where_nobody_else_is() {
    let router = Router::open(Config::default().echo(true)).await.unwrap();
    assert_eq!(router.models()[0].id, "echo");
    let mut one = Hand::join(&router, MinerSpec::new("one", 1).models(["m"]));
    let tasks = [submit(&router, asking("m")).await, submit(&router, asking("m")).await];
    for task in tasks {
        say(one.take().await, "x");
        assert_eq!(task.result().await.unwrap().answer.text, "x", "the miner was busy, and up");
    }
    let task = submit(&router, asking("echo")).await;
    assert_eq!(task.result().await.unwrap().answer.model.as_deref(), Some("echo"));
    one.handle.remove();
    let task = submit(&router, TaskRequest::completion("hi")).await;
    assert!(task.result().await.unwrap().answer.text.starts_with("echo"));
    router.close().await;
    let router = router_without_miners().await;
    let task = submit(&router, TaskRequest::completion("hi")).await;
    assert_eq!(task.result().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

async fn router_without_miners() -> Router {
    Router::open(Config::default()).await.unwrap()
}
