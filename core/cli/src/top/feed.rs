//! The calls of `top` to the router. They run apart from the screen, so that a slow router never holds up a key.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::act::Act;
use super::board::Board;
use super::rates::Readings;
use crate::client::Client;
use crate::exit::{Done, Exit};
use crate::sse::Events;

/// The updates that wait for the screen at most; beyond them the calls wait.
pub(super) const UPDATES: usize = 64;

/// A router whose state is not read within this time counts as away.
const SILENCE: Duration = Duration::from_secs(5);

/// News for the screen.
#[derive(Debug)]
pub(super) enum Update {
    /// The state of the router.
    Board(Box<Board>),
    /// The router did not answer, for that reason.
    Away(String),
    /// The record of the opened task.
    Task(Box<Value>),
    /// A piece of the opened task's answer.
    Piece(String),
    /// All pieces so far are void.
    Restart,
    /// The outcome of something that the user asked for.
    Said(String),
}

/// Reads the router's state again and again. `ended` says whether tasks that have ended are wanted too; a change of it
/// is obeyed at once.
pub(super) async fn boards(
    client: Client,
    mut readings: Readings,
    every: Duration,
    mut ended: watch::Receiver<bool>,
    updates: mpsc::Sender<Update>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            changed = ended.changed() => if changed.is_err() { return },
        }
        let wanted = *ended.borrow_and_update();
        let update = match tokio::time::timeout(SILENCE, Board::read(&client, &mut readings, wanted)).await {
            Ok(Ok(board)) => Update::Board(Box::new(board)),
            Ok(Err(exit)) => Update::Away(exit.message().to_owned()),
            Err(_) => Update::Away(format!("no whole answer within {} s", SILENCE.as_secs())),
        };
        if updates.send(update).await.is_err() {
            return;
        }
    }
}

/// The calls about one opened task, which end when it is dropped.
#[derive(Debug)]
pub(super) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads a task's record and its answer as it comes, until it has ended.
pub(super) fn follow(
    client: Client,
    session: u64,
    task: u64,
    every: Duration,
    updates: mpsc::Sender<Update>,
) -> Following {
    let path = format!("/api/v1/tasks/{session}/{task}");
    Following(tokio::spawn(async move {
        tokio::join!(records(&client, &path, every, &updates), answer(&client, &path, every, &updates));
    }))
}

async fn records(client: &Client, path: &str, every: Duration, updates: &mpsc::Sender<Update>) {
    loop {
        let (update, over) = match client.get(path).await {
            Ok(task) => {
                let ended = task.get("ended").and_then(Value::as_bool).unwrap_or_default();
                (Update::Task(Box::new(task)), ended)
            }
            Err(exit) => (Update::Said(exit.message().to_owned()), is_final(&exit)),
        };
        if updates.send(update).await.is_err() || over {
            return;
        }
        tokio::time::sleep(every).await;
    }
}

/// Reads the answer. If the connection breaks, all of it is read again.
async fn answer(client: &Client, path: &str, every: Duration, updates: &mpsc::Sender<Update>) {
    loop {
        match pieces(client, &format!("{path}/stream"), updates).await {
            Ok(true) => return,
            Err(exit) if is_final(&exit) => return,
            Ok(false) | Err(_) => tokio::time::sleep(every).await,
        }
        if updates.send(Update::Restart).await.is_err() {
            return;
        }
    }
}

/// Whether a call that failed so will fail again.
fn is_final(exit: &Exit) -> bool {
    matches!(exit.status(), 2..=5)
}

/// Reads the pieces of an answer. Gives whether it is complete.
async fn pieces(client: &Client, path: &str, updates: &mpsc::Sender<Update>) -> Done<bool> {
    let mut events = Events::new(client.open(path).await?.into_body());
    while let Some(data) = events.next().await? {
        if &data[..] == b"[DONE]" {
            return Ok(true);
        }
        let Ok(event) = serde_json::from_slice::<Value>(&data) else { continue };
        // The record says why a task failed.
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Ok(true);
        }
        let update = if event.get("restart").is_some() {
            Update::Restart
        } else {
            match piece(&event) {
                Some(text) => Update::Piece(text.to_owned()),
                None => continue,
            }
        };
        if updates.send(update).await.is_err() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The new text of an event, of a completion or a chat.
fn piece(event: &Value) -> Option<&str> {
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
    text("/choices/0/text").or_else(|| text("/choices/0/delta/content")).filter(|text| !text.is_empty())
}

/// Makes a change, tells what became of it, and has the router's state read again.
pub(super) async fn act(client: Client, act: Act, updates: mpsc::Sender<Update>, ended: watch::Sender<bool>) {
    let said = act.done(&client).await;
    let _ = updates.send(Update::Said(said)).await;
    ended.send_modify(|_| {});
}
