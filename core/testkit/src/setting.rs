//! Settings of test programs, which the environment gives.

use std::str::FromStr;

/// The number in that environment variable, if it is set.
///
/// # Panics
/// When the variable holds no number.
pub fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text}")))
}
