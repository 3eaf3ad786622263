//! Several texts that cross the border as one, with their lengths: a call of the border costs more than a short text.

/// The number of code units of UTF-16 in the text, which is how JavaScript counts.
pub(crate) fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// Cuts the text into pieces with these lengths in code units of UTF-16. A character that a cut would halve belongs to
/// the later piece.
pub(crate) fn pieces<'a>(text: &'a str, lengths: &'a [u32]) -> impl Iterator<Item = &'a str> {
    let is_ascii = text.is_ascii();
    let mut rest = text;
    // The code unit of a halved character that its earlier piece has not got.
    let mut owed = 0;
    lengths.iter().map(move |&length| {
        let wanted = length as usize + owed;
        let (mut bytes, mut taken) = (wanted.min(rest.len()), wanted);
        if !is_ascii {
            (bytes, taken) = (0, 0);
            for character in rest.chars() {
                if taken + character.len_utf16() > wanted {
                    break;
                }
                taken += character.len_utf16();
                bytes += character.len_utf8();
            }
        }
        owed = wanted - taken;
        let (piece, after) = rest.split_at(bytes);
        rest = after;
        piece
    })
}
