//! Compares what the clients saw with what the router has at the end.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::client::{SESSION, end_of};
use crate::faults::WHOLE;
use crate::http::Door;
use crate::journal::{End, Journal, Work};
use crate::miner;

/// Waits until all clients have ended and the router is at rest, and then checks everything.
pub(crate) async fn run(door: Rc<Door>, journal: Rc<Journal>, miners: u64) -> turmoil::Result {
    while !journal.is_over() || turmoil::sim_elapsed().is_none_or(|now| now < WHOLE) {
        sleep(Duration::from_millis(100)).await;
    }
    while !is_at_rest(&door, miners).await {
        sleep(Duration::from_millis(100)).await;
    }
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for task in tasks(&door).await {
        let prompt = task["prompt"].as_str().unwrap_or_default().to_owned();
        found.entry(prompt).or_default().push(task);
    }
    for (name, work) in journal.works() {
        check(&journal, &name, &work, &found.remove(&name).unwrap_or_default());
    }
    for prompt in found.keys() {
        journal.violated(format!("{prompt:?} was never submitted"));
    }
    Ok(())
}

/// Whether no task is left, and all miners are there with all of their credits.
async fn is_at_rest(door: &Door, miners: u64) -> bool {
    let Ok((200, status)) = door.call("GET", "/api/v1/status", &[], None).await else { return false };
    let Ok((200, found)) = door.call("GET", "/api/v1/miners", &[], None).await else { return false };
    let is_free =
        |miner: &Value| miner["active"] == true && miner["in_flight"] == 0 && miner["credits"] == miner["capacity"];
    let free = found["miners"].as_array().map_or(0, |miners| miners.iter().filter(|miner| is_free(miner)).count());
    status["queued_tasks"] == 0 && status["running_tasks"] == 0 && free as u64 == miners
}

/// Every task of the session.
async fn tasks(door: &Door) -> Vec<Value> {
    loop {
        let path = format!("/api/v1/tasks/{SESSION}?format=array&limit=500&offset=0");
        if let Ok((200, Value::Array(tasks))) = door.call("GET", &path, &[], None).await {
            return tasks;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Checks one piece of work.
fn check(journal: &Journal, name: &str, work: &Work, tasks: &[Value]) {
    if tasks.len() > 1 {
        journal.violated(format!("{name}: {} tasks", tasks.len()));
    }
    journal.count(|counts| {
        counts.tasks += tasks.len() as u64;
        counts.succeeded += tasks.iter().filter(|task| task["outcome"] == "ok").count() as u64;
    });
    for task in tasks {
        if task["status"] != 4 {
            journal.violated(format!("{name} has not ended: {task}"));
        }
        if let End::Text(text) = end_of(task)
            && let Some(fault) = miner::fault_of(name, &text)
        {
            journal.violated(fault);
        }
    }
    let Some(number) = work.task else {
        if matches!(work.end, Some(End::Text(_))) {
            journal.violated(format!("{name} succeeded, and its task was never named"));
        }
        return;
    };
    let Some(task) = tasks.iter().find(|task| task["task_id"] == number) else {
        return journal.violated(format!("{name}: task {number} was acknowledged and lost; there are {tasks:?}"));
    };
    match &work.end {
        None => {}
        Some(End::Cancelled) if task["outcome"] == "cancelled" => {}
        Some(end) if *end == end_of(task) && *end != End::Cancelled => {}
        Some(end) => journal.violated(format!("{name} was told as {end:?} and is stored as {task}")),
    }
}
