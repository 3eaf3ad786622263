//! The one schema, in the words of the REST API. Every binding passes these records as JSON.

mod completion;
mod completion_record;
#[cfg(feature = "listener")]
mod depth;
mod id;
mod json;
mod miner;
mod model_name;
mod name;
mod node;
mod page;
mod parts;
mod request;
mod session;
pub(crate) mod shape;
mod shared_text;
mod task;
mod task_record;
mod text;
mod usage;
mod validation;
mod vectors;
pub(crate) mod whole;

pub use completion::{Answer, Completion, FinishReason};
pub use completion_record::{CompletionIds, CompletionRecord};
#[cfg(feature = "listener")]
pub(crate) use depth::is_deeper;
pub use id::{Fence, Gid, SessionId, TaskId, Timestamp, address_of};
pub(crate) use json::from_json;
pub use miner::{CONTINUE, Hardware, MinerInfo, MinerKind, MinerSpec, ModelDetails};
pub(crate) use model_name::{are_twins, meant, twin};
pub(crate) use name::{check_name, check_word, visible};
pub use node::{NodeInfo, NodeStats, NodeStatus};
pub use page::PageStart;
#[cfg(feature = "listener")]
pub(crate) use page::{page_rows, page_start, wanted_sessions, wanted_tasks};
pub(crate) use parts::PartsSoFar;
pub use parts::{Delta, Function, FunctionDelta, Parts, ToolCall, ToolDelta};
pub use request::{Extra, RequestKind, TaskRequest};
pub use session::{Session, SessionMode, SessionPatch, SessionSpec, SessionState};
pub use shared_text::SharedText;
pub use task::{MinerResult, MinerVerdict, Outcome, Task, TaskState, Verdict};
pub use task_record::TaskRecord;
pub use text::{clean, estimate_tokens};
pub(crate) use text::{clean_piece, estimate_bytes};
pub use usage::{MAX_JSON_INTEGER, Usage};
pub use validation::{Matching, OnFailure, Policy, Validation, ValidationSpec};
pub use vectors::Vectors;
#[cfg(feature = "embed")]
pub(crate) use vectors::inputs;
pub(crate) use vectors::{vectors_for, vectors_of};
#[cfg(feature = "listener")]
pub(crate) use whole::Whole;
