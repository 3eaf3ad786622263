//! Upstreams that fail, and jobs that are cancelled.

use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::miner::FailClass;
use crate::miner::recorder::within;
use cortensor_router_testkit::mock::{Step, chunk, json, sse_head};

const OK: &str = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", closed.local_addr().unwrap());
    drop(closed);
    let failure = offer(&miner_of(UpstreamConfig::new(url)), chat(), false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Unreachable);
    assert!(failure.message.starts_with("the upstream up: cannot connect"), "{}", failure.message);
}

#[tokio::test]
async fn a_server_that_hangs_up_without_a_word_is_unreachable() {
    let mock = Mock::new(|_| vec![Step::Close]).await;
    let failure = offer(&miner(&mock), chat(), true).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Unreachable);
    assert_eq!(mock.seen().len(), 1, "a request over a new connection is not sent twice");
}

/// Lines of a head that a client reads or passes over (RFC 9112, sections 5.1 and 5.2).
#[tokio::test]
async fn an_odd_line_of_a_head_ends_no_answer() {
    for line in ["X-Long: a\r\n b\r\n\tc\r\n", "X-Blank : a\r\n", "no line at all\r\n", "X Y: a\r\n", ": a\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{line}Content-Length: {}\r\n\r\n{OK}", OK.len());
        let mock = Mock::saying(&[answer.as_bytes()]).await;
        let answer = offer(&miner(&mock), chat(), false).end().await;
        assert_eq!(answer.unwrap_or_else(|failure| panic!("{line:?}: {}", failure.message)).text, "x");
    }
}

#[tokio::test]
async fn what_is_not_http_or_not_json_is_garbage() {
    let html = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".to_vec();
    for (body, class) in [
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), FailClass::Internal),
        (html, FailClass::Unreadable),
        (json("200 OK", "{}"), FailClass::Unreadable),
        (json("200 OK", r#"{"choices":[]}"#), FailClass::Unreadable),
    ] {
        let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
        for stream in [false, true] {
            let failure = offer(&miner(&mock), chat(), stream).end().await.unwrap_err();
            assert_eq!(failure.class, class, "{}", failure.message);
        }
    }
}

/// A server that repeats the key to whoever asks: the router's clients do not see it, whole or within other words.
#[tokio::test]
async fn the_routers_own_key_is_in_no_failure() {
    const KEY: &str = "sk-0123456789abcdef-secret";
    for (status, body) in [
        ("400 X", format!(r#"{{"error":{{"message":"no field for Bearer {KEY}"}}}}"#)),
        ("500 X", format!("Authorization: Bearer {KEY}")),
        ("200 OK", format!(r#"{{"error":{{"message":"{KEY} is over its limit"}}}}"#)),
        ("200 OK", format!("<html>{KEY}</html>")),
    ] {
        let mock = Mock::new(move |_| vec![Step::Send(json(status, &body))]).await;
        let miner = miner_of(UpstreamConfig { api_key: Some(KEY.into()), ..UpstreamConfig::new(&mock.url) });
        for stream in [false, true] {
            let failure = offer(&miner, chat(), stream).end().await.unwrap_err();
            assert!(mock.seen()[0].head.contains(KEY));
            let all = format!("{failure:?}");
            assert!(!all.contains(KEY) && failure.message.contains("[the router's key]"), "{all}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let mock = Mock::new(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n";
        vec![Step::Send([head.as_bytes(), OK.as_bytes()].concat()), Step::Close]
    })
    .await;
    let failure = offer(&miner(&mock), chat(), false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Internal);
    assert!(failure.message.contains("ended before its answer did"), "{}", failure.message);
}

#[tokio::test]
async fn a_refusal_keeps_its_status_and_words() {
    let body = r#"{"error":{"message":"unknown parameter","type":"invalid_request_error","code":null}}"#;
    let mock = Mock::saying(&[&json("400 Bad Request", body)]).await;
    let miner = miner(&mock);
    let failure = offer(&miner, chat(), true).end().await.unwrap_err();
    assert_eq!((failure.class, failure.http_status), (FailClass::Invalid, Some(400)));
    assert_eq!(failure.raw.as_deref(), Some(body.as_bytes()));
    offer(&miner, chat(), true).end().await.unwrap_err();
    assert_eq!(mock.connections(), 1, "a refusal leaves its connection usable");
}

#[tokio::test]
async fn a_refused_key_is_not_shown() {
    let mock = Mock::saying(&[&json("401 Unauthorized", r#"{"error":{"message":"bad key sk-secret"}}"#)]).await;
    let config = UpstreamConfig { api_key: Some("sk-secret".into()), ..UpstreamConfig::new(&mock.url) };
    let failure = offer(&miner_of(config), chat(), false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Credentials);
    assert!(failure.message.contains("api_key") && failure.message.contains("up"), "{}", failure.message);
    assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
}

#[tokio::test]
async fn a_full_upstream_gets_fewer_tasks_until_it_does_well_again() {
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    let mock = Mock::new(move |_| {
        if is_full.load(std::sync::atomic::Ordering::SeqCst) {
            let head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
            return vec![Step::Send(head.into())];
        }
        vec![Step::Send(json("200 OK", OK))]
    })
    .await;
    let miner = miner_of(UpstreamConfig { max_concurrency: 4, ..UpstreamConfig::new(&mock.url) });
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    miner.on_credits(Box::new(move |credits| tell.lock().push(credits)));

    let failure = offer(&miner, chat(), false).end().await.unwrap_err();
    assert_eq!((failure.class, failure.retry_after_ms), (FailClass::Overloaded, Some(3_000)));
    assert_eq!(miner.credits(), 2);
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..5 {
        offer(&miner, chat(), false).end().await.unwrap();
    }
    assert_eq!(*told.lock(), [2, 3, 4]);
}

#[tokio::test]
async fn a_cancel_before_the_headers_hangs_up() {
    for stream in [false, true] {
        let mock = Mock::new(|_| vec![Step::Hang]).await;
        let sink = offer(&miner(&mock), chat(), stream);
        within(async {
            while mock.seen().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        sink.cancel();
        mock.hung_up().await;
        assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
    }
}

#[tokio::test]
async fn a_cancel_in_mid_stream_hangs_up() {
    let event = format!("data: {}\n\n", OK.replace("message", "delta").replace("\"stop\"", "null"));
    let mock = Mock::new(move |_| vec![Step::Send(sse_head(true)), Step::Send(chunk(&event)), Step::Hang]).await;
    let sink = offer(&miner(&mock), chat(), true);
    sink.pieces(1).await;
    sink.cancel();
    mock.hung_up().await;
    assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
}

#[tokio::test]
async fn a_cancel_while_the_reader_is_slow_hangs_up() {
    let event = format!("data: {}\n\n", OK.replace("message", "delta").replace("\"stop\"", "null"));
    let mock = Mock::new(move |_| vec![Step::Send(sse_head(true)), Step::Send(chunk(&event)), Step::Hang]).await;
    let sink = Recorder::with_room(1);
    miner(&mock).offer(sink.job(chat(), true));
    sink.pieces(1).await;
    sink.cancel();
    mock.hung_up().await;
    assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
}

/// A server that accepts connections and sends nothing, so that a TLS handshake with it never ends.
async fn mute() -> (String, tokio::net::TcpListener) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("https://{}/v1", listener.local_addr().unwrap()), listener)
}

#[tokio::test]
async fn a_cancel_while_it_connects_hangs_up() {
    let (url, listener) = mute().await;
    let sink = offer(&miner_of(UpstreamConfig::new(url)), chat(), false);
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    sink.cancel();
    assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
    within(stream.read_to_end(&mut Vec::new())).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_given_up() {
    let (url, _listener) = mute().await;
    let config = UpstreamConfig { connect_timeout_ms: 50, ..UpstreamConfig::new(url) };
    let failure = offer(&miner_of(config), chat(), false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Unreachable);
    assert!(failure.message.contains("connect_timeout_ms = 50"), "{}", failure.message);
}
