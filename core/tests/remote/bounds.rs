//! Miners that break the rules: each gets an error, and no other miner or client is affected.

use cortensor_router::ErrorKind;
use cortensor_router::model::Breaker;
use serde_json::json;

use crate::rig::{quick, serve};
use cortensor_router_testkit::dial_in::{Hand, done, hello, tokens};
use cortensor_router_testkit::{Server, within};

/// A miner of that name beside the first one.
async fn another(server: &Server, name: &str) -> Hand {
    let mut other = hello();
    other["miner_id"] = name.into();
    Hand::welcomed(server.address, other).await.0
}

#[tokio::test]
async fn a_wrong_fence_is_answered_once_and_changes_nothing() {
    let server = serve(quick()).await;
    let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", true).await;
    let (attempt, fence, _) = hand.take().await;
    hand.send(tokens(attempt, fence - 1, 1, 0, "stale")).await;
    hand.send(tokens(attempt, fence - 1, 2, 5, "stale")).await;
    hand.send(done(attempt, fence - 1, 2, "stalestale")).await;
    let drop = hand.expect("drop").await;
    assert_eq!((&drop["attempt"], &drop["fence"]), (&json!(attempt), &json!(fence - 1)));
    hand.send(tokens(attempt, fence, 1, 0, "fresh")).await;
    hand.send(done(attempt, fence, 1, "fresh")).await;
    hand.expect("final").await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "fresh");
}

#[tokio::test]
async fn a_lying_hash_fails_the_attempt_and_another_miner_answers() {
    let server = serve(quick()).await;
    let (mut liar, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    let (attempt, fence, _) = liar.take().await;
    let mut honest = another(&server, "honest").await;
    server.miner(|_| true).await;
    liar.send(tokens(attempt, fence, 1, 0, "this")).await;
    liar.send(done(attempt, fence, 1, "that")).await;
    assert_eq!(liar.expect("error").await["code"], "hash_mismatch");
    liar.expect("drop").await;
    let (attempt, fence, _) = honest.take().await;
    honest.send(tokens(attempt, fence, 1, 0, "truth")).await;
    honest.send(done(attempt, fence, 1, "truth")).await;
    let completion = within(task.result()).await.unwrap();
    assert_eq!(completion.answer.text, "truth");
    let blamed = server.router.miners().into_iter().find(|miner| miner.id == "hand").unwrap();
    assert_eq!((blamed.failed, blamed.error_rate), (1, 1.0));
}

/// The frames to the miner and the stored answer must agree: an answer that its caller could not read is not kept.
#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_the_attempt_and_another_miner_answers() {
    for broken in ["{", "[]", "null", "{}", r#"{"choices":[]}"#, r#"{"choices":[7]}"#, r#"{"data":[1]}"#] {
        let server = serve(quick()).await;
        let (mut liar, _) = Hand::welcomed(server.address, hello()).await;
        let task = server.submit("x", false).await;
        let (attempt, fence, _) = liar.take().await;
        let mut honest = another(&server, "honest").await;
        let mut piece = tokens(attempt, fence, 1, 0, broken);
        piece["ch"] = "answer".into();
        liar.send(piece).await;
        liar.send(done(attempt, fence, 1, "")).await;
        assert_eq!(liar.expect("final").await["result"], "superseded", "{broken}");
        let (attempt, fence, _) = honest.take().await;
        let mut piece = tokens(attempt, fence, 1, 0, r#"{"choices":[{"message":{"content":"truth"}}]}"#);
        piece["ch"] = "answer".into();
        honest.send(piece).await;
        honest.send(done(attempt, fence, 1, "")).await;
        assert_eq!(honest.expect("final").await["result"], "committed", "{broken}");
        assert_eq!(within(task.result()).await.unwrap().answer.text, "truth", "{broken}");
        let kept = server.router.task(task.session_id(), task.task_id()).await.unwrap();
        assert_eq!((kept.text.as_str(), kept.attempts), ("truth", 2), "{broken}");
        let blamed = server.router.miners().into_iter().find(|miner| miner.id == "hand").unwrap();
        assert_eq!(blamed.failed, 1, "{broken}");
    }
}

#[tokio::test]
async fn a_gap_fails_the_attempt() {
    let server = serve(quick()).await;
    let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
    for (seq, off) in [(2, 0), (1, 1)] {
        let task = server.submit("x", false).await;
        let (attempt, fence, _) = hand.take().await;
        hand.send(tokens(attempt, fence, seq, off, "a")).await;
        assert_eq!(hand.expect("error").await["code"], "gap");
        hand.expect("drop").await;
        task.cancel();
        // The task is offered to this miner again, because there is no other.
        if let Some(offer) = hand.next().await.filter(|frame| frame["type"] == "task") {
            hand.send(json!({"type": "reject", "attempt": offer["attempt"], "fence": offer["fence"]})).await;
        }
        assert_eq!(within(task.result()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

#[tokio::test]
async fn an_offer_that_is_rejected_goes_to_another_miner_without_blame() {
    let server = serve(quick()).await;
    let (mut busy, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    let offer = busy.expect("task").await;
    let mut free = another(&server, "free").await;
    busy.send(json!({"type": "reject", "attempt": offer["attempt"], "fence": offer["fence"], "reason": "busy"})).await;
    let (attempt, fence, _) = free.take().await;
    free.send(tokens(attempt, fence, 1, 0, "ok")).await;
    free.send(done(attempt, fence, 1, "ok")).await;
    within(task.result()).await.unwrap();
    assert!(server.router.miners().iter().all(|miner| miner.failed == 0 && miner.breaker == Breaker::Closed));
}

#[tokio::test]
async fn a_slow_reader_stops_the_acknowledgements_and_the_window_is_kept() {
    let miners = quick().window_bytes(64 << 10);
    let server = serve(miners).await;
    let (mut hand, welcome) = Hand::welcomed(server.address, hello()).await;
    assert_eq!(welcome["limits"]["window"], 64 << 10);
    let task = server.submit("x", true).await;
    let mut stream = task.stream();
    let (attempt, fence, _) = hand.take().await;
    // The stream is not read: after `limits.stream_window_bytes` the router acknowledges no more, and cuts off a miner
    // that goes on.
    let piece = "y".repeat(8 << 10);
    let (mut seq, mut acked) = (0_u64, 0_u64);
    let refused = loop {
        seq += 1;
        let frame = tokens(attempt, fence, seq, (seq - 1) * (8 << 10), &piece);
        if !hand.send_text(frame.to_string()).await {
            break hand.refused().await;
        }
        assert!(seq < 1_000, "the window is not kept");
        if seq % 4 == 0 {
            hand.send(json!({"type": "ping", "t": seq, "inflight": [{"attempt": attempt, "fence": fence}]})).await;
            let mut closed = None;
            loop {
                match hand.next().await {
                    None => break,
                    Some(frame) if frame["type"] == "pong" && frame["t"] == seq => break,
                    Some(frame) if frame["type"] == "ack" => acked = frame["seq"].as_u64().unwrap(),
                    Some(frame) if frame["type"] == "error" => {
                        closed = Some(frame);
                        break;
                    }
                    Some(_) => {}
                }
            }
            if let Some(error) = closed {
                break error;
            }
        }
    };
    assert_eq!(refused["code"], "window", "after seq {seq}, acked {acked}");
    assert!(acked > 0 && acked < seq, "acked {acked} of {seq}");
    assert!(within(stream.next_batch()).await.is_some());
}

#[tokio::test]
async fn frames_that_are_too_large_or_no_json_end_the_connection() {
    let miners = quick().max_frame_bytes(16 << 10);
    let server = serve(miners).await;
    let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
    hand.send_text(" ".repeat(17 << 10)).await;
    assert_eq!(hand.refused().await["code"], "too_large");
    for bad in ["no json", "[1]", r#"{"type":"tokens","attempt":1}"#, r#"{"no":"type"}"#] {
        let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
        hand.send_text(bad.to_owned()).await;
        assert_eq!(hand.refused().await["code"], "bad_frame", "{bad}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_ignored() {
    let server = serve(quick()).await;
    let mut greeting = hello();
    greeting["new_field"] = json!({"a": 1});
    greeting["features"] = json!(["raw", "telepathy"]);
    let (mut hand, welcome) = Hand::welcomed(server.address, greeting).await;
    assert_eq!(welcome["features"], json!(["raw"]));
    hand.send(json!({"type": "telepathy", "attempt": "not even a number"})).await;
    hand.send(json!({"type": "ping", "t": 7})).await;
    loop {
        let frame = hand.next().await.expect("the connection goes on");
        if frame["type"] == "pong" {
            assert_eq!(frame["t"], 7);
            return;
        }
    }
}

#[tokio::test]
async fn a_miner_that_lost_its_attempt_says_so_by_its_ping() {
    let server = serve(quick()).await;
    let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    hand.take().await;
    hand.send(json!({"type": "ping", "t": 1, "inflight": []})).await;
    let (attempt, fence, _) = hand.take().await;
    hand.send(tokens(attempt, fence, 1, 0, "z")).await;
    hand.send(done(attempt, fence, 1, "z")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "z");
}

#[tokio::test]
async fn an_old_credit_is_ignored_and_none_means_none() {
    let server = serve(quick()).await;
    let (mut hand, _) = Hand::welcomed(server.address, hello()).await;
    server.miner(|miner| miner.credits == 2).await;
    hand.send(json!({"type": "credit", "gen": 3, "free": {"*": 0}, "seen": 0})).await;
    server.miner(|miner| miner.credits == 0).await;
    hand.send(json!({"type": "credit", "gen": 2, "free": {"*": 2}, "seen": 0})).await;
    hand.send(json!({"type": "credit", "gen": 4, "free": {"tiny": 1}, "seen": 0})).await;
    assert_eq!(server.miner(|miner| miner.credits != 0).await.credits, 1);
}

#[tokio::test]
async fn the_words_of_a_hello_are_short_and_write_no_lines_of_their_own() {
    let server = serve(quick()).await;
    let long = "x".repeat(257);
    for pointer in [
        "/agent",
        "/hw/gpu",
        "/hw/cpu",
        "/models/0/id",
        "/models/0/digest",
        "/models/0/quant",
        "/features/0",
        "/owner",
        "/name",
    ] {
        for bad in [long.as_str(), "n\nINFO forged", "\u{1b}[31mred", "a\u{202e}b"] {
            let mut greeting = hello();
            greeting["owner"] = "me".into();
            greeting["name"] = "hand".into();
            greeting["models"][0]["digest"] = "d".into();
            *greeting.pointer_mut(pointer).unwrap() = bad.into();
            let mut hand = Hand::connect(server.address).await;
            hand.send(greeting).await;
            let error = hand.refused().await;
            assert_eq!(error["code"], "invalid_argument", "{pointer} {bad:?}");
            let field = pointer.trim_matches('/').replace("/0", "").replace('/', ".");
            assert!(
                error["message"].as_str().unwrap().contains(field.rsplit('.').next().unwrap()),
                "{pointer}: {error}"
            );
        }
    }
    let mut many = hello();
    many["features"] = (0..65).map(|n| n.to_string()).collect();
    let mut hand = Hand::connect(server.address).await;
    hand.send(many).await;
    assert_eq!(hand.refused().await["code"], "invalid_argument");
    assert!(server.router.miners().is_empty());
}

#[tokio::test]
async fn a_miner_that_comes_back_with_too_many_tasks_is_refused() {
    let config = quick().max_resumed(2);
    let server = serve(config).await;
    let mut many = hello();
    many["resume"] = json!({"inflight": (1..=3).map(|n| json!({"attempt": n, "fence": n})).collect::<Vec<_>>()});
    let mut hand = Hand::connect(server.address).await;
    hand.send(many).await;
    let error = hand.refused().await;
    assert_eq!(error["code"], "invalid_argument");
    assert!(error["message"].as_str().unwrap().contains("miners.max_resumed"), "{error}");
    assert!(server.router.miners().is_empty());
}
