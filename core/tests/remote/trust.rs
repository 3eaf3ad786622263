//! Who may be a miner.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::by_hand::{Hand, hello};
use crate::server::{Server, quick, within};

#[tokio::test]
async fn without_a_good_token_nobody_is_a_miner() {
    let server = Server::start(quick()).await;
    for (auth, code) in [(json!({"token": "wrong"}), "unauthorized"), (json!({}), "unauthorized")] {
        let mut hand = Hand::connect(server.address).await;
        let mut greeting = hello();
        greeting["auth"] = auth.clone();
        hand.send(greeting).await;
        assert_eq!(hand.refused().await["code"], code, "{auth}");
    }
    let mut hand = Hand::connect(server.address).await;
    let mut greeting = hello();
    greeting["miner_id"] = "mk_0123".into();
    hand.send(greeting).await;
    assert_eq!(hand.refused().await["code"], "invalid_argument");
    assert!(server.router.miners().is_empty());
}

#[tokio::test]
async fn the_first_frame_is_hello_and_comes_in_time() {
    let mut miners = quick();
    miners.hello_timeout_ms = 200;
    let server = Server::start(miners).await;
    let mut hand = Hand::connect(server.address).await;
    hand.send(json!({"type": "credit", "gen": 1, "free": {}})).await;
    assert_eq!(hand.refused().await["code"], "unexpected");
    let mut mute = Hand::connect(server.address).await;
    assert_eq!(mute.refused().await["code"], "hello_timeout");
    let mut newer = Hand::connect(server.address).await;
    let mut greeting = hello();
    greeting["v"] = 2.into();
    newer.send(greeting).await;
    assert_eq!(newer.refused().await["code"], "version");
}

#[tokio::test]
async fn a_name_that_another_miner_has_is_refused() {
    let server = Server::start(quick()).await;
    let (_first, _) = Hand::welcomed(server.address, hello()).await;
    let mut hand = Hand::connect(server.address).await;
    let mut greeting = hello();
    greeting["miner_id"] = "second".into();
    greeting["name"] = "hand".into();
    hand.send(greeting).await;
    assert_eq!(hand.refused().await["code"], "conflict");
}

#[tokio::test]
async fn an_upgrade_that_is_none_gets_a_clear_answer() {
    let server = Server::start(quick()).await;
    let good = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: cortensor-miner.v1\r\n";
    for (headers, status, words) in [
        (String::new(), "426", "Upgrade: websocket"),
        (good.replace(": 13", ": 8"), "426", "Sec-WebSocket-Version: 13"),
        (good.replace("cortensor-miner.v1", "chat"), "400", "cortensor-miner.v1"),
        (good.replace("Sec-WebSocket-Key", "X-Key"), "400", "Sec-WebSocket-Key"),
        (format!("{good}Origin: http://evil.example\r\n"), "403", "Origin"),
        (good.to_owned(), "101", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /miner/v1 HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = within(stream.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{headers}: {answer}");
    }
}
