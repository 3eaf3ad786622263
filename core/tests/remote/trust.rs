//! The conditions under which a miner is admitted.

use cortensor_router::Config;
use cortensor_router::KeySpec;
use cortensor_router::config::{ListenConfig, TokenConfig};
use cortensor_router::internals::protocol::frame::Challenge;
use cortensor_router::internals::protocol::identity::{MinerKeyPair, encode};
use cortensor_router::model::{MinerStatus, Scope};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{quick, serve};
use cortensor_router_testkit::dial_in::{Hand, TOKEN as DEV, hello};
use cortensor_router_testkit::{Server, within};

#[tokio::test]
async fn without_a_good_token_nobody_is_a_miner() {
    let server = serve(quick()).await;
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
    let server = serve(miners).await;
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
    let server = serve(quick()).await;
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
    let server = serve(quick()).await;
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
        let request = format!("GET /miner/v1 HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = within(stream.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn the_development_token_makes_a_miner_of_a_local_program_alone() {
    let server = serve(quick()).await;
    for line in [
        ("x-forwarded-for", "8.8.8.8"),
        ("x-real-ip", "8.8.8.8"),
        ("via", "1.1 proxy"),
        ("host", "evil.example:9500"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let mut hand = Hand::connect_with(server.address, &[line]).await;
        hand.send(hello()).await;
        let error = hand.refused().await;
        assert_eq!(error["code"], "dev_token_refused", "{line:?}");
        assert!(error["message"].as_str().unwrap().contains("listen.hosts"), "{error}");
    }
    assert!(server.router.miners().is_empty());
    // A secret key needs none of these checks.
    let spec = KeySpec::new("gpu").scopes([Scope::Miner]);
    let token = server.router.create_key(&spec).await.unwrap().token.reveal();
    let mut hand =
        Hand::connect_with(server.address, &[("x-forwarded-for", "8.8.8.8"), ("host", "router.example")]).await;
    let mut greeting = hello();
    greeting["auth"]["token"] = token.into();
    hand.send(greeting).await;
    hand.expect("welcome").await;
}

/// A hello signed with that key for that challenge.
fn signed(pair: &MinerKeyPair, challenge: &Value, token: Option<&str>) -> Value {
    let read: Challenge = serde_json::from_value(challenge.clone()).unwrap();
    let mut greeting = hello();
    greeting["miner_id"] = pair.id().into();
    greeting["name"] = "keyed".into();
    greeting["auth"] = json!({
        "public_key": encode(pair.public_key()), "signature": encode(&pair.sign(&read, None)), "binding": "none",
    });
    if let Some(token) = token {
        greeting["auth"]["token"] = token.into();
    }
    greeting
}

fn new_key() -> MinerKeyPair {
    MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap()
}

async fn enrolment(server: &Server, spec: KeySpec) -> String {
    let spec = spec.scopes([Scope::Enrol]).name("gpu");
    server.router.create_key(&spec).await.unwrap().token.reveal()
}

async fn greet(server: &Server, greeting: impl Fn(&Value) -> Value) -> Value {
    let mut hand = Hand::connect(server.address).await;
    let greeting = greeting(&hand.challenge);
    hand.send(greeting).await;
    hand.refused().await["code"].clone()
}

#[tokio::test]
async fn a_token_enrols_one_key_once_and_the_key_is_enough_from_then_on() {
    let server = serve(quick()).await;
    let (pair, other) = (new_key(), new_key());
    assert_eq!(greet(&server, |challenge| signed(&pair, challenge, None)).await, "not_enrolled");
    assert_eq!(greet(&server, |challenge| signed(&pair, challenge, Some(DEV))).await, "unauthorized");
    let token = enrolment(&server, KeySpec::default().owner("alice")).await;
    // The token alone neither admits a miner nor gives access to anything else.
    assert_eq!(
        greet(&server, |_| {
            let mut greeting = hello();
            greeting["auth"] = json!({"token": token});
            greeting
        })
        .await,
        "permission_denied"
    );
    let mut first = Hand::connect(server.address).await;
    let greeting = signed(&pair, &first.challenge, Some(&token));
    first.send(greeting).await;
    first.expect("welcome").await;
    assert_eq!(server.miner(|miner| miner.id == "keyed").await.owner.as_deref(), Some("alice"));
    assert_eq!(greet(&server, |challenge| signed(&other, challenge, Some(&token))).await, "unauthorized");
    drop(first);
    let mut again = Hand::connect(server.address).await;
    let greeting = signed(&pair, &again.challenge, None);
    again.send(greeting).await;
    again.expect("welcome").await;
    let known = server.router.known_miners().into_iter().find(|miner| miner.id == pair.id()).unwrap();
    assert_eq!((known.name.as_str(), known.owner.as_deref(), known.revoked), ("gpu", Some("alice"), false));
    assert!(known.created_at > 0 && known.last_seen.unwrap().get() >= known.created_at);
    assert!(server.router.revoke_miner(&pair.id()).await.unwrap());
    let (_, audit) = server.get_json("/api/v1/audit").await;
    let told: Vec<_> = audit["audit"].as_array().unwrap().iter().map(|entry| &entry["act"]).collect();
    assert_eq!(told, ["key_created", "miner_enrolled", "miner_revoked"], "{audit}");
    assert_eq!(audit["audit"][1]["key_id"], audit["audit"][0]["subject"]);
    assert_eq!(again.refused().await["code"], "revoked");
    assert_eq!(greet(&server, |challenge| signed(&pair, challenge, None)).await, "revoked");
    server.no_miner().await;
}

#[tokio::test]
async fn forged_and_replayed_signatures_are_refused() {
    let server = serve(quick()).await;
    let (pair, thief) = (new_key(), new_key());
    let token = enrolment(&server, KeySpec::default()).await;
    let mut hand = Hand::connect(server.address).await;
    let good = signed(&pair, &hand.challenge, Some(&token));
    hand.send(good.clone()).await;
    hand.expect("welcome").await;
    assert_eq!(greet(&server, |_| good.clone()).await, "bad_signature", "played again");
    let forged = |challenge: &Value| {
        let mut greeting = signed(&pair, challenge, None);
        greeting["auth"]["signature"] = signed(&thief, challenge, None)["auth"]["signature"].clone();
        greeting
    };
    assert_eq!(greet(&server, forged).await, "bad_signature");
    let other_id = |challenge: &Value| {
        let mut greeting = signed(&thief, challenge, None);
        greeting["miner_id"] = pair.id().into();
        greeting
    };
    assert_eq!(greet(&server, other_id).await, "bad_signature");
    let bound = |challenge: &Value| {
        let mut greeting = signed(&pair, challenge, None);
        greeting["auth"]["binding"] = "tls-exporter".into();
        greeting
    };
    assert_eq!(greet(&server, bound).await, "bad_signature");
    hand.send(json!({"type": "ping", "t": 1})).await;
    assert!(hand.next().await.is_some(), "the one that is in stays in");
}

#[tokio::test]
async fn a_miner_serves_what_it_is_allowed_and_nothing_else() {
    let server = serve(quick()).await;
    let spec = KeySpec::default().models(["tiny", "small"]);
    let (token, pair) = (enrolment(&server, spec).await, new_key());
    let mut hand = Hand::connect(server.address).await;
    let mut greeting = signed(&pair, &hand.challenge, Some(&token));
    greeting["models"] = json!([{"id": "tiny"}, {"id": "huge", "context": 1_000_000}]);
    hand.send(greeting).await;
    hand.expect("welcome").await;
    let miner = server.miner(|miner| miner.active).await;
    assert_eq!((miner.models, miner.max_context_tokens), (vec!["tiny".to_owned()], None));
    drop(hand);
    server.miner(|miner| miner.status == MinerStatus::Down).await;
    let refused = greet(&server, |challenge| {
        let mut greeting = signed(&pair, challenge, None);
        greeting["models"] = json!([{"id": "huge"}]);
        greeting
    });
    assert_eq!(refused.await, "invalid_argument");
    let mut any = Hand::connect(server.address).await;
    let mut greeting = signed(&pair, &any.challenge, None);
    (greeting["models"], greeting["epoch"]) = (json!([]), 9.into());
    any.send(greeting).await;
    any.expect("welcome").await;
    assert_eq!(server.miner(|miner| miner.active).await.models, ["tiny", "small"]);
}

#[tokio::test]
async fn a_token_of_the_configuration_says_what_its_miners_may_serve() {
    let token = TokenConfig::default()
        .name(Some("farm".into()))
        .value(Some("shared".into()))
        .scopes(vec![Scope::Miner])
        .models(vec!["tiny".into()])
        .owner(Some("bob".into()));
    let listen = ListenConfig::default().tokens(vec![token]);
    let server = Server::open_at(Config::default().miners(quick()).listen(listen), 0).await;
    let mut greeting = hello();
    greeting["auth"]["token"] = "shared".into();
    greeting["models"] = json!([{"id": "tiny"}, {"id": "huge"}]);
    let (_hand, _) = Hand::welcomed(server.address, greeting).await;
    let miner = server.miner(|miner| miner.active).await;
    assert_eq!((miner.models, miner.owner.as_deref()), (vec!["tiny".to_owned()], Some("bob")));
}

#[tokio::test]
async fn a_key_of_the_scope_miner_is_one_until_it_is_revoked() {
    let server = serve(quick()).await;
    let spec = KeySpec::new("farm").scopes([Scope::Miner]).owner("bob");
    let made = server.router.create_key(&spec).await.unwrap();
    let id = made.key.id;
    let mut greeting = hello();
    greeting["auth"]["token"] = made.token.reveal().into();
    let (mut hand, _) = Hand::welcomed(server.address, greeting).await;
    assert_eq!(server.miner(|miner| miner.active).await.owner.as_deref(), Some("bob"));
    assert!(server.router.delete_key(&id).await.unwrap());
    assert_eq!(hand.refused().await["code"], "revoked");
}
