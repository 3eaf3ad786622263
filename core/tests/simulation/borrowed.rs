//! Slots that routers of one fleet borrow for races, and for sessions for which miners are kept. Each is a whole router, on
//! a simulated network and a clock that stands still while they work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, OnFailure, SessionId, SessionSpec, TaskRequest};
use cortensor_router::{Router, StreamEvent, SubmitOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::loans::{Fleet, Place, linked};

/// A miner that gives its name after a while. The pause is long for prompts with that word. `stopped` counts the jobs that
/// were cancelled.
fn miner(name: &'static str, slow: &'static str, stopped: Arc<AtomicUsize>) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| {
        let stopped = stopped.clone();
        tokio::spawn(async move {
            let pause = if job.prompt().contains(slow) { 5_000 } else { 10 };
            tokio::select! {
                () = job.cancelled() => {
                    stopped.fetch_add(1, Ordering::SeqCst);
                }
                () = sleep(Duration::from_millis(pause)) => {
                    job.emit(name.to_owned());
                    job.finish(Answer::default());
                }
            }
        });
    }
}

/// Submits a prompt and reads its stream to the end: its text, and the time that it took.
async fn ask(router: &Router, session: SessionId, prompt: &str) -> (String, Duration) {
    let begun = Instant::now();
    let request = TaskRequest::completion(prompt).stream(true).on_failure(OnFailure::Fail);
    let task = router.submit(session, request, SubmitOptions::default()).await.unwrap();
    let (mut stream, mut text) = (task.stream(), String::new());
    while let Some(events) = stream.next_batch().await {
        for event in events {
            match event {
                StreamEvent::Token { text: more, .. } => text.push_str(&more),
                StreamEvent::Restart { .. } => panic!("nothing was lost"),
                StreamEvent::End(end) => assert_eq!(end.unwrap().text(), text),
                _ => {}
            }
        }
    }
    (text, begun.elapsed())
}

/// Waits until no slot is lent or borrowed.
async fn all_back(places: [&Place; 2]) {
    let lent = |place: &Place| place.router.fleet().members.iter().any(|member| member.lent + member.borrowed > 0);
    let wait = async {
        while places.iter().any(|place| lent(place)) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_millis(200), wait).await.expect("all loans are over");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_slow_to_begin_is_raced_by_a_miner_of_another_router() {
    let fleet = Fleet::new();
    let hedges = |config: &mut cortensor_router::Config| {
        config.dispatch.hedge_after_p95 = true;
        config.dispatch.hedge_budget = 1.0;
    };
    let owner = fleet.start("owner", hedges).await;
    let host = fleet.start("host", |_| {}).await;
    let (near, far) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    owner.router.add_miner(MinerSpec::new("near", 1).owner("one"), miner("near", "slow", near.clone())).unwrap();
    let sibling = host.router.add_miner(MinerSpec::new("sibling", 1).owner("one"), miner("sibling", "-", far.clone()));
    linked(&owner, 2).await;
    for n in 0..22 {
        assert_eq!(ask(&owner.router, SessionId(0), &format!("quick {n}")).await.0, "near");
    }
    // Its owner's other miner must not race it.
    let (text, took) = ask(&owner.router, SessionId(0), "slow").await;
    assert!(text == "near" && took >= Duration::from_secs(5), "{text} after {took:?}");
    sibling.unwrap().remove();
    host.router.add_miner(MinerSpec::new("far", 1).owner("other"), miner("far", "both", far.clone())).unwrap();
    linked(&owner, 2).await;
    // The race is won there, and the attempt here is stopped.
    let (text, took) = ask(&owner.router, SessionId(0), "slow").await;
    assert!(text == "far" && took < Duration::from_secs(1), "{text} after {took:?}");
    all_back([&owner, &host]).await;
    assert_eq!((near.load(Ordering::SeqCst), far.load(Ordering::SeqCst)), (1, 0));
    // The race is lost there: the slot is the host's again at once.
    let router = owner.router.clone();
    let asked = tokio::spawn(async move { ask(&router, SessionId(0), "slow both").await });
    sleep(Duration::from_secs(2)).await;
    let lent: u64 = host.router.fleet().members.iter().map(|member| member.lent).sum();
    assert_eq!(lent, 1, "the race is on");
    let (text, took) = asked.await.unwrap();
    assert!(text == "near" && took < Duration::from_millis(5_100), "{text} after {took:?}");
    all_back([&owner, &host]).await;
    assert_eq!(far.load(Ordering::SeqCst), 1);
    assert!(ask(&host.router, SessionId(0), "quick").await.1 < Duration::from_millis(200));
    owner.router.close().await;
    host.router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_miner_that_another_router_keeps_for_it_and_nobody_else_has() {
    let fleet = Fleet::new();
    let (owner, host) = (fleet.start("owner", |_| {}).await, fleet.start("host", |_| {}).await);
    let stopped = Arc::new(AtomicUsize::new(0));
    for name in ["first", "second"] {
        host.router.add_miner(MinerSpec::new(name, 1), miner(name, "slow", stopped.clone())).unwrap();
    }
    linked(&owner, 2).await;
    let spec = SessionSpec::default().name("kept").reserve_ephemeral_nodes(true);
    let session = owner.router.create_session(spec).await.unwrap().id;
    // The host hears of the session, keeps a miner for it, and says so.
    let kept = |place: &Place| place.router.miners().iter().find(|miner| miner.reserved_for == Some(session)).cloned();
    let wait = async {
        while kept(&owner).is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.expect("a miner is kept");
    let kept = kept(&owner).unwrap().id;
    assert_eq!(owner.router.session(session).unwrap().reserved_nodes.len(), 1);
    // Others fill the other miner and wait. The session does not.
    let others: Vec<_> = (0..2)
        .map(|n| {
            let router = owner.router.clone();
            tokio::spawn(async move { ask(&router, SessionId(0), &format!("slow {n}")).await })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    let (text, took) = ask(&owner.router, session, "quick").await;
    assert!(text == kept && took < Duration::from_millis(500), "{text} after {took:?}");
    for other in others {
        assert_ne!(other.await.unwrap().0, kept);
    }
    owner.router.close().await;
    host.router.close().await;
}
