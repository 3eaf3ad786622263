//! The one schema, in the words of the REST API. Every binding passes these records as JSON.

#[doc(hidden)]
pub use cortensor_router_model::{
    ActKind, CONTINUE, CompletionIds, CompletionRecord, Day, FleetInfo, FleetMember, FleetStatus, LinkState,
    MAX_JSON_INTEGER, MemberState, PageStart, SessionQuotaPatch, TaskRecord, UsageBy, Webhook, WebhookDelivery,
    WebhookRecord, WebhookState, address_of, clean, estimate_tokens,
};
#[doc(inline)]
pub use cortensor_router_model::{
    Answer, Breaker, Change, Completion, Delta, Durability, Extra, Fence, FinishReason, Function, FunctionDelta, Gid,
    Hardware, Matching, MinerInfo, MinerKind, MinerResult, MinerSpec, MinerStatus, MinerVerdict, ModelDetails,
    NodeInfo, NodeKind, NodeState, NodeStats, NodeStatus, OnFailure, Outcome, Parts, Policy, RequestKind, Retention,
    Scope, Session, SessionId, SessionMode, SessionPatch, SessionQuota, SessionSpec, SessionState, SharedText,
    Standing, StoreKind, Task, TaskId, TaskRequest, TaskState, Timestamp, ToolCall, ToolDelta, Usage, Validation,
    ValidationSpec, Vectors, Verdict,
};

#[cfg(any(feature = "miner-client", feature = "mcp"))]
pub(crate) use cortensor_router_model::internals::told;
#[doc(hidden)]
pub use cortensor_router_model::internals::visible;
pub(crate) use cortensor_router_model::internals::{
    FIELDS, FormPart, Goes, PartsSoFar, answered, check_name, check_word, clean_piece, estimate_bytes, from_json, hex,
    in_json, meant, vectors_for, write_compact,
};
#[cfg(feature = "listener")]
pub(crate) use cortensor_router_model::internals::{
    Raw, TextOrTokens, Whole, are_twins, is_deeper, page_rows, page_start, push_hex, wanted_sessions, wanted_tasks,
    work_of, write_text,
};
#[cfg(feature = "embed")]
pub(crate) use cortensor_router_model::internals::{inputs, text_or_object, vectors_of};
#[cfg(feature = "listener")]
pub(crate) use cortensor_router_model::original;
pub(crate) use cortensor_router_model::{absent, agents, chat, messages, responses, shape, whole};
