//! Closed sessions are deleted once their retention has passed.

use std::time::Duration;

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{SqliteStore, Store as _};
use cortensor_router::model::{MinerSpec, SessionId, SessionPatch, SessionSpec, TaskRequest};
use cortensor_router::{Config, ErrorKind, Router, SessionFilter, SubmitOptions};

fn nothing_is_kept(dir: &std::path::Path) -> Config {
    let mut config = super::on_disk(dir);
    config.retention.interval_secs = 1;
    config.retention.max_age_secs = 0;
    config.retention.closed_session_secs = 0;
    config
}

fn named() -> SessionSpec {
    SessionSpec::default().name("s")
}

fn repeatable() -> SubmitOptions {
    SubmitOptions::default().idempotency_key("k")
}

async fn gone(router: &Router, id: SessionId) {
    let gone = async {
        while router.session(id).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn a_closed_session_is_deleted_and_its_id_is_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(nothing_is_kept(dir.path())).await.unwrap();
    router.add_miner(MinerSpec::new("words", 2), super::words).unwrap();
    let open = router.create_session(named()).await.unwrap().id;
    let closed = router.create_session(named()).await.unwrap();
    let task = router.submit(closed.id, TaskRequest::completion("hi"), repeatable()).await.unwrap();
    let number = task.task_id();
    task.result().await.unwrap();
    router.close_session(closed.id).await.unwrap();
    router.close_session(SessionId(1)).await.unwrap();
    gone(&router, closed.id).await;

    let refused = |error: cortensor_router::Error| (error.kind(), error.code().to_owned());
    let not_found = (ErrorKind::NotFound, "session_not_found".to_owned());
    let again = router.submit(closed.id, TaskRequest::completion("hi"), repeatable()).await;
    assert_eq!(refused(again.map(drop).unwrap_err()), not_found);
    assert_eq!(refused(router.update_session(closed.id, SessionPatch::default()).await.unwrap_err()), not_found);
    assert_eq!(refused(router.close_session(closed.id).await.unwrap_err()), not_found);
    assert_eq!(router.session_by_sid(&closed.sid), None);
    assert_eq!(router.task(closed.id, number).await.unwrap_err().kind(), ErrorKind::NotFound);
    let listed: Vec<_> = router.sessions(&SessionFilter::default()).0.iter().map(|session| session.id).collect();
    assert_eq!(listed, [SessionId(1), open], "one that is there from the start stays, closed");
    assert!(router.session(open).is_ok());
    router.close().await;

    let router = Router::open(nothing_is_kept(dir.path())).await.unwrap();
    assert_eq!(router.session(closed.id).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(router.create_session(named()).await.unwrap().id, SessionId(closed.id.0 + 1));
    router.close().await;
}

#[tokio::test]
async fn a_closed_session_stays_while_one_of_its_tasks_runs() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(nothing_is_kept(dir.path())).await.unwrap();
    let id = router.create_session(named()).await.unwrap().id;
    let options = SubmitOptions::default().detach(true);
    let task = router.submit(id, TaskRequest::completion("hi"), options).await.unwrap();
    task.accepted().await.unwrap();
    router.close_session(id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(router.session(id).unwrap().active_tasks, 1);
    router.add_miner(MinerSpec::new("words", 2), super::words).unwrap();
    assert_eq!(task.result().await.unwrap().answer.text, "hi");
    gone(&router, id).await;
    router.close().await;
}

#[tokio::test]
async fn a_crash_between_store_and_memory_leaves_no_half_session() {
    let dir = tempfile::tempdir().unwrap();
    let config = super::on_disk(dir.path());
    let router = Router::open(config.clone()).await.unwrap();
    let id = router.create_session(named()).await.unwrap().id;
    router.close_session(id).await.unwrap();
    router.close().await;
    // The process ended just after the store had deleted the session.
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    assert!(store.delete_session(id).await.unwrap());
    drop(store);
    let router = Router::open(config).await.unwrap();
    assert_eq!(router.session(id).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(router.create_session(named()).await.unwrap().id, SessionId(id.0 + 1));
    router.close().await;
}

#[tokio::test]
async fn a_damaged_session_is_refused_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(super::on_disk(dir.path())).await.unwrap();
    let id = router.create_session(named()).await.unwrap().id;
    router.close().await;
    let db = rusqlite::Connection::open(dir.path().join("router.db")).unwrap();
    let changed = db.execute(
        "UPDATE session SET body = replace(body, '\"active\":true', '\"active\":false') WHERE id IN (1, 2)",
        [],
    );
    assert_eq!(changed.unwrap(), 2);
    drop(db);
    let router = Router::open(super::on_disk(dir.path())).await.unwrap();
    router.add_miner(MinerSpec::new("words", 2), super::words).unwrap();
    for id in [SessionId(1), id] {
        assert_eq!(router.session(id).unwrap_err().code(), "store_corrupt");
        assert_eq!(router.close_session(id).await.unwrap_err().code(), "store_corrupt");
        let refused = router.submit(id, TaskRequest::completion("hi"), SubmitOptions::default()).await;
        assert_eq!(refused.map(drop).unwrap_err().code(), "store_corrupt");
    }
    let task = router.submit(SessionId(0), TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap();
    assert_eq!(task.result().await.unwrap().answer.text, "hi");
    assert_eq!(router.create_session(named()).await.unwrap().id, SessionId(id.0 + 1));
    router.close().await;
}
