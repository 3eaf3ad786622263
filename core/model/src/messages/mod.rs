//! Anthropic's Messages API: its requests, answers and streams, and their translation to and from a chat.
//!
//! The shapes are those of <https://docs.claude.com/en/api/messages>. A request becomes a chat by [`to_chat`]; the
//! chat's answer becomes a message by [`Message`], or events by [`Events`].

mod answer;
mod block;
mod events;
mod request;
mod stop;

pub use answer::{Message, Wishes};
pub use events::Events;
pub use request::{MessagesRequest, to_chat, to_count};
pub use stop::StopReason;

#[cfg(test)]
mod tests;
