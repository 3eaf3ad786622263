//! Names that stand for several models: a task goes to the next model when it gets no answer from the one before.

use cortensor_router::ErrorKind;
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{OnFailure, Outcome};

use super::*;

async fn listing(targets: &str) -> Router {
    let text = format!(
        "[dispatch]\nretry_base_ms = 1\nno_miner_grace_ms = 20\n[[model]]\nname = \"smart\"\ntargets = {targets}\n"
    );
    Router::open(Config::from_toml(&text).unwrap()).await.unwrap()
}

fn smart() -> TaskRequest {
    TaskRequest::completion("hi").model("smart")
}

fn fails(class: FailClass) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| job.fail(Failure::new(class, "no"))
}

fn says(word: &'static str) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| say(job, word)
}

fn add(router: &Router, model: &str, miner: impl Fn(Job) + Send + Sync + 'static) {
    router.add_miner(MinerSpec::new(format!("of-{model}"), 4).models([model]), miner).unwrap();
}

#[tokio::test]
async fn each_reason_leads_to_the_first_model_that_takes_it() {
    let all =
        r#"["a", { model = "b", when = ["context_too_long"] }, { model = "c", when = ["overload", "no_miner"] }, "d"]"#;
    for (class, answers, attempts) in [
        (Some(FailClass::Context), "b", 2),
        (Some(FailClass::Overloaded), "c", 4),
        (Some(FailClass::Internal), "d", 4),
        (Some(FailClass::Model), "d", 2),
        (Some(FailClass::Refused), "d", 2),
        // No miner of the first model is there.
        (None, "c", 1),
    ] {
        let router = listing(all).await;
        if let Some(class) = class {
            add(&router, "a", fails(class));
        }
        for word in ["b", "c", "d"] {
            add(&router, word, says(word));
        }
        let task = submit(&router, smart()).await;
        let (session, id) = (task.session_id(), task.task_id());
        let done = task.result().await.unwrap();
        assert_eq!((done.answer.text.as_str(), done.answer.model.as_deref()), (answers, Some(answers)), "{class:?}");
        assert_eq!(done.model, "smart");
        let record = router.task(session, id).await.unwrap();
        assert_eq!((record.attempts, record.outcome), (attempts, Some(Outcome::Ok)), "{class:?}");
        router.close().await;
    }
}

#[tokio::test]
async fn a_task_ends_where_no_other_model_would_help() {
    let router = listing(r#"["a", "b", "c"]"#).await;
    add(&router, "a", fails(FailClass::Invalid));
    let mut other = Hand::join(&router, MinerSpec::new("b", 1).models(["b"]));
    // A request that is wrong is wrong everywhere.
    let error = submit(&router, smart()).await.result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(other.is_idle());
    router.close().await;

    // Nothing is left behind the last model, and the words are those of the last miner.
    let router = listing(r#"["a", "b"]"#).await;
    add(&router, "a", fails(FailClass::Internal));
    add(&router, "b", fails(FailClass::Overloaded));
    let error = submit(&router, smart()).await.result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    router.close().await;

    // A client has seen a token.
    let router = listing(r#"["a", "b"]"#).await;
    let mut first = Hand::join(&router, MinerSpec::new("a", 1).models(["a"]));
    add(&router, "b", says("b"));
    let task = submit(&router, smart().stream(true).on_failure(OnFailure::Fail)).await;
    let mut stream = task.stream();
    let job = first.take().await;
    job.emit("x");
    within(stream.next_batch()).await.unwrap();
    job.fail(Failure::new(FailClass::Internal, "gone"));
    assert_eq!(task.result().await.unwrap_err().kind(), ErrorKind::MinerFailed);
    router.close().await;
}

#[tokio::test]
async fn a_stream_begins_anew_at_another_model_while_nobody_has_seen_a_token() {
    let router = listing(r#"["a", "b"]"#).await;
    add(&router, "a", fails(FailClass::Context));
    add(&router, "b", says("b"));
    let task = submit(&router, smart().stream(true)).await;
    let (pieces, end) = rest(&mut task.stream()).await;
    assert_eq!((pieces.len(), end.unwrap().answer.text.as_str()), (1, "b"));
    router.close().await;
}

#[tokio::test]
async fn a_task_that_waits_goes_on_when_the_miners_of_its_model_go() {
    let router = listing(r#"["a", "b"]"#).await;
    let mut first = Hand::join(&router, MinerSpec::new("a", 1).models(["a"]));
    let running = submit(&router, smart()).await;
    let held = first.take().await;
    let waits = submit(&router, smart()).await;
    add(&router, "b", says("b"));
    first.handle.set_up(false);
    assert_eq!(waits.result().await.unwrap().answer.text, "b");
    say(held, "a");
    assert_eq!(running.result().await.unwrap().answer.text, "a");
    // A later task does not wait for a miner that is down.
    assert_eq!(submit(&router, smart()).await.result().await.unwrap().answer.text, "b");
    router.close().await;
}

#[tokio::test]
async fn several_answers_come_from_the_miners_of_one_model() {
    let router = listing(r#"["a", "b"]"#).await;
    for name in ["a1", "a2"] {
        router.add_miner(MinerSpec::new(name, 4).models(["a"]), fails(FailClass::Context)).unwrap();
    }
    for name in ["b1", "b2"] {
        router.add_miner(MinerSpec::new(name, 4).models(["b"]), says("b")).unwrap();
    }
    let done = submit(&router, smart().max_miners(2)).await.result().await.unwrap();
    assert_eq!(done.answer.text, "b");
    assert_eq!(done.verdict.unwrap().per_miner.len(), 2);
    router.close().await;
}

#[tokio::test]
async fn the_models_have_the_name_and_weights_share_the_tasks() {
    let router = listing(r#"[{ model = "a", weight = 1 }, { model = "b", weight = 1 }]"#).await;
    for word in ["a", "b"] {
        add(&router, word, says(word));
    }
    let names: Vec<(String, u64)> = router.models().into_iter().map(|model| (model.id, model.miners)).collect();
    assert_eq!(names, [("a".to_owned(), 1), ("b".to_owned(), 1), ("smart".to_owned(), 2)]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(submit(&router, smart()).await.result().await.unwrap().answer.text.as_str().to_owned());
    }
    assert_eq!(seen, ["a", "b", "a", "b"]);
    router.close().await;
}
