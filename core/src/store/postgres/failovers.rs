//! A replica takes the place of a real server, and lacks the last commits: who has what then, and whose ends count.

use std::sync::Arc;

use cortensor_router_testkit::Postgres;

use super::PostgresStore;
use super::members::{beat, kill, member, task};
use crate::model::{Gid, SessionId, TaskId};
use crate::store::samples::ended;
use crate::store::{Accepted, Fleet, Store, UsageQuery};

/// Loses the end of a task, and whose it became.
fn reopen(server: &Postgres, schema: &str, gid: Gid, owner: u64) {
    let lose = format!(
        "UPDATE {schema}.task SET owner = {owner}, ended_at = NULL, \"end\" = NULL, text = NULL WHERE gid = {gid}"
    );
    server.psql(&lose).unwrap();
}

#[test]
fn an_end_that_was_given_is_written_again_whoever_owns_the_task() {
    let Some(server) = Postgres::start() else { return };
    let (one, two) = (member(&server, "again", "one"), member(&server, "again", "two"));
    let end = |n, text: &str| Arc::new(ended(&task(n), 9, text));
    // The other router has the task, nobody does, or one that never was.
    for (n, owner) in [(1, 2), (2, 0), (3, 99)] {
        one.accept(task(n).into()).wait().unwrap();
        assert!(one.finish(end(n, "given")).wait().unwrap());
        reopen(&server, "again", task(n).gid, owner);
        assert_eq!(one.known(vec![task(n).gid]).wait().unwrap(), [(task(n).gid, false)]);
        assert!(!one.finish(end(n, "given")).wait().unwrap(), "it is not its own");
        assert!(!one.record(task(n).into(), end(n, "given")).wait().unwrap());
        assert!(one.end_again(end(n, "given")).wait().unwrap());
        let placed = two.place(task(n).gid).wait().unwrap().unwrap();
        assert_eq!((placed.owner, placed.task.text.as_str()), (1, "given"));
        // Whoever ran it again comes too late, and an end is written once.
        assert!(!two.finish(end(n, "another")).wait().unwrap());
        assert!(!two.end_again(end(n, "another")).wait().unwrap());
        assert_eq!(one.task(SessionId(1), TaskId(n)).wait().unwrap().unwrap().text, "given");
    }
    assert!(!one.end_again(end(4, "of no task")).wait().unwrap());
    // The usage that the failover kept here counts twice, as the whole of the first end does.
    let used = one.usage(UsageQuery::default()).wait().unwrap();
    assert_eq!(used.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 6);
}

/// The start before is there again with a lease, and the present one is unknown.
#[test]
fn a_lost_restart_does_not_end_the_router() {
    let Some(server) = Postgres::start() else { return };
    let lose = |present: u64, before: u64| {
        let lose = format!(
            "DELETE FROM restart.router WHERE epoch = {present}; UPDATE restart.meta SET last_epoch = {before};
             UPDATE restart.router SET state = 'up', gone_at = NULL, lease_until = clock_timestamp() + interval '5 s'
                 WHERE epoch = {before}"
        );
        server.psql(&lose).unwrap();
    };
    let first = member(&server, "restart", "one");
    first.accept(task(1).into()).wait().unwrap();
    drop(first);
    let present = member(&server, "restart", "one");
    assert_eq!(beat(&present).epoch, 2);
    lose(2, 1);
    assert_eq!(beat(&present).epoch, 3, "it joins again, above its own number");
    assert_eq!(present.accept(task(2).into()).wait().unwrap(), Accepted::New);
    assert_eq!(beat(&present).members.iter().map(|member| member.epoch).collect::<Vec<_>>(), [3]);
    // It does so after its own seat was lost before, too.
    lose(3, 1);
    assert_eq!(beat(&present).epoch, 4);
    // A start that came afterwards has taken its place, though its number may be smaller.
    kill(present);
    lose(4, 1);
    server.psql("UPDATE restart.router SET lease_until = clock_timestamp() - interval '1 s'").unwrap();
    let next: PostgresStore = member(&server, "restart", "one");
    assert_eq!(beat(&next).epoch, 2);
}

/// A connection that is lost for a moment delays a beat and does not fail it, and the server may be another one afterwards.
#[test]
fn a_beat_tells_of_another_connection() {
    let Some(server) = Postgres::start() else { return };
    let one = member(&server, "anew", "one");
    assert!(!beat(&one).anew);
    server.cut_connections();
    assert!(beat(&one).anew);
    assert!(!beat(&one).anew, "it is told once");
}
