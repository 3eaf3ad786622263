//! The bodies of Cortensor's routes as the OpenAPI document describes them, where the record itself is not described.
//!
//! These types are documentation: bodies are read by [`TaskRequest`](crate::model::TaskRequest), and answers are
//! written by the records of [`model`](crate::model).
#![allow(dead_code, reason = "the types are only described, never made")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::listener::openai::schema::{ChatCompletion, ChatCompletionRequest, ChatMessage};
use crate::model::{CompletionRecord, MinerInfo, NodeStats, OnFailure, Session, TaskRecord, ValidationSpec};
use crate::store::ApiKey;

/// A number, or a text of digits. Of a session also its 0x and 64 digits.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Id {
    /// The number.
    Number(u64),
    /// The same as a text.
    Text(String),
}

/// A completion is wanted. Fields that are not listed pass through to the miner.
#[derive(ToSchema)]
pub(super) struct PromptRequest {
    /// The prompt. Wanted unless there are `messages`.
    prompt: Option<String>,
    /// A conversation instead of a prompt: the answer is then the next message's text.
    messages: Option<Vec<ChatMessage>>,
    /// The session; the path's comes first. Missing: the token's own, else the router's choice.
    session_id: Option<Id>,
    /// 0: the model's chat template is applied; 1: the prompt goes to the model as it is.
    #[schema(minimum = 0, maximum = 1)]
    prompt_type: Option<u8>,
    /// A text with `{prompt}` in it, put around the prompt.
    prompt_template: Option<String>,
    /// The model; given back in the answer. One that no miner offers stands for any model.
    model: Option<String>,
    /// Whether the answer is wanted as it comes, as server-sent events.
    stream: Option<bool>,
    /// Seconds until the task is given up; what is over the router's limit is cut to it.
    #[schema(exclusive_minimum = 0)]
    timeout: Option<f64>,
    /// Seconds within which several answers must be in: then those that are in are compared; what is over the router's limit is cut to it.
    #[schema(exclusive_minimum = 0)]
    precommit_timeout: Option<f64>,
    /// The most tokens to generate; what is over the router's limit is cut to it.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_tokens: Option<u64>,
    /// The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.
    #[schema(minimum = 1)]
    max_miners: Option<u32>,
    /// The same.
    #[schema(minimum = 1)]
    n: Option<u32>,
    /// How several answers are compared, where not as the session says.
    #[serde(flatten)]
    validation: ValidationSpec,
    /// What follows when the miner is lost after tokens were seen: `fail`, `continue` from the text so far, or `restart`.
    on_failure: Option<OnFailure>,
    /// A higher band is served first.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// The caller's own reference, given back in the task.
    client_reference: Option<String>,
    /// Whether `client_reference` is also the idempotency key.
    idempotent: Option<bool>,
    /// Whether to answer at once with the task's ids (202).
    r#async: Option<bool>,
    /// Whether the task goes on when the caller hangs up.
    detach: Option<bool>,
    /// Whether special tokens and leading blanks stay in the text.
    raw: Option<bool>,
    /// Passes through: the sampling temperature.
    temperature: Option<Value>,
    /// Passes through: nucleus sampling.
    top_p: Option<Value>,
    /// Passes through: the number of candidates.
    top_k: Option<Value>,
    /// Passes through: a penalty for tokens that came before.
    presence_penalty: Option<Value>,
    /// Passes through: a penalty for tokens that came often.
    frequency_penalty: Option<Value>,
    /// Passes through: where to stop.
    stop: Option<Value>,
    /// Passes through: the seed.
    seed: Option<Value>,
}

/// The next message of a conversation is wanted, as OpenAI's API asks for it, with what only this family has.
#[derive(ToSchema)]
pub(super) struct ChatRequest {
    #[serde(flatten)]
    chat: ChatCompletionRequest,
    /// The session; the path's comes first. Missing: the token's own, else the router's choice.
    session_id: Option<Id>,
    /// The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.
    #[schema(minimum = 1)]
    max_miners: Option<u32>,
    /// How several answers are compared, where not as the session says.
    #[serde(flatten)]
    validation: ValidationSpec,
    /// What follows when the miner is lost after tokens were seen: `fail`, `continue` from the text so far, or `restart`.
    on_failure: Option<OnFailure>,
    /// The caller's own reference, given back in the task.
    client_reference: Option<String>,
    /// Whether `client_reference` is also the idempotency key.
    idempotent: Option<bool>,
    /// Whether to answer at once with the task's ids (202).
    r#async: Option<bool>,
    /// Whether the task goes on when the caller hangs up.
    detach: Option<bool>,
}

/// A completion; a body that asks for a chat on a route for chats is answered as OpenAI's API does.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum ChatOrCompletion {
    /// The body had `messages`.
    Chat(ChatCompletion),
    /// The body had a `prompt`.
    Completion(CompletionRecord<'static>),
}

/// The task is there; it can be polled and joined under these ids.
#[derive(ToSchema)]
pub(super) struct Accepted {
    /// The session.
    session_id: u64,
    /// The task in its session.
    task_id: u64,
    /// The same.
    id: u64,
    /// The task among all sessions.
    gid: u64,
    /// `accepted`
    status: String,
    /// `queued`
    state: String,
}

/// A task, with what each miner answered.
#[derive(ToSchema)]
pub(super) struct Task {
    #[serde(flatten)]
    task: TaskRecord<'static>,
    /// The answers.
    results: TaskResults,
}

/// The answers to a task.
#[derive(ToSchema)]
pub(super) struct TaskResults {
    /// The texts; while the task runs what there is so far.
    data: Vec<String>,
    /// The miners' addresses, aligned with `data`. Only once the task has ended.
    #[schema(nullable = false)]
    miners: Option<Vec<String>>,
}

/// A task in a list.
#[derive(ToSchema)]
pub(super) struct TaskRow {
    #[serde(flatten)]
    task: TaskRecord<'static>,
    /// The answers' texts, aligned with `assigned_miners`; empty where a miner gave none.
    results: Vec<String>,
}

/// Tasks, oldest first.
#[derive(ToSchema)]
pub(super) struct TaskPage {
    /// How many there are in all.
    count: u64,
    /// Those of this page.
    tasks: Vec<TaskRow>,
    /// The ids of tasks of this page whose rows in the store are damaged; missing where there are none. With `format=array` the header `X-Cortensor-Corrupt` has them.
    corrupt: Option<Vec<u64>>,
}

/// A page, or with `format=array` its tasks alone.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Tasks {
    /// The page.
    Page(TaskPage),
    /// Its tasks.
    Array(Vec<TaskRow>),
}

/// What part of a session's tasks is wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TaskQuery {
    /// The most tasks to list. Default 100; `listen.max_page_rows` is the most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Counts from the oldest: how many of them to leave out. Missing, and without `order`: the newest page.
    offset: Option<u64>,
    /// `asc`: from the oldest on, also without `offset`. `desc`: from the newest back, newest first; `offset` leaves out the newest.
    order: Option<String>,
    /// `ended`, or `active` for those that have not; `queued`, `assigned`, `acked`, `precommitted` and `committed` mean `active`.
    state: Option<String>,
    /// `array` gives the list alone.
    format: Option<String>,
}

/// Which task a path means.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskPath {
    /// The session's number, or its 0x and 64 digits.
    session_id: String,
    /// The task's number in its session.
    task_id: String,
}

/// Where a reader left off.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct LastEventId {
    /// The number of the last event that was seen; what comes after it is sent. Missing: everything. A number that is none of this task: everything, behind a mark.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<u64>,
}

/// What part of the sessions is wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// The most sessions to list. Default 100; `listen.max_page_rows` is the most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// How many to leave out at the beginning.
    offset: Option<u64>,
    /// `open` (or `active`), or `closed`.
    state: Option<String>,
}

/// A session that was just created.
#[derive(ToSchema)]
pub(super) struct SessionCreated {
    #[serde(flatten)]
    session: Session,
    /// The id again.
    session_id: u64,
    /// `created`
    status: String,
    /// The session's 0x and 64 digits, as published clients want them; accepted wherever a session's id is.
    tx_hash: String,
}

/// A session, with the greatest context of the miners.
#[derive(ToSchema)]
pub(super) struct SessionDetail {
    #[serde(flatten)]
    session: Session,
    /// The most tokens of prompt and answer together; 0 where no miner says.
    max_context_tokens: u64,
}

/// Sessions, by id.
#[derive(ToSchema)]
pub(super) struct SessionPage {
    /// How many there are in all.
    count: u64,
    /// Those of this page.
    sessions: Vec<Session>,
}

/// The miners that are there.
#[derive(ToSchema)]
pub(super) struct MinerPage {
    /// By name.
    nodes: BTreeMap<String, MinerInfo>,
    /// How many of each sort.
    stats: NodeStats,
    /// The same as a list.
    miners: Vec<MinerInfo>,
    /// How many.
    count: u64,
}

/// A word about how it is.
#[derive(ToSchema)]
pub(in crate::listener) struct Health {
    /// `ok`
    status: String,
}

/// Whether the router takes tasks, and how much there is to do.
#[derive(ToSchema)]
pub(in crate::listener) struct Readiness {
    /// `ready`, `draining`, `store_unavailable` or `no_miner`.
    status: String,
    /// Miners that are connected.
    miners: u64,
    /// Those of them that can take a task.
    active_miners: u64,
    /// Tasks that wait for a miner.
    queued_tasks: u64,
    /// Tasks that a miner works on.
    running_tasks: u64,
}

/// What the router is, for those without a token.
#[derive(ToSchema)]
pub(super) struct About {
    /// Its name.
    name: String,
    /// The version of the product.
    version: String,
    /// The address that stands for it.
    from_address: String,
    /// Always `false`: nothing is paid for here.
    x402_enabled: bool,
    /// Its routes.
    endpoints: Vec<String>,
}

/// Keys, without their secrets.
#[derive(ToSchema)]
pub(in crate::listener) struct KeyPage {
    /// How many.
    count: u64,
    /// The keys.
    keys: Vec<ApiKey>,
}

/// A key that was just revoked.
#[derive(ToSchema)]
pub(in crate::listener) struct KeyRevoked {
    /// Its id.
    id: String,
    /// `revoked`
    status: String,
}

/// An error of Cortensor's routes: `error`, `message` and `detail` are the same text, because clients read one or another.
#[derive(ToSchema)]
pub(in crate::listener) struct CortensorError {
    /// What is wrong and how to mend it.
    error: String,
    /// The same.
    message: String,
    /// The same.
    detail: String,
    /// The kind of error, or a finer word for it: `session_not_found` ...
    code: String,
    /// The field at fault.
    #[schema(required)]
    param: Option<String>,
    /// The session that the error is about.
    #[schema(nullable = false)]
    session_id: Option<u64>,
    /// The task that the error is about; where it goes on it can be polled.
    #[schema(nullable = false)]
    task_id: Option<u64>,
}
