//! Several routers on one schema of a real server: who owns what, and what becomes of those that are gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cortensor_router_testkit::Postgres;

use super::faults::{open, options, refusal};
use super::{PostgresOptions, PostgresStore};
use crate::ErrorKind;
use crate::config::UpstreamConfig;
use crate::model::{
    Gid, Session, SessionId, SessionSpec, Task, TaskId, TaskState, Timestamp, WebhookDelivery, WebhookState,
};
use crate::store::samples::{ended, new_task};
use crate::store::{
    Accepted, Act, ApiKey, Beat, ClaimWish, Deliveries, Durability, Fleet, IdBlock, IdsWish, MinerRecord, Reach,
    SessionName, Store, TaskQuery, TaskSpec, UpstreamRecord, UsageQuery,
};

/// The shortest lease.
const LEASE: Duration = Duration::from_secs(1);

pub(super) fn member(server: &Postgres, schema: &str, name: &str) -> PostgresStore {
    let store = open(&server.url(), PostgresOptions { name: name.into(), lease: LEASE, ..options(schema) });
    store.recover().wait().unwrap();
    store
}

pub(super) fn beat(store: &PostgresStore) -> Beat {
    store.beat(true).wait().unwrap()
}

/// Beats until something is so.
fn beat_until(store: &PostgresStore, is_so: impl Fn(&Beat) -> bool) -> Beat {
    let from = Instant::now();
    loop {
        let found = beat(store);
        if is_so(&found) {
            return found;
        }
        assert!(from.elapsed() < Duration::from_secs(20), "{found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn task(n: u64) -> TaskSpec {
    new_task(1, n)
}

fn all() -> ClaimWish {
    ClaimWish { limit: 256, ..ClaimWish::default() }
}

/// Declares a router gone, long enough ago for its tasks to be claimed.
fn declare_gone(server: &Postgres, schema: &str, name: &str) {
    let gone = format!(
        "UPDATE {schema}.router SET state = 'gone', gone_at = clock_timestamp() - interval '3 s' WHERE name = '{name}'"
    );
    server.psql(&gone).unwrap();
}

/// Ends a router as one that is killed.
pub(super) fn kill(store: PostgresStore) {
    store.ground.killed.store(true, Ordering::Release);
    drop(store);
}

#[test]
fn a_name_belongs_to_one_router_and_other_names_join() {
    let Some(server) = Postgres::start() else { return };
    let first = open(&server.url(), options("names"));
    assert_eq!(first.recover().wait().unwrap().epoch, 1);
    let from = Instant::now();
    let error = refusal(&server.url(), options("names"));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "router_name_in_use"));
    assert!(error.message().contains("\"one\"") && error.message().contains("UTC"), "{error}");
    assert_eq!(error.details().param.as_deref(), Some("name"));
    assert!(from.elapsed() < Duration::from_secs(8), "{:?}", from.elapsed());
    first.accept(task(1).into()).wait().unwrap();
    let second = open(&server.url(), PostgresOptions { name: "two".into(), ..options("names") });
    let recovery = second.recover().wait().unwrap();
    assert_eq!((recovery.epoch, recovery.unfinished.len()), (2, 0), "the task is the first one's");
    assert!(recovery.now.is_some());
    let names: Vec<String> = beat(&second).members.into_iter().map(|member| member.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(first.finish(Arc::new(ended(&task(1), 9, "x"))).wait().unwrap());
    // A seat that was left is free at once, and that of a dead router once its lease has run out.
    drop(first);
    let from = Instant::now();
    drop(open(&server.url(), options("names")));
    assert!(from.elapsed() < Duration::from_secs(8), "{:?}", from.elapsed());
    let dead =
        "UPDATE names.router SET state = 'up', process = '', lease_until = clock_timestamp() + interval '1500 ms'
                WHERE epoch = (SELECT max(epoch) FROM names.router)";
    server.psql(dead).unwrap();
    let from = Instant::now();
    let third = open(&server.url(), options("names"));
    assert!((1_000..8_000).contains(&from.elapsed().as_millis()), "{:?}", from.elapsed());
    // It tells once that it has taken the place of one that had not left.
    assert_eq!([beat(&second).replaced, beat(&third).replaced, beat(&third).replaced], [false, true, false]);
    // Its figures count the writes that are answered.
    let waiting = |count: u64| {
        let from = Instant::now();
        while third.figures().unwrap().waiting != count {
            assert!(from.elapsed() < Duration::from_secs(20), "{:?}", third.figures());
            std::thread::yield_now();
        }
    };
    waiting(0);
    third.ground.asleep.store(true, Ordering::Release);
    let waits = third.accept(task(2).into());
    waiting(1);
    third.ground.asleep.store(false, Ordering::Release);
    assert_eq!(waits.wait().unwrap(), Accepted::New);
    waiting(0);
}

#[test]
fn only_the_owner_of_a_task_ends_it() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "owner", "one"), member(&server, "owner", "two"));
    one.accept(task(1).into()).wait().unwrap();
    assert!(!two.finish(Arc::new(ended(&task(1), 9, "stolen"))).wait().unwrap());
    assert!(two.claim(all()).wait().unwrap().tasks.is_empty(), "its owner lives");
    let placed = two.place(task(1).gid).wait().unwrap().unwrap();
    assert_eq!((placed.owner, placed.is_own, placed.task.state), (1, false, TaskState::Queued));
    assert!(one.place(task(1).gid).wait().unwrap().unwrap().is_own);
    assert_eq!((one.unfinished().wait().unwrap().len(), two.unfinished().wait().unwrap().len()), (1, 0));
    // The owner gives it up, and whoever claims it has it.
    assert_eq!(two.release(vec![task(1).gid]).wait().unwrap(), [], "not its own");
    assert_eq!(one.release(vec![task(1).gid]).wait().unwrap(), [task(1).gid]);
    assert!(!one.finish(Arc::new(ended(&task(1), 9, "too late"))).wait().unwrap());
    assert!(beat(&two).orphans);
    let claimed = two.claim(all()).wait().unwrap();
    assert_eq!(claimed.tasks.iter().map(|(task, _)| task.gid).collect::<Vec<_>>(), [task(1).gid]);
    assert!(claimed.run > 2, "{} numbers pieces of no start", claimed.run);
    assert!(two.finish(Arc::new(ended(&task(1), 9, "right"))).wait().unwrap());
    assert_eq!(one.task(SessionId(1), TaskId(1)).wait().unwrap().unwrap().text, "right");
    // Counts and usage are right over both.
    let query = TaskQuery { session_id: SessionId(1), limit: 9, ..TaskQuery::default() };
    assert_eq!(one.tasks(TaskQuery { state: Some(TaskState::Ended), ..query.clone() }).wait().unwrap().total, 1);
    assert_eq!(one.tasks(TaskQuery { state: Some(TaskState::Queued), ..query }).wait().unwrap().total, 0);
    let used = one.usage(UsageQuery::default()).wait().unwrap();
    assert_eq!(used.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 1);
}

#[test]
fn a_task_that_no_living_router_has_is_ended_by_any() {
    let Some(server) = Postgres::start() else { return };
    let [one, two, three] = ["one", "two", "three"].map(|name| member(&server, "orphan", name));
    for n in 1..=4 {
        one.accept(task(n).into()).wait().unwrap();
    }
    let end =
        |store: &PostgresStore, n: u64| store.end_orphan(Arc::new(ended(&task(n), 9, "cancelled"))).wait().unwrap();
    assert!(!end(&two, 1), "its owner lives");
    // A lease that has run out is no death: the owner may still end its task.
    server
        .psql("UPDATE orphan.router SET lease_until = clock_timestamp() - interval '1 s' WHERE name = 'one'")
        .unwrap();
    assert!(!end(&two, 1), "nobody has declared its owner gone");
    assert!(one.finish(Arc::new(ended(&task(1), 9, "done"))).wait().unwrap());
    // Nobody has the one that was given up.
    one.release(vec![task(2).gid]).wait().unwrap();
    assert!(end(&two, 2) && !end(&two, 2) && !end(&three, 2), "it ends once");
    kill(one);
    server.psql("UPDATE orphan.router SET state = 'gone', gone_at = clock_timestamp() WHERE name = 'one'").unwrap();
    // An heir was faster at the third one, and its claim counts.
    let among = vec![task(3).gid];
    assert_eq!(three.claim(ClaimWish { among, at_once: true, ..all() }).wait().unwrap().tasks.len(), 1);
    assert!(!end(&two, 3));
    assert!(three.finish(Arc::new(ended(&task(3), 9, "went on"))).wait().unwrap());
    // Whoever ends an orphan need not wait as those who run it again must.
    assert!(end(&two, 4));
    assert!(three.claim(all()).wait().unwrap().tasks.is_empty());
    let read = |n| three.task(SessionId(1), TaskId(n)).wait().unwrap().unwrap();
    assert_eq!([1, 2, 3, 4].map(|n| read(n).text.to_string()), ["done", "cancelled", "went on", "cancelled"]);
    let placed = two.place(task(4).gid).wait().unwrap().unwrap();
    assert!(placed.is_own && placed.task.state == TaskState::Ended);
    let query = TaskQuery { session_id: SessionId(1), limit: 9, ..TaskQuery::default() };
    assert_eq!(two.tasks(TaskQuery { state: Some(TaskState::Ended), ..query.clone() }).wait().unwrap().total, 4);
    assert_eq!(two.tasks(TaskQuery { state: Some(TaskState::Queued), ..query }).wait().unwrap().total, 0);
    let used = two.usage(UsageQuery::default()).wait().unwrap();
    assert_eq!(used.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 4);
}

#[test]
fn an_heir_need_not_wait_and_claims_what_it_names_alone() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "heir", "one"), member(&server, "heir", "two"));
    for n in 1..=3 {
        one.accept(task(n).into()).wait().unwrap();
    }
    one.finish(Arc::new(ended(&task(3), 9, "done"))).wait().unwrap();
    let gids = |tasks: &[Task]| tasks.iter().map(|task| task.gid).collect::<Vec<_>>();
    let heir = |numbers: &[u64]| {
        let among = numbers.iter().map(|n| task(*n).gid).collect();
        two.claim(ClaimWish { among, at_once: true, ..all() }).wait().unwrap().tasks
    };
    assert!(heir(&[1, 2]).is_empty(), "their owner lives");
    let mut known = two.known(vec![task(3).gid, Gid(99), task(1).gid]).wait().unwrap();
    known.sort_unstable();
    assert_eq!(known, [(task(1).gid, false), (task(3).gid, true)]);
    kill(one);
    server.psql("UPDATE heir.router SET state = 'gone', gone_at = clock_timestamp() WHERE name = 'one'").unwrap();
    // Nobody else may claim them yet.
    assert!(two.orphans(all()).wait().unwrap().is_empty() && two.claim(all()).wait().unwrap().tasks.is_empty());
    let claimed = heir(&[2, 3]);
    assert_eq!(claimed.iter().map(|(task, _)| task.gid).collect::<Vec<_>>(), [task(2).gid]);
    server.psql("UPDATE heir.router SET gone_at = gone_at - interval '3 s' WHERE name = 'one'").unwrap();
    assert_eq!(gids(&two.orphans(all()).wait().unwrap()), [task(1).gid]);
    let except = vec![task(1).gid];
    assert!(two.orphans(ClaimWish { except, ..all() }).wait().unwrap().is_empty());
    assert!(two.claim(ClaimWish { among: vec![task(2).gid], ..all() }).wait().unwrap().tasks.is_empty());
    assert_eq!(two.claim(ClaimWish { among: vec![task(1).gid], ..all() }).wait().unwrap().tasks.len(), 1);
    assert!(two.finish(Arc::new(ended(&task(2), 9, "went on"))).wait().unwrap());
}

#[test]
fn a_member_that_joins_again_gets_a_number_that_no_other_has_said() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "heard", "one"), member(&server, "heard", "two"));
    one.accept(task(1).into()).wait().unwrap();
    two.heard(7);
    two.heard(5);
    // A failover has lost its row, and the numbers since.
    server.psql("DELETE FROM heard.router WHERE name = 'two'; UPDATE heard.meta SET last_epoch = 1").unwrap();
    assert_eq!(beat(&two).epoch, 8);
    assert_eq!(two.accept(task(2).into()).wait().unwrap(), Accepted::New);
    assert_eq!(beat(&one).members.iter().map(|member| member.epoch).collect::<Vec<_>>(), [1, 8]);
    // The others forget a task that one of them has deleted.
    one.finish(Arc::new(ended(&task(1), 9, "done"))).wait().unwrap();
    beat(&one);
    assert!(two.delete_task(task(1).gid).wait().unwrap());
    assert_eq!(beat(&one).changes.gone_tasks, [task(1).gid]);
}

#[test]
fn a_router_without_a_lease_is_declared_gone_and_joins_again() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "gone", "one"), member(&server, "gone", "two"));
    for n in 1..=3 {
        one.accept(task(n).into()).wait().unwrap();
    }
    let reach = Reach { address: "10.0.0.7:7000".into(), certificate: [7; 32] };
    one.reach(reach.clone()).wait().unwrap();
    assert_eq!(beat(&two).members[0].reach, Some(reach.clone()));
    // It stands still.
    one.ground.asleep.store(true, Ordering::Release);
    let end = "UPDATE gone.router SET lease_until = clock_timestamp() - interval '1 s' WHERE name = 'one'";
    // A router that has not renewed for a whole lease declares nobody gone.
    server.psql("UPDATE gone.router SET lease_until = clock_timestamp() - interval '1 s'").unwrap();
    assert!(beat(&two).swept.is_empty());
    server.psql(end).unwrap();
    let swept = beat_until(&two, |beat| beat.swept == ["one"]);
    assert_eq!(swept.members.len(), 1);
    // The end of a task that was claimed meanwhile does not count, and the others go on under another epoch.
    server.psql("UPDATE gone.router SET gone_at = gone_at - interval '3 s' WHERE name = 'one'").unwrap();
    let claimed = two.claim(ClaimWish { limit: 1, ..all() }).wait().unwrap();
    assert_eq!((claimed.tasks.len(), claimed.tasks[0].0.gid), (1, task(1).gid));
    one.ground.asleep.store(false, Ordering::Release);
    let late = one.finish(Arc::new(ended(&task(1), 9, "late")));
    let kept = one.finish(Arc::new(ended(&task(2), 9, "kept")));
    assert_eq!((late.wait().unwrap(), kept.wait().unwrap()), (false, true));
    let back = beat(&one);
    assert!(back.epoch > 2 && back.members.len() == 2 && back.changes.whole && !back.lost_ids, "{back:?}");
    assert_eq!(back.members[1].reach, Some(reach), "it is still reached there");
    assert_eq!(one.unfinished().wait().unwrap(), [task(3).gid]);
    assert!(two.finish(Arc::new(ended(&task(1), 9, "first"))).wait().unwrap());
    assert_eq!(one.accept(task(4).into()).wait().unwrap(), Accepted::New);
    // Another start of its name takes its place for good.
    one.ground.asleep.store(true, Ordering::Release);
    declare_gone(&server, "gone", "one");
    let other = member(&server, "gone", "one");
    one.ground.asleep.store(false, Ordering::Release);
    let error = one.accept(task(5).into()).wait().unwrap_err();
    assert_eq!(error.code(), "store_taken_over", "{error}");
    assert_eq!(one.check().unwrap_err().code(), "store_taken_over");
    assert_eq!(other.accept(task(6).into()).wait().unwrap(), Accepted::New);
}

#[test]
fn a_task_whose_routers_die_is_not_run_for_ever() {
    let Some(server) = Postgres::start() else { return };
    let last = member(&server, "moves", "last");
    for n in 0..5 {
        let name = format!("dead{n}");
        let dead = member(&server, "moves", &name);
        if n == 0 {
            dead.accept(task(1).into()).wait().unwrap();
        } else {
            let claimed = dead.claim(all()).wait().unwrap();
            // Giving a task up does not count.
            dead.release(vec![task(1).gid]).wait().unwrap();
            dead.claim(all()).wait().unwrap();
            let runs = (claimed.tasks.len(), claimed.quarantined.len());
            assert_eq!(runs, if n <= 3 { (1, 0) } else { (0, 1) }, "death {n}");
        }
        kill(dead);
        declare_gone(&server, "moves", &name);
    }
    assert_eq!(last.claim(all()).wait().unwrap().quarantined.len(), 1);
}

#[test]
fn ids_are_given_out_once_and_unused_ones_come_back() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "ids", "one"), member(&server, "ids", "two"));
    let wish = IdsWish { session: SessionId(1), first: TaskId(1), count: 16, most: None };
    let block = |first, end| IdBlock { first: TaskId(first), end: TaskId(end) };
    assert_eq!(one.ids(wish).wait().unwrap(), block(1, 17));
    assert_eq!(two.ids(wish).wait().unwrap(), block(17, 33));
    for n in 17..=20 {
        two.accept(task(n).into()).wait().unwrap();
    }
    // A router that ends gives back what nobody got after it.
    drop(two);
    assert_eq!(one.ids(IdsWish { count: 4, ..wish }).wait().unwrap(), block(21, 25));
    drop(one);
    let one = member(&server, "ids", "one");
    assert_eq!(one.ids(wish).wait().unwrap(), block(21, 37), "none of the second block was used");
    // Killed, it gives them back when its name starts again.
    one.accept(task(21).into()).wait().unwrap();
    kill(one);
    declare_gone(&server, "ids", "one");
    let one = member(&server, "ids", "one");
    assert_eq!(one.ids(wish).wait().unwrap(), block(22, 38));
    // A bound is the fleet's.
    let two = member(&server, "ids", "two");
    let bounded = IdsWish { session: SessionId(2), most: Some(9), ..wish };
    let mut got = BTreeSet::new();
    for n in 0..20 {
        let block = if n % 2 == 0 { &one } else { &two }.ids(bounded).wait().unwrap();
        assert!(block.end.0 - block.first.0 <= 3, "{block:?}");
        got.extend(block.first.0..block.end.0);
    }
    assert_eq!(got, (1..=9).collect());
    assert!(one.ids(bounded).wait().unwrap().is_empty());
    let sessions: BTreeSet<u64> =
        (0..8).map(|n| if n % 2 == 0 { &one } else { &two }.session_id().wait().unwrap().0).collect();
    assert_eq!(sessions, (2..10).collect());
}

#[test]
fn what_others_change_comes_with_the_next_beat() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "news", "one"), member(&server, "news", "two"));
    let news = beat(&two).changes;
    assert!(!news.whole && !news.upstreams);
    let session = |name: &str| {
        let spec = SessionSpec::default().name(name).validated().unwrap();
        Session::new(SessionId(5), format!("0x{}", "ab".repeat(32)), spec, Timestamp(1))
    };
    one.put_session(session("first"), None).wait().unwrap();
    one.put_key(ApiKey { id: "k1".into(), ..ApiKey::default() }, None).wait().unwrap();
    one.put_miner(MinerRecord { id: "m1".into(), ..MinerRecord::default() }, None).wait().unwrap();
    one.put_upstream(UpstreamRecord::new(UpstreamConfig::new("http://h/v1"), 1), None).wait().unwrap();
    let news = beat(&two).changes;
    assert_eq!((news.sessions.len(), news.keys.len(), news.miners.len(), news.upstreams), (1, 1, 1, true));
    let (found, version) = two.session(SessionName::Sid(session("x").sid)).wait().unwrap().unwrap();
    assert_eq!((found.id, version), (SessionId(5), 1));
    assert!(two.session(SessionName::Id(SessionId(6))).wait().unwrap().is_none());
    assert_eq!(two.key("k1".into()).wait().unwrap().unwrap().id, "k1");
    assert!(two.key("k\0".into()).wait().unwrap().is_none());
    // Of two changes of one version the second is refused, and its act is not recorded.
    let act = || Some(Act::key_created(Timestamp(1), "ops", &ApiKey::default()));
    assert!(one.change_session(session("second"), 1, act()).wait().unwrap());
    assert!(!two.change_session(session("third"), 1, act()).wait().unwrap());
    assert!(two.change_session(session("third"), 2, None).wait().unwrap());
    assert_eq!(one.session(SessionName::Id(SessionId(5))).wait().unwrap().unwrap().0.spec.name, "third");
    // Two moves of one reputation are both counted, and a revocation stays.
    let miner = |reputation| MinerRecord { id: "m1".into(), reputation, ..MinerRecord::default() };
    one.merge_miner(MinerRecord { revoked: true, ..miner(0.75) }, 1.0).wait().unwrap();
    two.merge_miner(miner(0.5), 1.0).wait().unwrap();
    let both = &one.miners().wait().unwrap()[0];
    assert!((both.reputation - 0.25).abs() < 1e-9 && both.revoked, "{both:?}");
    // Deletions come, too, those of a program that is no router as well.
    let visitor = PostgresStore::visit(&server.url(), Durability::Full, options("news")).unwrap();
    assert!(visitor.delete_key("k1".into(), None).wait().unwrap());
    visitor.put_key(ApiKey { id: "k2".into(), ..ApiKey::default() }, act()).wait().unwrap();
    drop(visitor);
    assert!(one.delete_miner("m1".into(), None).wait().unwrap());
    let upstream = one.upstreams().wait().unwrap()[0].name().to_owned();
    assert!(one.delete_upstream(upstream, None).wait().unwrap());
    assert!(one.delete_session(SessionId(5)).wait().unwrap());
    let news = beat(&two).changes;
    assert_eq!((news.gone_keys.as_slice(), news.upstreams), (["k1".to_owned()].as_slice(), true));
    assert_eq!(
        (news.gone_miners.as_slice(), news.gone_sessions.as_slice()),
        (["m1".to_owned()].as_slice(), &[SessionId(5)][..])
    );
    assert_eq!(news.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k2"]);
    assert_eq!(beat(&two).members.len(), 2, "a visitor is no member");
    assert_eq!(server.psql("SELECT count(*) FROM news.router WHERE state = 'visit'").unwrap(), "0");
    // A transaction that was open for long is not missed.
    assert!(beat(&two).changes.keys.is_empty());
}

#[test]
fn a_webhook_has_one_sender_who_is_replaced_when_it_is_gone() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "hooks", "one"), member(&server, "hooks", "two"));
    let hooked = |n| {
        let delivery =
            WebhookDelivery { id: format!("task {n}"), state: WebhookState::Pending, ..WebhookDelivery::default() };
        let mut ended = ended(&task(n), 9, "x");
        ended.webhook = Some(Box::new(delivery));
        Arc::new(ended)
    };
    for n in 1..=3 {
        one.accept(task(n).into()).wait().unwrap();
        assert!(!two.finish(hooked(n)).wait().unwrap(), "only the owner ends a task");
        assert!(one.finish(hooked(n)).wait().unwrap());
    }
    let pending = |store: &PostgresStore| {
        let found = store.deliveries(Deliveries::Pending).wait().unwrap();
        found.into_iter().map(|(gid, _)| gid).collect::<Vec<_>>()
    };
    let claimed = |store: &PostgresStore, limit| store.claim_deliveries(limit).wait().unwrap();
    assert_eq!((pending(&one).len(), pending(&two).len()), (3, 0));
    assert!(!beat(&two).unsent && claimed(&two, 9).is_empty(), "their sender lives");
    let all = vec![task(1).gid, task(2).gid, task(3).gid];
    assert_eq!(two.deliveries(Deliveries::Of(all.clone())).wait().unwrap().len(), 3, "everybody sees them");
    let delivered = WebhookDelivery { state: WebhookState::Delivered, ..WebhookDelivery::default() };
    assert!(!two.put_delivery(task(1).gid, delivered.clone()).wait().unwrap(), "it is not the other's");
    assert!(one.put_delivery(task(1).gid, delivered.clone()).wait().unwrap());
    // It stands still, and the other one takes one of the two that are left.
    one.ground.asleep.store(true, Ordering::Release);
    declare_gone(&server, "hooks", "one");
    assert!(beat(&two).unsent);
    let taken = claimed(&two, 1);
    assert_eq!((taken.len(), taken[0].0, taken[0].1.id.as_str()), (1, task(2).gid, "task 2"));
    one.ground.asleep.store(false, Ordering::Release);
    assert!(beat(&one).epoch > 2);
    assert_eq!((pending(&one), pending(&two)), (vec![task(3).gid], vec![task(2).gid]));
    assert!(!one.put_delivery(task(2).gid, delivered.clone()).wait().unwrap());
    assert!(two.put_delivery(task(2).gid, delivered).wait().unwrap());
    // One that ends leaves what it has to the others, and one that starts alone takes everything.
    drop(one);
    assert!(beat(&two).unsent);
    assert_eq!(claimed(&two, 9).iter().map(|(gid, _)| *gid).collect::<Vec<_>>(), [task(3).gid]);
    kill(two);
    declare_gone(&server, "hooks", "two");
    let three = member(&server, "hooks", "three");
    assert_eq!(pending(&three), [task(3).gid]);
    // A delivery goes with its task, whoever deletes that.
    server.psql(&format!("DELETE FROM hooks.task WHERE gid = {}", task(3).gid)).unwrap();
    assert!(pending(&three).is_empty());
    assert!(three.delete_task(task(1).gid).wait().unwrap());
    assert!(three.deliveries(Deliveries::Of(all)).wait().unwrap().iter().all(|(gid, _)| *gid == task(2).gid));
}

#[test]
fn a_wish_to_cancel_reaches_the_owner_whoever_that_is() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "wish", "one"), member(&server, "wish", "two"));
    one.accept(task(1).into()).wait().unwrap();
    two.ask_cancel(task(1).gid).wait().unwrap();
    two.ask_cancel(Gid(99)).wait().unwrap();
    assert_eq!(beat(&one).cancels, [task(1).gid]);
    assert!(beat(&two).cancels.is_empty());
    kill(one);
    declare_gone(&server, "wish", "one");
    two.claim(all()).wait().unwrap();
    assert_eq!(beat(&two).cancels, [task(1).gid]);
    two.finish(Arc::new(ended(&task(1), 9, ""))).wait().unwrap();
    assert!(beat(&two).cancels.is_empty());
}

/// Two routers write the usage of one day, one key and one model; what one that is gone counted stays counted.
#[test]
fn usage_and_counts_are_those_of_all_routers() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "sums", "one"), member(&server, "sums", "two"));
    for n in 1..=20 {
        let store = if n % 2 == 0 { &one } else { &two };
        store.accept(task(n).into()).wait().unwrap();
        assert!(store.finish(Arc::new(ended(&task(n), 9, "x"))).wait().unwrap());
    }
    let requests = |store: &PostgresStore| {
        let used = store.usage(UsageQuery::default()).wait().unwrap();
        assert_eq!(used.rows.len(), 1);
        used.rows.iter().map(|row| row.counts.requests).sum::<u64>()
    };
    assert_eq!((requests(&one), requests(&two)), (20, 20));
    let epochs =
        || server.psql("SELECT string_agg(DISTINCT epoch::text, ' ' ORDER BY epoch::text) FROM sums.usage").unwrap();
    assert_eq!(epochs(), "1 2", "each router has rows of its own");
    assert_eq!(beat(&one).counts.unwrap(), [(SessionId(1), 10, 0)]);
    drop(two);
    assert_eq!(requests(&one), 20);
    assert_eq!(epochs(), "0 1");
    assert_eq!(beat(&one).counts.unwrap(), [(SessionId(1), 10, 0)]);
    let purged = crate::store::Purge { ended_before: Timestamp(u64::MAX >> 1), max_bytes: 0, limit: 99 };
    assert_eq!(one.purge(purged).wait().unwrap(), 20);
    let query = TaskQuery { session_id: SessionId(1), ..TaskQuery::default() };
    assert_eq!(one.tasks(query).wait().unwrap().total, 0);
    assert_eq!(requests(&one), 20);
}

/// A schema that one router used alone becomes one that several can share, and nothing of it is lost.
#[test]
fn the_schema_of_a_single_router_is_migrated() {
    let Some(server) = Postgres::start() else { return };
    let first = super::schema::named(super::schema::first(), "old");
    server.psql(&format!("CREATE SCHEMA old; {first}")).unwrap();
    let sid = format!("0x{}", "cd".repeat(32));
    let session = Session::new(SessionId(3), sid.clone(), SessionSpec::default(), Timestamp(1));
    let body = serde_json::to_string(&session).unwrap();
    for sql in [
        "UPDATE old.meta SET last_epoch = 7, next_session = 4".to_owned(),
        format!("INSERT INTO old.session VALUES(3, '{body}'), (4, 'damaged')"),
        "INSERT INTO old.session_ids VALUES(3, 13)".to_owned(),
        "INSERT INTO old.session_count VALUES(3, 0, 5, 0, 9), (3, 7, 2, 1, 1)".to_owned(),
        "INSERT INTO old.task(gid, session_id, id, owner, band, created_at, deadline, request)
         VALUES(12, 3, 12, 7, 4, 1, 9, '{\"prompt\":\"x\"}')"
            .to_owned(),
        "INSERT INTO old.usage VALUES(1, 'k', 3, 'm', 'n', 5, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6)".to_owned(),
        "INSERT INTO old.router(epoch, nonce, name, version, process, state, last_gid, last_fence, lease_until)
         VALUES(7, 'n', 'one', '0', '', 'up', 12, 0, clock_timestamp() + interval '2 s')"
            .to_owned(),
    ] {
        server.psql(&sql).unwrap_or_else(|| panic!("{sql}"));
    }
    let from = Instant::now();
    let store = open(&server.url(), PostgresOptions { name: "two".into(), ..options("old") });
    assert!(from.elapsed() > Duration::from_millis(500), "it waits for the router that had the schema alone");
    let recovery = store.recover().wait().unwrap();
    assert_eq!((recovery.epoch, recovery.last_gid, recovery.last_session), (8, Gid(12), SessionId(3)));
    assert_eq!(recovery.unfinished.iter().map(|(task, _)| task.id).collect::<Vec<_>>(), [TaskId(12)]);
    assert_eq!(recovery.corrupt_sessions, [SessionId(4)]);
    assert_eq!(store.session(SessionName::Sid(sid)).wait().unwrap().unwrap().0.id, SessionId(3));
    let wish = IdsWish { session: SessionId(3), first: TaskId(1), count: 16, most: None };
    assert_eq!(store.ids(wish).wait().unwrap().first, TaskId(13));
    assert_eq!(beat(&store).counts.unwrap(), [(SessionId(3), 12, 1)]);
    let used = store.usage(UsageQuery { to: crate::model::Day::of(Timestamp(u64::MAX >> 1)), ..UsageQuery::default() });
    assert_eq!(used.wait().unwrap().rows[0].counts.requests, 5);
    // The version before cannot use it any more.
    assert_eq!(server.psql("SELECT min_version FROM old.meta").unwrap(), "2");
    assert_eq!(server.psql("SELECT state FROM old.router WHERE name = 'one'").unwrap(), "gone");
}

/// A schema that a newer program has changed stops the routers that do not know it.
#[test]
fn a_router_that_is_too_old_writes_nothing_any_more() {
    let Some(server) = Postgres::start() else { return };
    let store = member(&server, "outdated", "one");
    server.psql("UPDATE outdated.meta SET schema_version = 99, min_version = 99").unwrap();
    assert_eq!(store.beat(false).wait().unwrap_err().code(), "schema_newer");
    assert_eq!(store.accept(task(1).into()).wait().unwrap_err().code(), "schema_newer");
    assert_eq!(store.check().unwrap_err().code(), "schema_newer");
}
