//! Routers of one fleet that lend each other slots, each a whole router with its engine, on a simulated network and a clock
//! that stands still while they work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cortensor_router::internals::store::{MemberStore, SharedMemory, StoreFault};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, OnFailure, SessionId, TaskRequest};
use cortensor_router::{Config, Router, StreamEvent, SubmitOptions};
use tokio::time::sleep;

use crate::mesh::Mesh;

pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// A fleet on one simulated database and network.
pub(crate) struct Fleet {
    pub(crate) database: SharedMemory,
    pub(crate) mesh: Mesh,
}

/// A router of a fleet, and its number in the network.
pub(crate) struct Place {
    pub(crate) router: Router,
    pub(crate) store: Arc<MemberStore>,
    pub(crate) number: u64,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self { database: SharedMemory::new(LEASE), mesh: Mesh::default() }
    }

    pub(crate) async fn start(&self, name: &str, change: impl FnOnce(&mut Config)) -> Place {
        let mut config = Config::default();
        config.name = name.to_owned();
        config.storage.lease_ms = LEASE.as_millis() as u64;
        config.fleet.link_timeout_ms = 3_000;
        config.miners.grace_ms = 2_000;
        change(&mut config);
        let store = Arc::new(self.database.join(name).unwrap());
        let (number, place) = self.mesh.place();
        let router = Router::builder().config(config).store(store.clone()).network(place).open().await.unwrap();
        Place { router, store, number }
    }

    /// Ends the process of a router: it says nothing more.
    pub(crate) fn kill(&self, place: Place) {
        place.store.set_fault(StoreFault::Dead);
        self.mesh.kill(place.number);
        // Its work goes on in vain, as it cannot tell anybody.
        std::mem::forget(place.router);
    }
}

/// A miner that gives the words of the prompt, with that pause before each. `most` is the greatest number of jobs that it
/// ever had at a time.
fn words(pause: Duration, most: Arc<AtomicUsize>) -> impl Fn(Job) + Send + Sync + 'static {
    let now = Arc::new(AtomicUsize::new(0));
    move |job: Job| {
        let (now, most) = (now.clone(), most.clone());
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::spawn(async move {
            for word in job.prompt().split_inclusive(' ') {
                sleep(pause).await;
                job.emit(word.to_owned());
            }
            now.fetch_sub(1, Ordering::SeqCst);
            job.finish(Answer::default());
        });
    }
}

/// Submits a prompt and reads its stream to the end: its text, and the marks of a restart.
async fn ask(router: &Router, prompt: &str) -> (String, usize) {
    let request = TaskRequest::completion(prompt).stream(true).on_failure(OnFailure::Restart);
    let task = router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    let mut stream = task.stream();
    let (mut text, mut restarts) = (String::new(), 0);
    while let Some(events) = stream.next_batch().await {
        for event in events {
            match event {
                StreamEvent::Token { text: more, .. } => text.push_str(&more),
                StreamEvent::Restart { .. } => {
                    text.clear();
                    restarts += 1;
                }
                StreamEvent::End(end) => assert_eq!(end.unwrap().text(), text),
                _ => {}
            }
        }
    }
    (text, restarts)
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_served_by_a_miner_of_another_router() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let host = fleet.start("host", |_| {}).await;
    let most = Arc::new(AtomicUsize::new(0));
    let spec = MinerSpec::new("worker", 2).models(["small"]);
    let miner = host.router.add_miner(spec, words(Duration::from_millis(10), most.clone())).unwrap();
    linked(&owner, 1).await;
    let seen: Vec<String> = owner.router.miners().into_iter().map(|miner| miner.router).collect();
    assert_eq!(seen, ["host"]);
    assert_eq!(owner.router.models()[0].id, "small");
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&owner.router, "one two three").await, ("one two three".to_owned(), 0));
    assert!(before.elapsed() < Duration::from_millis(200), "it took {:?}", before.elapsed());
    let asks = (0..6).map(|n| {
        let router = owner.router.clone();
        tokio::spawn(async move { ask(&router, &format!("the words of {n}")).await.0 })
    });
    for (n, asked) in asks.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(asked.await.unwrap(), format!("the words of {n}"));
    }
    assert_eq!(most.load(Ordering::SeqCst), 2, "its slots bound what it works on");
    let (usage, members) = (owner.router.metrics_text(), owner.router.fleet().members);
    assert!(usage.contains(r#"cortensor_fleet_loans_total{side="borrowed",end="used"} 7"#), "{usage}");
    assert_eq!(members.iter().map(|member| (member.lent, member.borrowed)).max(), Some((0, 0)), "all loans are over");
    miner.remove();
    linked(&owner, 0).await;
    owner.router.close().await;
    host.router.close().await;
}

/// Waits until a router sees so many miners.
pub(crate) async fn linked(place: &Place, miners: usize) {
    let wait = async {
        while place.router.miners().len() != miners {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the miners of the others are seen");
}

/// Submits a long prompt, and breaks all links of a router in the middle of the answer.
async fn ask_and_cut(fleet: &Fleet, place: &Place, cut: u64) -> (String, usize) {
    let router = place.router.clone();
    let asked = tokio::spawn(async move { ask(&router, &long()).await });
    sleep(Duration::from_millis(500)).await;
    fleet.mesh.cut(cut);
    asked.await.unwrap()
}

pub(crate) fn long() -> String {
    (0..400).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_costs_a_stream_nothing_if_it_comes_back_in_time() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |config| config.miners.grace_ms = 20_000).await;
    let host = fleet.start("host", |config| config.miners.grace_ms = 20_000).await;
    let most = Arc::new(AtomicUsize::new(0));
    host.router.add_miner(MinerSpec::new("worker", 1), words(Duration::from_millis(10), most.clone())).unwrap();
    linked(&owner, 1).await;
    assert_eq!(ask_and_cut(&fleet, &owner, host.number).await, (long(), 0));
    // The slot is the host's again.
    assert_eq!(ask(&host.router, "a b").await.0, "a b");
    owner.router.close().await;
    host.router.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_at_a_router_that_dies_is_tried_again_elsewhere() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let dies = fleet.start("dies", |_| {}).await;
    let most = Arc::new(AtomicUsize::new(0));
    dies.router.add_miner(MinerSpec::new("first", 1), words(Duration::from_millis(10), most.clone())).unwrap();
    linked(&owner, 1).await;
    let (router, prompt) = (owner.router.clone(), long());
    let asked = tokio::spawn(async move { ask(&router, &prompt).await });
    sleep(Duration::from_millis(500)).await;
    let lives = fleet.start("lives", |_| {}).await;
    lives.router.add_miner(MinerSpec::new("second", 1), words(Duration::from_millis(10), most.clone())).unwrap();
    sleep(Duration::from_millis(500)).await;
    fleet.mesh.kill(dies.number);
    let (text, restarts) = asked.await.unwrap();
    assert_eq!((text, restarts), (long(), 1));
    owner.router.close().await;
    lives.router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_again_when_the_router_that_used_it_dies_or_its_caller_leaves() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let host = fleet.start("host", |_| {}).await;
    let most = Arc::new(AtomicUsize::new(0));
    host.router.add_miner(MinerSpec::new("worker", 1), words(Duration::from_millis(100), most.clone())).unwrap();
    linked(&owner, 1).await;
    let submit = || async {
        let request = TaskRequest::completion(long()).stream(true);
        let task = owner.router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
        let mut stream = task.stream();
        assert!(stream.next_batch().await.is_some());
        stream
    };
    // The caller leaves: the task is cancelled, and the host hears of it.
    drop(submit().await);
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&host.router, "a b").await.0, "a b");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    let held = submit().await;
    fleet.mesh.kill(owner.number);
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&host.router, "c d").await.0, "c d");
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
    drop(held);
    host.router.close().await;
}

/// A wish for a slot stands as long as its task waits, however long another task has the slot.
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_long_gets_the_slot_once_it_is_free() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let host = fleet.start("host", |_| {}).await;
    let most = Arc::new(AtomicUsize::new(0));
    host.router.add_miner(MinerSpec::new("worker", 1), words(Duration::from_millis(100), most.clone())).unwrap();
    linked(&owner, 1).await;
    let router = host.router.clone();
    let first = tokio::spawn(async move { ask(&router, "a b c d e f g h i j k l m n o p q r s t").await.0 });
    sleep(Duration::from_millis(50)).await;
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&owner.router, "x y").await.0, "x y");
    let took = before.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_millis(2_500), "{took:?}");
    assert!(first.await.is_ok());
    owner.router.close().await;
    host.router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_router_that_lends_nothing_still_borrows() {
    let fleet = Fleet::new();
    let keeps = fleet.start("keeps", |config| config.fleet.lend = false).await;
    let lends = fleet.start("lends", |_| {}).await;
    let most = Arc::new(AtomicUsize::new(0));
    let small = MinerSpec::new("small", 1).models(["small"]);
    keeps.router.add_miner(small, words(Duration::from_millis(10), most.clone())).unwrap();
    let large = MinerSpec::new("large", 1).models(["large"]);
    lends.router.add_miner(large, words(Duration::from_millis(10), most.clone())).unwrap();
    linked(&keeps, 2).await;
    let request = TaskRequest::completion("one two").model("large");
    let task = keeps.router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    assert_eq!(task.result().await.unwrap().text(), "one two");
    assert_eq!(lends.router.miners().len(), 1, "the other router's miner is not shown");
    let request = TaskRequest::completion("one two").model("small");
    let refused = lends.router.submit(SessionId(0), request, SubmitOptions::default()).await;
    let end = match refused {
        Ok(task) => task.result().await.map(|done| done.text().to_owned()),
        Err(error) => Err(error),
    };
    assert!(end.is_err(), "{end:?}");
    keeps.router.close().await;
    lends.router.close().await;
}
