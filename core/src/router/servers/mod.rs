//! Model servers that the router starts itself: `[[upstream]] command`.
//!
//! Each of them has a [`Server`]: the state that others see, and the order that its keeper has. [`keeper`] starts, watches
//! and ends one server. [`look`] watches over all of them: it looks for tasks that wait and for servers that have nothing
//! to do, and [`plan`] decides which server starts and which one goes.

mod keeper;
mod look;
mod plan;
#[cfg(feature = "listener")]
mod record;
mod state;

pub(super) use keeper::Keeper;
pub(super) use look::Servers;
#[cfg(feature = "listener")]
pub(super) use record::ServerRecord;
pub(super) use state::Server;
