//! A chat of OpenAI's API in records. Translations between the chat and other APIs read and write it by them.
//!
//! A chat that only passes through the router never becomes these records: its bytes go on as they came.

mod content;
mod member;
mod message;
mod said;
mod tool;

pub use content::{Content, File, ImageUrl, Part};
pub use member::{Members, member, with_members};
pub use message::{Message, Role, into_raw};
pub use said::{Piece, Said, arguments_object};
pub use tool::{Tool, ToolChoice, ToolFunction};
