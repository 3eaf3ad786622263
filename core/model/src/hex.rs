//! Hexadecimal digits in lower case. They are written by hand, because every answer has some and the formatter takes
//! ten times as long.

use std::io::Write;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digits of these bytes.
///
/// ```
/// assert_eq!(cortensor_router_model::internals::hex(&[0x0f, 0xa0]), "0fa0");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    let mut out = vec![b'0'; bytes.len() * 2];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Digits are always text.
    String::from_utf8(out).unwrap_or_default()
}

/// Adds the last `digits` digits of a number, at most 16, to a buffer that has room for them.
pub fn push_hex(out: &mut impl Write, number: u64, digits: usize) {
    let mut all = [b'0'; 16];
    for (pair, byte) in all.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Writing to a buffer with room cannot fail.
    let _ = out.write_all(&all[16_usize.saturating_sub(digits)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_the_formatter_writes() {
        for (number, digits) in [(0, 8), (0x6543_21f0, 8), (7, 16), (u64::MAX, 16), (0x1_0000_0001, 16)] {
            let mut out = b"x".to_vec();
            push_hex(&mut out, number, digits);
            assert_eq!(out, format!("x{number:0digits$x}").into_bytes());
        }
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(&bytes), bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}")));
    }
}
