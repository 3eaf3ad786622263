//! The ends of what a host has: routers, listeners, miners, subscriptions and its log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use cortensor_router::embed::{ErrorKind, HostMiner, Job, LogRecord, Router};

const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// Passes its jobs on, and tells when the router has released it.
struct Passing {
    jobs: mpsc::Sender<Job>,
    released: Arc<AtomicBool>,
}

impl Passing {
    fn new() -> (Self, mpsc::Receiver<Job>, Arc<AtomicBool>) {
        let (jobs, taken) = mpsc::channel();
        let released = Arc::<AtomicBool>::default();
        (Self { jobs, released: released.clone() }, taken, released)
    }
}

impl HostMiner for Passing {
    fn on_job(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    fn is_quick(&self) -> bool {
        true
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.released.store(true, Ordering::SeqCst);
    }
}

#[test]
fn every_shutdown_waits_for_the_one_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(r#"{{"storage": {{"data_dir": {:?}}}}}"#, dir.path());
    for _ in 0..5 {
        let router = Router::open(&config, None).wait().unwrap();
        let error = router.shutdown(Some(Duration::ZERO)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "shutdown_timeout"));
        let other = router.clone();
        let thread = std::thread::spawn(move || other.shutdown(SOON));
        router.shutdown(SOON).unwrap();
        thread.join().unwrap().unwrap();
        // The handle still exists, but the store is closed: the next turn opens it again.
        drop(Router::open(&config, None).wait().map(|next| next.shutdown(SOON)).unwrap());
    }
}

#[test]
fn a_listener_has_ended_when_its_router_has() {
    let router = Router::open("", None).wait().unwrap();
    let listener = router.listen(r#"{"port": 0}"#).wait().unwrap();
    let waiting = listener.ended();
    router.shutdown(SOON).unwrap();
    waiting.wait().unwrap();
    listener.ended().wait().unwrap();
    listener.stop_within(SOON).unwrap();
}

#[test]
fn a_miner_that_is_removed_by_its_name_is_released() {
    let router = Router::open("", None).wait().unwrap();
    let (miner, _jobs, released) = Passing::new();
    let handle = router.add_miner(r#"{"name": "m"}"#, miner).unwrap();
    router.remove_miner("m").unwrap();
    assert!(released.load(Ordering::SeqCst));
    assert!(handle.remove(SOON).unwrap(), "it has ended");
    // The name is free again, and belongs to the next miner.
    let (miner, _jobs, second) = Passing::new();
    router.add_miner(r#"{"name": "m"}"#, miner).unwrap();
    assert!(handle.remove(SOON).unwrap() && !second.load(Ordering::SeqCst));
    router.remove_miner("m").unwrap();
    assert!(second.load(Ordering::SeqCst));
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_closed_subscription_holds_no_task() {
    let router = Router::open("", None).wait().unwrap();
    let (miner, jobs, _) = Passing::new();
    router.add_miner(r#"{"name": "m"}"#, miner).unwrap();
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    let job = jobs.recv_timeout(SOON.unwrap()).unwrap();
    let subscription = task.stream(0).unwrap().subscribe(|_| ()).unwrap();
    assert!(subscription.close(SOON).unwrap());
    drop(task);
    assert!(job.wait_cancelled(SOON).unwrap(), "its last handle is gone");
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_released_job_can_still_be_read() {
    let router = Router::open(r#"{"dispatch": {"max_attempts": 1}}"#, None).wait().unwrap();
    let (miner, jobs, _) = Passing::new();
    router.add_miner(r#"{"name": "m"}"#, miner).unwrap();
    let task = router.submit(0, r#"{"prompt": "hello"}"#).wait().unwrap();
    let job = jobs.recv_timeout(SOON.unwrap()).unwrap();
    job.release();
    assert!(job.is_answered() && job.prompt() == "hello" && job.info().unwrap().contains("hello"));
    assert_eq!(job.finish("").unwrap_err().code(), "job_answered");
    assert_eq!(task.result().wait().unwrap_err().kind(), ErrorKind::MinerFailed);
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_slow_log_sink_gets_every_record_before_the_shutdown_ends() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let sink = move |record: &LogRecord| {
        // Only the first call waits here: the sender is gone afterwards.
        let _ = gate.lock().unwrap().recv();
        let _ = told.lock().unwrap().send(record.message.clone());
    };
    let config = r#"{"runtime": {"log_level": "info"}}"#;
    let router = Router::open(config, Some(Box::new(sink))).wait().unwrap();
    assert!(router.drain(SOON.unwrap()).wait().unwrap());
    let error = router.shutdown(Some(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.code(), "shutdown_timeout");
    drop(go_on);
    router.shutdown(SOON).unwrap();
    let lines: Vec<String> = heard.try_iter().collect();
    assert!(lines.iter().any(|line| line.contains("the router is drained")), "{lines:?}");
}

#[test]
fn pieces_that_come_at_once_are_pieces_of_their_own() {
    let router = Router::open("", None).wait().unwrap();
    let (miner, jobs, _) = Passing::new();
    router.add_miner(r#"{"name": "m"}"#, miner).unwrap();
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    let job = jobs.recv_timeout(SOON.unwrap()).unwrap();
    job.emit(b"a\xc3").unwrap();
    assert!(job.emit_each(["\u{e9}", "b"]).is_err(), "a text does not go on in the middle of a character");
    job.emit_each(["c", "", "d"]).unwrap();
    job.finish("").unwrap();
    assert_eq!(job.emit_each(["late"]).unwrap_err().code(), "job_answered");
    let answer: serde_json::Value = serde_json::from_str(&task.result().wait().unwrap()).unwrap();
    assert!(answer["choices"][0]["text"].as_str().unwrap().ends_with("cd"), "{answer}");
    router.shutdown(SOON).unwrap();
}
