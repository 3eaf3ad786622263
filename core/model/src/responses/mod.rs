//! OpenAI's Responses API: its requests, answers and streams, and their translation to and from a chat.
//!
//! The shapes are those of <https://www.openresponses.org>. A request becomes a chat by [`to_chat`]; the chat's answer
//! becomes a response by [`Resource`], or events by [`Events`].

mod answer;
mod asked;
mod events;
mod item;
mod output;
mod request;

pub use answer::{Ended, Named, Resource};
pub use asked::Asked;
pub use events::Events;
pub use request::{ResponsesRequest, to_chat};

#[cfg(test)]
mod tests;
