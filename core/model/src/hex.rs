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
    let (high, low) = (eight_digits((number >> 32) as u32), eight_digits(number as u32));
    let all = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    // Writing to a buffer with room cannot fail.
    let _ = out.write_all(&all[16_usize.saturating_sub(digits)..]);
}

/// The digits of a number, the first one in the highest byte.
fn eight_digits(number: u32) -> u64 {
    // Each half of a byte moves to a byte of its own.
    let mut digits = u64::from(number);
    digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff;
    digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits << 4 | digits) & 0x0f0f_0f0f_0f0f_0f0f;
    // 10 and above carry into the upper half of their byte.
    let letters = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_the_formatter_writes() {
        for (number, digits) in [
            (0, 8),
            (0x6543_21f0, 8),
            (7, 16),
            (u64::MAX, 16),
            (0x1_0000_0001, 16),
            (0x0123_4567_89ab_cdef, 16),
            (0xfedc_ba98_7654_3210, 16),
            (0x9a9a_a9a9_0f0f_f0f0, 16),
        ] {
            let mut out = b"x".to_vec();
            push_hex(&mut out, number, digits);
            assert_eq!(out, format!("x{number:0digits$x}").into_bytes());
        }
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(&bytes), bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}")));
    }
}
