//! Requests that pass as they are to upstreams of other routers, over links that break, for clients that leave, and with
//! bodies that no link carries. Each is a whole router, on a simulated network and a clock that stands still while they work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Completion, MinerKind, MinerSpec, RequestKind, SessionId, TaskRequest};
use cortensor_router::{ErrorKind, Result, Router, SubmitOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::loans::{Fleet, Place, linked};

/// Bytes that are no text.
fn sound(len: usize) -> Bytes {
    (0..len).map(|at| (at * 7 % 256) as u8).collect()
}

/// The jobs that an upstream has had.
#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    cancelled: AtomicUsize,
}

/// An upstream that speaks after a pause, in so many bytes.
fn speaker(pause: Duration, len: usize, seen: Arc<Seen>) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| {
        let seen = seen.clone();
        seen.requests.fetch_add(1, Ordering::SeqCst);
        assert_eq!((job.request().kind, job.info().model.as_deref()), (RequestKind::Speech, Some("voice")));
        assert_eq!(job.request().extra("speed").unwrap().get(), "1.50", "it comes as it was sent");
        tokio::spawn(async move {
            job.alive();
            tokio::select! {
                () = job.cancelled() => {
                    seen.cancelled.fetch_add(1, Ordering::SeqCst);
                }
                () = sleep(pause) => {
                    let answer = Answer::default().raw(Some(sound(len))).content_type(Some("audio/mpeg".to_owned()));
                    job.finish(answer);
                }
            }
        });
    }
}

fn upstream(place: &Place, name: &str, pause: u64, len: usize) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    let spec = MinerSpec::new(name, 1).kind(MinerKind::Upstream).models(["voice"]);
    place.router.add_miner(spec, speaker(Duration::from_millis(pause), len, seen.clone())).unwrap();
    seen
}

fn speech(input: &str) -> TaskRequest {
    let body = serde_json::json!({"model": "voice", "input": input}).to_string();
    let body = body.replacen('{', r#"{"speed":1.50,"#, 1);
    serde_json::from_str::<TaskRequest>(&body).unwrap().kind(RequestKind::Speech)
}

async fn ask(router: &Router, request: TaskRequest) -> Result<Completion> {
    router.submit(SessionId(0), request, SubmitOptions::default()).await?.result().await
}

#[track_caller]
fn check(said: Result<Completion>, len: usize) {
    let said = said.unwrap();
    assert_eq!(said.answer.content_type.as_deref(), Some("audio/mpeg"));
    assert!(said.answer.raw.as_deref() == Some(&*sound(len)), "it comes byte for byte");
}

/// Waits until no slot is lent.
async fn all_back(place: &Place) {
    let wait = async {
        while place.router.fleet().members.iter().any(|member| member.lent > 0) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(1), wait).await.expect("all loans are over");
}

#[tokio::test(start_paused = true)]
async fn a_request_passes_to_an_upstream_of_another_router_and_its_bytes_come_back() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |config| config.limits.max_request_bytes = 64 << 20).await;
    let host = fleet.start("host", |_| {}).await;
    let seen = upstream(&host, "speaker", 10, 1 << 20);
    // A miner that is no upstream is not asked.
    host.router.add_miner(MinerSpec::new("chats", 4).models(["voice"]), |_: Job| panic!("it chats")).unwrap();
    linked(&owner, 2).await;
    check(ask(&owner.router, speech("hello")).await, 1 << 20);
    // A body that is larger than the other router reads ends the task, and neither the slot nor the link.
    let refused = ask(&owner.router, speech(&"a".repeat(9 << 20))).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::InvalidArgument, "too_large_for_link"));
    assert!(refused.message().contains("limits.max_request_bytes"), "{refused}");
    all_back(&host).await;
    check(ask(&owner.router, speech(&"a".repeat(3 << 20))).await, 1 << 20);
    // A client that leaves takes the work from the upstream.
    let task = owner.router.submit(SessionId(0), speech("bye"), SubmitOptions::default()).await.unwrap();
    while seen.requests.load(Ordering::SeqCst) < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    drop(task);
    all_back(&host).await;
    assert_eq!(seen.cancelled.load(Ordering::SeqCst), 1);
    owner.router.close().await;
    host.router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_or_a_host_that_dies_costs_no_request_that_passes() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |config| config.miners.grace_ms = 4_000).await;
    let host = fleet.start("host", |config| config.miners.grace_ms = 4_000).await;
    let (len, seen) = (300_000, upstream(&host, "first", 2_000, 300_000));
    linked(&owner, 1).await;
    let asked = |router: &Router| {
        let router = router.clone();
        tokio::spawn(async move { ask(&router, speech("hello")).await })
    };
    // The link is back in time: the work goes on.
    let one = asked(&owner.router);
    sleep(Duration::from_millis(500)).await;
    fleet.mesh.cut(host.number);
    check(one.await.unwrap(), len);
    assert_eq!(seen.requests.load(Ordering::SeqCst), 1);
    // The host dies: another one does it again.
    let one = asked(&owner.router);
    sleep(Duration::from_millis(500)).await;
    let other = fleet.start("other", |_| {}).await;
    let again = upstream(&other, "second", 10, len);
    sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    fleet.mesh.kill(host.number);
    check(one.await.unwrap(), len);
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(again.requests.load(Ordering::SeqCst), 1);
    owner.router.close().await;
    other.router.close().await;
}
