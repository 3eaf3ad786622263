//! OpenAI's routes over real sockets, with miners of the host program and with an upstream.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![allow(clippy::format_collect, reason = "a test reads better so")]

mod blame;
mod ends;
mod fields;
mod local;
mod parts;
mod passing;
mod reading;
mod refusals;
mod rig;
mod time;
mod tracing;
