//! Streams of tokens, read as a test compares them.

use std::sync::Arc;

use cortensor_router::model::Completion;
use cortensor_router::{Result, StreamEvent, Submission, TokenStream};

use crate::time::within;

/// Reads until that many pieces are there.
pub async fn pieces(stream: &mut TokenStream, count: usize) -> Vec<StreamEvent> {
    let mut out = Vec::new();
    while out.len() < count {
        out.extend(within(stream.next_batch()).await.expect("the stream goes on"));
    }
    out
}

/// All that is left, written down: numbers and texts, `!` for a restart; then the end.
pub async fn rest(stream: &mut TokenStream) -> (Vec<String>, Result<Arc<Completion>>) {
    let mut out = Vec::new();
    while let Some(batch) = within(stream.next_batch()).await {
        for event in batch {
            match event {
                StreamEvent::Token { seq, text, .. } => out.push(format!("{seq}:{text}")),
                StreamEvent::Restart { seq } => out.push(format!("{seq}!")),
                StreamEvent::End(end) => return (out, end),
            }
        }
    }
    panic!("the stream has no end: {out:?}");
}

/// The pieces of a stream with their numbers, and its end. Nothing restarts in it.
pub async fn read(task: &Submission) -> (Vec<(u64, String)>, Result<Arc<Completion>>) {
    let mut stream = task.stream();
    let mut pieces = Vec::new();
    loop {
        for event in within(stream.next_batch()).await.expect("no end") {
            match event {
                StreamEvent::Token { seq, text, .. } => pieces.push((seq, text)),
                StreamEvent::End(end) => return (pieces, end),
                other @ StreamEvent::Restart { .. } => panic!("{other:?}"),
            }
        }
    }
}

/// The whole text of a stream that has no gap and nothing twice, and whose end says the same.
pub async fn whole(task: &Submission) -> String {
    let (pieces, end) = read(task).await;
    let numbers: Vec<u64> = pieces.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=pieces.len() as u64).collect::<Vec<_>>());
    let text: String = pieces.into_iter().map(|(_, text)| text).collect();
    assert_eq!(end.unwrap().answer.text, text);
    text
}
