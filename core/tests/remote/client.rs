//! `MinerClient` at its router: answers, refusals, cancelling, draining.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::miner::client::MinerClient;
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{
    Answer, Delta, FinishReason, MinerKind, MinerSpec, MinerStatus, Parts, SessionId, TaskRequest, ToolCall, Usage,
};
use cortensor_router::{Config, ErrorKind, StreamEvent, SubmitOptions};

use crate::rig::{config, quick, serve, start};
use cortensor_router_testkit::miners::{Stepped, say, words};
use cortensor_router_testkit::streams::{read, whole};
use cortensor_router_testkit::{Server, until, within};

#[tokio::test]
async fn an_answer_streams_through_a_remote_miner() {
    let server = serve(quick()).await;
    let client = start(&server.url(), words);
    let task = server.submit("one two three ö", true).await;
    assert_eq!(whole(&task).await, "one two three ö");
    let miner = server.miner(|miner| miner.completed == 1).await;
    assert_eq!((miner.kind, miner.status, miner.capacity), (MinerKind::Remote, MinerStatus::Idle, 8));
    assert!(
        miner.agent.as_deref().is_some_and(|agent| agent.starts_with("cortensor-router/")) && miner.features == ["raw"],
        "{miner:?}"
    );
    let stats = client.stats();
    assert!(stats.connected && stats.finished == 1 && stats.connections == 1, "{stats:?}");
    assert!(stats.to_prometheus().contains("cortensor_miner_answers_finished_total 1\n"));
    client.close().await;
    server.no_miner().await;
}

#[tokio::test]
async fn the_trace_context_crosses_the_wire() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let server = serve(quick()).await;
    let _client = start(&server.url(), |job: Job| {
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("none").to_owned();
        let answer = format!("{} {}", text(&job.info().traceparent), text(&job.info().tracestate));
        job.finish(Answer::default().text(answer));
    });
    for (options, answer) in [
        (SubmitOptions::default(), "none none".to_owned()),
        (SubmitOptions::default().traceparent(PARENT), format!("{PARENT} none")),
        (SubmitOptions::default().traceparent(PARENT).tracestate("a=1"), format!("{PARENT} a=1")),
    ] {
        let task = server.router.submit(SessionId(0), TaskRequest::completion("x"), options).await.unwrap();
        assert_eq!(within(task.result()).await.unwrap().text(), answer);
    }
}

/// A model that reads for longer than a stream may be silent: its miner keeps the task by its signs of life.
#[tokio::test]
async fn signs_of_life_cross_the_wire() {
    for with_words in [false, true] {
        let mut config = Config::default().miners(quick());
        config.dispatch.progress_timeout_ms = 1_000;
        let server = Server::open(config).await;
        let _client = start(&server.url(), move |job: Job| {
            tokio::spawn(async move {
                for _ in 0..25 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if with_words {
                        job.emit("");
                    } else {
                        job.alive();
                    }
                }
                job.finish(Answer::default().text("late"));
            });
        });
        server.miner(|miner| miner.status == MinerStatus::Idle).await;
        let task = server.submit("x", true).await;
        server.miner(|miner| miner.in_flight == 1).await;
        // It would take the task, if it could have it.
        let other = MinerSpec::new("other", 1);
        let other = server.router.add_miner(other, |job: Job| say(job, "other")).unwrap();
        assert_eq!(whole(&task).await, "late");
        drop(other);
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_keeps_its_usage_and_reason() {
    let server = serve(quick()).await;
    let _client = start(&server.url(), |job: Job| {
        let raw = r#"{"choices":[{"message":{"content":"hi","tool_calls":[1]}}]}"#;
        job.finish(
            Answer::default()
                .text("hi")
                .finish_reason(FinishReason::ToolCalls)
                .usage(Usage::new(5, 7))
                .model(Some("m".into()))
                .raw(Some(raw.into())),
        );
    });
    let answer = within(server.submit("x", false).await.result()).await.unwrap().answer;
    assert_eq!(
        (answer.text.as_str(), answer.finish_reason, answer.usage),
        ("hi", FinishReason::ToolCalls, Usage::new(5, 7))
    );
    assert!(answer.raw.unwrap().starts_with(b"{\"choices\""));
    assert_eq!(answer.sha256.unwrap().len(), 64);
}

#[tokio::test]
async fn tools_and_reasoning_cross_the_wire_whole_and_in_pieces() {
    let long = format!(r#"{{"text":"{}"}}"#, "\u{1}\"é".repeat(60_000));
    let calls = [ToolCall::new("a", "add", r#"{"x":1}"#), ToolCall::new("b", "write", long.as_str())];
    let parts = Parts::default().reasoning("hm".repeat(100_000)).tool_calls(calls.to_vec());
    for in_pieces in [false, true] {
        let server = serve(quick()).await;
        let given = parts.clone();
        let _client = start(&server.url(), move |job: Job| {
            let mut answer = Answer::default().text("So:").finish_reason(FinishReason::ToolCalls);
            if in_pieces {
                let delta = |reasoning: &str, calls: serde_json::Value| {
                    Delta::default().reasoning(reasoning.to_owned()).tool_calls(serde_json::from_value(calls).unwrap())
                };
                job.emit(delta(&given.reasoning, serde_json::json!([])));
                job.emit("So:");
                for (index, call) in given.tool_calls.iter().enumerate() {
                    let (name, id, arguments) = (&call.function.name, &call.id, &call.function.arguments);
                    let first =
                        serde_json::json!([{"index": index, "id": id, "type": "function", "function": {"name": name}}]);
                    job.emit(delta("", first));
                    job.emit(delta("", serde_json::json!([{"index": index, "function": {"arguments": arguments}}])));
                }
                answer.text = "".into();
            } else {
                answer.parts = Some(Box::new(given.clone()));
            }
            job.finish(answer);
        });
        let answer = within(server.submit("x", true).await.result()).await.unwrap().answer;
        assert_eq!((answer.text.as_str(), &answer.finish_reason), ("So:", &FinishReason::ToolCalls));
        assert!(answer.said() == parts, "in pieces: {in_pieces}");
    }
}

/// The words of a failure go to callers, to the store and to the log: they are bounded for every kind of miner.
#[tokio::test]
async fn the_words_of_a_failure_are_bounded() {
    let server = serve(quick()).await;
    let fail = |job: Job| job.fail(Failure::new(FailClass::Invalid, "ö".repeat(100_000)));
    for is_remote in [false, true] {
        let client = is_remote.then(|| start(&server.url(), fail));
        let handle = (!is_remote).then(|| server.router.add_miner(MinerSpec::new("local", 1), fail).unwrap());
        server.miner(|miner| miner.active).await;
        let error = within(server.submit("x", false).await.result()).await.unwrap_err();
        assert_eq!(error.message().len(), 16 << 10, "remote: {is_remote}");
        if let Some(handle) = handle {
            handle.remove();
        }
        drop(client);
    }
}

#[tokio::test]
async fn the_classes_of_failure_pass() {
    for (class, kind) in [
        (FailClass::Invalid, ErrorKind::InvalidArgument),
        (FailClass::Context, ErrorKind::InvalidArgument),
        (FailClass::Model, ErrorKind::NotFound),
        (FailClass::Internal, ErrorKind::MinerFailed),
    ] {
        let server = serve(quick()).await;
        let _client = start(&server.url(), move |job: Job| job.fail(Failure::new(class, "own words")));
        let error = within(server.submit("x", false).await.result()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains("own words"), "{error}");
    }
}

#[tokio::test]
async fn a_hang_up_reaches_the_backend() {
    let server = serve(quick()).await;
    let backend = Stepped::default();
    let at_work = backend.clone();
    let client = start(&server.url(), move |job| at_work.offer(job));
    let task = server.submit("one two", true).await;
    let mut stream = task.stream();
    let first = within(stream.next_batch()).await.unwrap();
    assert!(matches!(&first[0], StreamEvent::Token { text, .. } if text == "one "), "{first:?}");
    drop((stream, task));
    within(backend.cancelled.notified()).await;
    server.miner(|miner| miner.in_flight == 0).await;
    assert_eq!(client.stats().committed, 0);
}

#[tokio::test]
async fn a_miner_that_drains_finishes_what_it_has_and_takes_no_more() {
    let server = serve(quick()).await;
    let backend = Stepped::default();
    let at_work = backend.clone();
    let client = start(&server.url(), move |job| at_work.offer(job));
    let task = server.submit("last", true).await;
    // An offer that meets the drain before it was accepted is given back.
    let taken = async {
        while client.stats().accepted == 0 {
            tokio::task::yield_now().await;
        }
    };
    within(taken).await;
    let (drained, text) = tokio::join!(client.drain(Duration::from_secs(20)), async {
        server.miner(|miner| miner.status == MinerStatus::Draining).await;
        backend.go();
        whole(&task).await
    });
    assert!(drained);
    assert_eq!(text, "last");
    assert_eq!(client.stats().committed, 1);
    server.no_miner().await;
}

#[tokio::test]
async fn more_offers_than_slots_wait() {
    let server = serve(quick()).await;
    let backend = Stepped::default();
    let at_work = backend.clone();
    let one = config(&server.url()).capacity(1);
    let client = MinerClient::start(one, move |job| at_work.offer(job)).unwrap();
    let (first, second) = (server.submit("a", true).await, server.submit("b", true).await);
    server.miner(|miner| miner.in_flight == 1 && miner.credits == 1).await;
    let release = async {
        for _ in 0..2 {
            server.miner(|miner| miner.in_flight == 1).await;
            backend.go();
        }
    };
    let ((), first, second) = tokio::join!(release, read(&first), read(&second));
    assert_eq!([first, second].map(|(_, end)| end.unwrap().answer.text.to_string()).concat(), "ab");
    assert_eq!(client.stats().rejected, 0);
}

#[tokio::test]
async fn a_router_that_closes_says_so_and_the_miner_comes_back_to_the_next_one() {
    let server = serve(quick()).await;
    let port = server.address.port();
    let client = start(&server.url(), words);
    server.miner(|miner| miner.active).await;
    server.stop().await;
    let again = Server::open_at(Config::default().miners(quick()), port).await;
    again.miner(|miner| miner.active).await;
    // The router has seated the miner before the miner has read its welcome.
    until(|| client.stats().connections == 2).await;
    assert_eq!(whole(&again.submit("hello again", true).await).await, "hello again");
}
