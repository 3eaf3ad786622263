//! Functions of the records that the router's other crates need and users do not. They are no part of the public
//! interface.

pub use crate::compact::{write as write_compact, write_text};
pub use crate::depth::is_deeper;
pub use crate::fields::{FIELDS, Field, Goes, Params};
pub use crate::hex::{hex, push_hex};
pub use crate::input::TextOrTokens;
pub use crate::json::{answered, from_json, with_text};
pub use crate::limits::limit;
pub use crate::model_name::{are_twins, meant, twin};
pub use crate::name::{check_name, check_word, visible};
pub use crate::page::{page_rows, page_start, wanted_sessions, wanted_tasks};
#[cfg(feature = "schema")]
pub use crate::parts::text_or_object;
pub use crate::parts::{MessageParts, PartsSoFar};
pub use crate::passed::{FormPart, Raw};
pub use crate::text::{clean_piece, estimate_bytes};
pub use crate::told::{in_json, told};
pub use crate::vectors::{inputs, vectors_for, vectors_of};
pub use crate::whole::Whole;
pub use crate::work::work_of;
