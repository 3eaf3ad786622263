//! The tasks of routers that die, drain or have no miner, and the routers that go on with them. Each is a whole router, on a
//! simulated network and a clock that stands still while they work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, OnFailure, Outcome, SessionId, TaskId, TaskRequest};
use cortensor_router::{ErrorKind, Router, StreamEvent, SubmitOptions, TokenStream};
use tokio::time::{Instant, sleep, timeout};

use crate::loans::{Fleet, LEASE, Place, linked, long};
use crate::random::Random;
use crate::setting;

/// A miner that gives the words of the prompt, with that pause before each, and counts its jobs.
fn words(pause: Duration, jobs: Arc<AtomicUsize>) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| {
        jobs.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            for word in job.prompt().split_inclusive(' ') {
                sleep(pause).await;
                job.emit(word.to_owned());
            }
            job.finish(Answer::default());
        });
    }
}

/// The text and the marks of a stream, as a client gets them.
#[derive(Debug, Default, PartialEq)]
struct Read {
    text: String,
    pieces: usize,
    restarts: usize,
    end: Option<Result<String, String>>,
}

impl Read {
    fn take(&mut self, events: Vec<StreamEvent>) {
        for event in events {
            match event {
                StreamEvent::Token { text, .. } => {
                    self.text.push_str(&text);
                    self.pieces += 1;
                }
                StreamEvent::Restart { .. } => {
                    self.text.clear();
                    self.restarts += 1;
                }
                StreamEvent::End(end) => {
                    self.end = Some(end.map(|done| done.text().to_owned()).map_err(|error| error.code().to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Reads to the end of the stream, or until there are so many pieces.
    async fn read(&mut self, stream: &mut TokenStream, most: usize) {
        while self.pieces < most {
            let Ok(Some(events)) = timeout(Duration::from_mins(3), stream.next_batch()).await else { return };
            self.take(events);
        }
    }
}

/// Submits a long prompt that goes on without its caller. Gives its ids.
async fn submit(router: &Router, change: impl FnOnce(TaskRequest) -> TaskRequest) -> (SessionId, TaskId) {
    let request = change(TaskRequest::completion(long()).stream(true));
    let task = router.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
    task.accepted().await.unwrap();
    (task.session_id(), task.task_id())
}

async fn stream(place: &Place, (session, id): (SessionId, TaskId), after: u64) -> TokenStream {
    place.router.attach(session, id).await.unwrap().stream_after(after)
}

/// A router without miners, one whose miner it borrows, and one whose clients read. The counter is that of the miner's jobs.
async fn three(fleet: &Fleet) -> (Place, Place, Place, Arc<AtomicUsize>) {
    let owner = fleet.start("owner", |_| {}).await;
    let host = fleet.start("host", |_| {}).await;
    let reader = fleet.start("reader", |_| {}).await;
    let jobs = Arc::new(AtomicUsize::new(0));
    host.router.add_miner(MinerSpec::new("worker", 2), words(Duration::from_millis(10), jobs.clone())).unwrap();
    linked(&owner, 1).await;
    linked(&reader, 1).await;
    (owner, host, reader, jobs)
}

/// Wherever the owner of a task dies, the router of its miner goes on: no piece is missing and none comes twice, at whichever
/// router a client reads (I18), and the miner is asked once.
#[test]
fn a_task_whose_owner_dies_goes_on_at_its_miner() {
    let first = setting("HEIRS_SEED").unwrap_or(0);
    let seeds = setting("HEIRS_SEEDS").unwrap_or(if setting::<u64>("HEIRS_SEED").is_some() { 1 } else { 16 });
    let mut inherited = 0;
    for seed in first..first + seeds {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        inherited += runtime.block_on(async {
            let mut random = Random::new(seed);
            let fleet = Fleet::new();
            let (owner, host, reader, jobs) = three(&fleet).await;
            let ids = submit(&owner.router, |request| request).await;
            let mut elsewhere = stream(&reader, ids, 0).await;
            let mut at_owner = stream(&owner, ids, 0).await;
            // A client reads a part at the owner, which dies somewhere in the answer.
            let dies_at = Instant::now() + Duration::from_millis(random.range(50, 3_900));
            let mut left = Read::default();
            let _ = tokio::time::timeout_at(dies_at, left.read(&mut at_owner, random.range(1, 350) as usize)).await;
            let seq = at_owner.last_seq();
            tokio::time::sleep_until(dies_at).await;
            std::mem::forget(at_owner);
            fleet.kill(owner);
            let at = if random.chance(50) { &host } else { &reader };
            let mut again = stream(at, ids, seq).await;
            left.read(&mut again, usize::MAX).await;
            let mut whole = Read::default();
            whole.read(&mut elsewhere, usize::MAX).await;
            for (who, read) in [("resumed", &left), ("elsewhere", &whole)] {
                assert_eq!(read.end, Some(Ok(long())), "{who} of seed {seed}");
                assert_eq!((read.restarts, read.text == long()), (0, true), "{who} of seed {seed}");
            }
            assert_eq!(jobs.load(Ordering::SeqCst), 1, "seed {seed}: the miner is asked once");
            let stored = fleet.database.task(ids.0, ids.1).unwrap();
            assert_eq!((stored.outcome, stored.text == long().as_str()), (Some(Outcome::Ok), true), "seed {seed}");
            // Its slots are all free again.
            sleep(LEASE * 2).await;
            let miner = host.router.miners().into_iter().find(|miner| miner.miner_id == "worker").unwrap();
            assert_eq!((miner.in_flight, miner.failed), (0, 0), "seed {seed}");
            let figures = host.router.metrics_text();
            host.router.close().await;
            reader.router.close().await;
            u64::from(figures.contains("cortensor_fleet_tasks_inherited_total 1"))
        });
    }
    println!("heirs: {inherited} of {seeds} tasks were inherited");
    assert!(seeds < 16 || inherited >= 8, "only {inherited} of {seeds} tasks went on at their miners");
}

/// An heir whose miner fails tries the task again, and readers get a mark.
#[tokio::test(start_paused = true)]
async fn an_heir_tries_again_like_any_owner() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let host = fleet.start("host", |_| {}).await;
    let jobs = Arc::new(AtomicUsize::new(0));
    let works = {
        let jobs = jobs.clone();
        move |job: Job| {
            let is_first = jobs.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::spawn(async move {
                for (n, word) in job.prompt().split_inclusive(' ').enumerate() {
                    sleep(Duration::from_millis(20)).await;
                    if is_first && n == 300 {
                        return;
                    }
                    job.emit(word.to_owned());
                }
                job.finish(Answer::default());
            });
        }
    };
    host.router.add_miner(MinerSpec::new("worker", 1), works).unwrap();
    linked(&owner, 1).await;
    let ids = submit(&owner.router, |request| request.on_failure(OnFailure::Restart)).await;
    let mut read = Read::default();
    let mut tokens = stream(&owner, ids, 0).await;
    read.read(&mut tokens, 20).await;
    let seq = tokens.last_seq();
    std::mem::forget(tokens);
    fleet.kill(owner);
    let mut again = stream(&host, ids, seq).await;
    read.read(&mut again, usize::MAX).await;
    assert_eq!((read.end, read.restarts, read.text == long()), (Some(Ok(long())), 1, true));
    assert_eq!(jobs.load(Ordering::SeqCst), 2);
    host.router.close().await;
}

/// A task that several miners answer, or that another miner may continue, is not inherited: it runs again.
#[tokio::test(start_paused = true)]
async fn a_task_of_which_others_may_have_a_part_runs_again() {
    let fleet = Fleet::new();
    let (owner, host, reader, jobs) = three(&fleet).await;
    let ids = submit(&owner.router, |request| request.on_failure(OnFailure::Continue)).await;
    sleep(Duration::from_millis(300)).await;
    fleet.kill(owner);
    let mut read = Read::default();
    read.read(&mut stream(&reader, ids, 0).await, usize::MAX).await;
    assert_eq!(read.end, Some(Ok(long())));
    assert_eq!(jobs.load(Ordering::SeqCst), 2);
    assert!(host.router.metrics_text().contains("cortensor_fleet_tasks_inherited_total 0"));
    host.router.close().await;
    reader.router.close().await;
}

/// While its owner lives and only the link is cut, a task is tried again elsewhere, and its numbers are no longer those of the
/// attempt that goes on unseen.
#[tokio::test(start_paused = true)]
async fn two_attempts_of_which_one_is_not_seen_share_no_number() {
    let fleet = Fleet::new();
    let (owner, host, reader, _) = three(&fleet).await;
    let ids = submit(&owner.router, |request| request.on_failure(OnFailure::Restart)).await;
    let mut tokens = stream(&owner, ids, 0).await;
    let mut read = Read::default();
    read.read(&mut tokens, 20).await;
    let before = tokens.last_seq();
    // The host is out of reach for longer than its attempts are waited for, and the owner gets a miner of its own.
    fleet.mesh.hold(host.number, true);
    let jobs = Arc::new(AtomicUsize::new(0));
    owner.router.add_miner(MinerSpec::new("own", 1), words(Duration::from_millis(10), jobs.clone())).unwrap();
    while read.restarts == 0 {
        read.take(tokens.next_batch().await.unwrap());
    }
    read.read(&mut tokens, read.pieces + 5).await;
    let after = tokens.last_seq();
    assert!(after > before + (1 << 23), "{before} and {after}");
    // The owner dies, and the host has an attempt of which nobody knows: whoever resumes begins anew.
    std::mem::forget(tokens);
    fleet.mesh.hold(host.number, false);
    fleet.kill(owner);
    let mut again = stream(&reader, ids, after).await;
    read.read(&mut again, usize::MAX).await;
    assert_eq!((read.end, read.text == long()), (Some(Ok(long())), true));
    assert!(read.restarts >= 2);
    host.router.close().await;
    reader.router.close().await;
}

/// A detached task that no miner within reach serves goes to a router that serves it after two seconds; without such a router
/// it waits, and nobody uses up numbers for it.
#[tokio::test(start_paused = true)]
async fn a_task_without_a_miner_is_handed_over_after_two_seconds() {
    let fleet = Fleet::new();
    let unlinked = |config: &mut cortensor_router::Config| config.fleet.links = false;
    let bare = fleet.start("bare", unlinked).await;
    let jobs = Arc::new(AtomicUsize::new(0));
    bare.router
        .add_miner(MinerSpec::new("small", 1).models(["small"]), words(Duration::from_millis(1), jobs.clone()))
        .unwrap();
    let large = |request: TaskRequest| request.model("large");
    let waits = async || {
        let request = large(TaskRequest::completion("one two"));
        let task = bare.router.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await;
        task.map(|task| (task.session_id(), task.task_id(), task.gid()))
    };
    // Alone, it keeps what it cannot do.
    let miner = bare
        .router
        .add_miner(MinerSpec::new("large", 1).models(["large"]), words(Duration::from_secs(3), jobs.clone()))
        .unwrap();
    let (_, _, first) = waits().await.unwrap();
    let (session, id, second) = waits().await.unwrap();
    miner.remove();
    sleep(Duration::from_secs(20)).await;
    let own = bare.store.epoch();
    assert_eq!(fleet.database.open(), [(first, own), (second, own)]);
    let other = fleet.start("other", unlinked).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fleet.database.open().len(), 2);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.database.open(), [(first, 0), (second, 0)], "nobody serves them");
    let epoch = other.store.epoch();
    assert!(fleet.database.join("probe").unwrap().epoch() <= epoch + 1, "numbers are used up");
    let from = Instant::now();
    other
        .router
        .add_miner(MinerSpec::new("large", 4).models(["large"]), words(Duration::from_millis(10), jobs.clone()))
        .unwrap();
    let mut read = Read::default();
    read.read(&mut stream(&bare, (session, id), 0).await, usize::MAX).await;
    assert_eq!(read.end, Some(Ok("one two".to_owned())));
    assert!(from.elapsed() < Duration::from_secs(4), "{:?}", from.elapsed());
    bare.router.close().await;
    other.router.close().await;
}

/// A router that drains lends no further slots, and those in use work to their end.
#[tokio::test(start_paused = true)]
async fn a_host_that_drains_finishes_what_it_has_lent() {
    let fleet = Fleet::new();
    let (owner, host, reader, jobs) = three(&fleet).await;
    let ids = submit(&owner.router, |request| request).await;
    let mut read = Read::default();
    let mut tokens = stream(&owner, ids, 0).await;
    read.read(&mut tokens, 20).await;
    let draining = {
        let router = host.router.clone();
        tokio::spawn(async move { router.drain(Duration::from_secs(30)).await })
    };
    sleep(Duration::from_millis(1_500)).await;
    let request = TaskRequest::completion("one two");
    let refused = owner.router.submit(SessionId(0), request, SubmitOptions::default()).await;
    let refused = match refused {
        Ok(task) => task.result().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(refused.is_err_and(|error| error.kind() == ErrorKind::Unavailable), "no slot is lent any more");
    read.read(&mut tokens, usize::MAX).await;
    assert_eq!((read.end, read.restarts, jobs.load(Ordering::SeqCst)), (Some(Ok(long())), 0, 1));
    assert!(draining.await.unwrap(), "it is done before its time is up");
    host.router.close().await;
    owner.router.close().await;
    reader.router.close().await;
}

/// A caller that waits for a stream at a router that drains is told where it goes on, also if it has not detached it.
#[tokio::test(start_paused = true)]
async fn a_caller_of_a_router_that_drains_resumes_elsewhere() {
    let fleet = Fleet::new();
    let leaves = fleet.start("leaves", |_| {}).await;
    let stays = fleet.start("stays", |config| config.fleet.lend = false).await;
    let jobs = Arc::new(AtomicUsize::new(0));
    for place in [&leaves, &stays] {
        place.router.add_miner(MinerSpec::new("worker", 2), words(Duration::from_millis(50), jobs.clone())).unwrap();
    }
    let request = TaskRequest::completion(long()).stream(true);
    let task = leaves.router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    task.accepted().await.unwrap();
    let ids = (task.session_id(), task.task_id());
    let (mut tokens, mut read) = (task.stream(), Read::default());
    read.read(&mut tokens, 20).await;
    let seq = tokens.last_seq();
    assert!(!leaves.router.drain(Duration::from_millis(100)).await);
    leaves.router.close().await;
    read.read(&mut tokens, usize::MAX).await;
    assert_eq!(read.end.take(), Some(Err("task_moved".to_owned())));
    drop((tokens, task));
    read.read(&mut stream(&stays, ids, seq).await, usize::MAX).await;
    assert_eq!((read.end, read.restarts, read.text == long()), (Some(Ok(long())), 1, true));
    stays.router.close().await;
}

/// A stream without marks gets the rest of its text from the row, if the link is down when the task ends.
#[tokio::test(start_paused = true)]
async fn a_stream_without_marks_ends_well_although_its_link_is_down() {
    let fleet = Fleet::new();
    let owner = fleet.start("owner", |_| {}).await;
    let reader = fleet.start("reader", |_| {}).await;
    let jobs = Arc::new(AtomicUsize::new(0));
    owner.router.add_miner(MinerSpec::new("worker", 1), words(Duration::from_millis(20), jobs)).unwrap();
    linked(&reader, 1).await;
    let ids = submit(&owner.router, |request| request).await;
    let (mut tokens, mut read) = (stream(&reader, ids, 0).await, Read::default());
    read.read(&mut tokens, 20).await;
    fleet.mesh.hold(owner.number, true);
    read.read(&mut tokens, usize::MAX).await;
    assert_eq!((read.end, read.restarts, read.text == long()), (Some(Ok(long())), 0, true));
    owner.router.close().await;
    reader.router.close().await;
}

/// A router that lost its row in a failover joins again under a number that no router has had, also if the row of that one
/// is lost, too.
#[tokio::test(start_paused = true)]
async fn a_number_is_given_once_although_rows_are_lost() {
    let fleet = Fleet::new();
    let first = fleet.start("first", |_| {}).await;
    let second = fleet.start("second", |_| {}).await;
    let third = fleet.start("third", |_| {}).await;
    sleep(LEASE * 3).await;
    let before = third.store.epoch();
    assert!(fleet.database.forget_router("second") && fleet.database.forget_router("third"));
    sleep(LEASE).await;
    let after = [&first, &second, &third].map(|place| place.store.epoch());
    assert!(after[1] > before && after[2] > before && after[1] != after[2], "{before}, then {after:?}");
    for place in [first, second, third] {
        place.router.close().await;
    }
}
