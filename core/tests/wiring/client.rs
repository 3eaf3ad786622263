//! The clients. Each does some work in one of several ways, and repeats what a fault has broken.

use std::rc::Rc;
use std::time::Duration;

use cortensor_router_testkit::random::Random;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::http::{Door, Lost, Streamed};
use crate::journal::{End, Journal};

/// The wait before a request is sent again.
const AGAIN: Duration = Duration::from_millis(150);
/// The session of all tasks.
pub(crate) const SESSION: u64 = 0;

/// One client.
pub(crate) struct Client {
    number: u64,
    chance: Random,
    door: Rc<Door>,
    journal: Rc<Journal>,
}

impl Client {
    /// Makes a client. The journal counts it until it has ended.
    pub(crate) fn new(number: u64, chance: Random, door: Rc<Door>, journal: Rc<Journal>) -> Self {
        journal.client(true);
        Self { number, chance, door, journal }
    }

    /// Does the work.
    pub(crate) async fn run(mut self) -> turmoil::Result {
        for count in 0..self.chance.range(6, 12) {
            let name = format!("c{}-{count}", self.number);
            match self.chance.below(8) {
                0 | 1 => self.whole(&name).await,
                2..=4 => self.stream(&name).await,
                5 => self.poll(&name).await,
                6 => self.cancel(&name).await,
                _ => self.hang_up(&name).await,
            }
            sleep(Duration::from_millis(self.chance.below(900))).await;
        }
        self.journal.client(false);
        Ok(())
    }

    /// Sends a request for a work under its key until the router gives a whole answer that decides something.
    async fn insist(&self, name: &str, body: &Value) -> (u16, Value) {
        for round in 0.. {
            if round > 0 {
                self.journal.count(|counts| counts.repeated += 1);
                sleep(AGAIN).await;
            }
            self.journal.asks(name);
            let path = format!("/api/v1/completions/{SESSION}");
            match self.door.call("POST", &path, &[("idempotency-key", name.to_owned())], Some(body)).await {
                Ok((429 | 503, _)) | Err(Lost) => {}
                Ok(decided) => return decided,
            }
        }
        unreachable!("the loop has no end of its own")
    }

    /// Asks for a whole answer. The task goes on without the client, or ends with the client's connection.
    async fn whole(&mut self, name: &str) {
        let body = json!({"prompt": name, "timeout": 60, "detach": self.chance.chance(60)});
        let (status, answer) = self.insist(name, &body).await;
        if let Some(task) = answer["task_id"].as_u64() {
            self.journal.names(name, task);
        }
        match status {
            200 => self.journal.ends(name, End::Text(text(&answer["choices"][0]["text"]))),
            408 | 499 | 502 | 504 => self.journal.ends(name, End::Failed),
            _ => self.journal.violated(format!("{name}: {status} {answer}")),
        }
    }

    /// Submits a task that goes on without the client. Gives its number.
    async fn submit(&self, name: &str) -> Option<u64> {
        let (status, answer) = self.insist(name, &json!({"prompt": name, "timeout": 60, "async": true})).await;
        let task = answer["task_id"].as_u64().filter(|_| matches!(status, 200 | 202));
        match task {
            Some(task) => self.journal.names(name, task),
            None => self.journal.violated(format!("{name}: {status} {answer}")),
        }
        task
    }

    /// Submits a task, and polls it until it has ended.
    async fn poll(&self, name: &str) {
        let Some(task) = self.submit(name).await else { return };
        loop {
            sleep(AGAIN).await;
            match self.door.call("GET", &format!("/api/v1/tasks/{SESSION}/{task}"), &[], None).await {
                Ok((200, seen)) if seen["status"] == 4 => return self.journal.ends(name, end_of(&seen)),
                Ok((200 | 429 | 503, _)) | Err(Lost) => {}
                Ok((status, answer)) => {
                    return self.journal.violated(format!("{name}: task {task} is lost: {status} {answer}"));
                }
            }
        }
    }

    /// Submits a task, and cancels it.
    async fn cancel(&mut self, name: &str) {
        let Some(task) = self.submit(name).await else { return };
        sleep(Duration::from_millis(self.chance.below(600))).await;
        loop {
            match self.door.call("DELETE", &format!("/api/v1/tasks/{SESSION}/{task}"), &[], None).await {
                Ok((200, _)) => {
                    self.journal.count(|counts| counts.cancelled += 1);
                    return self.journal.ends(name, End::Cancelled);
                }
                // It had ended, possibly by a request whose answer was lost.
                Ok((409, _)) => return,
                Ok((429 | 503, _)) | Err(Lost) => sleep(AGAIN).await,
                Ok((status, answer)) => {
                    return self.journal.violated(format!("{name}: task {task} is lost: {status} {answer}"));
                }
            }
        }
    }

    /// Begins a stream, and hangs up.
    async fn hang_up(&mut self, name: &str) {
        self.journal.asks(name);
        let body = json!({"prompt": name, "timeout": 60, "stream": true});
        let Ok(mut stream) = self.door.send("POST", &format!("/api/v1/completions/{SESSION}"), &[], Some(&body)).await
        else {
            return;
        };
        for _ in 0..self.chance.below(4) {
            let Ok(Some(_)) = stream.event(&mut None).await else { return };
        }
    }

    /// Reads a stream to its end, and resumes it where it was after each loss.
    async fn stream(&mut self, name: &str) {
        let mut reader = Reader { name, last: 0, text: String::new(), journal: &self.journal };
        let mut pauses = self.chance.chance(30).then(|| self.chance.clone());
        let body = json!({"prompt": name, "timeout": 60, "stream": true, "detach": true});
        let mut task = None;
        for round in 0.. {
            if round > 0 {
                sleep(AGAIN).await;
            }
            let asked = match task {
                None => {
                    self.journal.asks(name);
                    let key = [("idempotency-key", name.to_owned())];
                    self.door.send("POST", &format!("/api/v1/completions/{SESSION}"), &key, Some(&body)).await
                }
                Some(task) => {
                    self.journal.count(|counts| counts.resumed += 1);
                    let last = [("last-event-id", reader.last.to_string())];
                    self.door.send("GET", &format!("/api/v1/tasks/{SESSION}/{task}/stream"), &last, None).await
                }
            };
            let Ok(mut stream) = asked else { continue };
            if stream.status != 200 {
                match stream.whole().await {
                    Ok((429 | 503, _)) | Err(Lost) => continue,
                    Ok((408 | 499 | 502 | 504, answer)) => {
                        if let Some(task) = answer["task_id"].as_u64() {
                            self.journal.names(name, task);
                        }
                        return self.journal.ends(name, End::Failed);
                    }
                    Ok((status, answer)) => return self.journal.violated(format!("{name}: {status} {answer}")),
                }
            }
            if task.is_none() {
                // The router sends a whole stream again for a key that it knows.
                (reader.last, reader.text) = (0, String::new());
            }
            if let Some(number) = stream.task {
                self.journal.names(name, number);
                task = Some(number);
            }
            if reader.read(&mut stream, &mut pauses, &mut task).await {
                return;
            }
        }
    }
}

/// The events of one stream, over all connections that it takes to read it.
struct Reader<'a> {
    name: &'a str,
    last: u64,
    text: String,
    journal: &'a Journal,
}

impl Reader<'_> {
    /// Reads until the stream ends or breaks. `true`: the task has ended, or a promise was broken.
    async fn read(&mut self, stream: &mut Streamed, pauses: &mut Option<Random>, task: &mut Option<u64>) -> bool {
        while let Ok(Some(event)) = stream.event(pauses).await {
            if event.data == "[DONE]" {
                self.journal.violated(format!("{}: the stream ended without an end of the task", self.name));
                return true;
            }
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
                self.journal.violated(format!("{}: {event:?} is no event", self.name));
                return true;
            };
            if let Some(number) = data["task_id"].as_u64().filter(|_| task.is_none()) {
                self.journal.names(self.name, number);
                *task = Some(number);
            }
            if data.get("error").is_some() {
                // A router that stops, or whose store refuses the end for now, says so, and the task goes on.
                if matches!(data["code"].as_str(), Some("closed" | "unavailable" | "store_unavailable")) {
                    return false;
                }
                self.journal.ends(self.name, End::Failed);
                return true;
            }
            let Some(id) = event.id else {
                self.journal.violated(format!("{}: {event:?} has no number", self.name));
                return true;
            };
            if data["restart"] == true {
                self.journal.count(|counts| counts.restarts += 1);
                (self.last, self.text) = (id, String::new());
                continue;
            }
            if id != self.last + 1 && self.last != 0 {
                self.journal.violated(format!("{}: event {id} came after {}", self.name, self.last));
                return true;
            }
            self.last = id;
            self.text.push_str(&text(&data["choices"][0]["text"]));
            if !data["choices"][0]["finish_reason"].is_null() {
                if data["text"].as_str() != Some(&self.text) {
                    self.journal
                        .violated(format!("{}: the pieces {:?} are not {}", self.name, self.text, data["text"]));
                }
                self.journal.ends(self.name, End::Text(self.text.clone()));
                return true;
            }
        }
        false
    }
}

/// The end of a task that the router shows as ended.
pub(crate) fn end_of(task: &Value) -> End {
    match task["outcome"].as_str() {
        Some("ok") => End::Text(text(&task["text"])),
        _ => End::Failed,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
