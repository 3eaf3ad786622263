//! The miners that a session gets: by their kind, by their number, and reserved for that session.

use cortensor_router::ErrorKind;
use cortensor_router::config::DispatchConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{MinerSpec, Session, SessionSpec, TaskRequest, address_of};
use cortensor_router::{Router, SubmitOptions};

use super::{DEFAULT, Hand, router, say, submit, until, within};

async fn session(router: &Router, json: &str) -> Session {
    let spec: SessionSpec = serde_json::from_str(json).unwrap();
    router.create_session(spec).await.unwrap()
}

async fn miner_of(router: &Router, session: &Session) -> cortensor_router::Result<String> {
    let task = router.submit(session.id, TaskRequest::completion("x"), SubmitOptions::default()).await?;
    Ok(within(task.result()).await?.miner_address.into())
}

fn named(router: &Router, spec: MinerSpec) {
    router.add_miner(spec, |job: Job| say(job, "x")).unwrap();
}

#[tokio::test]
async fn a_session_is_served_by_the_kinds_of_its_mode() {
    let router = router(DispatchConfig::default()).await;
    named(&router, MinerSpec::new("passing", 1));
    let dedicated = session(&router, r#"{"name":"d","mode":1}"#).await;
    assert_eq!(miner_of(&router, &dedicated).await.unwrap_err().kind(), ErrorKind::NotFound);
    named(&router, MinerSpec::new("staying", 1).dedicated(true));
    let ephemeral = session(&router, r#"{"name":"e","mode":0}"#).await;
    let both = session(&router, r#"{"name":"b","mode":2}"#).await;
    assert_eq!(miner_of(&router, &dedicated).await.unwrap(), address_of("staying"));
    assert_eq!(miner_of(&router, &ephemeral).await.unwrap(), address_of("passing"));
    let shown = |of: &Session| router.session(of.id).unwrap();
    assert_eq!((shown(&both).ephemeral_nodes.len(), shown(&both).dedicated_nodes.len()), (1, 1));
    assert_eq!((shown(&dedicated).ephemeral_nodes.len(), shown(&dedicated).miners_count), (0, 1));
}

#[tokio::test]
async fn a_session_that_wants_more_miners_than_there_are_is_refused_until_they_come() {
    let router = router(DispatchConfig::default()).await;
    named(&router, MinerSpec::new("a", 1));
    let picky = session(&router, r#"{"name":"p","minNumOfNodes":2}"#).await;
    let error = miner_of(&router, &picky).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "too_few_miners"));
    assert!(error.message().contains("needs 2 miners and 1 "), "{error}");
    named(&router, MinerSpec::new("b", 1));
    miner_of(&router, &picky).await.unwrap();
    // Published clients send 0 for both.
    let plain = session(&router, r#"{"name":"z","minNumOfNodes":0,"maxNumOfNodes":0}"#).await;
    miner_of(&router, &plain).await.unwrap();
}

#[tokio::test]
async fn a_session_has_at_most_so_many_miners_at_a_time() {
    let router = router(DispatchConfig::default()).await;
    let mut one = Hand::join(&router, MinerSpec::new("one", 1));
    let mut two = Hand::join(&router, MinerSpec::new("two", 1));
    let narrow = session(&router, r#"{"name":"n","maxNumOfNodes":1}"#).await;
    let submit = || router.submit(narrow.id, TaskRequest::completion("x"), SubmitOptions::default());
    let (first, second) = (submit().await.unwrap(), submit().await.unwrap());
    let job = tokio::select! { job = one.take() => job, job = two.take() => job };
    assert!(one.is_idle() && two.is_idle(), "the second task waits although a miner is free");
    say(job, "x");
    within(first.result()).await.unwrap();
    let job = tokio::select! { job = one.take() => job, job = two.take() => job };
    say(job, "x");
    within(second.result()).await.unwrap();
}

#[tokio::test]
async fn reserved_miners_serve_their_session_alone() {
    let router = router(DispatchConfig::default()).await;
    for name in ["a", "b", "c"] {
        named(&router, MinerSpec::new(name, 1));
    }
    let own = session(&router, r#"{"name":"r","reserveEphemeralNodes":true,"reservePeriod":60}"#).await;
    let kept = router.session(own.id).unwrap().reserved_nodes;
    assert_eq!(kept.len(), 1);
    let of = |address: &str| router.miners().into_iter().find(|miner| miner.address == address).unwrap().reserved_for;
    assert_eq!(of(&kept[0]), Some(own.id));
    for _ in 0..6 {
        let end = within(submit(&router, TaskRequest::completion("x")).await.result()).await.unwrap();
        assert_ne!(end.miner_address, kept[0]);
    }
    assert_eq!(miner_of(&router, &own).await.unwrap(), kept[0]);
    assert_eq!(router.session(DEFAULT).unwrap().miners_count, 2);
    router.close_session(own.id).await.unwrap();
    until(|| of(&kept[0]).is_none()).await;
}

#[tokio::test]
async fn the_last_miner_is_never_kept_from_others() {
    let router = router(DispatchConfig::default()).await;
    named(&router, MinerSpec::new("only", 1));
    let own = session(&router, r#"{"name":"r","reserveEphemeralNodes":true}"#).await;
    assert!(router.session(own.id).unwrap().reserved_nodes.is_empty());
    within(submit(&router, TaskRequest::completion("x")).await.result()).await.unwrap();
}

#[tokio::test]
async fn a_service_class_keeps_slow_miners_out_while_others_are_there() {
    let router = router(DispatchConfig::default()).await;
    let mut slow = Hand::join(&router, MinerSpec::new("slow", 1));
    // A miner that fails more than half of the time meets no service class.
    for _ in 0..3 {
        let task = submit(&router, TaskRequest::completion("x")).await;
        drop(slow.take().await);
        let job = slow.take().await;
        say(job, "x");
        within(task.result()).await.unwrap();
    }
    assert_eq!(router.miners()[0].service_class, 0);
    let picky = session(&router, r#"{"name":"s","sla":3}"#).await;
    let task = router.submit(picky.id, TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    say(slow.take().await, "better than nothing");
    within(task.result()).await.unwrap();
    named(&router, MinerSpec::new("fresh", 1));
    for _ in 0..4 {
        assert_eq!(miner_of(&router, &picky).await.unwrap(), address_of("fresh"));
    }
    assert!(slow.is_idle());
}
