//! Answers of Cortensor's routes, and the parameters that they read from paths and queries.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{OneOfBuilder, Ref};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::listener::openai::schema::ChatCompletion;
use crate::model::{CompletionRecord, MinerInfo, NodeStats, Session, TaskRecord, absent};
use crate::store::ApiKey;

/// A completion, or OpenAI's answer where the body of a route for chats had `messages`.
pub(super) enum ChatOrCompletion {}

impl PartialSchema for ChatOrCompletion {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("OpenAI's answer where the body had `messages`, a completion where it had a `prompt`."))
            .item(Ref::from_schema_name(ChatCompletion::name()))
            .item(Ref::from_schema_name(CompletionRecord::name()))
            .into()
    }
}

impl ToSchema for ChatOrCompletion {
    fn name() -> Cow<'static, str> {
        "ChatOrCompletion".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ChatCompletion::name().into(), ChatCompletion::schema()));
        schemas.push((CompletionRecord::name().into(), CompletionRecord::schema()));
        ChatCompletion::schemas(schemas);
        CompletionRecord::schemas(schemas);
    }
}

/// A task that was accepted. It can be polled and joined under these ids.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The session.
    pub(super) session_id: u64,
    /// The task's number in its session.
    pub(super) task_id: u64,
    /// Alias of `task_id`.
    pub(super) id: u64,
    /// The task's number among all sessions.
    pub(super) gid: u64,
    /// `accepted`
    pub(super) status: &'static str,
    /// `queued`
    pub(super) state: &'static str,
}

/// Tasks of a session.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskPage<'a> {
    /// The number of tasks on all pages.
    pub(super) count: u64,
    /// The tasks of this page.
    pub(super) tasks: Vec<TaskRecord<'a>>,
    /// The ids of tasks of this page whose rows in the store are damaged; missing if there are none. With
    /// `format=array` the header `X-Cortensor-Corrupt` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) corrupt: Vec<u64>,
}

/// A page, or with `format=array` only its tasks.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Tasks<'a> {
    /// The page.
    Page(TaskPage<'a>),
    /// Only the tasks.
    Array(Vec<TaskRecord<'a>>),
}

/// Selects a part of a session's tasks.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct TaskQuery {
    /// The maximum number of tasks to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(super) limit: String,
    /// The number of the oldest tasks to leave out. Missing, and without `order`: the newest page.
    #[param(value_type = Option<u64>)]
    pub(super) offset: String,
    /// `asc`: from the oldest on, even without `offset`. `desc`: from the newest back, newest first; `offset` leaves
    /// out the newest.
    #[param(value_type = Option<String>)]
    pub(super) order: String,
    /// `ended`, or `active` for tasks that have not ended; `queued`, `assigned`, `acked`, `precommitted` and
    /// `committed` mean `active`.
    #[param(value_type = Option<String>)]
    pub(super) state: String,
    /// Only tasks of this key: its id, the name of a configured token, or the name that a host program gave.
    #[param(value_type = Option<String>)]
    pub(super) key: String,
    /// `array` gives only the list.
    #[param(value_type = Option<String>)]
    pub(super) format: String,
}

/// The task that a path names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::listener) struct TaskPath {
    /// The session's number, or its 0x and 64 digits.
    pub(in crate::listener) session_id: String,
    /// The task's number in its session.
    pub(in crate::listener) task_id: String,
}

/// Selects a part of the sessions.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct SessionQuery {
    /// The maximum number of sessions to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(super) limit: String,
    /// The number of sessions to leave out at the beginning.
    #[param(value_type = Option<u64>)]
    pub(super) offset: String,
    /// `open` (or `active`), or `closed`.
    #[param(value_type = Option<String>)]
    pub(super) state: String,
}

/// Selects usage.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct UsageSelection {
    /// The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`. Default `day`.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) by: String,
    /// The first day in UTC, as `2026-01-31`. Missing: the first of this month.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) from: String,
    /// The last day in UTC. Missing: today.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) to: String,
    /// Only tasks of this key.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) key: String,
    /// Only tasks of the session with this number.
    #[param(value_type = Option<u64>)]
    pub(in crate::listener) session: String,
    /// Only tasks for this model.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) model: String,
    /// Only tasks of the miner with this address.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) miner: String,
    /// The maximum number of parts to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(in crate::listener) limit: String,
    /// The number of parts to leave out at the beginning.
    #[param(value_type = Option<u64>)]
    pub(in crate::listener) offset: String,
}

/// Selects entries of the audit log.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct AuditSelection {
    /// The maximum number of entries to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(in crate::listener) limit: String,
    /// Only entries after the one with this number, from the oldest on. Missing: the newest page.
    #[param(value_type = Option<u64>)]
    pub(in crate::listener) after: String,
    /// Only changes of this kind, such as `key_revoked`.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) act: String,
}

/// Selects messages that wait for their webhooks.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct WebhookSelection {
    /// The maximum number of messages to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(in crate::listener) limit: String,
}

/// Selects events.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct EventSelection {
    /// The number of events after which the stream ends. Missing: it does not end by itself.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(in crate::listener) count: String,
}

/// Selects lines of the log.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(in crate::listener) struct LogSelection {
    /// The maximum number of lines to list. Default 100, at most `listen.max_page_rows`.
    #[param(value_type = Option<u64>, minimum = 1)]
    pub(in crate::listener) limit: String,
    /// Only lines after the one with this number. Missing: the newest lines.
    #[param(value_type = Option<u64>)]
    pub(in crate::listener) after: String,
    /// The least level: `error`, `warn` or `info`. Default `info`.
    #[param(value_type = Option<String>)]
    pub(in crate::listener) level: String,
    /// `true`: the lines come as events, and further ones as they are written.
    #[param(value_type = Option<bool>)]
    pub(in crate::listener) follow: String,
}

/// A session that was just created.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct SessionCreated {
    #[serde(flatten)]
    pub(super) session: Session,
    /// Alias of `id`.
    pub(super) session_id: u64,
    /// `created`
    pub(super) status: &'static str,
    /// Alias of `sid`, for published clients; accepted wherever a session's id is.
    pub(super) tx_hash: String,
}

/// A session, with the greatest context of the miners.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct SessionDetail {
    #[serde(flatten)]
    pub(super) session: Session,
    /// The maximum number of tokens of prompt and answer together; 0 if no miner gives a number.
    #[serde(with = "absent::number")]
    #[schema(value_type = u64)]
    pub(super) max_context_tokens: Option<NonZeroU64>,
}

/// Sessions, by id.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct SessionPage {
    /// The number of sessions on all pages.
    pub(super) count: u64,
    /// The sessions of this page.
    pub(super) sessions: Vec<Session>,
}

/// The connected miners.
#[derive(Serialize, ToSchema)]
pub(super) struct MinerPage<'a> {
    /// The miners by name.
    pub(super) nodes: BTreeMap<&'a str, &'a MinerInfo>,
    /// The numbers of miners by kind and state.
    pub(super) stats: NodeStats,
    /// The miners of `nodes` as a list.
    pub(super) miners: &'a [MinerInfo],
    /// The number of miners.
    pub(super) count: usize,
}

/// Shows that a router is here, and where its APIs are.
#[derive(Serialize, ToSchema)]
pub(super) struct Greeting {
    /// `cortensor-router`
    pub(super) name: &'static str,
    /// The version of the product.
    pub(super) version: &'static str,
    /// `ok`
    pub(super) status: &'static str,
    /// A description of the program, in words.
    pub(super) message: &'static str,
    /// The path of the OpenAPI document.
    pub(super) openapi: &'static str,
    /// The path that tells whether the process is alive.
    pub(super) health: &'static str,
}

/// The state of the process.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct Health {
    /// `ok`
    status: &'static str,
}

impl Health {
    /// The answer of a healthy process.
    pub(in crate::listener) const OK: Self = Self { status: "ok" };
}

/// Whether the router takes tasks, and how many it has.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct Readiness {
    /// `ready`, `draining`, `store_unavailable` or `no_miner`.
    pub(in crate::listener) status: &'static str,
    /// Miners that are connected.
    pub(in crate::listener) miners: u64,
    /// Connected miners that can take a task.
    pub(in crate::listener) active_miners: u64,
    /// Tasks that wait for a miner.
    pub(in crate::listener) queued_tasks: u64,
    /// Tasks that a miner works on.
    pub(in crate::listener) running_tasks: u64,
}

/// The router's identity, for callers without a token.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct About {
    /// The router's configured name.
    pub(super) name: String,
    /// The version of the product.
    pub(super) version: String,
    /// The address that stands for the router.
    pub(super) from_address: String,
    /// Always `false`: the router takes no payments.
    pub(super) x402_enabled: bool,
    /// The router's routes.
    pub(super) endpoints: Vec<&'static str>,
}

/// Keys, without their secrets.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct KeyPage {
    /// The number of keys.
    pub(in crate::listener) count: usize,
    /// The keys.
    pub(in crate::listener) keys: Vec<ApiKey>,
}

/// A key that was just revoked.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct KeyRevoked {
    /// The key's id.
    id: String,
    /// `revoked`
    status: &'static str,
}

impl KeyRevoked {
    /// The key of that id.
    pub(in crate::listener) fn new(id: String) -> Self {
        Self { id, status: "revoked" }
    }
}
