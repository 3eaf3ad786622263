//! Tests that a killed process loses nothing that was acknowledged, and that a second process is kept out while the
//! first lives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use super::super::samples::{bulky, ended, keyed, new_task};
use super::super::{
    Accepted, Act, ApiKey, AuditQuery, Durability, Pending, Store, TaskQuery, UsageCounts, UsageQuery, check_integrity,
};
use super::{SqliteStore, holder};
use crate::ErrorKind;
use crate::model::{SessionId, TaskId, TaskState, Timestamp};

/// The environment variable that gives the child its data directory.
const DIR: &str = "CORTENSOR_ROUTER_TEST_STORE";

fn number(name: &str) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The child accepts and ends tasks and makes keys without a pause, and prints each task when it is durable.
#[test]
#[ignore = "the child of the tests beside it"]
fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let store = SqliteStore::open(&dir, Durability::Full).unwrap();
    store.announce("http://127.0.0.1:1").unwrap();
    let first = number("FIRST");
    let mut out = std::io::stdout().lock();
    let mut say = |kind: &str, answers: Vec<(u64, Pending<bool>)>| {
        for (id, answer) in answers {
            match answer.wait() {
                Ok(true) => writeln!(out, "{kind} {id}").unwrap(),
                Ok(false) => writeln!(out, "twice {id}").unwrap(),
                Err(error) => writeln!(out, "refused {id} {error}").unwrap(),
            }
        }
        out.flush().unwrap();
    };
    for base in (first..).step_by(64) {
        let ids = base..base + 64;
        let key = ApiKey { id: format!("key {base}"), ..ApiKey::default() };
        let act = Act::key_created(Timestamp(base + 1), "ops", &key);
        drop(store.put_key(key, Some(act)));
        let accepts: Vec<_> =
            ids.clone().map(|id| (id, store.accept(keyed(new_task(1, id), &id.to_string(), 1).into()))).collect();
        let ends = ids
            .filter(|id| id % 2 == 0)
            .map(|id| (id, store.finish(Arc::new(ended(&new_task(1, id), id + 1, &format!("answer {id}"))))))
            .collect();
        let accepted = accepts
            .into_iter()
            .map(|(id, answer)| (id, Pending::ready(answer.wait().map(|accepted| accepted == Accepted::New))))
            .collect();
        say("accepted", accepted);
        say("ended", ends);
    }
}

/// A child process that does not outlive its test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The child may have ended and been waited for already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, first: u64) -> (Running, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "store::sqlite::killed::child"])
        .env(DIR, dir)
        .env("FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (Running(child), out)
}

/// Reads the child's output until it has `lines` lines, or ends.
fn listen(out: &mut BufReader<ChildStdout>, lines: usize, accepted: &mut Vec<u64>, ended: &mut Vec<u64>) {
    let mut line = String::new();
    let before = accepted.len() + ended.len();
    while accepted.len() + ended.len() - before < lines && out.read_line(&mut line).unwrap() > 0 {
        let whole = line.ends_with('\n');
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|id| id.parse().ok())) {
            (Some("accepted"), Some(id)) if whole => accepted.push(id),
            (Some("ended"), Some(id)) if whole => ended.push(id),
            (Some("twice" | "refused"), _) => panic!("{line}"),
            // A line of the test harness, or half a line at the child's end.
            _ => {}
        }
        line.clear();
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut accepted, mut finished) = (Vec::new(), Vec::new());
    for round in 0..6 {
        let (mut child, mut out) = start(dir.path(), round * 1_000_000);
        // Odd numbers kill the child in the middle of its work.
        listen(&mut out, 150 + 37 * round as usize, &mut accepted, &mut finished);
        child.kill();
        listen(&mut out, usize::MAX, &mut accepted, &mut finished);
        assert_eq!(holder(dir.path()), None, "a dead process holds nothing");

        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        assert_eq!(store.recover().wait().unwrap().epoch, round + 1);
        for id in &accepted {
            let task = store.task(SessionId(1), TaskId(*id)).wait().unwrap();
            assert!(task.is_some(), "round {round}: task {id} is lost");
        }
        for id in &finished {
            let task = store.task(SessionId(1), TaskId(*id)).wait().unwrap().unwrap();
            assert_eq!(
                (task.state, task.text.as_str()),
                (TaskState::Ended, format!("answer {id}").as_str()),
                "round {round}"
            );
        }
        assert_usage_is_the_sum_of_ended_tasks(&store);
        assert_every_key_has_its_entry(&store);
        drop(store);
        let found = check_integrity(dir.path()).unwrap();
        assert!(found.is_ok(), "{found:#?}");
    }
    assert!(accepted.len() > 500 && finished.len() > 100, "{} {}", accepted.len(), finished.len());
}

/// Every task of the child ends with seven tokens.
fn assert_usage_is_the_sum_of_ended_tasks(store: &SqliteStore) {
    let query = TaskQuery { session_id: SessionId(1), state: Some(TaskState::Ended), limit: 1, ..TaskQuery::default() };
    let ended = store.tasks(query).wait().unwrap().total;
    let usage = store.usage(UsageQuery::default()).wait().unwrap();
    let sum = |of: fn(&UsageCounts) -> u64| usage.rows.iter().map(|row| of(&row.counts)).sum::<u64>();
    assert_eq!((sum(|counts| counts.requests), sum(|counts| counts.ok)), (ended, ended));
    assert_eq!(sum(UsageCounts::tokens), 7 * ended);
}

/// The child makes every key once.
fn assert_every_key_has_its_entry(store: &SqliteStore) {
    let query = AuditQuery { after: Some(0), limit: u64::MAX, ..AuditQuery::default() };
    let mut made: Vec<_> =
        store.audit(query).wait().unwrap().entries.into_iter().map(|entry| entry.act.subject).collect();
    made.sort();
    let keys: Vec<_> = store.keys().wait().unwrap().into_iter().map(|key| key.id).collect();
    assert!(!keys.is_empty());
    assert_eq!(made, keys);
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut out) = start(dir.path(), 0);
    listen(&mut out, 1, &mut Vec::new(), &mut Vec::new());
    let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
    let holds = holder(dir.path());
    child.kill();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "data_dir_in_use"));
    assert!(
        error.message().contains(&format!("process {}, which listens on http://127.0.0.1:1", child.0.id())),
        "{error}"
    );
    assert_eq!(holds.map(|holder| holder.pid), Some(child.0.id()));
    SqliteStore::open(dir.path(), Durability::Full).unwrap();
}

/// Provokes a real error of the operating system: files may not grow, then they may again.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_grow_refuses_and_then_recovers() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prlimit");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec prlimit --fsize=200000:unlimited \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "store::sqlite::killed::child_at_the_limit"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&child.stderr));
    let found = check_integrity(dir.path()).unwrap();
    assert!(found.is_ok() && found.tasks > 20, "{found:#?}");
}

#[test]
#[ignore = "the child of the test above"]
fn child_at_the_limit() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let store = SqliteStore::open(&dir, Durability::Full).unwrap();
    let accept = |id| store.accept(bulky(1, id).into()).wait();
    // The store helps itself once, by writing its log back. After that there is no room left.
    let full = (1..2_000).find(|id| (0..3).all(|_| accept(*id).is_err())).expect("no write was refused");
    assert_eq!(accept(full).unwrap_err().code(), "store_unavailable");
    let kept = store.task(SessionId(1), TaskId(full - 1)).wait().unwrap();
    assert!(kept.is_some(), "what was acknowledged can still be read");
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &own]).status().unwrap();
    assert!(raised.success());
    for id in full..full + 20 {
        assert_eq!(accept(id).unwrap(), Accepted::New);
    }
    let recovery = store.recover().wait().unwrap();
    assert_eq!(recovery.unfinished.len() as u64, full + 19);
}
