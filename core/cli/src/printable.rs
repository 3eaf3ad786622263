//! Text without the control characters that would steer a terminal.

/// Drops every control character but line feeds and tabs.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
