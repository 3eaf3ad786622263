//! The same after Unicode NFKC (UAX #15), with white space and case evened out.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The text in lower case, its words one blank apart.
pub(super) fn even(text: &str) -> String {
    let composed: Cow<'_, str> = if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().collect()) };
    let mut out = String::with_capacity(composed.len());
    for word in composed.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        if word.is_ascii() {
            out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        } else {
            out.extend(word.chars().flat_map(char::to_lowercase));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_blanks_and_case_are_evened_out() {
        assert_eq!(even("  The\tﬁrst\n\nÅNGSTRÖM  "), "the first ångström");
        assert_eq!(even("A\u{30a}"), even("Å"));
        assert_ne!(even("a b"), even("ab"));
    }
}
