//! The records and the error of `cortensor-router`, in the words of its REST API. Every binding passes these
//! records as JSON.
//!
//! Programs use the crate `cortensor-router`, which re-exports the public items of this crate: the records in
//! `cortensor_router::model`, the error at its top. The records are a crate of their own so that they use no runtime,
//! no socket and no disk: its Cargo.toml names none of them.

#[doc(hidden)]
pub mod absent;
#[doc(hidden)]
pub mod agents;
mod audit;
mod change;
#[doc(hidden)]
pub mod chat;
mod compact;
mod completion;
mod completion_record;
mod day;
mod depth;
mod error;
mod fields;
mod finish_reason;
mod fleet;
mod hex;
mod id;
mod input;
#[doc(hidden)]
pub mod internals;
mod json;
mod limits;
#[doc(hidden)]
pub mod messages;
mod miner;
mod model_name;
mod name;
mod node;
#[doc(hidden)]
pub mod original;
mod page;
mod parts;
mod passed;
mod prompt;
#[cfg(test)]
mod record_tests;
mod request;
#[doc(hidden)]
pub mod responses;
mod scope;
mod seconds;
mod session;
mod session_quota;
mod setters;
#[doc(hidden)]
pub mod shape;
mod shared_text;
mod task;
mod task_record;
mod text;
mod told;
mod usage;
mod validation;
mod vectors;
mod verdict;
mod webhook;
#[doc(hidden)]
pub mod whole;
mod word;
mod work;

use name::{check_name, check_word};
use vectors::vectors_of;

pub use audit::ActKind;
pub use change::Change;
pub use completion::{Answer, Completion};
pub use completion_record::{CompletionIds, CompletionRecord};
pub use day::Day;
pub use error::{Error, ErrorDetails, ErrorKind, KINDS, KindRow, Result, UpstreamError};
pub use finish_reason::FinishReason;
pub use fleet::{FleetInfo, FleetMember, FleetStatus, LinkState, MemberState};
pub use id::{Fence, Gid, SessionId, TaskId, Timestamp, address_of};
pub use miner::{Breaker, CONTINUE, Hardware, MinerInfo, MinerKind, MinerSpec, MinerStatus, ModelDetails, NodeKind};
pub use node::{Durability, NodeInfo, NodeState, NodeStats, NodeStatus, StoreKind};
pub use page::PageStart;
pub use parts::{Delta, Function, FunctionDelta, Parts, ToolCall, ToolDelta};
pub use request::{Extra, RequestKind, TaskRequest};
pub use scope::Scope;
pub use session::{Retention, Session, SessionMode, SessionPatch, SessionSpec, SessionState};
pub use session_quota::{SessionQuota, SessionQuotaPatch};
pub use shared_text::SharedText;
pub use task::{MinerResult, Outcome, Task, TaskState};
pub use task_record::TaskRecord;
pub use text::{clean, estimate_tokens};
pub use usage::{MAX_JSON_INTEGER, Usage, UsageBy};
pub use validation::{Matching, OnFailure, Policy, Validation, ValidationSpec};
pub use vectors::Vectors;
pub use verdict::{MinerVerdict, Standing, Verdict};
pub use webhook::{Webhook, WebhookDelivery, WebhookRecord, WebhookState};
