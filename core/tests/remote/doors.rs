//! Miners that dialled in through one listener of several, when that listener stops.

use std::net::SocketAddr;

use cortensor_router::listener::Listener;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::rig::{quick, serve, start};
use cortensor_router_testkit::dial_in::{Hand, done, hello, tokens};
use cortensor_router_testkit::miners::words;
use cortensor_router_testkit::{Server, within};

/// A second listener of that router.
struct Door {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Door {
    async fn open(server: &Server, drain_timeout_ms: u64) -> Self {
        let mut config = server.router.config().listen.clone();
        (config.port, config.drain_timeout_ms) = (0, drain_timeout_ms);
        let listener = Listener::bind(server.router.clone(), config).await.unwrap();
        let address = listener.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            listener.run(stopped).await.unwrap();
        });
        Self { address, stop, ended }
    }
}

#[tokio::test]
async fn a_miner_finishes_what_it_has_and_is_told_to_go() {
    let server = serve(quick()).await;
    let door = Door::open(&server, 20_000).await;
    let (mut hand, _) = Hand::welcomed(door.address, hello()).await;
    let first = server.submit("x", true).await;
    let (attempt, fence, _) = hand.take().await;
    door.stop.send(()).unwrap();
    assert_eq!(hand.expect("drain").await["deadline_ms"], 20_000);
    // It says that it has room, and gets nothing more all the same.
    hand.send(json!({"type": "credit", "gen": 2, "free": {"*": 1}, "seen": attempt})).await;
    let second = server.submit("y", true).await;
    hand.send(tokens(attempt, fence, 1, 0, "whole")).await;
    hand.send(done(attempt, fence, 1, "whole")).await;
    hand.expect("final").await;
    assert_eq!(hand.expect("bye").await["reason"], "the listener is stopped");
    assert!(hand.next().await.is_none(), "the connection is closed");
    assert_eq!(within(first.result()).await.unwrap().answer.text, "whole");
    within(door.ended).await.unwrap();
    server.no_miner().await;
    // The router goes on, and so does its other listener.
    let _client = start(&server.url(), words);
    assert_eq!(within(second.result()).await.unwrap().answer.text, "y");
}

#[tokio::test]
async fn a_miner_that_does_not_finish_in_time_loses_its_task_to_another() {
    let server = serve(quick()).await;
    let door = Door::open(&server, 200).await;
    let (mut hand, _) = Hand::welcomed(door.address, hello()).await;
    let task = server.submit("x y", true).await;
    hand.take().await;
    let _client = start(&server.url(), words);
    door.stop.send(()).unwrap();
    hand.expect("drain").await;
    hand.expect("bye").await;
    assert!(hand.next().await.is_none(), "the connection is closed");
    assert_eq!(within(task.result()).await.unwrap().answer.text, "x y");
    within(door.ended).await.unwrap();
    let left = server.miner(|miner| miner.completed == 1).await;
    assert_eq!(left.id, "remote");
}

#[tokio::test]
async fn a_miner_that_comes_back_through_another_door_goes_on() {
    let server = serve(quick()).await;
    let door = Door::open(&server, 20_000).await;
    let (mut hand, _) = Hand::welcomed(door.address, hello()).await;
    let task = server.submit("x", true).await;
    let (attempt, fence, _) = hand.take().await;
    door.stop.send(()).unwrap();
    hand.expect("drain").await;
    let mut again = hello();
    again["resume"] = json!({"inflight": [{"attempt": attempt, "fence": fence, "sent_seq": 0}]});
    let (mut hand, welcome) = Hand::welcomed(server.address, again).await;
    assert_eq!(welcome["adopt"][0]["attempt"], attempt);
    hand.send(tokens(attempt, fence, 1, 0, "whole")).await;
    hand.send(done(attempt, fence, 1, "whole")).await;
    hand.expect("final").await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "whole");
    within(door.ended).await.unwrap();
    let next = server.submit("y", true).await;
    let (attempt, fence, _) = hand.take().await;
    hand.send(tokens(attempt, fence, 1, 0, "more")).await;
    hand.send(done(attempt, fence, 1, "more")).await;
    assert_eq!(within(next.result()).await.unwrap().answer.text, "more");
}
