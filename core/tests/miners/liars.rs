//! Callbacks that claim more work than they did.

use std::time::Duration;

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Usage};
use tokio::sync::mpsc;

use super::*;

const HUGE: u64 = 1 << 50;

fn claim(job: Job, text: &str, usage: Usage) {
    job.finish(Answer::default().text(text).usage(usage));
}

#[tokio::test]
async fn usage_is_bounded_by_the_answer_and_by_what_was_asked_for() {
    let router = router(DispatchConfig::default()).await;
    let mut hand = Hand::join(&router, MinerSpec::new("liar", 1));
    for (most, claimed, wanted) in [
        (None, Usage::new(1, u64::MAX), 8),
        (Some(5), Usage::new(u64::MAX, u64::MAX), 5),
        (Some(100), Usage::default().completion_tokens(3).prompt_tokens(1).total_tokens(u64::MAX), 3),
    ] {
        let mut request = TaskRequest::completion("hi");
        request.max_tokens = most;
        let task = submit(&router, request).await;
        claim(hand.take().await, "12345678", claimed);
        let usage = task.result().await.unwrap().answer.usage;
        assert_eq!(usage.completion_tokens, wanted, "{claimed:?}");
        assert!(usage.prompt_tokens < 2_000 && usage.total_tokens == usage.prompt_tokens + wanted, "{usage:?}");
    }
    // The answer comes in pieces, together with raw JSON of the miner's own.
    let task = submit(&router, streamed("hi")).await;
    let job = hand.take().await;
    job.emit("1234");
    let raw = r#"{"choices":[],"usage":{"completion_tokens":1125899906842624}}"#;
    job.emit(cortensor_router::miner::Chunk::default().with_raw(raw));
    let mut stream = task.stream();
    let shown = format!("{:?}", pieces(&mut stream, 2).await);
    assert!(!shown.contains("1125899906842624"), "{shown}");
    claim(job, "", Usage::new(1, HUGE));
    assert!(task.result().await.unwrap().answer.usage.completion_tokens < 200);
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_miner_is_as_fast_as_its_bytes() {
    let router = router(DispatchConfig::default()).await;
    let (tell, mut count) = mpsc::unbounded_channel();
    for (name, millis, tokens) in [("liar", 100, HUGE), ("honest", 20, 25)] {
        let tell = tell.clone();
        let spec = MinerSpec::new(name, 1);
        let miner = move |job: Job| {
            let _ = tell.send(name);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                claim(job, &"x".repeat(100), Usage::new(1, tokens));
            });
        };
        router.add_miner(spec, miner).unwrap();
    }
    drop(tell);
    // Once both miners are measured, there is a choice.
    let first =
        [submit(&router, TaskRequest::completion("a")).await, submit(&router, TaskRequest::completion("b")).await];
    for task in first {
        task.result().await.unwrap();
    }
    for _ in 0..61 {
        submit(&router, TaskRequest::completion("hi")).await.result().await.unwrap();
    }
    let speed = |name: &str| router.miners().into_iter().find(|miner| miner.id == name).unwrap().tokens_per_second;
    assert!(speed("liar") < speed("honest"), "{} {}", speed("liar"), speed("honest"));
    let mut liars = 0;
    while let Ok(name) = count.try_recv() {
        liars += u32::from(name == "liar");
    }
    assert!(liars <= 10, "the liar got {liars} of 63");
    router.close().await;
}
