//! Miners that are lost after clients have seen tokens, and miners that are slow to give the first token.

use cortensor_router::ErrorKind;
use cortensor_router::config::DispatchConfig;
use cortensor_router::model::{Answer, CONTINUE, MinerSpec, OnFailure, TaskRequest, Usage};

use super::{DEFAULT, Hand, pieces, rest, router, say, streamed, submit, within};
use cortensor_router::SubmitOptions;

fn continuing(name: &str) -> MinerSpec {
    MinerSpec::new(name, 1).features(vec![CONTINUE.to_owned()])
}

#[tokio::test]
async fn by_default_a_loss_in_mid_stream_is_an_error_and_nothing_is_said_twice() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let task = submit(&router, streamed("x")).await;
    let mut stream = task.stream();
    let job = first.take().await;
    let mut second = Hand::join(&router, continuing("second"));
    job.emit("one ");
    pieces(&mut stream, 1).await;
    drop(job);
    let (words, end) = rest(&mut stream).await;
    assert!(words.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::MinerFailed);
    assert!(second.is_idle());
}

#[tokio::test]
async fn another_miner_goes_on_from_the_text_so_far() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let request = streamed("count to three").on_failure(OnFailure::Continue).max_tokens(10);
    let task = submit(&router, request).await;
    let mut stream = task.stream();
    let job = first.take().await;
    job.emit("one ");
    job.emit("two ");
    assert_eq!(pieces(&mut stream, 2).await.len(), 2);
    let mut second = Hand::join(&router, continuing("second"));
    first.handle.remove();
    assert!(job.is_cancelled() || job.emit("late ") == cortensor_router::miner::Emit::Cancelled);
    let job = second.take().await;
    assert_eq!(job.info().partial.as_deref(), Some("one two "));
    assert_eq!(job.request().max_tokens, Some(8), "what is said already counts");
    job.emit("three");
    job.finish(Answer::default().usage(Usage::new(4, 1)));
    let (words, end) = rest(&mut stream).await;
    assert_eq!(words, ["3:three"]);
    let completion = end.unwrap();
    assert_eq!(completion.answer.text, "one two three");
    assert_eq!(completion.answer.usage.completion_tokens, 3);
    let task = router.task(DEFAULT, task.task_id()).await.unwrap();
    assert_eq!((task.text.as_str(), task.assigned_miners.len()), ("one two three", 2));
}

#[tokio::test]
async fn without_a_miner_that_goes_on_it_is_an_error() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let mut second = Hand::join(&router, MinerSpec::new("second", 1));
    second.handle.set_up(false);
    let request = streamed("x").on_failure(OnFailure::Continue);
    let task = submit(&router, request).await;
    let mut stream = task.stream();
    let job = first.take().await;
    job.emit("one ");
    pieces(&mut stream, 1).await;
    second.handle.set_up(true);
    drop(job);
    let (words, end) = rest(&mut stream).await;
    assert!(words.is_empty() && end.is_err());
    assert!(second.is_idle());
}

#[tokio::test]
async fn a_client_that_can_start_over_is_told_to() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let request = streamed("x").on_failure(OnFailure::Restart);
    let task = submit(&router, request).await;
    let mut stream = task.stream();
    let job = first.take().await;
    job.emit("one ");
    job.emit("two ");
    pieces(&mut stream, 2).await;
    let mut second = Hand::join(&router, MinerSpec::new("second", 1));
    drop(job);
    let job = second.take().await;
    assert_eq!(job.info().partial, None);
    job.emit("uno ");
    job.finish(Answer::default());
    let (words, end) = rest(&mut stream).await;
    // The mark has a number of its own, so that a client that resumes knows whether it has seen the mark.
    assert_eq!(words, ["3!", "4:uno "]);
    assert_eq!(end.unwrap().answer.text, "uno ");
    assert_eq!(rest(&mut task.stream_after(2)).await.0, ["3!", "4:uno "]);
    assert_eq!(rest(&mut task.stream_after(3)).await.0, ["4:uno "]);
    assert_eq!(rest(&mut task.stream()).await.0, ["4:uno "]);
}

#[tokio::test]
async fn what_a_late_reader_has_seen_is_not_taken_back() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let options = SubmitOptions::default().detach(true);
    let task = router.submit(DEFAULT, streamed("x"), options).await.unwrap();
    let job = first.take().await;
    let mut second = Hand::join(&router, MinerSpec::new("second", 1));
    job.emit("one ");
    let mut stream = task.stream();
    pieces(&mut stream, 1).await;
    drop(job);
    assert!(rest(&mut stream).await.1.is_err());
    assert!(second.is_idle());
}

#[tokio::test]
async fn what_nobody_has_seen_is_done_over_in_silence() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let task = submit(&router, TaskRequest::completion("x")).await;
    let job = first.take().await;
    job.emit("one ");
    let mut second = Hand::join(&router, MinerSpec::new("second", 1));
    drop(job);
    say(second.take().await, "uno");
    assert_eq!(within(task.result()).await.unwrap().answer.text, "uno");
    assert_eq!(rest(&mut task.stream()).await.0, ["1:uno"]);
}

#[tokio::test]
async fn a_second_miner_races_one_that_is_slow_to_begin() {
    let dispatch = DispatchConfig::default().hedge_after_p95(true).hedge_budget(1.0);
    let router = router(dispatch).await;
    let mut slow = Hand::join(&router, MinerSpec::new("slow", 1));
    for _ in 0..25 {
        let task = submit(&router, streamed("x")).await;
        let job = slow.take().await;
        job.emit("quick");
        job.finish(Answer::default());
        within(task.result()).await.unwrap();
    }
    let task = submit(&router, streamed("x")).await;
    let mut stream = task.stream();
    let late = slow.take().await;
    let mut quick = Hand::join(&router, MinerSpec::new("quick", 1));
    // There was no race while only one miner was connected; the next task has one.
    late.emit("late");
    late.finish(Answer::default());
    assert_eq!(rest(&mut stream).await.0, ["1:late"]);
    let task = submit(&router, streamed("x")).await;
    let mut stream = task.stream();
    let (one, other) = tokio::join!(slow.take(), quick.take());
    other.emit("won ");
    pieces(&mut stream, 1).await;
    within(one.cancelled()).await;
    one.emit("lost ");
    other.emit("it");
    other.finish(Answer::default());
    let (words, end) = rest(&mut stream).await;
    assert_eq!(words, ["2:it"]);
    assert_eq!(end.unwrap().answer.text, "won it");
}
