//! Several answers to one task: the winner, the verdict that callers see, and the effect on reputations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cortensor_router::config::DispatchConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{
    Matching, MinerSpec, MinerStatus, Outcome, RequestKind, SessionSpec, Standing, TaskRequest, TaskState,
    ValidationSpec, address_of,
};
use cortensor_router::{ErrorKind, SubmitOptions};
use tokio::sync::mpsc::unbounded_channel;

use super::{DEFAULT, Hand, rest, router, say, streamed, submit, until, within};

fn asked(miners: u32, spec: &str) -> TaskRequest {
    let validation: ValidationSpec = serde_json::from_str(spec).unwrap();
    TaskRequest::completion("x").max_miners(miners).validation(Box::new(validation))
}

#[tokio::test]
async fn a_liar_loses_even_where_it_streams() {
    let router = router(DispatchConfig::default()).await;
    let mut miners: Vec<Hand> =
        ["a", "b", "c"].iter().map(|name| Hand::join(&router, MinerSpec::new(*name, 1))).collect();
    let task = submit(&router, streamed("x").max_miners(3)).await;
    let mut stream = task.stream();
    let mut liar = String::new();
    for (hand, name) in miners.iter_mut().zip(["a", "b", "c"]) {
        let job = hand.take().await;
        if job.stream() {
            liar = address_of(name);
            job.emit("a lie");
            say(job, "");
        } else {
            say(job, " The  TRUTH\n");
        }
    }
    let (words, end) = rest(&mut stream).await;
    let completion = end.unwrap();
    assert_eq!(words, ["1:a lie"], "one miner's tokens are streamed, whoever wins");
    assert_eq!(completion.answer.text, "The  TRUTH\n");
    assert_ne!(completion.miner_address, liar);
    let verdict = completion.verdict.clone().unwrap();
    assert_eq!((verdict.verdict, verdict.method), (Standing::Agreed, Matching::Normalized));
    assert_eq!(verdict.winner.as_deref(), Some(&*completion.miner_address));
    assert_eq!(Some(&verdict.per_miner[0].miner), verdict.winner.as_ref());
    let agrees: Vec<_> = verdict.per_miner.iter().map(|one| (one.miner == liar, one.agrees)).collect();
    assert_eq!(agrees.iter().filter(|(lied, agreed)| lied == agreed).count(), 0, "{agrees:?}");
    let info = router.miners();
    let of = |address: &str| info.iter().find(|miner| miner.address == address).unwrap().reputation;
    assert_eq!((of(&liar), of(&completion.miner_address)), (0.9, 1.0));
}

#[tokio::test]
async fn no_answer_is_shown_before_the_last_one_is_in() {
    let router = router(DispatchConfig::default()).await;
    let mut one = Hand::join(&router, MinerSpec::new("one", 1));
    let mut two = Hand::join(&router, MinerSpec::new("two", 1));
    let task = submit(&router, asked(2, r#"{"match":"exact"}"#)).await;
    let (first, second) = tokio::join!(one.take(), two.take());
    // The primary attempt would be streamed, so the other attempt's answer must not leak.
    let (primary, aside) = if first.info().fence < second.info().fence { (first, second) } else { (second, first) };
    say(aside, "secret");
    let now = router.task(DEFAULT, task.task_id()).await.unwrap();
    assert!(now.results.is_empty() && now.text.is_empty() && now.state < TaskState::Precommitted);
    assert!(now.precommitted_at.is_some(), "its hash is written down");
    say(primary, "secret");
    let end = within(task.result()).await.unwrap();
    assert!(end.verdict.unwrap().score > 0.999);
    let ended = router.task(DEFAULT, task.task_id()).await.unwrap();
    assert_eq!(ended.results.len(), 2);
    assert_eq!(ended.results[0].hash, ended.results[1].hash);
    assert!(ended.committed_at >= ended.precommitted_at);
}

#[tokio::test]
async fn answers_that_do_not_agree_are_a_dispute_and_one_more_miner_may_settle_it() {
    let router = router(DispatchConfig::default()).await;
    let (asked_miners, count) = (Arc::new(AtomicUsize::new(0)), 3);
    for n in 0..count {
        let asked_miners = asked_miners.clone();
        router
            .add_miner(MinerSpec::new(format!("m{n}"), 1), move |job: Job| {
                // The first miner gives another answer than all others.
                let turn = asked_miners.fetch_add(1, Ordering::SeqCst);
                say(job, if turn == 0 { "no" } else { "yes" });
            })
            .unwrap();
    }
    let task = submit(&router, asked(2, "{}")).await;
    let end = within(task.result()).await.unwrap();
    assert_eq!(end.verdict.as_ref().unwrap().verdict, Standing::Disputed);
    assert_eq!(router.task(DEFAULT, task.task_id()).await.unwrap().outcome, Some(Outcome::Disputed));
    asked_miners.store(0, Ordering::SeqCst);
    let task = submit(&router, asked(2, r#"{"tie_break":true}"#)).await;
    let end = within(task.result()).await.unwrap();
    assert_eq!((end.verdict.unwrap().verdict, end.answer.text.as_str()), (Standing::Agreed, "yes"));
    assert_eq!(asked_miners.load(Ordering::SeqCst), 3);
    assert_eq!(end.alternatives.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_is_late_is_left_out_of_the_comparison() {
    let router = router(DispatchConfig::default()).await;
    for name in ["one", "two"] {
        router.add_miner(MinerSpec::new(name, 1), |job: Job| say(job, "x")).unwrap();
    }
    let mut late = Hand::join(&router, MinerSpec::new("late", 1));
    let mut request = asked(3, "{}");
    (request.timeout, request.precommit_timeout) = (Some(600.0), Some(3.0));
    let task = submit(&router, request).await;
    let job = late.take().await;
    let end = task.result().await.unwrap();
    assert_eq!((end.verdict.unwrap().verdict, end.alternatives.len()), (Standing::Agreed, 2));
    within(job.cancelled()).await;
    assert_eq!(router.task(DEFAULT, task.task_id()).await.unwrap().assigned_miners.len(), 3);
}

#[tokio::test]
async fn the_first_answer_will_do_where_that_is_wanted() {
    let router = router(DispatchConfig::default()).await;
    let mut one = Hand::join(&router, MinerSpec::new("one", 1));
    let mut two = Hand::join(&router, MinerSpec::new("two", 1));
    let task = submit(&router, asked(2, r#"{"validation_policy":"first"}"#)).await;
    let (slow, quick) = tokio::join!(one.take(), two.take());
    say(quick, "quick");
    let end = within(task.result()).await.unwrap();
    assert_eq!((end.answer.text.as_str(), end.verdict), ("quick", None));
    within(slow.cancelled()).await;
}

#[tokio::test]
async fn answers_are_compared_by_what_they_mean() {
    let router = router(DispatchConfig::default()).await;
    for (name, words) in [("a", "a cat"), ("b", "one feline"), ("c", "a bus")] {
        router.add_miner(MinerSpec::new(name, 1), move |job: Job| say(job, words)).unwrap();
    }
    let spec = MinerSpec::new("vectors", 1).models(["embed"]).embeddings(true);
    router
        .add_miner(spec, |job: Job| {
            assert_eq!(job.request().kind, RequestKind::Embedding);
            let texts: Vec<String> = serde_json::from_str(job.request().input.as_ref().unwrap().get()).unwrap();
            let vectors: Vec<[u8; 2]> =
                texts.iter().map(|text| if text.contains("bus") { [0, 1] } else { [1, 0] }).collect();
            say(job, &serde_json::to_string(&vectors).unwrap());
        })
        .unwrap();
    // The miner that embeds serves only one model, so it gets no completions.
    let mut request = asked(3, r#"{"match":"embedding","match_model":"embed"}"#);
    request.model = None;
    let task = submit(&router, request).await;
    let end = within(task.result()).await.unwrap();
    let verdict = end.verdict.unwrap();
    assert_eq!((verdict.verdict, verdict.method), (Standing::Agreed, Matching::Embedding));
    assert_eq!(verdict.per_miner.iter().filter(|one| one.agrees).count(), 2);
}

#[tokio::test]
async fn a_miner_that_keeps_lying_is_set_aside() {
    let dispatch = DispatchConfig::default().audit_ratio(1.0).reputation_step(0.3);
    let router = router(dispatch).await;
    let (jobs, mut given) = unbounded_channel();
    let liar = router.add_miner(MinerSpec::new("liar", 4), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let honest: Vec<_> = ["x", "y"]
        .iter()
        .map(|name| router.add_miner(MinerSpec::new(*name, 4), |job: Job| say(job, "truth")).unwrap())
        .collect();
    let liars = || router.miners().into_iter().find(|miner| miner.id == "liar").unwrap();
    for _ in 0..50 {
        if liars().status == MinerStatus::SetAside {
            break;
        }
        // Only the liar is up while the task is dispatched; then the others check its answer.
        for handle in &honest {
            handle.set_up(false);
        }
        let before = liars().reputation;
        let task = submit(&router, TaskRequest::completion("x")).await;
        let job = within(given.recv()).await.unwrap();
        for handle in &honest {
            handle.set_up(true);
        }
        say(job, "lie");
        assert_eq!(within(task.result()).await.unwrap().answer.text, "lie");
        until(|| router.audits() == 0 && liars().reputation < before).await;
    }
    assert_eq!(liars().status, MinerStatus::SetAside);
    assert!(!liars().active && liars().reputation < 0.5);
    let task = submit(&router, TaskRequest::completion("x")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "truth");
    assert!(router.miners().iter().filter(|miner| miner.id != "liar").all(|miner| miner.reputation > 0.999));
    drop(liar);
}

#[tokio::test]
async fn a_reputation_outlives_the_miners_stay_and_the_router() {
    let dir = tempfile::tempdir().unwrap();
    let config = cortensor_router::Config::default()
        .storage(cortensor_router::config::StorageConfig::default().data_dir(Some(dir.path().to_owned())));
    let reputation = |router: &cortensor_router::Router| {
        router.miners().into_iter().find(|miner| miner.id == "liar").unwrap().reputation
    };
    let router = cortensor_router::Router::open(config.clone()).await.unwrap();
    let liar = router.add_miner(MinerSpec::new("liar", 1), |job: Job| say(job, "lie")).unwrap();
    for name in ["x", "y"] {
        router.add_miner(MinerSpec::new(name, 1), |job: Job| say(job, "truth")).unwrap();
    }
    within(submit(&router, asked(3, "{}")).await.result()).await.unwrap();
    assert!((reputation(&router) - 0.9).abs() < 1e-9);
    liar.remove();
    router.add_miner(MinerSpec::new("liar", 1), |job: Job| say(job, "lie")).unwrap();
    assert!((reputation(&router) - 0.9).abs() < 1e-9);
    router.close().await;
    let router = cortensor_router::Router::open(config).await.unwrap();
    router.add_miner(MinerSpec::new("liar", 1), |job: Job| say(job, "lie")).unwrap();
    assert!((reputation(&router) - 0.9).abs() < 1e-9);
    router.close().await;
}

#[tokio::test]
async fn a_session_demands_its_answers_and_a_request_names_the_most() {
    let router = router(DispatchConfig::default()).await;
    router.add_miner(MinerSpec::new("one", 1), |job: Job| say(job, "x")).unwrap();
    let spec = SessionSpec::default().name("twice").redundant(2);
    let session = router.create_session(spec).await.unwrap();
    let error = router.submit(session.id, TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "too_few_miners"));
    assert_eq!(within(submit(&router, asked(2, "{}")).await.result()).await.unwrap().answer.text, "x");
}

#[tokio::test]
async fn answers_come_from_different_owners_where_there_are_any() {
    let router = router(DispatchConfig::default()).await;
    for (name, owner) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")] {
        let spec = MinerSpec::new(name, 1).owner(owner.to_owned());
        router.add_miner(spec, |job: Job| say(job, "x")).unwrap();
    }
    for _ in 0..10 {
        let end = within(submit(&router, asked(2, "{}")).await.result()).await.unwrap();
        let other = address_of("b1");
        assert!(end.alternatives.iter().any(|(miner, _)| *miner == other), "{:?}", end.alternatives);
    }
}
