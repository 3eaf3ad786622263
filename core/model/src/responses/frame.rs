//! The bytes that most responses have in common.
//!
//! Most of a response's members repeat members that its request may have and usually has not. The response of a request
//! without them is not serialized member by member: it is serialized once in a process, with those values empty that
//! differ between such responses, and its bytes are cut there.

use std::sync::LazyLock;

use super::answer::{Ended, Named, Resource};
use super::asked::Asked;
use crate::compact::{self, write_number, write_text};

const NULL: &[u8] = b"null";

/// The members whose values differ, in their order, as they stand in a response that has begun.
const MEMBERS: [(&str, &str); 10] = [
    ("id", r#""resp_""#),
    ("created_at", "0"),
    ("completed_at", "null"),
    ("status", r#""in_progress""#),
    ("incomplete_details", "null"),
    ("error", "null"),
    ("model", r#""""#),
    ("output", "[]"),
    ("usage", "null"),
    ("max_output_tokens", "null"),
];

/// The bytes before each of these values, and those behind the last one.
static FRAME: LazyLock<([String; MEMBERS.len()], String)> = LazyLock::new(|| {
    let (named, asked) = (Named::default(), Asked::default());
    let whole = serde_json::to_string(&Resource::of(&named, &asked, Ended::InProgress, None)).unwrap_or_default();
    let mut rest = whole.as_str();
    let parts = MEMBERS.map(|(name, value)| {
        let name = format!("\"{name}\":");
        // A response has all of these members, as the tests prove.
        let (before, after) = rest.split_once(&format!("{name}{value}")).unwrap_or_default();
        rest = after;
        format!("{before}{name}")
    });
    (parts, rest.to_owned())
});

/// Writes the response of a request that has none of the members which a response repeats.
pub(super) fn write(response: &Resource<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let ([id, created, completed, status, details, error, model, output, usage, most], end) = &*FRAME;
    let begin = |part: &str, out: &mut Vec<u8>| out.extend_from_slice(part.as_bytes());
    let number = |number: Option<u64>, out: &mut Vec<u8>| match number {
        Some(number) => write_number(out, number),
        None => out.extend_from_slice(NULL),
    };
    begin(id, out);
    write_text(out, &response.id);
    begin(created, out);
    write_number(out, response.created_at);
    begin(completed, out);
    number(response.completed_at, out);
    begin(status, out);
    write_text(out, response.status);
    begin(details, out);
    compact::write(out, &response.incomplete_details)?;
    begin(error, out);
    compact::write(out, &response.error)?;
    begin(model, out);
    write_text(out, response.model);
    begin(output, out);
    response.output.write(out);
    begin(usage, out);
    match &response.usage {
        Some(usage) => usage.write(out),
        None => out.extend_from_slice(NULL),
    }
    begin(most, out);
    number(response.max_output_tokens, out);
    begin(end, out);
    Ok(())
}
