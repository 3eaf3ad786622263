//! The values of a task that all parts of the router share: [`TaskSpec`] holds the request and its rules, [`TaskEnd`]
//! holds the end, [`TraceContext`] what the caller's tracing knows it by. All are made once and never change.
//!
//! This module may use the records, the types of the engine and the miners' failures, but no other part of the router.

mod end;
mod spec;
mod trace;

pub(crate) use end::{TaskEnd, add_hashes, error_of, hash_of};
use spec::keep;
pub use spec::{Idempotency, Judged, TaskSpec};
pub(crate) use trace::Recorded;
pub use trace::TraceContext;
