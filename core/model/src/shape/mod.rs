//! OpenAI's shapes of an answer, whole and in chunks: read leniently, and made into each other.
//!
//! Answers of upstreams pass through the router, so their readers decide what is wrong with them, not the router.
//! Every reader here takes what browsers' `JSON.parse` takes: members of any type, members that stand twice (the last
//! one counts), halves of surrogate pairs, and any depth. A member that does not have the type it should have counts as
//! one that is not there.
//!
//! A [`Cursor`] scans the text once and gives the places of the values that are wanted. Whatever lies deeper stays
//! [`Json`], and its scan needs no recursion, whatever somebody nests.
//!
//! The bounds of this module are no settings: they lie far above what OpenAI's own objects have, and keep the work for
//! each piece small whatever somebody sends.

mod calls;
mod envelope;
mod join;
mod members;
mod node;
mod outline;
mod quoted;
mod repair;
mod reply;
mod scan;
mod split;
mod text;
mod value;

pub use envelope::Envelope;
pub use join::Join;
pub use members::{elements, last, members};
pub use outline::{Outline, Outlined};
pub use quoted::{Quoted, Said};
pub use repair::{repaired, utf8};
pub use reply::{Body, Choice, Reply, Sole, is_end, number};
pub use scan::{Cursor, has_escapes};
pub use split::{Words, split};
pub use text::Joint;
pub use value::Json;
