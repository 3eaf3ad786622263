//! Anthropic's Messages API: its requests, answers and streams, and their translation to and from a chat.
//!
//! The shapes are those of <https://docs.claude.com/en/api/messages>. A request becomes a chat by [`to_chat`]; the
//! chat's answer becomes a message by [`Message`], or events by [`Events`]. For a server that speaks this API alone, a
//! chat becomes a request by `onward`, and the server's answer becomes a chat's by [`Returned`].

mod answer;
mod block;
mod events;
mod foreign;
mod onward;
mod request;
mod returned;
mod stop;

pub use answer::{Message, Wishes, passed};
pub use events::Events;
pub use onward::onward;
pub use request::{MessagesRequest, to_chat, to_count};
pub use returned::Returned;
pub use stop::StopReason;

#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
