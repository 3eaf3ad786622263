//! Scores texts by equality of their bytes: 1 or 0.

pub(super) fn score(a: &str, b: &str) -> f64 {
    f64::from(u8::from(a == b))
}
