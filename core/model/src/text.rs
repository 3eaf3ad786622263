//! Cleans a text on its way to callers, and estimates its tokens.

use memchr::memchr;

/// Markers of chat templates that models leak at the ends of an answer.
const SPECIAL_TOKENS: &[&str] = &[
    "</s>",
    "<s>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
];

/// The text without special tokens and without blanks before its first word.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// assert_eq!(cortensor_router::model::clean(" Hello.<|eot_id|>"), "Hello.");
/// ```
pub fn clean(text: &str) -> String {
    let mut out = text.trim_start().to_owned();
    for token in SPECIAL_TOKENS {
        if out.contains(token) {
            out = out.replace(token, "");
        }
    }
    out
}

/// A guess at the number of tokens, for scheduling and for miners that do not count:
/// four bytes a token, the usual rule of thumb for English with byte-pair encodings.
pub fn estimate_tokens(text: &str) -> u64 {
    estimate_bytes(text.len())
}

/// The estimated number of tokens of a text with this many bytes.
pub fn estimate_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

/// A piece of a stream without special tokens. The `first` piece also loses its leading blanks. With `raw` the piece
/// stays as it is.
pub fn clean_piece(text: &str, first: bool, raw: bool) -> std::borrow::Cow<'_, str> {
    use std::borrow::Cow;
    if raw {
        return Cow::Borrowed(text);
    }
    let text = if first { text.trim_start() } else { text };
    if memchr(b'<', text.as_bytes()).is_some() && SPECIAL_TOKENS.iter().any(|token| text.contains(token)) {
        let mut out = text.to_owned();
        for token in SPECIAL_TOKENS {
            out = out.replace(token, "");
        }
        return Cow::Owned(out);
    }
    Cow::Borrowed(text)
}
