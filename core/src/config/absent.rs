//! Settings that may be off: `None` in Rust, the number 0 in files, in the environment and in JSON.

use std::num::NonZeroU64;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the number, or 0 for none.
#[allow(clippy::ref_option, reason = "serde passes the field as it is")]
pub(super) fn serialize<S: Serializer, N: Serialize>(value: &Option<N>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) => number.serialize(serializer),
        None => serializer.serialize_u8(0),
    }
}

/// Reads a whole number; 0 is none.
pub(super) fn deserialize<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<NonZeroU64>,
{
    let Some(number) = NonZeroU64::new(u64::deserialize(deserializer)?) else { return Ok(None) };
    let too_great = |_| D::Error::invalid_value(Unexpected::Unsigned(number.get()), &"a smaller number");
    N::try_from(number).map(Some).map_err(too_great)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU64};

    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        #[serde(with = "super")]
        most: Option<NonZeroU64>,
        #[serde(with = "super")]
        port: Option<NonZeroU16>,
    }

    #[test]
    fn zero_is_none_both_ways_and_what_does_not_fit_is_refused() {
        for (text, most, port) in [("most = 0\nport = 0\n", 0, 0), ("most = 7\nport = 80\n", 7, 80)] {
            let settings = Settings { most: NonZeroU64::new(most), port: NonZeroU16::new(port) };
            assert_eq!(toml::from_str::<Settings>(text).unwrap(), settings);
            assert_eq!(toml::to_string(&settings).unwrap(), text);
        }
        for wrong in ["most = -1\nport = 0", "most = 1.5\nport = 0", "most = 0\nport = 65536"] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
    }
}
