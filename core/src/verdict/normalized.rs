//! Matches texts that are equal after Unicode NFKC (UAX #15), with white space and case evened out.

use unicode_normalization::UnicodeNormalization as _;

/// The text in lower case, its words one blank apart.
pub(super) fn even(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if word.is_ascii() {
            push(&mut out, word);
            continue;
        }
        // Only these characters change, and they are few in most texts. One may become several.
        let composed: String = word.nfkc().collect();
        for word in composed.split_whitespace() {
            push(&mut out, word);
        }
    }
    out
}

fn push(out: &mut String, word: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    if word.is_ascii() {
        let start = out.len();
        out.push_str(word);
        out[start..].make_ascii_lowercase();
    } else {
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
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
