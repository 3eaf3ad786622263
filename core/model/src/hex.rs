//! Hexadecimal digits in lower case. They are written by hand, because every answer has some and the formatter takes
//! ten times as long.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn digit(value: u64) -> char {
    char::from(DIGITS[(value & 15) as usize])
}

/// The digits of these bytes.
///
/// ```
/// assert_eq!(cortensor_router_model::internals::hex(&[0x0f, 0xa0]), "0fa0");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        push_hex(&mut out, u64::from(*byte), 2);
    }
    out
}

/// Adds the last `digits` digits of a number.
pub fn push_hex(out: &mut String, number: u64, digits: u32) {
    out.extend((0..digits).rev().map(|place| digit(number >> (4 * place))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_the_formatter_writes() {
        for (number, digits) in [(0, 8), (0x6543_21f0, 8), (7, 16), (u64::MAX, 16), (0x1_0000_0001, 16)] {
            let mut out = String::from("x");
            push_hex(&mut out, number, digits);
            assert_eq!(out, format!("x{number:0width$x}", width = digits as usize));
        }
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(&bytes), bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}")));
    }
}
