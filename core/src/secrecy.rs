//! Keeps secrets out of logs and errors.

use tracing::{Level, Metadata};

/// Whether a line may be logged. Libraries write whole frames and request heads at the level `trace`, and these contain
/// tokens.
pub fn logs_no_secret(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || metadata.target().starts_with("cortensor_router")
}

/// A URL without the parts that may be secret: what stands before an `@`, and the query.
pub(crate) fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    // A password may hold any character, so that all up to the last `@` is left out.
    let (hidden, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("...@", rest));
    match rest.split_once('?') {
        Some((rest, _)) => format!("{scheme}{hidden}{rest}?..."),
        None => format!("{scheme}{hidden}{rest}"),
    }
}

#[cfg(test)]
#[path = "secrecy_tests.rs"]
mod tests;
