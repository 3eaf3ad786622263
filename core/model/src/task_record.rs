//! Tasks in the REST API's shape. A list and a detail differ in `results`, because published clients read them so.

use serde::Serialize;

use super::{Outcome, SharedText, Task, TaskState, Timestamp, Usage, Verdict, WebhookRecord};

/// The answers to a task, where it is shown alone.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct TaskResults<'a> {
    /// The texts; while the task runs, the text so far.
    data: Vec<&'a str>,
    /// The miners' addresses, aligned with `data`. Only once the task has ended: clients take its presence for completeness.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    miners: Option<Vec<&'a str>>,
}

/// The answers to a task.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Results))]
#[serde(untagged)]
enum Results<'a> {
    /// In a list of tasks: the texts, aligned with `assigned_miners`; empty where a miner gave none.
    List(Vec<&'a str>),
    /// Of one task: the texts with their miners.
    Detail(TaskResults<'a>),
}

/// A task on its way out: to REST clients and to the bindings.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Task))]
pub struct TaskRecord<'a> {
    /// Its number in its session.
    id: u64,
    /// Alias of `id`, for clients that read `task_id`.
    task_id: u64,
    /// Its number among all sessions.
    gid: u64,
    /// The session.
    session_id: u64,
    /// The key under which it was submitted: a key's id, the name of a configured token, or the name that a host
    /// program gave.
    key_id: Option<&'a str>,
    /// The caller's own reference.
    client_reference: Option<&'a str>,
    /// 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
    status: u8,
    /// `status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`.
    state: &'static str,
    /// Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes.
    outcome: Option<&'static str>,
    /// Whether it has ended.
    ended: bool,
    /// Unix seconds at which the task was submitted.
    created_at: u64,
    /// Unix seconds at which a miner took the task; 0 while none has.
    started_at: u64,
    /// Unix seconds at which the last answer came in; 0 before.
    last_precommit_at: u64,
    /// Unix seconds at which the verdict was written; 0 before.
    last_commit_at: u64,
    /// Unix seconds at which the task ended; 0 before.
    finished_at: u64,
    /// Seconds that miners took; 0 before the end.
    execution_time: f64,
    /// The addresses of the miners that worked on it, in their order.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    assigned_miners: &'a [SharedText],
    /// The whole text that the model reads.
    prompt: String,
    /// The answer's text, or what there is so far.
    text: &'a str,
    /// Alias of `text`, for clients that read `response`.
    response: &'a str,
    /// The model that was asked for, else the one that answered.
    model: Option<&'a str>,
    /// Why the answer ends: `stop`, `length` ...
    finish_reason: Option<&'a str>,
    /// Token counts.
    usage: Option<Usage>,
    /// How often it was given to a miner.
    attempts: u32,
    /// How several answers compare.
    verdict: Option<&'a Verdict>,
    /// Why it has no answer.
    failure: Option<&'a str>,
    /// Its place in the queue, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u64>,
    /// The delivery of its end to its webhook, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookRecord>,
    /// The answers. In a list of tasks: the texts, aligned with `assigned_miners`.
    results: Results<'a>,
    /// SHA-256 of the answers' texts, aligned with `results`.
    results_hash: Vec<&'a str>,
}

impl<'a> TaskRecord<'a> {
    /// A row of a list.
    pub fn row(task: &'a Task) -> Self {
        let of = |miner: &SharedText| task.results.iter().find(|result| result.miner == *miner);
        let results =
            task.assigned_miners.iter().map(|miner| of(miner).map_or("", |r| r.answer.text.as_str())).collect();
        let hashes = task.assigned_miners.iter().map(|miner| of(miner).map_or("", |r| r.hash.as_str())).collect();
        Self::new(task, Results::List(results), hashes)
    }

    /// The whole of it.
    pub fn detail(task: &'a Task) -> Self {
        let results = if task.state == TaskState::Ended {
            TaskResults {
                data: task.results.iter().map(|result| result.answer.text.as_str()).collect(),
                miners: Some(task.results.iter().map(|result| result.miner.as_str()).collect()),
            }
        } else {
            let so_far = if task.text.is_empty() { Vec::new() } else { vec![task.text.as_str()] };
            TaskResults { data: so_far, miners: None }
        };
        let hashes = task.results.iter().map(|result| result.hash.as_str()).collect();
        Self::new(task, Results::Detail(results), hashes)
    }

    fn new(task: &'a Task, results: Results<'a>, results_hash: Vec<&'a str>) -> Self {
        let winner = task.results.first().map(|result| &result.answer);
        let ended = task.state == TaskState::Ended;
        let execution_ms = match (task.started_at, task.ended_at) {
            (Some(started), Some(at)) if ended => at.since(started),
            _ => 0,
        };
        let secs = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_secs);
        Self {
            id: task.id.0,
            task_id: task.id.0,
            gid: task.gid.0,
            session_id: task.session_id.0,
            key_id: task.key_id.as_deref(),
            client_reference: task.request.client_reference.as_deref(),
            status: task.state.status(),
            state: task.state.as_str(),
            outcome: task.outcome.map(Outcome::as_str),
            ended,
            created_at: task.created_at.as_secs(),
            started_at: secs(task.started_at),
            last_precommit_at: secs(task.precommitted_at),
            last_commit_at: secs(task.committed_at),
            finished_at: secs(task.ended_at),
            execution_time: execution_ms as f64 / 1_000.0,
            assigned_miners: &task.assigned_miners,
            prompt: task.request.prompt_text(),
            text: &task.text,
            response: &task.text,
            model: task.model_name(),
            finish_reason: winner.map(|answer| answer.finish_reason.as_str()),
            usage: winner.map(|answer| answer.usage),
            attempts: task.attempts,
            verdict: task.verdict.as_ref(),
            failure: task.error.as_ref().map(crate::Error::message),
            queue_position: task.queue_position,
            webhook: task.webhook.as_deref().map(WebhookRecord::of),
            results,
            results_hash,
        }
    }
}
