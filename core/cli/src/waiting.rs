//! Tells a user at a terminal what an answer waits for until its first token comes.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::exit::Done;
use crate::output::text;
use crate::overview::{self, miners_of, number};
use crate::printable::printable;
use crate::table::{cut, one_line};

/// Answers that begin within this time show no sign.
const SOON: Duration = Duration::from_millis(300);

/// The time between two pictures of the sign.
const TICK: Duration = Duration::from_millis(120);

/// The time between two questions to the router.
const ASK: Duration = Duration::from_secs(1);

const PICTURES: [char; 4] = ['|', '/', '-', '\\'];

/// A sign on standard error, if that is a terminal. It goes when it is dropped.
pub(crate) struct Waiting {
    since: Instant,
    sign: Option<Sign>,
}

struct Sign {
    reference: String,
    shown: bool,
    turn: usize,
    words: watch::Receiver<String>,
    asking: JoinHandle<()>,
}

impl Waiting {
    /// Begins to wait. `wanted` is false where other output would be disturbed.
    pub(crate) fn begin(client: &Client, wanted: bool) -> Self {
        // A terminal that cannot go back to the start of its line would show every picture.
        let drawn = || io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        let sign = (wanted && drawn()).then(|| {
            // The time and the process tell the tasks of one user apart; the reference is only looked for.
            let reference =
                format!("cli-{}-{}", std::process::id(), cortensor_router::model::Timestamp::wall_clock().0);
            let (tell, words) = watch::channel(String::new());
            let asking = tokio::spawn(ask(client.clone(), reference.clone(), tell));
            Sign { reference, shown: false, turn: 0, words, asking }
        });
        Self { since: Instant::now(), sign }
    }

    /// The request with the reference by which its task is found at the router.
    pub(crate) fn referred(&self, request: &Value) -> Value {
        let mut request = request.clone();
        if let Some(sign) = &self.sign {
            request["client_reference"] = sign.reference.as_str().into();
        }
        request
    }

    /// Waits for something and shows the sign meanwhile.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Some(sign) = &mut self.sign else { return work.await };
        tokio::pin!(work);
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => if self.since.elapsed() >= SOON {
                    sign.show(self.since.elapsed());
                },
            }
        }
    }

    /// Ends the waiting, because something came. The sign goes and does not come back.
    pub(crate) fn end(&mut self) {
        self.sign = None;
    }
}

impl Sign {
    fn show(&mut self, waited: Duration) {
        let words = self.words.borrow().clone();
        let words = if words.is_empty() { "waiting for the first token".to_owned() } else { words };
        let picture = PICTURES[self.turn % PICTURES.len()];
        let line = format!("{picture} {words} ({} s)", waited.as_secs());
        let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        // The last column stays free, so that no terminal begins another line.
        let _ = write!(io::stderr().lock(), "\r{}\u{1b}[K", cut(&printable(&line), columns.saturating_sub(1)));
        (self.turn, self.shown) = (self.turn + 1, true);
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        self.asking.abort();
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

/// Asks the router again and again what became of the task. A token that may not read leaves the words empty.
async fn ask(client: Client, reference: String, tell: watch::Sender<String>) {
    let mut found: Option<(u64, u64)> = None;
    loop {
        tokio::time::sleep(ASK).await;
        match look(&client, &reference, &mut found).await {
            Ok(words) => drop(tell.send(words)),
            Err(exit) if exit.status() == 3 => return,
            Err(_) => {}
        }
    }
}

async fn look(client: &Client, reference: &str, found: &mut Option<(u64, u64)>) -> Done<String> {
    let task = match found {
        Some((session, task)) => Some(client.get(&format!("/api/v1/tasks/{session}/{task}")).await?),
        None => overview::task_by_reference(client, reference).await?,
    };
    let Some(task) = task else { return Ok(String::new()) };
    *found = Some((number(&task, "session_id"), number(&task, "id")));
    let miners = overview::miners(client).await?;
    Ok(words(&task, &miners))
}

/// The words for the thing that a task waits for.
fn words(task: &Value, miners: &[Value]) -> String {
    let place = task.get("queue_position").and_then(Value::as_u64);
    let miner = miners_of(task, miners).pop();
    let words = match (place, miner) {
        (Some(0), _) => "next in the queue".to_owned(),
        (Some(place), _) => format!("in the queue, {place} before it"),
        (None, Some(miner)) if text(task, "state") != "queued" => format!("{miner} works on it"),
        (None, _) => "in the queue".to_owned(),
    };
    one_line(&words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_what_the_task_waits_for() {
        let miners = [json!({"id": "rack", "address": "0x1"})];
        assert_eq!(words(&json!({"state": "queued", "queue_position": 3}), &miners), "in the queue, 3 before it");
        assert_eq!(words(&json!({"state": "acked", "assigned_miners": ["0x1"]}), &miners), "rack works on it");
        assert_eq!(words(&json!({"state": "queued", "assigned_miners": ["0x1"]}), &miners), "in the queue");
    }
}
