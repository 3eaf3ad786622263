//! OpenAI's Responses API: its requests, answers and streams, and their translation to and from a chat.
//!
//! The shapes are those of <https://www.openresponses.org>. A request becomes a chat by [`to_chat`]; the chat's answer
//! becomes a response by [`Resource`], or events by [`Events`]. For a server that speaks this API alone, a chat becomes
//! a request by `onward`, and the server's answer becomes a chat's by [`Returned`].

mod answer;
mod asked;
mod change;
mod events;
mod follow;
mod frame;
mod item;
mod onward;
mod output;
mod places;
mod request;
mod returned;
mod shown;
mod tools;

pub use answer::{Ended, Named, Resource, passed};
pub use asked::Asked;
pub use events::Events;
pub use onward::onward;
pub use request::{ResponsesRequest, to_chat};
pub use returned::Returned;

#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
