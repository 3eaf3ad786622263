//! A task as every part of the router sees it: [`TaskSpec`] says what was asked for, [`TaskEnd`] how it ended. Both are made once
//! and never change; the store, the router and those who wait share them.
//!
//! This module uses the records, the engine's words and the miners' failures, and no other part of the router.

mod end;
mod spec;

pub(crate) use end::{TaskEnd, error_of, hash_of};
pub use spec::{Idempotency, Judged, Retention, TaskSpec};
