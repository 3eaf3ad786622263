//! Miners that dial in and claim more work than they did.

use std::num::NonZeroU64;

use serde_json::json;

use crate::rig::{quick, serve};
use cortensor_router_testkit::dial_in::{Hand, done, hello, tokens};
use cortensor_router_testkit::streams::read;
use cortensor_router_testkit::within;

const SAFE: u64 = (1 << 53) - 1;

#[tokio::test]
async fn claims_are_bounded_in_whole_answers_and_in_raw_pieces() {
    let server = serve(quick()).await;
    let mut said = hello();
    said["models"][0]["context"] = json!(u64::MAX);
    said["hw"]["vram"] = json!(u64::MAX);
    let (mut hand, _) = Hand::welcomed(server.address, said).await;
    let miner = server.miner(|miner| miner.id == "hand").await;
    assert_eq!(
        (miner.max_context_tokens, miner.model_details[0].context),
        (NonZeroU64::new(SAFE), NonZeroU64::new(SAFE))
    );
    assert_eq!(miner.hardware.unwrap().vram, NonZeroU64::new(SAFE));
    for stream in [false, true] {
        let task = server.submit("hi", stream).await;
        let (attempt, fence, _) = hand.take().await;
        let mut piece = tokens(attempt, fence, 1, 0, "four");
        piece["raw"] =
            json!({"choices": [{"index": 0, "delta": {"content": "four"}}], "usage": {"completion_tokens": u64::MAX}});
        hand.send(piece).await;
        let mut end = done(attempt, fence, 1, "four");
        end["usage"] = json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX, "total_tokens": u64::MAX});
        hand.send(end).await;
        let completion = within(task.result()).await.unwrap();
        let usage = completion.answer.usage;
        assert!(usage.completion_tokens <= 200 && usage.prompt_tokens < 2_000, "{usage:?}");
        let raw = completion.answer.raw.map(|raw| String::from_utf8_lossy(&raw).into_owned()).unwrap_or_default();
        assert!(!raw.contains(&u64::MAX.to_string()), "{raw}");
        let (pieces, _) = read(&task).await;
        assert_eq!(pieces.len(), 1);
        hand.expect("final").await;
    }
    let speed = server.miner(|miner| miner.completed == 2).await.tokens_per_second;
    assert!(speed <= 2_000.0, "one token in at least a millisecond: {speed}");
    server.stop().await;
}
