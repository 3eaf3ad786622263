//! How long a task waits, for which miner, and how its waiting ends.

use std::time::Duration;

use cortensor_router::config::{DispatchConfig, LimitsConfig};
use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::{Answer, FinishReason, MinerSpec, TaskRequest};
use cortensor_router::{Config, ErrorKind, Router, Submission, SubmitOptions};
use tokio::time::{Instant, sleep};

use super::{DEFAULT, Hand, pieces, router, say, streamed, submit};

async fn submit_for(router: &Router, request: TaskRequest, seconds: f64) -> Submission {
    let options = SubmitOptions::default().patience(seconds);
    router.submit(DEFAULT, request, options).await.unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn an_open_ended_stream_lasts_as_long_as_its_tokens_flow() {
    let router = router(DispatchConfig::default()).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    let task = submit_for(&router, streamed("x"), 2.0).await;
    let job = miner.take().await;
    let mut stream = task.stream();
    sleep(secs(1)).await;
    for _ in 0..100 {
        job.emit("word ");
        pieces(&mut stream, 1).await;
        sleep(secs(30)).await;
    }
    assert!(!job.is_cancelled());
    let silent_from = Instant::now();
    let error = task.result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MinerFailed);
    assert!(error.message().contains("silent for dispatch.progress_timeout_ms = 60000"), "{error}");
    assert!(silent_from.elapsed() <= secs(61) && job.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn its_time_bounds_the_first_token_a_whole_answer_and_another_try() {
    let router = router(DispatchConfig::default().retry_base_ms(1)).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    for request in [streamed("x"), TaskRequest::completion("x")] {
        let task = submit_for(&router, request, 2.0).await;
        let (job, asked) = (miner.take().await, Instant::now());
        if !job.stream() {
            job.emit("a beginning");
        }
        assert_eq!(task.result().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(asked.elapsed() <= secs(3));
    }
    // A first token that is void before a client saw it gives the next miner no more time than the first one had.
    let task = submit_for(&router, streamed("x"), 2.0).await;
    let job = miner.take().await;
    job.emit("a beginning");
    sleep(secs(10)).await;
    job.fail(Failure::new(FailClass::Internal, "no"));
    let job = miner.take().await;
    let asked = Instant::now();
    assert_eq!(task.result().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(asked.elapsed() <= secs(3) && job.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_silent_miner_keeps_the_task_until_another_one_could_take_it() {
    let router = router(DispatchConfig::default()).await;
    let mut first = Hand::join(&router, MinerSpec::new("first", 1));
    let task = submit_for(&router, streamed("x"), 3_000.0).await;
    let job = first.take().await;
    sleep(secs(500)).await;
    assert!(!job.is_cancelled() && first.is_idle());
    let mut second = Hand::join(&router, MinerSpec::new("second", 1));
    let other = second.wait().await;
    assert!(job.is_cancelled());
    // Signs of life keep the task at its miner, even if another one is free.
    let mut third = Hand::join(&router, MinerSpec::new("third", 1));
    for turn in 0..20 {
        sleep(secs(30)).await;
        if turn % 2 == 0 {
            other.alive();
        } else {
            other.emit("");
        }
    }
    assert!(!other.is_cancelled() && third.is_idle());
    say(other, "done");
    assert_eq!(task.result().await.unwrap().answer.text, "done");
}

#[tokio::test(start_paused = true)]
async fn where_no_miner_is_up_a_caller_is_told_soon_and_others_wait() {
    let router = router(DispatchConfig::default()).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    miner.handle.set_reason(Some("cannot connect: Connection refused".into()));
    miner.handle.set_up(false);
    let detach = SubmitOptions::default().detach(true);
    let patient = router.submit(DEFAULT, TaskRequest::completion("x"), detach).await.unwrap();
    for request in [streamed("x"), TaskRequest::completion("x")] {
        let asked = Instant::now();
        let error = submit(&router, request).await.result().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "no_miner"));
        assert!(error.message().contains("only") && error.message().contains("Connection refused"), "{error}");
        assert!(error.details().retry_after_ms.is_some());
        assert!((secs(2)..secs(3)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    }
    assert!(router.miners()[0].reason.as_deref().is_some_and(|why| why.contains("Connection refused")));
    // A miner that comes back within the grace period keeps its task.
    let back = submit(&router, TaskRequest::completion("x")).await;
    sleep(secs(1)).await;
    miner.handle.set_up(true);
    say(miner.take().await, "one");
    say(miner.take().await, "two");
    assert!(patient.result().await.is_ok() && back.result().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_dies_while_tasks_wait_is_told_to_those_who_wait() {
    let router = router(DispatchConfig::default().breaker_failures(1).retry_base_ms(1)).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    let (ill, waiting) = (submit(&router, streamed("x")).await, submit(&router, streamed("y")).await);
    miner.take().await.fail(Failure::new(FailClass::Internal, "out of memory"));
    let failed = Instant::now();
    for task in [ill, waiting] {
        let error = task.result().await.unwrap_err();
        assert_eq!(error.code(), "no_miner");
        assert!(error.message().contains("out of memory"), "{error}");
        assert!(error.details().retry_after_ms.is_some_and(|wait| (20_000..=30_000).contains(&wait)), "{error:?}");
    }
    assert!(failed.elapsed() < secs(4));
    let why = router.miners()[0].reason.clone().unwrap_or_default();
    assert!(why.contains("out of memory"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_ever_had_is_a_mistake_and_one_that_was_there_may_come_back() {
    let router = router(DispatchConfig::default()).await;
    let other = Hand::join(&router, MinerSpec::new("other", 1).models(["b"]));
    let gone = Hand::join(&router, MinerSpec::new("gone", 1).models(["a"]));
    gone.handle.remove();
    let ask = |model: &str| TaskRequest::completion("x").model(model);
    let error = router.submit(DEFAULT, ask("c"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "model_not_found");
    let task = submit(&router, ask("a")).await;
    let mut back = Hand::join(&router, MinerSpec::new("gone", 1).models(["a"]));
    say(back.take().await, "yes");
    assert!(task.result().await.is_ok());
    drop(other);
}

#[tokio::test]
async fn an_answer_beyond_its_bound_is_cut_for_every_way_to_give_it() {
    let limits = LimitsConfig::default().max_output_bytes(10);
    let router = Router::open(Config::default().limits(limits)).await.unwrap();
    let mut miners = [Hand::join(&router, MinerSpec::new("one", 1)), Hand::join(&router, MinerSpec::new("two", 1))];
    // The answer comes in pieces, in one piece, and cut in the middle of a character.
    let answers: [&[&str]; 4] =
        [&["12345", "67890", "more"], &["1234567890more"], &["123456789\u{17c}"], &["1234567890", "\u{17c}"]];
    for (index, said) in answers.into_iter().enumerate() {
        let whole = if index == 2 { "123456789" } else { "1234567890" };
        for (count, at_once) in [(1, false), (1, true), (2, false), (2, true)] {
            let request = streamed("x").max_miners(count);
            let task = submit(&router, request).await;
            for _ in 0..count {
                let (_, job) = Hand::next_of(&mut miners).await;
                if at_once {
                    say(job, &said.concat());
                } else {
                    let last = said.iter().map(|piece| job.emit(*piece)).last().unwrap();
                    assert_eq!(last, cortensor_router::miner::Emit::Cancelled);
                }
            }
            let completion = task.result().await.unwrap();
            let mut answers = vec![completion.answer.clone()];
            answers.extend(completion.alternatives.into_iter().map(|(_, answer)| answer));
            for Answer { text, finish_reason, .. } in answers {
                assert_eq!(
                    (text.as_str(), &finish_reason),
                    (whole, &FinishReason::Length),
                    "{said:?} {count} {at_once}"
                );
            }
        }
    }
    assert!(router.miners().iter().all(|miner| miner.failed == 0));
}
