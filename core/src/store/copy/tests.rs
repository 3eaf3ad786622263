//! Copies between real stores: from a file to a file, to a database and back.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::config::UpstreamConfig;
use crate::model::{
    ActKind, Day, NodeKind, Scope, Session, SessionId, SessionSpec, TaskId, Timestamp, UsageBy, Webhook,
    WebhookDelivery, WebhookState,
};
use crate::store::samples::{ended, keyed, new_task, rich};
use crate::store::{
    Accepted, Act, ApiKey, AuditQuery, Deliveries, Durability, MinerRecord, SqliteStore, Store, TaskQuery,
    UpstreamRecord, UsageQuery, check_integrity,
};

fn session(id: u64) -> Session {
    Session::new(SessionId(id), format!("0x{id:064x}"), SessionSpec::default(), Timestamp(1_000))
}

/// Writes something of every kind. Task ids 1 to 40 and 1000, some of them ended, some deleted.
fn fill(store: &dyn Store) {
    let wrote = |written: Result<()>| written.unwrap();
    store.recover().wait().unwrap();
    for id in [0, 1, 2, 7, 8] {
        wrote(store.put_session(session(id), None).wait());
    }
    assert!(store.delete_session(SessionId(8)).wait().unwrap(), "its id is not given out again");
    for id in 1..=40 {
        let new = keyed(new_task(2, id), &format!("k{id}"), 3);
        assert_eq!(store.accept(new.clone().into()).wait().unwrap(), Accepted::New);
        let end = match id % 4 {
            0 => rich(&new),
            1 => ended(&new, 5_000 + id, "a\0b ✓"),
            2 => {
                let webhook = Webhook::default().url("https://h/x").secret("whsec_x");
                let state = if id == 2 { WebhookState::Delivered } else { WebhookState::Pending };
                let delivery = WebhookDelivery { id: format!("m{id}"), webhook, state, ..WebhookDelivery::default() };
                ended(&new, 6_000, &"long ".repeat(1_000)).webhook(Some(Box::new(delivery)))
            }
            _ => continue,
        };
        assert!(store.finish(Arc::new(end)).wait().unwrap());
    }
    let last = new_task(7, 1_000);
    assert!(store.record(last.clone().into(), Arc::new(ended(&last, 9_000, "gone"))).wait().unwrap());
    for new in [last, new_task(2, 40)] {
        assert!(store.delete_task(new.gid).wait().unwrap(), "its usage stays counted");
    }
    let key = |id: &str| ApiKey {
        id: id.into(),
        name: "ops".into(),
        hash: "ab".repeat(32),
        scopes: vec![Scope::Admin],
        ..ApiKey::default()
    };
    for (at, id) in [(1, "k1"), (2, "k2"), (3, "K3")] {
        let act = Act::key_created(Timestamp(at), "ops", &key(id));
        wrote(store.put_key(key(id), Some(act)).wait());
    }
    store.forget_audit(Timestamp(2)).wait().unwrap();
    let known = MinerRecord {
        id: "b".into(),
        name: "miner".into(),
        public_key: Some("key".into()),
        kind: Some(NodeKind::Dedicated),
        models: vec!["a".into(), "\"b\"".into()],
        reputation: 0.1 + 0.2,
        last_seen: NonZeroU64::new(9),
        revoked: true,
        ..MinerRecord::default()
    };
    wrote(store.put_miner(known, None).wait());
    wrote(store.put_miner(MinerRecord { id: "A".into(), ..MinerRecord::default() }, None).wait());
    let mut config = UpstreamConfig::new("http://10.0.0.1:8080/v1").name(Some("up".into()));
    config.api_key = Some("its key".into());
    let upstream = UpstreamRecord::new(config, 7);
    let act = Act::upstream(Timestamp(4), "ops", ActKind::UpstreamAdded, &upstream);
    wrote(store.put_upstream(upstream, Some(act)).wait());
}

/// Everything that a store shows, and the next numbers of it. The store must have been filled by [`fill`].
fn content(store: &dyn Store) -> String {
    let tasks: Vec<_> = [0, 1, 2, 7]
        .map(|id| {
            let query = TaskQuery { session_id: SessionId(id), limit: 999, ..TaskQuery::default() };
            store.tasks(query).wait().unwrap()
        })
        .into_iter()
        .map(|page| (page.tasks, page.corrupt, page.total))
        .collect();
    let gids = (1..=40).map(|id| new_task(2, id).gid).collect();
    let mut posts = store.deliveries(Deliveries::Of(gids)).wait().unwrap();
    posts.sort_by_key(|(gid, _)| *gid);
    let all = UsageQuery { to: Day::from_number(99_999), limit: 999, ..UsageQuery::default() };
    let usage: Vec<_> = [UsageBy::Day, UsageBy::Key, UsageBy::Session, UsageBy::Model, UsageBy::Miner]
        .into_iter()
        .map(|by| store.usage(UsageQuery { by, ..all.clone() }).wait().unwrap())
        .collect();
    let audit = store.audit(AuditQuery { limit: 99, ..AuditQuery::default() }).wait().unwrap();
    let upstreams: Vec<_> = store.upstreams().wait().unwrap().into_iter().map(|one| one.config()).collect();
    format!(
        "{tasks:#?} {posts:#?} {usage:#?} {audit:#?} {:#?} {:#?} {upstreams:#?} {:?}",
        store.keys().wait().unwrap(),
        store.miners().wait().unwrap(),
        store.unfinished().wait().unwrap(),
    )
}

/// A store of a place, as a router opens it.
fn open_store(place: &CopyPlace) -> Box<dyn Store> {
    match place {
        CopyPlace::Directory(dir) => Box::new(SqliteStore::open(dir, Durability::Relaxed).unwrap()),
        #[cfg(feature = "postgres")]
        CopyPlace::Database { url, schema } => {
            let options = PostgresOptions { schema: schema.clone(), ..PostgresOptions::default() };
            Box::new(crate::store::PostgresStore::open(url, Durability::Relaxed, options).unwrap())
        }
        #[cfg(not(feature = "postgres"))]
        CopyPlace::Database { .. } => unreachable!("the tests have the feature"),
    }
}

fn close(store: &dyn Store) {
    store.close().wait().unwrap();
}

fn go(from: &CopyPlace, to: &CopyPlace) -> Result<CopyReport> {
    copy(from, to, &CopyOptions::default(), &mut |_| ControlFlow::Continue(()))
}

fn directory(root: &Path, name: &str) -> CopyPlace {
    CopyPlace::Directory(root.join(name))
}

/// A filled store in a directory, and what it shows.
fn filled(place: &CopyPlace) -> String {
    let store = open_store(place);
    fill(&*store);
    let content = content(&*store);
    close(&*store);
    content
}

/// Copies along a chain of places. Each has the same content, and the last goes on where the first was.
fn travels(places: &[CopyPlace]) {
    let before = filled(&places[0]);
    let mut hashes = None;
    let mut epoch = 1;
    for pair in places.windows(2) {
        let report = go(&pair[0], &pair[1]).unwrap();
        assert_eq!((report.open_tasks, report.skipped_rows), (10, 0));
        let rows: Vec<u64> = report.copied.iter().map(|one| one.rows).collect();
        assert_eq!(rows[..5], [4, 2, 39, 10, 3], "{report:?}");
        assert_eq!(&report.copied, hashes.get_or_insert_with(|| report.copied.clone()), "the hashes are the same");
        let counters = report.counters;
        assert_eq!((counters.last_gid, counters.last_session, counters.last_audit), (7_001_000, 8, 4));
        assert_eq!(counters.last_fence, u64::from(u32::MAX) << 20);
        assert!(counters.epoch >= epoch);
        epoch = counters.epoch;
    }
    let last = &places[places.len() - 1];
    let store = open_store(last);
    let recovery = store.recover().wait().unwrap();
    assert_eq!(content(&*store), before);
    assert!(recovery.epoch > epoch);
    assert_eq!(format!("{:?}", recovery.sessions), format!("{:?}", [0, 1, 2, 7].map(session)));
    assert_eq!(recovery.last_session, SessionId(8));
    assert_eq!(recovery.last_task_ids, [(SessionId(2), TaskId(40)), (SessionId(7), TaskId(1_000))]);
    assert!(recovery.last_gid.0 >= 7_001_000 && recovery.last_fence.0 >= u64::from(u32::MAX) << 20);
    assert_eq!(recovery.unfinished.len(), 10);
    // A repeat finds its task, an open one can end, and the next entry of the audit log has the next number.
    let again = keyed(new_task(2, 99), "k5", 3);
    let found = store.accept(again.into()).wait().unwrap();
    assert!(matches!(found, Accepted::Existing { id: TaskId(5), .. }), "{found:?}");
    assert!(store.finish(Arc::new(ended(&new_task(2, 3), 9_000, "late"))).wait().unwrap());
    store.note(Act::config_reloaded(Timestamp(9), "ops", serde_json::json!({}))).wait().unwrap();
    let audit = store.audit(AuditQuery { limit: 1, ..AuditQuery::default() }).wait().unwrap();
    assert_eq!(audit.entries[0].number, 5);
    let used = store.usage(UsageQuery { to: Day::from_number(99_999), limit: 9, ..UsageQuery::default() });
    let requests: u64 = used.wait().unwrap().rows.iter().map(|row| row.counts.requests).sum();
    assert_eq!(requests, 32, "31 had ended before, of which 2 are deleted");
    close(&*store);
    if let CopyPlace::Directory(dir) = last {
        assert_eq!(check_integrity(dir).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_directory_is_copied_to_another() {
    let root = tempfile::tempdir().unwrap();
    travels(&[directory(root.path(), "a"), directory(root.path(), "b"), directory(root.path(), "c")]);
}

#[test]
fn a_copy_that_is_stopped_leaves_the_target_empty_and_can_be_made_again() {
    let root = tempfile::tempdir().unwrap();
    let [from, to] = ["a", "b"].map(|name| directory(root.path(), name));
    filled(&from);
    for stop in [CopyKind::Tasks, CopyKind::Audit] {
        for compares in [false, true] {
            let error = copy(&from, &to, &CopyOptions::default(), &mut |progress| {
                let is_there = progress.kind == stop && progress.compares == compares && progress.done > 0;
                if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
            let store = open_store(&to);
            let recovery = store.recover().wait().unwrap();
            assert!(recovery.sessions.is_empty() && recovery.unfinished.is_empty() && recovery.last_gid.0 == 0);
            assert!(store.keys().wait().unwrap().is_empty());
            close(&*store);
        }
    }
    assert_eq!(go(&from, &to).unwrap().copied[2].rows, 39);
}

#[test]
fn the_wrong_source_and_the_wrong_target_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let [from, to, none] = ["a", "b", "none"].map(|name| directory(root.path(), name));
    let refused = |from: &CopyPlace, to: &CopyPlace, kind: ErrorKind, words: &str| {
        let error = go(from, to).unwrap_err();
        assert!(error.kind() == kind && error.message().contains(words), "{error}");
    };
    refused(&none, &to, ErrorKind::NotFound, "there is no store in");
    assert!(!root.path().join("none").exists(), "looking for a source makes nothing");
    filled(&from);
    refused(&from, &from, ErrorKind::InvalidArgument, "one store");
    refused(&from, &directory(root.path(), "a/../a"), ErrorKind::InvalidArgument, "one store");
    let store = open_store(&from);
    refused(&from, &to, ErrorKind::Conflict, "the source: the data directory");
    close(&*store);
    drop(store);
    // A router that was started and never used does not stand in the way; one that was used does.
    let store = open_store(&to);
    store.recover().wait().unwrap();
    for id in [0, 1] {
        store.put_session(session(id), None).wait().unwrap();
    }
    refused(&from, &to, ErrorKind::Conflict, "the target: the data directory");
    store.put_key(ApiKey { id: "k".into(), ..ApiKey::default() }, None).wait().unwrap();
    close(&*store);
    drop(store);
    refused(&from, &to, ErrorKind::Conflict, "is not empty (keys: 1)");
    let store = open_store(&to);
    assert!(store.delete_key("k".into(), None).wait().unwrap());
    close(&*store);
    drop(store);
    go(&from, &to).unwrap();
    refused(&from, &to, ErrorKind::Conflict, "sessions: 2, task ids: 2, tasks: 39, webhooks: 10, keys: 3, miners: 2");
}

#[test]
fn a_damaged_row_ends_the_copy_or_is_left_out_with_what_belongs_to_it() {
    let root = tempfile::tempdir().unwrap();
    let [from, to] = ["a", "b"].map(|name| directory(root.path(), name));
    filled(&from);
    let db = Connection::open(root.path().join("a/router.db")).unwrap();
    let damage = |sql: &str| assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
    damage("UPDATE task SET text = 'another' WHERE session_id = 2 AND id = 6");
    let error = go(&from, &to).unwrap_err();
    assert_eq!(error.code(), "store_corrupt");
    assert!(error.message().contains("the row 2000006 of the source's tasks"), "{error}");
    assert!(error.message().contains("--skip-damaged"), "{error}");
    damage("UPDATE api_token SET body = '{}' WHERE id = 'k2'");
    damage("UPDATE usage SET requests = requests + 1 WHERE session_id = 7");
    let options = CopyOptions { skip_damaged: true, ..CopyOptions::default() };
    let report = copy(&from, &to, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let skipped: Vec<_> = report.skipped.iter().map(|one| (one.kind, one.row.as_str())).collect();
    assert_eq!(skipped[..3], [(CopyKind::Tasks, "2000006"), (CopyKind::Webhooks, "2000006"), (CopyKind::Keys, "k2"),]);
    assert_eq!((skipped[3].0, skipped.len(), report.skipped_rows), (CopyKind::Usage, 4, 4));
    let CopyPlace::Directory(dir) = &to else { panic!("a directory") };
    assert_eq!(check_integrity(dir).unwrap().problems, Vec::<String>::new());
    // Without its session, no task could run or be read.
    damage("UPDATE session SET body = '{}' WHERE id = 2");
    let report = copy(&from, &directory(root.path(), "c"), &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.copied[0].rows, report.copied[2].rows, report.copied[3].rows), (3, 0, 0));
    assert!(report.skipped.iter().any(|one| one.why == "its session cannot be read"));
    assert_eq!(report.copied[1].rows, 2, "its ids are not given out again");
}

/// A page takes a bounded part of a store, and all pages have all of it.
fn assert_bounded_pages(side: &dyn Side, rows: usize) {
    let (mut after, mut read) = (None, 0);
    loop {
        let page = side.page(CopyKind::Tasks, after.as_deref()).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.values[..1].to_vec());
        let bytes: usize = page.iter().flat_map(|found| &found.values).map(Value::weight).sum();
        assert!(page.len() <= 512 && bytes < 7 << 20, "{} rows with {bytes} bytes", page.len());
        read += page.len();
    }
    assert_eq!(read, rows);
}

/// Many small tasks and some large ones.
fn heavy(place: &CopyPlace) {
    let store = open_store(place);
    store.put_session(session(2), None).wait().unwrap();
    let small: Vec<_> = (1..=1_100).map(|id| store.accept(new_task(2, id).into())).collect();
    assert!(small.into_iter().all(|accepted| accepted.wait().is_ok()));
    for id in 2_001..=2_006 {
        let new = new_task(2, id);
        let end = ended(&new, 5_000, "");
        let end = end.text("x".repeat(2 << 20).into());
        assert!(store.record(new.into(), Arc::new(end)).wait().unwrap());
    }
    close(&*store);
}

#[test]
fn pages_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    heavy(&directory(root.path(), "a"));
    let side = SqliteSide::open(&root.path().join("a"), &CopyOptions::default().sqlite, false).unwrap();
    assert_bounded_pages(&side, 1_106);
}

/// The columns of a kind and further ones, in their order.
fn columns_and(kind: CopyKind, further: &[&str]) -> String {
    let names = kind.names().replace('"', "");
    let mut names: Vec<&str> = names.split(", ").chain(further.iter().copied()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// A new table or column of the store fails here until a copy knows what to do with it.
#[test]
fn a_copy_knows_every_table_and_column_of_a_file() {
    let root = tempfile::tempdir().unwrap();
    close(&*open_store(&directory(root.path(), "a")));
    let db = Connection::open(root.path().join("a/router.db")).unwrap();
    let list = |sql: &str| -> Vec<String> {
        let mut select = db.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
    };
    for table in list("SELECT name FROM sqlite_schema WHERE type = 'table'") {
        // The counts follow from the tasks.
        if ["meta", "task_count", "session_count"].contains(&&*table) {
            continue;
        }
        let kind = CopyKind::ALL.into_iter().find(|kind| kind.table() == table).expect(&table);
        let columns = list(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY name"));
        assert_eq!(columns.join(" "), columns_and(kind, &["sum"]), "{table}");
    }
    assert_eq!(
        list("SELECT name FROM pragma_table_info('meta')").join(" "),
        "only schema_version epoch last_gid last_fence ended_bytes last_session last_audit sum"
    );
}

#[cfg(feature = "postgres")]
mod postgres {
    use cortensor_router_testkit::Postgres;

    use super::*;

    fn schema(server: &Postgres, name: &str) -> CopyPlace {
        CopyPlace::Database { url: server.url(), schema: name.to_owned() }
    }

    #[test]
    fn a_store_goes_to_a_database_and_back() {
        let Some(server) = Postgres::start() else { return };
        let root = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| directory(root.path(), name));
        std::thread::scope(|scope| {
            scope.spawn(|| travels(&[a, schema(&server, "one"), b]));
            scope.spawn(|| travels(&[schema(&server, "two"), c, schema(&server, "three"), schema(&server, "four")]));
        });
        let sids = server.psql("SELECT count(*) FROM four.session WHERE sid = '0x' || lpad(id::text, 64, '0')");
        assert_eq!(sids.as_deref(), Some("4"), "sessions are found by their names");
        let counts =
            "SELECT string_agg(session_id || ' ' || total || ' ' || open || ' ' || taken, ', ' ORDER BY session_id)
                      FROM three.session_count WHERE epoch = 0";
        assert_eq!(server.psql(counts).as_deref(), Some("2 39 10 40, 7 0 0 1000"));
    }

    #[test]
    fn pages_of_a_database_are_bounded_and_there_may_be_many() {
        let Some(server) = Postgres::start() else { return };
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (schema(&server, "heavy"), directory(root.path(), "a"));
        heavy(&from);
        let options = PostgresOptions { schema: "heavy".into(), ..PostgresOptions::default() };
        let side = PostgresSide::open(&server.url(), &options, false).unwrap();
        assert_bounded_pages(&side, 1_106);
        drop(side);
        let report = go(&from, &to).unwrap();
        assert_eq!((report.copied[2].rows, report.open_tasks), (1_106, 1_100));
        assert_eq!(go(&to, &schema(&server, "again")).unwrap().copied, report.copied);
    }

    /// A new table or column of the store fails here until a copy knows what to do with it.
    #[test]
    fn a_copy_knows_every_table_and_column_of_a_database() {
        let Some(server) = Postgres::start() else { return };
        close(&*open_store(&schema(&server, "all")));
        let tables = server.psql(
            "SELECT table_name || ' ' || string_agg(column_name::text, ' ' ORDER BY column_name::text COLLATE \"C\")
             FROM information_schema.columns WHERE table_schema = 'all' GROUP BY table_name",
        );
        for line in tables.unwrap().lines() {
            let (table, columns) = line.split_once(' ').unwrap();
            // The counts follow from the tasks; starts of routers and news between them stay behind.
            if ["meta", "router", "session_ids", "session_count", "deleted", "cancel_request"].contains(&table) {
                continue;
            }
            let kind = CopyKind::ALL.into_iter().find(|kind| kind.table() == table).expect(table);
            let further: &[&str] = match kind {
                CopyKind::Sessions => &["changed", "sid", "version"],
                CopyKind::Tasks => &["moves", "owner"],
                CopyKind::Webhooks => &["owner"],
                CopyKind::Usage => &["epoch"],
                CopyKind::Audit => &[],
                _ => &["changed"],
            };
            assert_eq!(columns, columns_and(kind, further), "{table}");
        }
    }

    #[test]
    fn a_database_that_is_in_use_or_not_there_is_refused() {
        let Some(server) = Postgres::start() else { return };
        let root = tempfile::tempdir().unwrap();
        let [from, to] = ["a", "b"].map(|name| directory(root.path(), name));
        filled(&from);
        let database = schema(&server, "used");
        let refused = |from: &CopyPlace, to: &CopyPlace, kind: ErrorKind, words: &str| {
            let error = go(from, to).unwrap_err();
            assert!(error.kind() == kind && error.message().contains(words), "{error}");
        };
        refused(&database, &to, ErrorKind::NotFound, "there is no store in the schema used");
        let store = open_store(&database);
        refused(&from, &database, ErrorKind::Conflict, "the target: the store in");
        refused(&database, &to, ErrorKind::Conflict, "stop every router that uses it");
        close(&*store);
        go(&from, &database).unwrap();
        refused(&from, &database, ErrorKind::Conflict, "is not empty (sessions: 2");
        refused(&database, &schema(&server, "used"), ErrorKind::InvalidArgument, "one store");
        let wrong = CopyPlace::Database { url: "postgres://u:s3cret@127.0.0.1:1/d".into(), schema: "x".into() };
        let error = go(&from, &wrong).unwrap_err();
        assert!(error.message().starts_with("the target: ") && !error.message().contains("s3cret"), "{error}");
        assert!(!format!("{wrong:?}").contains("s3cret"));
    }

    /// A row that the other store cannot keep is named before it is written.
    #[test]
    fn a_row_that_the_database_cannot_keep_is_named() {
        let Some(server) = Postgres::start() else { return };
        let root = tempfile::tempdir().unwrap();
        let from = directory(root.path(), "a");
        let store = open_store(&from);
        store.put_session(session(0), None).wait().unwrap();
        for (id, key) in [(1, "good"), (2, "a\0b")] {
            store.accept(keyed(new_task(0, id), key, 1).into()).wait().unwrap();
        }
        close(&*store);
        drop(store);
        let to = schema(&server, "nul");
        let error = go(&from, &to).unwrap_err();
        assert!(
            error.message().contains("row 2 of the source's tasks") && error.message().contains("U+0000"),
            "{error}"
        );
        let options = CopyOptions { skip_damaged: true, ..CopyOptions::default() };
        let report = copy(&from, &to, &options, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((report.skipped_rows, report.open_tasks), (1, 1));
    }
}
