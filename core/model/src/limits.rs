//! The change of a record of limits, which keys and sessions have alike.

use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};

use crate::whole::Whole;

/// Declares the change of a record of limits, in which a missing member keeps its limit and `null` lifts it, and the
/// function `limit` that reads one limit of either. `zero` is the error for a limit of 0.
#[doc(hidden)]
#[macro_export]
macro_rules! limits_patch {
    ($(#[$($outer:tt)*])* pub struct $patch:ident of $limits:ident { $($field:ident)* } zero: $zero:literal) => {
        $(#[$($outer)*])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(clippy::option_option, reason = "a missing member and null differ")]
        pub struct $patch {
            $(
                #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "change")]
                $field: Option<Option<::std::num::NonZeroU64>>,
            )*
        }

        impl $patch {
            /// The limits after the change.
            #[must_use]
            pub fn applied_to(self, limits: $limits) -> $limits {
                $limits { $($field: self.$field.unwrap_or(limits.$field),)* }
            }
        }

        /// Reads a limit; `null` is none.
        fn limit<'de, D: ::serde::Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<::std::num::NonZeroU64>, D::Error> {
            $crate::internals::limit(deserializer, $zero)
        }

        #[allow(clippy::option_option, reason = "a missing member and null differ")]
        fn change<'de, D: ::serde::Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Option<::std::num::NonZeroU64>>, D::Error> {
            limit(deserializer).map(Some)
        }
    };
}

/// Reads a limit; `null` is none. `zero` is the error for a limit of 0.
///
/// # Errors
/// A value that is no whole number, or 0.
pub fn limit<'de, D: Deserializer<'de>>(deserializer: D, zero: &str) -> Result<Option<NonZeroU64>, D::Error> {
    let Some(Whole(number)) = Option::<Whole<u64>>::deserialize(deserializer)? else { return Ok(None) };
    NonZeroU64::new(number).map(Some).ok_or_else(|| serde::de::Error::custom(zero))
}
