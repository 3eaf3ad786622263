//! Sessions with limits: their tasks together stay within them, whoever submits.

use std::num::NonZeroU64;

use cortensor_router::model::{SessionQuota, Usage};
use cortensor_router::{Error, Submission};
use tokio::sync::mpsc;

use super::*;

fn most(number: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(number)
}

async fn session(router: &Router, limits: SessionQuota) -> SessionId {
    router.create_session(SessionSpec::default().name("s").limits(limits)).await.unwrap().id
}

/// Submits a task that may take no more than a few tokens beside those of its answer.
async fn submit(router: &Router, session: SessionId, tokens: u64) -> Result<Submission, Error> {
    let request = TaskRequest::completion("a").max_tokens(tokens);
    router.submit(session, request, SubmitOptions::default()).await
}

/// Joins a miner whose answers took so many tokens.
fn add_counting(router: &Router, tokens: u64) {
    let counted = move |job: Job| {
        // No answer has more tokens than bytes.
        job.finish(Answer::default().text("a ".repeat(40)).usage(Usage::new(1, tokens - 1)));
    };
    router.add_miner(MinerSpec::new("counts", 4), counted).unwrap();
}

#[track_caller]
fn code(refused: Result<Submission, Error>) -> (String, String) {
    let error = refused.err().unwrap();
    (error.code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn tasks_under_way_are_limited_and_a_place_comes_back_at_the_end() {
    let router = open().await;
    let (jobs, mut offered) = mpsc::unbounded_channel();
    router.add_miner(MinerSpec::new("waits", 4), move |job: Job| _ = jobs.send(job)).unwrap();
    let one = session(&router, SessionQuota::default().concurrent_tasks(most(1))).await;
    let first = submit(&router, one, 5).await.unwrap();
    let (refused, words) = code(submit(&router, one, 5).await);
    assert_eq!(refused, "rate_limited");
    assert!(words.contains(&format!("session {one}")) && words.contains("concurrent_tasks"), "{words}");
    // Another session is not touched by it.
    let other = submit(&router, DEFAULT, 5).await.unwrap();
    for _ in 0..2 {
        offered.recv().await.unwrap().finish(Answer::default().text("ok"));
    }
    first.result().await.unwrap();
    other.result().await.unwrap();
    submit(&router, one, 5).await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn tokens_used_before_a_limit_and_before_a_restart_count() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(on_disk(dir.path())).await.unwrap();
    add_counting(&router, 40);
    let id = session(&router, SessionQuota::default()).await;
    submit(&router, id, 50).await.unwrap().result().await.unwrap();
    let limits = SessionQuota::default().tokens_per_day(most(100));
    router.update_session(id, SessionPatch::default().limits(Some(limits.into()))).await.unwrap();
    let (refused, words) = code(submit(&router, id, 90).await);
    assert_eq!(refused, "quota_exceeded");
    assert!(words.contains("60 are left"), "{words}");
    submit(&router, id, 40).await.unwrap().result().await.unwrap();
    router.close().await;

    let router = Router::open(on_disk(dir.path())).await.unwrap();
    add_counting(&router, 2);
    let (_, words) = code(submit(&router, id, 40).await);
    assert!(words.contains("20 are left"), "{words}");
    submit(&router, id, 10).await.unwrap().result().await.unwrap();
    router.update_session(id, SessionPatch::default().limits(Some(SessionQuota::default().into()))).await.unwrap();
    submit(&router, id, 500).await.unwrap().result().await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn requests_that_are_refused_count_as_requests() {
    let router = open().await;
    router.add_miner(MinerSpec::new("words", 4), words).unwrap();
    let limits = SessionQuota::default().requests_per_minute(most(2)).tokens_per_minute(most(20));
    let id = session(&router, limits).await;
    assert_eq!(code(submit(&router, id, 5_000).await).0, "quota_exceeded");
    submit(&router, id, 5).await.unwrap().result().await.unwrap();
    let (refused, words) = code(submit(&router, id, 5).await);
    assert_eq!(refused, "rate_limited");
    assert!(words.contains("requests_per_minute"), "{words}");
    router.close().await;
}

#[tokio::test]
async fn a_session_that_may_use_some_models_gets_no_other_one() {
    let router = open().await;
    router.add_miner(MinerSpec::new("a", 1).models(["a"]), words).unwrap();
    router.add_miner(MinerSpec::new("any", 1), words).unwrap();
    let spec = SessionSpec::default().name("s").model(Some("a".into())).models(vec!["a".into()]);
    let id = router.create_session(spec).await.unwrap().id;
    submit(&router, id, 5).await.unwrap().result().await.unwrap();
    let request = TaskRequest::completion("x").model("b");
    let error = router.submit(id, request, SubmitOptions::default()).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::PermissionDenied, "model_not_allowed"));
    assert!(error.message().contains(&format!("session {id}")), "{error}");
    router.close().await;
}
