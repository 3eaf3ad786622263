//! Connections that break: a resumed answer loses no piece and repeats none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cortensor_router::StreamEvent;
use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::{Answer, MinerStatus};
use serde_json::json;

use crate::rig::{quick, serve, start};
use cortensor_router_testkit::dial_in::{Hand, done, hello, tokens};
use cortensor_router_testkit::miners::Stepped;
use cortensor_router_testkit::streams::whole;
use cortensor_router_testkit::{Proxy, within};

#[tokio::test]
async fn a_connection_that_is_cut_goes_on_where_it_was() {
    let server = serve(quick()).await;
    let proxy = Proxy::to(server.address).await;
    let backend = Stepped::default();
    let at_work = backend.clone();
    let client = start(&proxy.url(), move |job| at_work.offer(job));
    let prompt = "a b c d e f g h";
    let task = server.submit(prompt, true).await;
    server.miner(|miner| miner.in_flight == 1).await;
    let steps = async {
        for step in 0..8 {
            if step == 3 {
                proxy.cut();
                server.miner(|miner| miner.status == MinerStatus::Down).await;
            }
            backend.go();
            if step == 5 {
                proxy.mend();
                server.miner(|miner| miner.status == MinerStatus::Busy).await;
            }
            // One permit is kept back, so the backend must have taken the last one.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), text) = tokio::join!(steps, whole(&task));
    assert_eq!(text, prompt);
    assert_eq!(client.stats().connections, 2);
    assert_eq!(server.miner(|miner| miner.completed == 1).await.failed, 0);
}

#[tokio::test]
async fn an_answer_that_was_finished_while_cut_off_is_not_lost() {
    let server = serve(quick()).await;
    let proxy = Proxy::to(server.address).await;
    let backend = Stepped::default();
    let at_work = backend.clone();
    let client = start(&proxy.url(), move |job| at_work.offer(job));
    let task = server.submit("whole", false).await;
    server.miner(|miner| miner.in_flight == 1).await;
    proxy.cut();
    server.miner(|miner| miner.status == MinerStatus::Down).await;
    backend.go();
    for _ in 0..1_000 {
        if client.stats().finished == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.mend();
    assert_eq!(within(task.result()).await.unwrap().answer.text, "whole");
    for _ in 0..1_000 {
        if client.stats().committed == 1 && client.stats().in_flight == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the answer was never final: {:?}", client.stats());
}

#[tokio::test]
async fn many_cuts_under_load_break_no_answer() {
    let server = serve(quick()).await;
    let proxy = Proxy::to(server.address).await;
    let offered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&offered);
    let client = start(&proxy.url(), move |job: Job| {
        count.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let prompt = job.prompt().into_owned();
            for word in prompt.split_inclusive(' ') {
                match job.emit(word) {
                    Emit::Cancelled => return,
                    Emit::Full => job.writable().await,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
            job.finish(Answer::default());
        });
    });
    server.miner(|miner| miner.active).await;
    let load = async {
        for round in 0..4 {
            let prompt: String = (0..100).map(|n| format!("w{round}-{n} ")).collect();
            let prompt = prompt.trim_end();
            let tasks = [server.submit(prompt, true).await, server.submit(prompt, true).await];
            let (one, two) = tokio::join!(whole(&tasks[0]), whole(&tasks[1]));
            assert_eq!((one.as_str(), two.as_str()), (prompt, prompt));
        }
    };
    let cuts = async {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            proxy.cut();
            proxy.mend();
            server.miner(|miner| miner.active).await;
        }
    };
    tokio::join!(load, cuts);
    assert!(client.stats().connections >= 2, "{:?}", client.stats());
    assert_eq!(offered.load(Ordering::Relaxed), 8, "no task was begun twice");
}

#[tokio::test]
async fn a_miner_that_does_not_come_back_loses_its_task_to_another() {
    let server = serve(quick().grace_ms(300)).await;
    let (mut first, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    first.take().await;
    drop(first);
    server.miner(|miner| miner.status == MinerStatus::Down).await;
    let mut other = hello();
    other["miner_id"] = "other".into();
    let (mut second, _) = Hand::welcomed(server.address, other).await;
    let (attempt, fence, _) = second.take().await;
    second.send(tokens(attempt, fence, 1, 0, "second")).await;
    second.send(done(attempt, fence, 1, "second")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "second");
    assert_eq!(second.expect("final").await["result"], "committed");
}

#[tokio::test]
async fn a_resume_adopts_what_is_known_and_drops_what_is_not() {
    let server = serve(quick()).await;
    let (mut first, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", true).await;
    let (attempt, fence, offer) = first.take().await;
    assert_eq!(offer["prompt"], "x");
    first.send(tokens(attempt, fence, 1, 0, "one ")).await;
    let mut stream = task.stream();
    let batch = within(stream.next_batch()).await.unwrap();
    assert!(matches!(&batch[0], StreamEvent::Token { text, .. } if text == "one "));
    // The newest connection wins even if the old one still exists.
    let mut again = hello();
    again["resume"] = json!({"inflight": [
        {"attempt": attempt, "fence": fence, "sent_seq": 2}, {"attempt": 99, "fence": 7, "sent_seq": 0},
        {"attempt": attempt, "fence": fence + 1, "sent_seq": 2},
    ]});
    let (mut second, welcome) = Hand::welcomed(server.address, again).await;
    assert_eq!(first.refused().await["code"], "replaced");
    assert_eq!(welcome["adopt"], json!([{"attempt": attempt, "fence": fence, "ack_seq": 1}]));
    assert_eq!(welcome["drop"].as_array().unwrap().len(), 2);
    // Pieces that had arrived are sent again, and count once.
    second.send(tokens(attempt, fence, 1, 0, "one ")).await;
    second.send(tokens(attempt, fence, 2, 4, "two")).await;
    second.send(done(attempt, fence, 2, "one two")).await;
    second.send(done(attempt, fence, 2, "one two")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "one two");
    assert_eq!(second.expect("final").await["result"], "committed");
}

#[tokio::test]
async fn a_silent_miner_is_dead_after_its_time() {
    let server = serve(quick().dead_ms(1_000)).await;
    let (mut mute, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    mute.take().await;
    // The miner holds the connection open in silence: the grace period must not be added to the time of silence.
    server.no_miner().await;
    let mut other = hello();
    other["miner_id"] = "other".into();
    let (mut second, _) = Hand::welcomed(server.address, other).await;
    let (attempt, fence, _) = second.take().await;
    second.send(tokens(attempt, fence, 1, 0, "y")).await;
    second.send(done(attempt, fence, 1, "y")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "y");
}

#[tokio::test]
async fn another_process_of_the_same_miner_starts_afresh() {
    let server = serve(quick()).await;
    let (mut first, _) = Hand::welcomed(server.address, hello()).await;
    let task = server.submit("x", false).await;
    first.take().await;
    let mut restarted = hello();
    restarted["epoch"] = 2.into();
    let (mut second, _) = Hand::welcomed(server.address, restarted).await;
    assert_eq!(first.refused().await["code"], "replaced");
    let (attempt, fence, _) = second.take().await;
    second.send(tokens(attempt, fence, 1, 0, "again")).await;
    second.send(done(attempt, fence, 1, "again")).await;
    assert_eq!(within(task.result()).await.unwrap().answer.text, "again");
}
