//! Checks names that others choose. Such names appear in logs, tables and headers, and must not begin lines of their
//! own there.

use std::borrow::Cow;

use crate::{Error, Result};

/// The longest name of a model, and the longest word that a miner says of itself, in bytes.
const MAX_WORD: usize = 256;

/// Whether a character steers a terminal or a line instead of being seen: control characters, separators of lines and
/// paragraphs, and what turns the direction of text.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line, with what cannot be seen written out: `\n`, `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Refuses a name that holds what cannot be seen.
///
/// # Errors
/// `InvalidArgument` that names the field.
pub fn check_name(field: &str, name: &str) -> Result<()> {
    match name.chars().find(|c| is_hidden(*c)) {
        Some(c) => Err(Error::invalid(
            field,
            format!("{field} holds the control character {}: leave it out", c.escape_default()),
        )),
        None => Ok(()),
    }
}

/// Refuses a name that is longer than 256 bytes or holds what cannot be seen.
///
/// # Errors
/// `InvalidArgument` that names the field.
pub fn check_word(field: &str, word: &str) -> Result<()> {
    if word.len() > MAX_WORD {
        return Err(Error::invalid(field, format!("{field} has at most {MAX_WORD} bytes, not {}", word.len())));
    }
    check_name(field, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_line_is_refused_in_names_and_written_out_elsewhere() {
        for bad in ["a\nb", "a\r", "\u{1b}[31m", "\0", "a\u{7f}", "\u{9b}1m", "a\u{2028}b", "\u{202e}txt", "a\tb"] {
            let error = check_name("name", bad).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some("name"), "{bad:?}");
            assert!(!error.message().contains(is_hidden) && !visible(bad).contains(is_hidden), "{bad:?}");
        }
        for good in ["", "GPU 1", "模型/größe:7b", "a.b_c-d", "🦙", "e\u{301}"] {
            check_name("name", good).unwrap();
            assert_eq!(visible(good), good);
        }
        assert_eq!(visible("a\r\nb\u{1b}[0m"), "a\\r\\nb\\u{1b}[0m");
    }

    #[test]
    fn a_word_has_256_bytes_at_the_most() {
        check_word("agent", &"ä".repeat(128)).unwrap();
        assert!(check_word("agent", &"ä".repeat(129)).unwrap_err().message().contains("256"));
    }
}
