//! The blame for a failure: whether a task is tried again, at which miner, and how the failure counts against a miner.

use cortensor_router::ErrorKind;
use cortensor_router::config::DispatchConfig;
use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::{Breaker, MinerSpec, TaskRequest};

use super::{Hand, router, say, submit, within};

fn fails(class: FailClass) -> Failure {
    Failure::new(class, "no")
}

#[tokio::test]
async fn what_a_miner_will_never_do_is_asked_of_each_other_one_once() {
    for (class, kind, blamed) in [
        (FailClass::Model, ErrorKind::NotFound, 0),
        (FailClass::Refused, ErrorKind::PermissionDenied, 0),
        (FailClass::Credentials, ErrorKind::MinerFailed, 1),
    ] {
        // There are more miners than tries, because a failure of this kind is not counted as a try.
        let router = router(DispatchConfig::default().max_attempts(2)).await;
        let mut miners: Vec<Hand> = (0..4).map(|n| Hand::join(&router, MinerSpec::new(format!("m{n}"), 1))).collect();
        for good in [false, true] {
            let task = submit(&router, TaskRequest::completion("x")).await;
            let mut asked = Vec::new();
            for turn in 0..4 {
                let (index, job) = Hand::next_of(&mut miners).await;
                assert!(!asked.contains(&index), "{class:?}: miner {index} is asked twice");
                asked.push(index);
                if good && turn == 3 { say(job, "yes") } else { job.fail(fails(class)) }
            }
            let end = within(task.result()).await;
            match end {
                Ok(completion) if good => assert_eq!(completion.answer.text, "yes"),
                Err(error) if !good => assert_eq!(error.kind(), kind, "{error}"),
                other => panic!("{class:?} {good}: {other:?}"),
            }
        }
        assert!(miners.iter_mut().all(Hand::is_idle));
        let failed: Vec<u64> = router.miners().iter().map(|miner| miner.failed).collect();
        assert!(failed.iter().all(|failed| *failed >= blamed && *failed <= 2 * blamed), "{class:?}: {failed:?}");
    }
}

#[tokio::test]
async fn one_task_opens_no_breaker_and_as_many_as_it_takes_do() {
    let dispatch = DispatchConfig::default().max_attempts(10).retry_base_ms(1).breaker_failures(3);
    let router = router(dispatch).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    let breaker = || router.miners()[0].breaker;
    for wanted in [Breaker::Closed, Breaker::Closed, Breaker::Open] {
        let task = submit(&router, TaskRequest::completion("poison")).await;
        for _ in 0..10 {
            miner.take().await.fail(fails(FailClass::Internal));
            if wanted == Breaker::Open {
                break;
            }
        }
        if wanted == Breaker::Closed {
            assert_eq!(within(task.result()).await.unwrap_err().kind(), ErrorKind::MinerFailed);
        }
        assert_eq!(breaker(), wanted);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_reason_to_leave_its_miner_alone() {
    let dispatch = DispatchConfig::default().retry_base_ms(1).breaker_failures(1);
    let router = router(dispatch).await;
    let mut miner = Hand::join(&router, MinerSpec::new("only", 1));
    for _ in 0..3 {
        let task = submit(&router, TaskRequest::completion("x")).await;
        for _ in 0..3 {
            miner.take().await.fail(fails(FailClass::Unreadable));
        }
        assert!(within(task.result()).await.is_err());
    }
    let info = &router.miners()[0];
    assert_eq!((info.breaker, info.failed), (Breaker::Closed, 0));
}
