//! Miners of a later version of the protocol, which know words that the router does not.

use serde_json::json;

use crate::rig::{quick, serve};
use cortensor_router::model::NodeKind;
use cortensor_router_testkit::dial_in::{Hand, done, hello, tokens};
use cortensor_router_testkit::streams::whole;
use cortensor_router_testkit::within;

#[tokio::test]
async fn an_unknown_word_keeps_the_connection() {
    let server = serve(quick()).await;
    let mut said = hello();
    said["kind"] = json!("nomadic");
    let (mut hand, _) = Hand::welcomed(server.address, said).await;
    let miner = server.miner(|miner| miner.id == "hand").await;
    assert_eq!(miner.node_type, NodeKind::Ephemeral);

    // The class counts as `internal`: the miner is blamed, and the task is offered again.
    let task = server.submit("hi", true).await;
    let (attempt, fence, _) = hand.take().await;
    hand.send(json!({"type": "fail", "attempt": attempt, "fence": fence, "class": "melted", "message": "too hot"}))
        .await;
    let (attempt, fence, _) = hand.take().await;
    let mut sound = tokens(attempt, fence, 1, 0, "beep");
    sound["ch"] = json!("sound");
    hand.send(sound).await;
    hand.send(tokens(attempt, fence, 2, 4, "text")).await;
    hand.send(done(attempt, fence, 2, "text")).await;
    assert_eq!(whole(&task).await, "text");
    assert_eq!(within(task.result()).await.unwrap().answer.text, "text");
    hand.expect("final").await;
    let miner = server.miner(|miner| miner.completed == 1).await;
    assert_eq!(miner.failed, 1);
    server.stop().await;
}
