//! The busy routes without hyper: `POST` to `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/messages`
//! and `/v1/responses`.
//!
//! A connection begins here. It reads a head, and if the head asks a busy route in the usual form, the request is
//! checked, answered and counted as the gate does it, with the same code. The first request that is anything else goes
//! to hyper together with the bytes that were read, and the rest of the connection too.
//!
//! | file | subject |
//! |---|---|
//! | `head.rs` | which heads are served here; the head that a connection repeats |
//! | `client.rs` | the client's end: bytes that came, bodies, writes, and whether the client is there |
//! | `reply.rs` | the bytes of answers |
//! | `exchange.rs` | one request and its answer |
//! | `talk.rs` | the requests of a connection, one after the other |

mod client;
mod exchange;
mod head;
mod reply;
mod talk;

#[doc(hidden)]
pub use head::{Judged, judge};
pub(super) use talk::{Left, Talk};
