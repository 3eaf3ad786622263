//! Fuzz targets: each reads bytes that anybody may send to the router, and checks rules that hold for all of them.
//!
//! A [`Target`] is a function of bytes. It panics if a rule is broken. [`run`] gives it the files of `corpus/`, and
//! changes of them that a seed decides. The package in `coverage/` makes programs of libFuzzer of the targets.
//! [`allocations`] gives a target inputs of 1, 2, 4 and 8 times a size and compares its allocations; the program
//! `cortensor-router-steps` does so with the steps of the processor.
//!
//! | target | reads |
//! |---|---|
//! | `http` | an upstream's answer as bytes of HTTP |
//! | `stream` | an upstream's server-sent events, put together into an answer |
//! | `answer` | an answer or a chunk in OpenAI's shape, made into chunks and back |
//! | `request` | the bodies of `/v1` and `/api` |
//! | `work` | the part of a request that an idempotency key stands for |
//! | `frame` | the frames of miners that dial in, and of the router |
//! | `handshake` | frames before a miner is admitted |
//! | `config` | the configuration in TOML, JSON and the environment |
//! | `query` | the queries of lists |
//! | `head` | the heads of requests to the busy routes |

mod allocations;
mod corpus;
mod growth;
mod mutation;
mod run;
mod shape;
mod steps;
mod targets;

pub use allocations::allocations;
pub use growth::Growth;
pub use run::{Plan, run};
pub use shape::Shape;
pub use steps::{read_counted, shapes};
pub use targets::{TARGETS, Target, target};
