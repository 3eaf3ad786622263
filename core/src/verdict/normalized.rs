//! Normalizes texts for the comparison: Unicode NFKC (UAX #15), lower case, single blanks.

use unicode_normalization::UnicodeNormalization as _;

/// The normalized text: NFKC, lower case, with one blank between words.
pub(super) fn even(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if word.is_ascii() {
            push(&mut out, word);
            continue;
        }
        // Only words with other characters change under NFKC. One character may become several words.
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
