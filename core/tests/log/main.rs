//! The log as operators read it: one line for each request, and one for each event with its cause.

#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod events;
mod requests;
