//! The effects of an upstream's refusals: they reach the caller, and nothing else.

use std::time::{Duration, Instant};

use crate::rig::before;
use cortensor_router::model::Breaker;
use cortensor_router_testkit::Upstream;
use cortensor_router_testkit::upstream::Say;

const GOOD: &str =
    r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;

fn chat(prompt: &str, stream: bool) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"{prompt}"}}],"stream":{stream}}}"#)
}

#[tokio::test]
async fn no_status_that_one_client_causes_takes_the_upstream_from_others() {
    // Each case has the upstream's status, the status of the answer, and the number of tries.
    let mut cases: Vec<(u16, u16, usize)> =
        vec![(401, 502, 1), (402, 502, 1), (407, 502, 1), (403, 403, 1), (404, 404, 1)];
    cases.extend(
        [400, 405, 406, 409, 410, 411, 413, 414, 415, 416, 418, 422, 424, 428, 431, 451, 499]
            .map(|status| (status, 400, 1)),
    );
    cases.extend([408, 421, 425, 500, 502, 504].map(|status| (status, 502, 3)));
    for (status, seen, asked) in cases {
        let upstream = Upstream::new(move |_, body| {
            if body.contains("bad") {
                Say::Json(status, r#"{"error":{"message":"not this"}}"#.into())
            } else {
                Say::Json(200, GOOD.into())
            }
        })
        .await;
        let server = before(&upstream).await;
        for (turn, stream) in [false, true].into_iter().enumerate() {
            let reply = server.post("/v1/chat/completions", &chat("bad", stream)).await;
            // Some statuses that concern the request itself pass on unchanged.
            let passed = seen == 400 && reply.status == status;
            assert!(reply.status == seen || passed, "{status}: {} {}", reply.status, reply.body);
            assert_eq!(upstream.bodies().len(), (turn + 1) * asked, "{status}");
        }
        let asked_at = Instant::now();
        assert_eq!(server.post("/v1/chat/completions", &chat("good", false)).await.status, 200, "{status}");
        assert!(asked_at.elapsed() < Duration::from_secs(1), "{status}");
        assert_eq!(server.router.miners()[0].breaker, Breaker::Closed, "{status}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_take_the_upstream_from_nobody() {
    for odd in ["{}", "[]", r#"{"choices":[]}"#, "null", r#"{"choices":7}"#] {
        let upstream =
            Upstream::new(move |_, body| Say::Json(200, if body.contains("bad") { odd } else { GOOD }.into())).await;
        let server = before(&upstream).await;
        for _ in 0..2 {
            assert_eq!(server.post("/v1/chat/completions", &chat("bad", false)).await.status, 502, "{odd}");
        }
        assert_eq!(server.post("/v1/chat/completions", &chat("good", false)).await.status, 200, "{odd}");
        assert_eq!(server.router.miners()[0].breaker, Breaker::Closed, "{odd}");
    }
}

#[tokio::test]
async fn a_refusal_that_speaks_of_the_request_reaches_the_caller() {
    let upstream =
        Upstream::new(|_, _| Say::Json(403, r#"{"error":{"message":"Input was flagged by moderation"}}"#.into())).await;
    let server = before(&upstream).await;
    let reply = server.post("/v1/chat/completions", &chat("x", false)).await;
    assert!(reply.body.contains("Input was flagged by moderation"), "{}", reply.body);
}
