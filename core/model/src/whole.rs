//! Reads whole numbers as clients write them. JavaScript, Lua and some serializers have only one kind of number and
//! write `100.0`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// A whole number of that type; `100.0` is one, `100.5` and `-1` are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole<T>(pub T);

/// Unsigned numbers that requests have.
pub trait Number: Copy + Default + TryFrom<u64> {
    /// The greatest value of the type.
    const MOST: u64;
}

impl Number for u8 {
    const MOST: u64 = Self::MAX as u64;
}

impl Number for u32 {
    const MOST: u64 = Self::MAX as u64;
}

impl Number for u64 {
    const MOST: u64 = Self::MAX;
}

/// The reader takes floats below this, 2^49. `serde_json` reads all digits of `x.0` as one number, ten times as great
/// as `x`, and numbers are exact up to 2^53.
const EXACT: f64 = 562_949_953_421_312.0;

/// The greatest number that every client can write, 2^53 - 1.
const MOST_WRITTEN: u64 = 9_007_199_254_740_991;

impl<'de, T: Number> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits(PhantomData))
    }
}

struct Digits<T>(PhantomData<T>);

impl<T: Number> Visitor<'_> for Digits<T> {
    type Value = Whole<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {}", T::MOST.min(MOST_WRITTEN))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole<T>, E> {
        T::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole<T>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole<T>, E> {
        if number.fract() == 0.0 && (0.0..EXACT).contains(&number) {
            return self.visit_u64(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

/// Reads a whole number in a path, a query or a header, which may have decimal digits alone.
///
/// # Errors
/// `InvalidArgument` names it.
pub fn digits(name: &str, text: &str) -> crate::Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u64>().ok().filter(|number| digits && *number <= MOST_WRITTEN).ok_or_else(|| {
        crate::Error::invalid(name, format!("{name} must be a whole number from 0 to {MOST_WRITTEN}, not {text}"))
    })
}

/// For `deserialize_with`: a whole number; `null` counts as not given.
pub fn number<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<T, D::Error> {
    Ok(some_number(deserializer)?.unwrap_or_default())
}

/// For `deserialize_with`: a whole number, or none.
pub fn some_number<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Whole<T>>::deserialize(deserializer)?.map(|number| number.0))
}

/// For `deserialize_with`: a list of whole numbers.
pub fn numbers<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Whole<T>>::deserialize(deserializer)?.into_iter().map(|number| number.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_that_is_whole_is_a_whole_number() {
        let read = |text: &str| serde_json::from_str::<Whole<u8>>(text).map(|number| number.0).ok();
        for (text, wanted) in
            [("7", 7), ("7.0", 7), ("0.0", 0), ("-0.0", 0), ("-0", 0), ("1e2", 100), ("2.55e2", 255), ("7.000000", 7)]
        {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in ["7.5", "-1", "-1.0", "256", "256.0", "1e300", "\"7\"", "true", "null", "[7]", "1e-1"] {
            assert_eq!(read(text), None, "{text}");
        }
        let great = |text: &str| serde_json::from_str::<Whole<u64>>(text).map(|number| number.0).ok();
        assert_eq!(great("18446744073709551615"), Some(u64::MAX));
        assert_eq!((great("562949953421311.0"), great("562949953421312.0")), (Some((1 << 49) - 1), None));
    }
}
