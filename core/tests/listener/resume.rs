//! Clients that come back with the number of the last event that they have.

use std::path::Path;
use std::sync::Arc;

use cortensor_router::config::Durability;
use cortensor_router::config::StorageConfig;
use cortensor_router::model::{SessionId, TaskRequest};
use cortensor_router::{StreamEvent, SubmitOptions};
use tokio::sync::Notify;

use super::*;

/// The texts of the events of a stream's body, with their numbers. The text of a restart is `<restart>`.
fn events(body: &str) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    for event in body.split("\n\n").filter(|event| event.starts_with("id: ")) {
        let (id, data) = event.split_once("\ndata: ").unwrap_or_else(|| panic!("no data alone in {event:?}"));
        let data: Value = serde_json::from_str(data).unwrap();
        let text = if data["restart"] == true { json!("<restart>") } else { data["choices"][0]["text"].clone() };
        found.push((id[4..].parse().unwrap(), text.as_str().unwrap().to_owned()));
    }
    found
}

#[tokio::test]
async fn only_a_number_of_the_task_is_gone_on_from() {
    let server = with_words().await;
    server.parts("POST", "/api/v1/completions", DEV, r#"{"prompt":"one two","stream":true}"#).await;
    let all: &[(u64, &str)] = &[(1, "one "), (2, "two"), (3, "")];
    let anew: &[(u64, &str)] = &[(0, "<restart>"), (1, "one "), (2, "two"), (3, "")];
    for (number, expected) in [
        ("", all),
        ("0", all),
        ("1", &all[1..]),
        (" 2 ", &all[2..]),
        // A browser that reconnects by itself has the end already.
        ("3", &all[2..]),
        ("4", anew),
        ("4294967297", anew),
        ("9007199254740993", anew),
        ("18446744073709551615", anew),
        ("18446744073709551616", anew),
        ("99999999999999999999999999", anew),
    ] {
        let headers = format!("{DEV}Last-Event-ID: {number}\r\n");
        let (status, _, body) = server.parts("GET", "/api/v1/tasks/0/1/stream", &headers, "").await;
        let expected: Vec<_> = expected.iter().map(|(id, text)| (*id, (*text).to_owned())).collect();
        assert_eq!((status, events(&body)), (200, expected), "Last-Event-ID {number:?}: {body}");
        assert!(body.ends_with("data: [DONE]\n\n") && !body.contains("event:"), "{body}");
    }
    for number in ["-1", "1.5", "0x1", "one", "1 2"] {
        let headers = format!("{DEV}Last-Event-ID: {number}\r\n");
        let (status, _, body) = server.parts("GET", "/api/v1/tasks/0/1/stream", &headers, "").await;
        assert!(status == 400 && body.contains("\"param\":\"Last-Event-ID\""), "{number:?}: {body}");
    }
}

/// A router on that directory, with a miner that gives these words and ends the answer after `go`.
async fn on_disk(dir: &Path, words: &'static [&'static str], go: Arc<Notify>) -> Server {
    let storage = StorageConfig::default().data_dir(Some(dir.to_owned())).durability(Durability::Full);
    let server = serve_with(Config::default().storage(storage), ListenConfig::default()).await;
    let miner = move |job: Job| {
        let go = go.clone();
        tokio::spawn(async move {
            for word in words {
                job.emit(*word);
            }
            go.notified().await;
            job.finish(Answer::default());
        });
    };
    server.router.add_miner(MinerSpec::new("words", 1), miner).unwrap();
    server
}

#[tokio::test]
async fn a_reader_never_gets_the_pieces_of_two_runs_under_one_row_of_numbers() {
    const OLD: &[&str] = &["old1 ", "old2 "];
    const NEW: &[&str] = &["new1 ", "new2 ", "new3 "];
    const START: u64 = 1 << 32;
    for waits_for_the_end in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let never = Arc::new(Notify::new());
        let first = on_disk(dir.path(), OLD, never).await;
        let detach = SubmitOptions::default().detach(true);
        let request = TaskRequest::completion("x").stream(true);
        let task = first.router.submit(SessionId(0), request, detach).await.unwrap();
        task.accepted().await.unwrap();
        let (mut stream, mut seen) = (task.stream(), 0);
        while seen < 2 {
            for event in stream.next_batch().await.unwrap() {
                assert!(matches!(event, StreamEvent::Token { .. }), "{event:?}");
                seen += 1;
            }
        }
        assert_eq!(stream.last_seq(), 2);
        drop((stream, task));
        first.router.close().await;
        drop(first);

        let go = Arc::new(Notify::new());
        let second = on_disk(dir.path(), NEW, go.clone()).await;
        let again = second.router.attach(SessionId(0), cortensor_router::model::TaskId(1)).await.unwrap();
        if waits_for_the_end {
            go.notify_one();
            again.result().await.unwrap();
        }
        let mut stream = again.stream_after(2);
        let mut numbers = Vec::new();
        while numbers.len() < 4 {
            for event in stream.next_batch().await.unwrap() {
                numbers.push(match event {
                    StreamEvent::Token { seq, text, .. } => (seq, text),
                    StreamEvent::Restart { seq } => (seq, "<restart>".to_owned()),
                    StreamEvent::End(end) => (0, end.unwrap().answer.text.to_string()),
                    other => panic!("{other:?}"),
                });
            }
        }
        go.notify_one();
        again.result().await.unwrap();
        let anew = [(START, "<restart>"), (START + 1, "new1 "), (START + 2, "new2 "), (START + 3, "new3 ")];
        let anew: Vec<_> = anew.into_iter().map(|(seq, text)| (seq, text.to_owned())).collect();
        assert_eq!(numbers[..4], anew, "waits for the end: {waits_for_the_end}");
        // The check is repeated over HTTP, with a number of the old run that exists in the new one too.
        let headers = format!("{DEV}Last-Event-ID: 1\r\n");
        let (_, _, body) = second.parts("GET", "/api/v1/tasks/0/1/stream", &headers, "").await;
        assert_eq!(events(&body)[..4], anew, "{body}");
        assert_eq!(events(&body)[4], (START + 4, String::new()), "{body}");
        second.router.close().await;
    }
}
