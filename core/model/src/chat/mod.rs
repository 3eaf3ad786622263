//! A chat of OpenAI's API in records. Translations between the chat and other APIs read and write it by them.
//!
//! A chat that only passes through the router never becomes these records: its bytes go on as they came.

mod chunk;
mod content;
mod either;
mod event;
mod fault;
mod format;
mod left_out;
mod member;
mod message;
mod request;
mod said;
mod tool;
mod written;

pub use chunk::{Chunks, Heard, original_answer, original_event};
pub use content::{Content, File, ImageUrl, Part};
pub use either::TextOr;
pub use event::{write_event, write_raw_event};
pub use fault::{missing, unsupported};
pub use format::{JsonSchema, ResponseFormat};
pub use left_out::{LeftOut, is_hosted, not_run};
pub use member::{Members, fault_in, member, with_members};
pub use message::{Message, Role, into_raw};
pub use request::{Form, Offer, Request, Schema, unsayable};
pub use said::{Piece, Said, arguments_object};
pub use tool::{Tool, ToolChoice, ToolFunction};
pub use written::Written;
