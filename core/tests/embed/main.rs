//! Tests of the facade that every binding wraps: as a program uses it, and with the conformance scenarios.
#![allow(clippy::needless_pass_by_value, reason = "a miner is given its job")]
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod conformance;
mod ends;
mod facade;
#[cfg(feature = "postgres")]
mod fleet;
mod matching;
mod miners;
mod ways_in;
mod wrong_types;
