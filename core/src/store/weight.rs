//! The weight of a task against the byte budgets of retention. It is equal in every store.

use crate::model::{MinerResult, Task, TaskRequest};

/// The bytes that a task costs beside its texts: its row or record, and its index entries.
const FIXED: u64 = 512;

/// The weight of a task in bytes: its request, its answers and the fixed cost. The function adds up lengths and copies
/// nothing.
pub(super) fn weight(task: &Task) -> u64 {
    let results: usize = task
        .results
        .iter()
        .map(|result| {
            let answer = &result.answer;
            // The winner's text is the task's text and is kept once.
            let text = if answer.text == task.text { 0 } else { answer.text.len() };
            result.miner.len()
                + hash_len(result)
                + text
                + answer.model.as_ref().map_or(0, String::len)
                + answer.raw.as_ref().map_or(0, bytes::Bytes::len)
        })
        .sum();
    let rest = task.text.len()
        + results
        + task.error.as_ref().map_or(0, |error| error.message().len())
        + task.assigned_miners.iter().map(|miner| miner.len()).sum::<usize>();
    FIXED + request_weight(&task.request) + rest as u64
}

/// The length of a result's hash, which may still have to be made.
fn hash_len(result: &MinerResult) -> usize {
    if result.hash.is_empty() { 64 } else { result.hash.len() }
}

/// The bytes that went through the router for a task: those of its request and of all its answers.
pub(crate) fn traffic(task: &Task) -> u64 {
    let answers: usize = task
        .results
        .iter()
        .map(|result| result.answer.raw.as_ref().map_or(result.answer.text.len(), bytes::Bytes::len))
        .sum();
    request_weight(&task.request) + answers as u64
}

/// The bytes of a request's texts.
pub(crate) fn request_weight(request: &TaskRequest) -> u64 {
    let text = |field: &Option<String>| field.as_ref().map_or(0, String::len);
    let json = |field: &Option<Box<serde_json::value::RawValue>>| field.as_ref().map_or(0, |value| value.get().len());
    let extra: usize = request.extra.iter().map(|(key, value)| key.len() + value.get().len()).sum();
    let sum = text(&request.prompt)
        + json(&request.messages)
        + json(&request.input)
        + json(&request.responses)
        + json(&request.original)
        + text(&request.prompt_template)
        + text(&request.model)
        + text(&request.client_reference)
        + extra;
    sum as u64
}
