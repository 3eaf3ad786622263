//! The bytes that most responses have in common.
//!
//! Most of a response's members repeat members that its request may have and usually has not. The response of a request
//! without them is not serialized member by member: it is serialized once in a process, with those values empty that
//! differ between such responses, and its bytes are cut there.

use std::sync::LazyLock;

use super::answer::{Ended, Named, Resource};
use super::asked::Asked;
use crate::compact;

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
    let (parts, end) = &*FRAME;
    let mut parts = parts.iter();
    macro_rules! values {
        ($($value:expr),*) => {$(
            out.extend_from_slice(parts.next().map_or("", String::as_str).as_bytes());
            compact::write(out, $value)?;
        )*};
    }
    values!(
        &response.id,
        &response.created_at,
        &response.completed_at,
        response.status,
        &response.incomplete_details,
        &response.error,
        response.model,
        &response.output,
        &response.usage,
        &response.max_output_tokens
    );
    out.extend_from_slice(end.as_bytes());
    Ok(())
}
