//! The tools: operations of the OpenAPI document under names of their own.

use std::sync::{Arc, LazyLock};

use rmcp::model::{CacheScope, ErrorData, ListToolsResult, RequestId, ToolAnnotations};

use super::fault::Fault;
use super::message::Params;
use super::schema::{self, Operation};
use super::version::Form;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Completions,
    CreateSession,
    Tasks,
    Miners,
    Sessions,
    Status,
    About,
    Ping,
    Info,
    Delegate,
    Validate,
    Factcheck,
}

/// The words about a tool, and the operations that it stands for.
struct Row {
    tool: Tool,
    name: &'static str,
    title: &'static str,
    /// The description for a model; empty: the summary of the operation.
    says: &'static str,
    operations: &'static [Operation],
    /// Whether it changes nothing.
    reads: bool,
}

const ROWS: [Row; 12] = [
    Row {
        tool: Tool::Completions,
        name: "cortensor_completions",
        title: "Ask a model",
        says: "Answers a prompt or a conversation with a model of the router. Give `prompt` or `messages`. With `async`, \
               the answer is only the task's ids: cortensor_tasks shows the task later.",
        operations: &[("post", "/api/v1/completions")],
        reads: false,
    },
    Row {
        tool: Tool::CreateSession,
        name: "cortensor_create_session",
        title: "Create a session",
        says: "Creates a session, which has a model, a priority, limits and rules for its tasks. Only `name` is required.",
        operations: &[("post", "/api/v1/sessions")],
        reads: false,
    },
    Row {
        tool: Tool::Tasks,
        name: "cortensor_tasks",
        title: "Show tasks",
        says: "Lists the tasks of a session or, with `task_id`, shows one task with its answer.",
        operations: &[("get", "/api/v1/tasks/{session_id}"), ("get", "/api/v1/tasks/{session_id}/{task_id}")],
        reads: true,
    },
    Row {
        tool: Tool::Miners,
        name: "cortensor_miners",
        title: "List miners",
        says: "Lists the connected miners, which do the work, with their models and their load.",
        operations: &[("get", "/api/v1/miners")],
        reads: true,
    },
    Row {
        tool: Tool::Sessions,
        name: "cortensor_sessions",
        title: "Show sessions",
        says: "Lists the sessions or, with `id`, shows one session.",
        operations: &[("get", "/api/v1/sessions"), ("get", "/api/v1/sessions/{id}")],
        reads: true,
    },
    Row {
        tool: Tool::Status,
        name: "cortensor_status",
        title: "Show the router's state",
        says: "",
        operations: &[("get", "/api/v1/status")],
        reads: true,
    },
    Row {
        tool: Tool::About,
        name: "cortensor_about",
        title: "Show the router's name",
        says: "Shows the router's name, its version and its routes.",
        operations: &[("get", "/api/v1/about")],
        reads: true,
    },
    Row {
        tool: Tool::Ping,
        name: "cortensor_ping",
        title: "Ask whether the router answers",
        says: "",
        operations: &[("get", "/api/v1/ping")],
        reads: true,
    },
    Row {
        tool: Tool::Info,
        name: "cortensor_info",
        title: "Show the router's features",
        says: "Shows the router's identity, its features and its models.",
        operations: &[("get", "/api/v1/info")],
        reads: true,
    },
    Row {
        tool: Tool::Delegate,
        name: "cortensor_delegate",
        title: "Delegate an objective",
        says: "Gives an objective to one miner or to several under a policy (`fast`, `safe`, `oracle`, `adaptive`), and \
               answers with the result and the evidence of each miner.",
        operations: &[("post", "/api/v2/delegate")],
        reads: false,
    },
    Row {
        tool: Tool::Validate,
        name: "cortensor_validate",
        title: "Validate a claim",
        says: "Asks several miners for a verdict on a claim: VALID, INVALID, RETRY or NEEDS_SPEC, with their reasons.",
        operations: &[("post", "/api/v2/validate")],
        reads: false,
    },
    Row {
        tool: Tool::Factcheck,
        name: "cortensor_factcheck",
        title: "Check a fact",
        says: "Asks at least three miners for a verdict on a fact.",
        operations: &[("post", "/api/v1/factcheck")],
        reads: false,
    },
];

/// Members of the operations that have no sense in a tool: its result is one object, and progress is told apart from it.
const WITHOUT: [&str; 2] = ["stream", "format"];

/// The tools as clients list them, made once.
static LISTED: LazyLock<Vec<rmcp::model::Tool>> = LazyLock::new(|| ROWS.iter().map(listed).collect());

fn listed(row: &Row) -> rmcp::model::Tool {
    let says = if row.says.is_empty() { schema::summary(row.operations[0]) } else { row.says };
    let annotations = ToolAnnotations::with_title(row.title)
        .read_only(row.reads)
        .destructive(false)
        .open_world(!row.reads && row.tool != Tool::CreateSession);
    rmcp::model::Tool::new(row.name, says, schema::input(row.operations, &WITHOUT))
        .with_title(row.title)
        .with_raw_output_schema(Arc::new(schema::output(row.operations)))
        .with_annotations(annotations)
}

/// The names of all tools.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The tool of that name.
pub(super) fn named(name: &str) -> Option<Tool> {
    ROWS.iter().find(|row| row.name == name).map(|row| row.tool)
}

/// All tools, on one page.
///
/// # Errors
/// The protocol's own error for a place on the list that there is not.
pub(super) fn list(params: &Params<'_>, id: &RequestId, form: Form) -> Result<ListToolsResult, Fault> {
    if params.cursor.is_some() {
        let words = "params.cursor is none of this server's: the tools are on one page";
        return Err(Fault::of_request(id, ErrorData::invalid_params(words, None)));
    }
    let mut page = ListToolsResult::with_all_items(LISTED.clone());
    page.result_type = form.result_type();
    (page.ttl_ms, page.cache_scope) = form.freshness(super::exchange::STABLE_MS, CacheScope::Public);
    Ok(page)
}
