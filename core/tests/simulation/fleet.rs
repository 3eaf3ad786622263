//! Several whole routers, with their engines, over one model of a shared database, on a clock that stands still while they
//! work: the database is away, its answers are lost, routers are killed, cut off, drained and started again, and clients
//! submit, read and cancel at any of them. Afterwards every acknowledged task has ended once, everybody was told the same
//! end, and every webhook was tried as often as it should be.
//!
//! `FLEET_SEEDS` is the number of worlds and `FLEET_SEED` the first of them. The faults of a world repeat from its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cortensor_router::config::{ListenConfig, TokenConfig};
use cortensor_router::internals::store::{MemberStore, MinerRecord, SharedMemory, Store as _, StoreFault};
use cortensor_router::listener::{Body, Handler};
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{
    Answer, Gid, MinerSpec, Outcome, Retention, SessionId, SessionSpec, Task, TaskId, TaskRequest, Webhook,
    WebhookState,
};
use cortensor_router::{Config, ErrorKind, Router, StreamEvent, Submission, SubmitOptions};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::mesh::Mesh;
use crate::random::Random;
use crate::setting;

/// The lease of each router.
const LEASE: Duration = Duration::from_secs(2);
/// The time within which faults come.
const FAULTS: Duration = Duration::from_secs(40);
/// The time after them within which everything must have ended.
const REST: Duration = Duration::from_secs(150);

/// The tries of a webhook. It leads to this machine, where no webhook may lead, so that none arrives.
const TRIES: u32 = 2;

/// The answers that clients were given.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<(SessionId, TaskId), (Gid, String)>,
    gids: BTreeSet<Gid>,
    /// The acknowledged tasks with a webhook.
    hooked: BTreeSet<Gid>,
    /// The ends as callers got them: the text, or the error's code.
    ends: Vec<(SessionId, TaskId, Result<String, String>)>,
    cancelled: Vec<(SessionId, TaskId)>,
    /// Sessions that were made.
    sessions: Vec<SessionId>,
    broken: Option<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Told {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn breaks(&mut self, words: String) {
        self.broken.get_or_insert(words);
    }
}

type Shared = Arc<Mutex<Told>>;

/// A router of the world, and its place in the database.
struct Place {
    name: String,
    router: Router,
    store: Arc<MemberStore>,
    /// Its number in the network.
    number: u64,
    /// The time since which nothing hinders it.
    well_since: Instant,
    /// Its epoch, once it was well for a while.
    steady: Option<u64>,
}

struct World {
    random: Random,
    database: SharedMemory,
    /// The network between the routers; `None`: they know each other by the database alone.
    mesh: Option<Mesh>,
    places: Vec<Option<Place>>,
    told: Shared,
    loses: bool,
}

/// The answer that a right miner gives.
fn answer_to(prompt: &str) -> String {
    format!("the answer to {prompt}")
}

/// A miner that takes a while, and sometimes fails.
fn miner(seed: u64) -> impl Fn(Job) + Send + Sync + 'static {
    let random = Mutex::new(Random::new(seed));
    move |job: Job| {
        let (pause, fails, run) = {
            let mut random = random.lock();
            (Duration::from_millis(random.range(5, 3_000)), random.chance(5), random.number())
        };
        tokio::spawn(async move {
            // Two runs of a task give different answers, so that it is seen whose was told and whose is stored.
            let text = format!("{} in run {run}", answer_to(&job.prompt()));
            let mut words = text.split_inclusive(' ');
            let count = words.clone().count() as u32;
            for word in words.by_ref().take(count as usize - 1) {
                sleep(pause / count).await;
                job.emit(word.to_owned());
            }
            sleep(pause / count).await;
            if fails {
                return job.fail(Failure::new(FailClass::Internal, "it broke"));
            }
            job.emit(words.collect::<String>());
            job.finish(Answer::default());
        });
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = random.range(2, 4) as usize;
        Self {
            database: SharedMemory::new(LEASE),
            mesh: random.chance(75).then(Mesh::default),
            places: (0..count).map(|_| None).collect(),
            told: Shared::default(),
            // Where tasks are lost, no router dies with them.
            loses: random.chance(20),
            random,
        }
    }

    /// Starts the router of a place, as soon as its name is free.
    async fn start(&mut self, at: usize) {
        let name = format!("router {at}");
        let store = loop {
            match self.database.join(&name) {
                Ok(store) => break Arc::new(store),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        let mut config = Config::default();
        config.storage.lease_ms = LEASE.as_millis() as u64;
        config.limits.default_timeout_secs = 600;
        config.limits.max_timeout_secs = 600;
        (config.webhooks.max_tries, config.webhooks.retry_base_ms) = (TRIES, 3_000);
        let spec = MinerSpec::new("worker", 4);
        config.fleet.link_timeout_ms = 3_000;
        let mut builder =
            Router::builder().config(config).store(store.clone()).miner(spec, miner(self.random.number()));
        let mut number = 0;
        if let Some(mesh) = &self.mesh {
            let (of, place) = mesh.place();
            (number, builder) = (of, builder.network(place));
        }
        match builder.open().await {
            Ok(router) => {
                let place = Place { name, router, store, number, well_since: Instant::now(), steady: None };
                self.places[at] = Some(place);
            }
            // The database is away; the next fault may start it.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }

    fn any(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.places.len()).filter(|at| self.places[*at].is_some()).collect();
        (!up.is_empty()).then(|| up[self.random.below(up.len() as u64) as usize])
    }

    /// Ends the process of a router: it says nothing more.
    fn kill(&mut self, at: usize) {
        if let Some(place) = self.places[at].take() {
            place.store.set_fault(StoreFault::Dead);
            if let Some(mesh) = &self.mesh {
                mesh.kill(place.number);
            }
            self.told.lock().count("kills");
            // Its work goes on in vain, as it cannot tell anybody.
            std::mem::forget(place.router);
        }
    }

    /// A client's next step.
    fn client(&mut self, number: u64) {
        let Some(at) = self.any() else { return };
        let (told, prompt) = (self.told.clone(), format!("question {number}"));
        let Some(router) = self.places[at].as_ref().map(|place| place.router.clone()) else { return };
        let readers = [self.any(), self.any()].map(|at| at.filter(|at| self.places[*at].is_some()));
        let is_elsewhere = readers[0] != Some(at);
        let [reader, second] =
            readers.map(|at| at.and_then(|at| self.places[at].as_ref()).map(|place| place.router.clone()));
        let (sessions, kind) = (self.told.lock().sessions.clone(), self.random.below(100));
        let session = match sessions.as_slice() {
            [] => SessionId(0),
            known => known[self.random.below(known.len() as u64) as usize],
        };
        let later = Duration::from_millis(self.random.below(4_000));
        let (streams, is_hooked) = (self.random.chance(50), self.random.chance(30));
        let leaves_after = self.random.chance(40).then(|| self.random.range(1, 3) as usize);
        tokio::spawn(async move {
            if kind < 6 {
                if let Ok(made) = router.create_session(SessionSpec::default().name("made")).await {
                    let mut told = told.lock();
                    if told.sessions.contains(&made.id) {
                        told.breaks(format!("session {} was made twice", made.id));
                    }
                    told.sessions.push(made.id);
                }
                return;
            }
            let request = TaskRequest::completion(&prompt).stream(streams);
            let request = request.on_failure(cortensor_router::model::OnFailure::Restart);
            let webhook =
                Webhook::default().url("https://localhost/ended").secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
            let request = if is_hooked { request.webhook(webhook) } else { request };
            let options = SubmitOptions::default().detach(true);
            // Whoever makes a call of a router that is killed meanwhile hears nothing.
            let Ok(Ok(task)) = timeout(Duration::from_secs(30), router.submit(session, request, options)).await else {
                return;
            };
            let Ok(Ok(())) = timeout(Duration::from_secs(30), task.accepted()).await else { return };
            acknowledge(&told, &task, &prompt);
            if is_hooked {
                told.lock().count("webhooks");
                told.lock().hooked.insert(task.gid());
            }
            let (session, id) = (task.session_id(), task.task_id());
            drop(task);
            sleep(later).await;
            let (Some(reader), Some(second)) = (reader, second) else { return };
            if kind < 20 {
                let done = timeout(Duration::from_mins(1), reader.cancel(session, id)).await;
                if let Ok(Ok(task)) = done {
                    let mut told = told.lock();
                    told.count("cancelled");
                    told.cancelled.push((task.session_id, task.id));
                }
            } else if kind < 70 {
                let pieces = read(&told, [&reader, &second], leaves_after, (session, id)).await;
                if is_elsewhere && pieces > 1 {
                    told.lock().count("read elsewhere in pieces");
                }
            }
        });
    }

    /// A fault.
    async fn fault(&mut self) {
        let at = self.random.below(self.places.len() as u64) as usize;
        let kind = self.random.below(100);
        let lasts = Duration::from_millis(self.random.range(100, 8_000));
        match kind {
            0..25 if !self.loses => {
                self.kill(at);
                if self.random.chance(70) {
                    sleep(lasts / 8).await;
                    self.start(at).await;
                }
            }
            25..45 => self.hinder(at, StoreFault::Away, lasts),
            45..60 => self.hinder(at, StoreFault::Answers, lasts / 4),
            60..75 => {
                self.database.set_away(true);
                self.places.iter_mut().flatten().for_each(|place| place.hindered(Duration::ZERO));
                self.told.lock().count("outages");
                sleep(lasts).await;
                self.database.set_away(false);
                self.places.iter_mut().flatten().for_each(|place| place.hindered(Duration::ZERO));
            }
            75..85 if !self.loses => {
                if let Some(place) = self.places[at].take() {
                    self.told.lock().count("restarts");
                    place.router.drain(lasts / 8).await;
                    place.router.close().await;
                    self.start(at).await;
                }
            }
            _ if self.loses && self.random.chance(50) => self.lose_end(),
            _ if self.loses => {
                let open = self.database.open();
                if let Some((gid, _)) = open.get(self.random.below(open.len().max(1) as u64) as usize)
                    && self.database.lose(*gid)
                {
                    self.told.lock().count("lost rows");
                }
            }
            _ => {
                let (Some(mesh), Some(place)) = (&self.mesh, &self.places[at]) else { return };
                let number = place.number;
                if self.random.chance(50) {
                    self.told.lock().count("link cuts");
                    mesh.cut(number);
                } else {
                    self.told.lock().count("links held");
                    mesh.hold(number, true);
                    let mesh = mesh.clone();
                    tokio::spawn(async move {
                        sleep(lasts).await;
                        mesh.hold(number, false);
                    });
                }
            }
        }
        if self.places[at].is_none() && self.random.chance(40) {
            self.start(at).await;
        }
    }

    /// Loses an end that was given a short while ago, and to whom the task belonged. While a router is hindered that may hold
    /// the end, another one may end the task again.
    fn lose_end(&mut self) {
        if self.places.iter().flatten().any(|place| place.well_since > Instant::now()) {
            return;
        }
        let acknowledged: Vec<Gid> =
            self.told.lock().acknowledged.values().rev().take(8).map(|(gid, _)| *gid).collect();
        let mut owners: Vec<u64> = self.places.iter().flatten().map(|place| place.store.epoch()).collect();
        owners.extend([0, 1 << 18]);
        for gid in acknowledged {
            let owner = owners[self.random.below(owners.len() as u64) as usize];
            if self.database.reopen(gid, owner) {
                self.told.lock().count("lost ends");
            }
        }
    }

    fn hinder(&mut self, at: usize, fault: StoreFault, lasts: Duration) {
        let Some(place) = &mut self.places[at] else { return };
        self.told.lock().count(if fault == StoreFault::Away { "cuts" } else { "lost answers" });
        place.store.set_fault(fault);
        place.hindered(lasts);
        let store = place.store.clone();
        tokio::spawn(async move {
            sleep(lasts).await;
            store.set_fault(StoreFault::None);
        });
    }

    /// Nobody declares a router gone that nothing hinders (I16).
    fn look(&mut self) {
        for place in self.places.iter_mut().flatten() {
            if place.well_since + LEASE * 2 > Instant::now() {
                continue;
            }
            let epoch = place.store.epoch();
            let steady = *place.steady.get_or_insert(epoch);
            if steady != epoch {
                let words = format!("{} was declared gone although nothing hindered it", place.name);
                self.told.lock().breaks(words);
            }
        }
    }

    async fn run(mut self) -> Told {
        for at in 0..self.places.len() {
            self.start(at).await;
        }
        let until = Instant::now() + FAULTS;
        let mut number = 0;
        while Instant::now() < until {
            for _ in 0..self.random.below(4) {
                number += 1;
                self.client(number);
            }
            sleep(Duration::from_millis(self.random.range(20, 600))).await;
            self.look();
            if self.random.chance(12) {
                self.fault().await;
            }
        }
        self.database.set_away(false);
        for at in 0..self.places.len() {
            match &mut self.places[at] {
                Some(place) => {
                    place.store.set_fault(StoreFault::None);
                    place.hindered(Duration::ZERO);
                }
                None => self.start(at).await,
            }
        }
        let until = Instant::now() + REST;
        let database = self.database.clone();
        let is_busy = || !database.open().is_empty() || !database.unsent().is_empty();
        while is_busy() && Instant::now() < until {
            sleep(Duration::from_millis(500)).await;
            self.look();
        }
        // The readers hear of the last ends.
        sleep(Duration::from_secs(5)).await;
        self.judge();
        for place in self.places.iter_mut().filter_map(Option::take) {
            place.router.close().await;
        }
        std::mem::take(&mut *self.told.lock())
    }

    fn judge(&self) {
        let mut told = self.told.lock();
        let open = self.database.open();
        if !open.is_empty() {
            return told.breaks(format!("these tasks have not ended (number, owner): {open:?}"));
        }
        let unsent = self.database.unsent();
        if !unsent.is_empty() {
            return told.breaks(format!("these webhooks are not done (number, sender): {unsent:?}"));
        }
        for gid in told.hooked.clone() {
            let found = self.database.delivery(gid);
            let is_right = found.as_ref().is_some_and(|it| it.state == WebhookState::Failed && it.attempts == TRIES);
            if !is_right {
                told.breaks(format!("the webhook of {gid} ended as {found:?}"));
            }
        }
        let stored = |(session, id)| self.database.task(session, id);
        let mut wrong = Vec::new();
        for (ids, (gid, prompt)) in &told.acknowledged {
            match stored(*ids) {
                None => wrong.push(format!("task {ids:?} was acknowledged and is gone")),
                Some(task) if task.gid != *gid => wrong.push(format!("{ids:?} are the ids of {gid} and {}", task.gid)),
                Some(task) => wrong.extend(unsound(&task, prompt)),
            }
        }
        for (session, id, end) in &told.ends {
            let is_so = stored((*session, *id)).is_some_and(|task| match end {
                Ok(text) => task.outcome == Some(Outcome::Ok) && task.text == text.as_str(),
                Err(_) => task.outcome != Some(Outcome::Ok),
            });
            if !is_so {
                wrong.push(format!("the end of {session}/{id} that was told is not the one that is stored: {end:?}"));
            }
        }
        for ids in &told.cancelled {
            if stored(*ids).is_none_or(|task| task.outcome != Some(Outcome::Cancelled)) {
                wrong.push(format!("{ids:?} was said to be cancelled"));
            }
        }
        if let Some(first) = wrong.into_iter().next() {
            told.breaks(first);
        }
    }
}

impl Place {
    /// Notes that something hinders it for that long. A hindrance that is there already may last longer.
    fn hindered(&mut self, lasts: Duration) {
        (self.well_since, self.steady) = (self.well_since.max(Instant::now() + lasts), None);
    }
}

/// The fault in the end of a task.
fn unsound(task: &Task, prompt: &str) -> Option<String> {
    let is_sound = match task.outcome {
        Some(Outcome::Ok) => task.text.starts_with(&format!("{} in run ", answer_to(prompt))),
        Some(Outcome::Cancelled) => true,
        // Its routers died too often, or its miners broke.
        Some(Outcome::Failed) => task.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::MinerFailed),
        _ => false,
    };
    (!is_sound).then(|| format!("task {}/{} ended as {:?}: {:?}", task.session_id, task.id, task.outcome, task.error))
}

fn acknowledge(told: &Shared, task: &Submission, prompt: &str) {
    let mut told = told.lock();
    let (ids, gid) = ((task.session_id(), task.task_id()), task.gid());
    told.count("acknowledged");
    if gid.0 >= 1 << 53 || !told.gids.insert(gid) {
        told.breaks(format!("the number {gid} was given out twice, or is too great for JavaScript"));
    }
    if let Some((other, _)) = told.acknowledged.insert(ids, (gid, prompt.to_owned())) {
        told.breaks(format!("the ids {ids:?} were given to {other} and {gid}"));
    }
}

/// Reads a task at any router to its end, as a stream and as a whole. A client that leaves goes on at the second router, behind
/// the last piece. Gives the number of pieces.
async fn read(
    told: &Shared,
    routers: [&Router; 2],
    leaves_after: Option<usize>,
    (session, id): (SessionId, TaskId),
) -> usize {
    // A router that is hindered says so, and one that is killed says nothing.
    let attached = |router: Router| async move {
        timeout(Duration::from_secs(30), router.attach(session, id)).await.ok().and_then(Result::ok)
    };
    let Some(mut task) = attached(routers[0].clone()).await else { return 0 };
    let mut tokens = task.stream();
    let (mut text, mut pieces, mut leaves_after) = (String::new(), 0, leaves_after);
    let end = loop {
        if leaves_after.is_some_and(|count| pieces >= count) {
            leaves_after = None;
            let seq = tokens.last_seq();
            drop(tokens);
            let Some(again) = attached(routers[1].clone()).await else { return pieces };
            tokens = again.stream_after(seq);
            task = again;
            told.lock().count("resumed");
        }
        match timeout(Duration::from_secs(200), tokens.next_batch()).await {
            Ok(Some(events)) => {
                let mut end = None;
                for event in events {
                    match event {
                        StreamEvent::Token { text: more, .. } => {
                            text.push_str(&more);
                            pieces += 1;
                        }
                        StreamEvent::Restart { .. } => text.clear(),
                        StreamEvent::End(found) => end = Some(found),
                        _ => {}
                    }
                }
                if let Some(end) = end {
                    break end;
                }
            }
            Ok(None) | Err(_) => return pieces,
        }
    };
    drop(task);
    let mut told = told.lock();
    match end {
        Ok(done) => {
            told.count("read");
            if done.text() != text {
                told.breaks(format!("the stream of {session}/{id} gave {text:?} and ended as {:?}", done.text()));
            }
            told.ends.push((session, id, Ok(text)));
        }
        // The router itself could not tell.
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Closed) => {}
        // The miner's end of an attempt after which the task began again elsewhere.
        Err(error) if error.kind() == ErrorKind::Cancelled || error.kind() == ErrorKind::MinerFailed => {
            told.ends.push((session, id, Err(error.code().to_owned())));
        }
        Err(error) => told.breaks(format!("{session}/{id} ended with {error}")),
    }
    pieces
}

#[test]
fn no_fleet_loses_a_task_or_ends_one_twice() {
    let first = setting("FLEET_SEED").unwrap_or(0);
    let seeds = setting("FLEET_SEEDS").unwrap_or(if setting::<u64>("FLEET_SEED").is_some() { 1 } else { 12 });
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let total = Mutex::new(BTreeMap::<&str, u64>::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let total = &total;
            scope.spawn(move || {
                for seed in (first + thread..first + seeds).step_by(threads as usize) {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
                    let told = runtime.block_on(World::new(seed).run());
                    if let Some(broken) = told.broken {
                        panic!("fleet world {seed}: {broken} ({:?})", told.counts);
                    }
                    let mut total = total.lock();
                    told.counts.into_iter().for_each(|(what, count)| *total.entry(what).or_default() += count);
                }
            });
        }
    });
    let total = total.into_inner();
    println!("fleet: {seeds} worlds from seed {first} on: {total:?}");
    // A world in which a fault never happens says nothing about that fault.
    for what in [
        "acknowledged",
        "webhooks",
        "read",
        "read elsewhere in pieces",
        "resumed",
        "cancelled",
        "kills",
        "cuts",
        "lost answers",
        "outages",
        "restarts",
        "lost rows",
        "lost ends",
        "link cuts",
        "links held",
    ] {
        assert!(seeds < 12 || total.contains_key(what), "{what} never happened in {seeds} worlds: {total:?}");
    }
}

/// Two linked routers, whose miners give the words of the prompt, with that pause before each.
async fn two_linked(database: &SharedMemory, mesh: &Mesh, pause: Duration) -> [Router; 2] {
    let mut routers = Vec::new();
    for name in ["first", "second"] {
        let store = Arc::new(database.join(name).unwrap());
        let mut config = Config::default();
        config.storage.lease_ms = LEASE.as_millis() as u64;
        let slow = move |job: Job| {
            tokio::spawn(async move {
                for word in job.prompt().split_inclusive(' ') {
                    sleep(pause).await;
                    job.emit(word.to_owned());
                }
                job.finish(Answer::default());
            });
        };
        let builder = Router::builder().config(config).store(store).network(mesh.place().1);
        routers.push(builder.miner(MinerSpec::new("worker", 4), slow).open().await.unwrap());
    }
    sleep(LEASE).await;
    let routers: [Router; 2] = routers.try_into().unwrap();
    assert_eq!((routers[0].fleet().members.len(), routers[0].status().fleet.unlinked), (2, 0));
    routers
}

/// A client that has read a long text at one router resumes it at the other, without a mark; and a text that is kept nowhere
/// ends there as it does at its owner.
#[tokio::test(start_paused = true)]
async fn a_long_text_is_resumed_elsewhere_without_a_mark() {
    let (database, mesh) = (SharedMemory::new(LEASE), Mesh::default());
    let [first, second] = two_linked(&database, &mesh, Duration::from_millis(10)).await;
    let prompt = (0..600).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    for retention in [Retention::All, Retention::Nothing] {
        let session = first.create_session(SessionSpec::default().name("kept").retention(retention)).await.unwrap();
        let request = TaskRequest::completion(&prompt).stream(true);
        let task = first.submit(session.id, request, SubmitOptions::default().detach(true)).await.unwrap();
        task.accepted().await.unwrap();
        let mut tokens = task.stream();
        let mut text = String::new();
        while text.split_inclusive(' ').count() < 400 {
            for event in tokens.next_batch().await.unwrap() {
                let StreamEvent::Token { text: more, .. } = event else { panic!("{event:?}") };
                text.push_str(&more);
            }
        }
        let seq = tokens.last_seq();
        let mut again = second.attach(task.session_id(), task.task_id()).await.unwrap().stream_after(seq);
        drop((tokens, task));
        while let Some(events) = again.next_batch().await {
            for event in events {
                match event {
                    StreamEvent::Token { text: more, .. } => text.push_str(&more),
                    StreamEvent::End(end) => drop(end.unwrap()),
                    mark => panic!("{retention:?}: {mark:?}"),
                }
            }
        }
        assert_eq!(text, prompt, "{retention:?}");
    }
    first.close().await;
    second.close().await;
}

/// A stream that the router of its task gives up goes on at another one, which the error names as the way.
#[tokio::test(start_paused = true)]
async fn a_stream_of_a_router_that_closes_goes_on_elsewhere() {
    let (database, mesh) = (SharedMemory::new(LEASE), Mesh::default());
    let [leaves, stays] = two_linked(&database, &mesh, Duration::from_secs(5)).await;
    let request = TaskRequest::completion(answer_to("why")).stream(true);
    let task = leaves.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
    task.accepted().await.unwrap();
    let (session, id) = (task.session_id(), task.task_id());
    let mut tokens = task.stream();
    assert!(matches!(tokens.next_batch().await.unwrap()[..], [StreamEvent::Token { .. }]));
    let seq = tokens.last_seq();
    assert!(!leaves.drain(Duration::from_millis(10)).await);
    leaves.close().await;
    let last = tokens.next_batch().await.unwrap().pop();
    let Some(StreamEvent::End(Err(error))) = last else { panic!("the stream ends with {last:?}") };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Closed, "task_moved"), "{error}");
    let mut again = stays.attach(session, id).await.unwrap().stream_after(seq);
    let mut text = String::from("the ");
    while let Some(events) = again.next_batch().await {
        for event in events {
            match event {
                StreamEvent::Token { text: more, .. } => text.push_str(&more),
                StreamEvent::Restart { .. } => text.clear(),
                StreamEvent::End(end) => assert_eq!(end.unwrap().text(), text),
                _ => {}
            }
        }
    }
    assert_eq!(text, answer_to("why"));
    stays.close().await;
}

/// The others hear of a managed upstream that comes or goes by their links, long before their next beats.
#[tokio::test(start_paused = true)]
async fn a_managed_upstream_comes_and_goes_everywhere_at_once() {
    let lease = Duration::from_mins(10);
    let (database, mesh) = (SharedMemory::new(lease), Mesh::default());
    let open = async |name: &str| {
        let ops = TokenConfig::default().name(Some("ops".into())).value(Some("secret-of-ops".into()));
        let mut config = Config::default().listen(ListenConfig::default().tokens(vec![ops]).manage_upstreams(true));
        config.listen.upstream_networks = vec!["127.0.0.1".into()];
        config.storage.lease_ms = lease.as_millis() as u64;
        let store = Arc::new(database.join(name).unwrap());
        Router::builder().config(config).store(store).network(mesh.place().1).open().await.unwrap()
    };
    let [first, second] = [open("first").await, open("second").await];
    // With the second beat both know of each other.
    sleep(lease / 5).await;
    assert_eq!((first.status().fleet.members, first.status().fleet.unlinked), (2, 0));
    let handler = Handler::new(first.clone(), first.config().listen.clone()).unwrap();
    let ask = async |method: &str, path: &str, body: &'static str| {
        let request = http::Request::builder().method(method).uri(path).header("authorization", "Bearer secret-of-ops");
        let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
        handler.handle(request, "127.0.0.1:4711".parse().unwrap()).await.status().as_u16()
    };
    let follows = async |there: bool| {
        for _ in 0..100 {
            if second.miners().iter().any(|miner| miner.miner_id == "gpu") == there {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("after a second the other router has not heard that the upstream is there ({there})");
    };
    let added = ask("POST", "/api/v1/upstreams", r#"{"name": "gpu", "url": "http://127.0.0.1:9/v1"}"#).await;
    assert_eq!(added, 201);
    follows(true).await;
    // Nothing else is told any more that could bring the next news.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(ask("DELETE", "/api/v1/upstreams/gpu", "").await, 200);
    follows(false).await;
    drop(handler);
    first.close().await;
    second.close().await;
}

/// The others hear at once of a miner that is refused from now on, and of one that is forgotten.
#[tokio::test(start_paused = true)]
async fn a_miner_is_refused_and_forgotten_everywhere_at_once() {
    let lease = Duration::from_mins(10);
    let (database, mesh) = (SharedMemory::new(lease), Mesh::default());
    let enrolled = MinerRecord {
        id: "mk_one".into(),
        name: "one".into(),
        public_key: Some("key".into()),
        ..MinerRecord::default()
    };
    let open = async |name: &str, known: Option<MinerRecord>| {
        let mut config = Config::default();
        config.storage.lease_ms = lease.as_millis() as u64;
        let store = Arc::new(database.join(name).unwrap());
        if let Some(known) = known {
            store.put_miner(known, None).await.unwrap();
        }
        Router::builder().config(config).store(store).network(mesh.place().1).open().await.unwrap()
    };
    let [first, second] = [open("first", Some(enrolled)).await, open("second", None).await];
    // With the second beat both know of each other.
    sleep(lease / 5).await;
    assert_eq!((first.status().fleet.members, first.status().fleet.unlinked), (2, 0));
    let follows = async |wanted: &[bool]| {
        for _ in 0..100 {
            if second.known_miners().iter().map(|miner| miner.revoked).collect::<Vec<_>>() == wanted {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("after a second the other router has not heard of {wanted:?}: {:?}", second.known_miners());
    };
    follows(&[false]).await;
    assert!(first.revoke_miner("mk_one").await.unwrap());
    follows(&[true]).await;
    // Nothing else is told any more that could bring the next news.
    sleep(Duration::from_secs(10)).await;
    assert!(first.forget_miner("mk_one").await.unwrap());
    follows(&[]).await;
    first.close().await;
    second.close().await;
}
