//! Heads of requests: their greatest length, their required lines, and clients that close their side after them.

use std::time::Duration;

use cortensor_router::config::ListenConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{DEV, serve};

/// The status and the body of the last answer on a connection.
fn last(answers: &str) -> (u16, Value) {
    let starts = |at: &usize| answers[at + 9..].starts_with(|c: char| c.is_ascii_digit());
    let last = answers.match_indices("HTTP/1.1 ").map(|(at, _)| at).filter(starts).last();
    let last = last.map_or("", |at| &answers[at..]);
    let (head, body) = last.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {answers:?}"));
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn padded(bytes: usize) -> String {
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Pad: \r\n\r\n";
    head.replace("X-Pad: ", &format!("X-Pad: {}", "a".repeat(bytes - head.len())))
}

#[tokio::test]
async fn a_head_may_be_as_long_as_the_setting_says_and_no_longer() {
    let server = serve(ListenConfig::default().max_header_bytes(8_192)).await;
    let plain = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for before in ["", plain] {
        let send = async |head: String| server.raw(format!("{before}{head}").as_bytes()).await;
        let (status, _) = last(&send(padded(8_192)).await);
        assert_eq!(status, 200, "{}", before.len());
        for bytes in [8_300, 20_000, 100_000] {
            let (status, error) = last(&send(padded(bytes)).await);
            assert_eq!((status, error["code"].as_str()), (431, Some("head_too_large")), "{bytes}");
            assert!(error["error"].as_str().unwrap().contains("listen.max_header_bytes"), "{error}");
        }
    }
    // A body that comes together with its head does not count towards the head.
    let body = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(30_000));
    let request = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{DEV}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(last(&server.raw(request.as_bytes()).await).0, 503);
}

#[tokio::test]
async fn a_body_in_an_unknown_transfer_coding_is_refused() {
    let server = serve(ListenConfig::default()).await;
    for (coding, wanted) in [("chunked", 503), ("Chunked ", 503), ("gzip, chunked", 501), ("chunked, chunked", 501)] {
        let request = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{DEV}Transfer-Encoding: {coding}\r\n\r\n\
             e\r\n{{\"prompt\":\"x\"}}\r\n0\r\n\r\n"
        );
        let (status, error) = last(&server.raw(request.as_bytes()).await);
        assert_eq!(status, wanted, "{coding}: {error}");
        assert_eq!(error["error"]["code"] == "transfer_coding", wanted == 501, "{error}");
    }
}

#[tokio::test]
async fn unfinished_heads_share_their_room_and_plain_requests_pass() {
    let listen = ListenConfig::default().max_heads_bytes(64 << 10);
    let server = serve(listen).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = padded(30_000);
        let _ = stream.write_all(&head.as_bytes()[..29_000]).await;
        waiting.push(stream);
    }
    // Two of the heads fit. The other connections get a refusal.
    let mut told = JoinSet::new();
    for mut stream in waiting {
        told.spawn(async move {
            let mut answer = vec![0; 1_024];
            let read = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("listen.max_heads_bytes"), "{answer}");
        });
    }
    for _ in 0..6 {
        let one = tokio::time::timeout(Duration::from_secs(10), told.join_next());
        one.await.expect("six are refused").unwrap().unwrap();
    }
    assert_eq!(told.len(), 2);
    assert_eq!(server.get_json("/healthz").await.0, 200);
    told.shutdown().await;
    for _ in 0..50 {
        if server.raw(padded(30_000).as_bytes()).await.starts_with("HTTP/1.1 200") {
            return;
        }
    }
    panic!("the room is not given back");
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = serve(ListenConfig::default()).await;
    for (lines, wanted) in [
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: http://localhost\r\n", 400),
        ("Host: me@localhost\r\n", 400),
        ("Host: localhost\r\n", 200),
        ("Host: \r\n", 200),
    ] {
        for path in ["/healthz", "/v1/models"] {
            let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{DEV}{lines}\r\n");
            let (status, error) = last(&server.raw(request.as_bytes()).await);
            let wanted = if lines == "Host: \r\n" && path == "/v1/models" { 401 } else { wanted };
            assert_eq!(status, wanted, "{lines:?} {path}: {error}");
            if status == 400 {
                let error = if path.starts_with("/v1") { &error["error"] } else { &error };
                assert_eq!(error["code"], "bad_host", "{error}");
            }
        }
    }
    let old = server.raw(format!("GET /api/v1/info HTTP/1.0\r\n{DEV}\r\n").as_bytes()).await;
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_in_words() {
    let server = serve(ListenConfig::default().max_headers(20)).await;
    for (head, wanted, word) in [
        ("GET / HTTP/7.0\r\nHost: localhost\r\n\r\n".to_owned(), 400, "HTTP/1.1"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400, "HTTP/1.1"),
        ("what is this\r\n\r\n".to_owned(), 400, "HTTP/1.1"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400, "HTTP/1.1"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nA\0: b\r\n\r\n".to_owned(), 400, "HTTP/1.1"),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(30)), 431, "listen.max_headers"),
    ] {
        let answer = server.raw(head.as_bytes()).await;
        let (status, error) = last(&answer);
        assert_eq!(status, wanted, "{head:?}: {answer}");
        assert!(error["error"].as_str().is_some_and(|text| text.contains(word)), "{head:?}: {answer}");
        assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_sends_no_more_gets_its_answer() {
    let server = serve(ListenConfig::default()).await;
    server
        .router
        .add_miner(MinerSpec::new("late", 8), |job: Job| {
            tokio::spawn(async move {
                // Longer than it takes to detect whether the client is there.
                tokio::time::sleep(Duration::from_millis(400)).await;
                job.emit("late");
                job.finish(Answer::default());
            });
        })
        .unwrap();
    let (whole, stream) = (r#"{"prompt":"x"}"#, r#"{"prompt":"x","stream":true}"#);
    for (line, body) in [
        (format!("Content-Length: {}", whole.len()), whole.to_owned()),
        (format!("Content-Length: {}", stream.len()), stream.to_owned()),
        ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{stream}\r\n0\r\n\r\n", stream.len())),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\n{DEV}{line}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("the connection ends").unwrap();
        assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("late"), "{answer}");
    }
    // An answer that is ready at once comes without an interim response.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{DEV}\r\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_at_once() {
    let server = serve(ListenConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\n{DEV}Content-Length: 99\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read).await.expect("it ends").unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}
