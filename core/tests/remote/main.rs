//! Miners that dial in, over real sockets: the router's listener, `MinerClient`, and a scripted miner that breaks
//! rules.

#![cfg(all(feature = "listener", feature = "miner-client"))]
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![allow(clippy::format_collect, reason = "a test reads better so")]

mod bounds;
mod client;
mod doors;
mod liars;
mod newer;
mod resume;
mod rig;
mod tls;
mod trust;
