//! Fields that the router adds to requests, and upstreams that refuse them.

use super::*;
use crate::config::StreamUsage;
use crate::miner::FailClass;
use cortensor_router_testkit::mock::{Step, json};

const DONE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const STRICT: &str =
    r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}}"#;

fn streamed() -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{DONE}", DONE.len()).into()
}

/// A server that refuses `stream_options` with this status.
async fn strict(status: &'static str) -> Mock {
    Mock::new(move |seen| {
        let refuses = seen.body.contains("stream_options");
        vec![Step::Send(if refuses { json(status, STRICT) } else { streamed() })]
    })
    .await
}

#[tokio::test]
async fn a_refused_field_of_the_routers_own_is_left_out_from_then_on() {
    for status in ["400 Bad Request", "422 Unprocessable Entity"] {
        let mock = strict(status).await;
        let miner = miner(&mock);
        for asked in [2, 3, 4] {
            let sink = offer(&miner, chat(), true);
            sink.end().await.unwrap();
            assert_eq!((sink.text().as_str(), mock.seen().len()), ("ab", asked));
        }
        assert_eq!(mock.connections(), 1);
    }
}

#[tokio::test]
async fn the_setting_says_whether_streams_ask_for_their_usage() {
    for (stream_usage, asked, ends) in [(StreamUsage::On, 1, false), (StreamUsage::Off, 1, true)] {
        let mock = strict("422 Unprocessable Entity").await;
        let miner = miner_of(UpstreamConfig { stream_usage, ..UpstreamConfig::new(&mock.url) });
        assert_eq!(offer(&miner, chat(), true).end().await.is_ok(), ends);
        assert_eq!(mock.seen().len(), asked);
    }
}

#[tokio::test]
async fn a_callers_own_field_is_refused_to_the_caller() {
    let mock = strict("400 Bad Request").await;
    let miner = miner(&mock);
    let own = r#"{"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}"#;
    let request = serde_json::from_str::<TaskRequest>(own).unwrap().kind(crate::model::RequestKind::Chat);
    assert_eq!(offer(&miner, request, true).end().await.unwrap_err().class, FailClass::Invalid);
    assert_eq!(mock.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_stays_is_asked_about_once_and_not_remembered() {
    let mock =
        Mock::saying(&[&json("400 Bad Request", r#"{"error":{"message":"your text stream_options is odd"}}"#)]).await;
    let miner = miner(&mock);
    for asked in [2, 4] {
        assert_eq!(offer(&miner, chat(), true).end().await.unwrap_err().class, FailClass::Invalid);
        assert_eq!(mock.seen().len(), asked);
    }
}

#[tokio::test]
async fn answers_are_asked_for_uncoded_and_a_coded_one_is_named() {
    for (status, wanted) in [("200 OK", FailClass::Internal), ("400 Bad Request", FailClass::Invalid)] {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Encoding: GZip\r\nContent-Length: 4\r\n\r\n"
        );
        let mock = Mock::saying(&[&[head.as_bytes(), b"\x1f\x8b\x08\x00"].concat()]).await;
        for stream in [false, true] {
            let failure = offer(&miner(&mock), chat(), stream).end().await.unwrap_err();
            assert_eq!(failure.class, wanted);
            assert!(failure.message.contains("\"gzip\"") && !failure.message.contains('\u{1f}'), "{}", failure.message);
            assert_eq!(failure.raw, None);
        }
        assert!(mock.seen()[0].head.to_lowercase().contains("accept-encoding: identity"));
    }
    let ok = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: {}\r\n\r\n{ok}", ok.len());
    let mock = Mock::saying(&[head.as_bytes()]).await;
    offer(&miner(&mock), chat(), false).end().await.unwrap();
}

#[tokio::test]
async fn long_heads_are_read_up_to_the_setting() {
    let ok = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    let of = |lines: usize| {
        let more = "x-line: y\r\n".repeat(lines - 1);
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n{ok}", ok.len())
    };
    for (lines, most, reads) in [(256, 256, true), (257, 256, false), (300, 512, true), (17, 16, false)] {
        let mock = Mock::saying(&[of(lines).as_bytes()]).await;
        let config = UpstreamConfig { max_answer_headers: most, ..UpstreamConfig::new(&mock.url) };
        assert_eq!(offer(&miner_of(config), chat(), false).end().await.is_ok(), reads, "{lines} of {most}");
    }
}
