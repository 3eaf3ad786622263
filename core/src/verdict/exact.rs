//! Matches equal bytes.

pub(super) fn score(a: &str, b: &str) -> f64 {
    f64::from(u8::from(a == b))
}
