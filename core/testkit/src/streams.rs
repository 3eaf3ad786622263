//! Reads streams of tokens into values that a test can compare.

use std::sync::Arc;

use cortensor_router::model::Completion;
use cortensor_router::{Result, StreamEvent, Submission, TokenStream};

use crate::time::within;

/// Reads until there are `count` pieces.
pub async fn pieces(stream: &mut TokenStream, count: usize) -> Vec<StreamEvent> {
    let mut out = Vec::new();
    while out.len() < count {
        out.extend(within(stream.next_batch()).await.expect("the stream goes on"));
    }
    out
}

/// Reads the rest of a stream. Gives each piece as text with its number, `!` for a restart, and then the end.
pub async fn rest(stream: &mut TokenStream) -> (Vec<String>, Result<Arc<Completion>>) {
    let mut out = Vec::new();
    while let Some(batch) = within(stream.next_batch()).await {
        for event in batch {
            match event {
                StreamEvent::Token { seq, text, .. } => out.push(format!("{seq}:{text}")),
                StreamEvent::Restart { seq } => out.push(format!("{seq}!")),
                StreamEvent::End(end) => return (out, end),
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("the stream has no end: {out:?}");
}

/// Reads a stream in which nothing restarts. Gives the pieces with their numbers, and the end.
pub async fn read(task: &Submission) -> (Vec<(u64, String)>, Result<Arc<Completion>>) {
    let mut stream = task.stream();
    let mut pieces = Vec::new();
    loop {
        for event in within(stream.next_batch()).await.expect("no end") {
            match event {
                StreamEvent::Token { seq, text, .. } => pieces.push((seq, text)),
                StreamEvent::End(end) => return (pieces, end),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Reads a stream without gaps, repetitions or restarts. Gives its text, which must equal that of its end.
pub async fn whole(task: &Submission) -> String {
    let (pieces, end) = read(task).await;
    let numbers: Vec<u64> = pieces.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=pieces.len() as u64).collect::<Vec<_>>());
    let text: String = pieces.into_iter().map(|(_, text)| text).collect();
    assert_eq!(end.unwrap().answer.text, text);
    text
}
