//! A handshake over a connection in memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::{Door, MinerPeer, MinerTokens};
use super::key_end::KeyLife;
use crate::config::MinersConfig;
use crate::miner::protocol::frame::{Auth, Hello, MinerFrame, RouterFrame, VERSION};
use crate::miner::protocol::handshake::{Holder, unauthorized};
use crate::miner::protocol::identity::{MinerKeyPair, encode};
use crate::store::ApiKey;
use crate::{Config, Result, Router};

/// Tokens whose lookup takes longer than `hello_timeout_ms`.
struct Slow(Arc<ApiKey>);

impl MinerTokens for Slow {
    fn holder(&self, _token: &str) -> Result<(Holder, Option<KeyLife>)> {
        Err(unauthorized())
    }

    fn enrolment(&self, _token: &str) -> Result<Arc<ApiKey>> {
        std::thread::sleep(Duration::from_millis(200));
        Ok(self.0.clone())
    }
}

async fn next(socket: &mut WebSocketStream<DuplexStream>) -> RouterFrame {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return RouterFrame::parse(&text).unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_time_for_a_hello_does_not_cut_off_an_enrolment() {
    let miners = MinersConfig { hello_timeout_ms: 100, ..MinersConfig::default() };
    let router = Router::open(Config { miners, ..Config::default() }).await.unwrap();
    let token = ApiKey { id: "once".into(), name: "gpu".into(), ..ApiKey::default() };
    router.put_key(token.clone(), None).await.unwrap();
    let (ours, theirs) = duplex(64 << 10);
    let peer = MinerPeer {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        channel: None,
        tokens: Slow(Arc::new(token)),
        place: Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(),
        door: Door {
            drains: CancellationToken::new(),
            closes: CancellationToken::new(),
            patience_ms: 0,
            open: TaskTracker::new().token(),
        },
    };
    let accepting = tokio::spawn({
        let router = router.clone();
        async move { router.accept_miner(theirs, peer).await }
    });

    let mut socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let RouterFrame::Challenge(challenge) = next(&mut socket).await else { panic!("no challenge came") };
    let pair = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
    let auth = Auth {
        token: Some("secret".into()),
        public_key: Some(encode(pair.public_key())),
        signature: Some(encode(&pair.sign(&challenge, None))),
        binding: None,
    };
    let hello = Hello { v: VERSION, miner_id: pair.id(), auth, epoch: 1, max_concurrency: 1, ..Hello::default() };
    socket.send(Message::text(MinerFrame::from(hello).to_text())).await.unwrap();
    let answer = next(&mut socket).await;
    assert!(matches!(answer, RouterFrame::Welcome(_)), "{answer:?}");
    assert_eq!(router.known_miner(&pair.id()).unwrap().name, "gpu");
    assert!(router.keys().await.unwrap().is_empty(), "the token is spent");
    drop(socket);
    accepting.await.unwrap();
    router.close().await;
}
