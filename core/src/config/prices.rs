//! Prices of models, from which the usage gets its cost.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::kind::{KeyKind, Kind};
use crate::model::check_name;
use crate::{Error, Result};

documented! {
/// Prices of models. The usage of a model that has a price has a cost.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PricesConfig {
    /// The currency of all prices, as the usage names it. Default `USD`.
    pub currency: String,
    /// The models that have a price.
    #[serde(rename = "model", alias = "models")]
    pub models: Vec<ModelPrice>,
}
}

documented! {
/// The price of one model.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelPrice {
    /// The model's name, as the usage by model shows it.
    pub name: String,
    /// The price of a million tokens of prompts, from 0 to 1000000000 with at most nine decimals.
    pub input: Option<Price>,
    /// The price of a million generated tokens.
    pub output: Option<Price>,
    /// The price of a million tokens of prompts that the model's server had in its cache. Default: that of `input`.
    pub cached_input: Option<Price>,
}
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self { currency: "USD".to_owned(), models: Vec::new() }
    }
}

impl PricesConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let name = &self.currency;
        check_name("prices.currency", name)?;
        if name.is_empty() || name.len() > 16 {
            return Err(Error::invalid("prices.currency", "prices.currency must have 1 to 16 bytes, such as \"USD\""));
        }
        let mut names = BTreeSet::new();
        for (index, model) in self.models.iter().enumerate() {
            let key = |field: &str| format!("prices.model[{index}].{field}");
            check_name(&key("name"), &model.name)?;
            if model.name.is_empty() {
                return Err(Error::invalid(key("name"), format!("{} must name a model", key("name"))));
            }
            if !names.insert(&model.name) {
                return Err(Error::invalid(key("name"), format!("two prices are for the model {:?}", model.name)));
            }
            for (field, price) in [("input", model.input), ("output", model.output)] {
                if price.is_none() {
                    let words = format!("{} must be given: it is the price of a million tokens", key(field));
                    return Err(Error::invalid(key(field), words));
                }
            }
        }
        Ok(())
    }
}

/// The number of decimals of a price.
const DECIMALS: usize = 9;

/// The parts of one unit of the currency: 10 to the power of [`DECIMALS`].
const UNIT: u64 = 1_000_000_000;

/// The greatest price of a million tokens.
const MOST: u64 = 1_000_000_000;

/// The price of a million tokens, in billionths of the currency.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price(u64);

impl Price {
    /// The price in billionths of the currency.
    pub(crate) fn billionths(self) -> u64 {
        self.0
    }
}

impl FromStr for Price {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid("price", format!("{text:?} is no price: {why}"));
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(wrong("write a decimal number from 0 on, such as 0.15"));
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > DECIMALS {
            return Err(wrong("it has more than nine decimals"));
        }
        let whole: u64 = whole.parse().ok().filter(|whole| *whole <= MOST).ok_or_else(|| wrong("it is too large"))?;
        let part: u64 = format!("{decimals:0<DECIMALS$}").parse().unwrap_or_default();
        let price = whole * UNIT + part;
        if price > MOST * UNIT {
            return Err(wrong("it is too large"));
        }
        Ok(Self(price))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, u128::from(self.0), DECIMALS)
    }
}

/// Writes a number of parts, of which `10^decimals` make a whole, without zeros at its end.
pub(crate) fn decimal(f: &mut fmt::Formatter<'_>, parts: u128, decimals: usize) -> fmt::Result {
    let digits = format!("{parts:0>width$}", width = decimals + 1);
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    match rest.trim_end_matches('0') {
        "" => f.write_str(whole),
        rest => write!(f, "{whole}.{rest}"),
    }
}

/// The number of decimal digits that a binary float keeps.
const FLOAT_DIGITS: usize = 15;

/// The number of digits of a decimal number, without zeros before the first.
fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count()
}

impl Kind for Price {
    const KIND: KeyKind = KeyKind::Number;
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let text = self.to_string();
        match text.parse::<f64>() {
            Ok(number) if digits(&text) <= FLOAT_DIGITS => serializer.serialize_f64(number),
            _ => serializer.serialize_str(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;

        impl de::Visitor<'_> for Reader {
            type Value = Price;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number, such as 0.15")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Price, E> {
                text.parse().map_err(|error: Error| E::custom(error.message()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Price, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<Price, E> {
                self.visit_str(&number.to_string())
            }

            /// A number of TOML or JSON means the shortest decimal number that is read as it.
            fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Price, E> {
                let text = number.to_string();
                if digits(&text) > FLOAT_DIGITS {
                    return Err(E::custom(format!("a price with more than {FLOAT_DIGITS} digits must be a text")));
                }
                self.visit_str(&text)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Config;

    #[test]
    fn prices_are_read_as_numbers_and_as_texts() {
        let toml = "[prices]\ncurrency = \"EUR\"\n[[prices.model]]\nname = \"tiny\"\ninput = 0.15\noutput = \"0.600\"\n\
                    cached_input = 0.0000001\n[[prices.model]]\nname = \"free\"\ninput = 0\noutput = 3";
        let config = Config::from_toml(toml).unwrap();
        let [tiny, free] = config.prices.models.as_slice() else { panic!("{config:?}") };
        let shown = [tiny.input, tiny.output, tiny.cached_input, free.input, free.output, free.cached_input]
            .map(|price| price.map(|price| price.to_string()));
        let wanted = [Some("0.15"), Some("0.6"), Some("0.0000001"), Some("0"), Some("3"), None];
        assert_eq!(shown, wanted.map(|text| text.map(str::to_owned)));
        let again: PricesConfig = toml::from_str(&toml::to_string(&config.prices).unwrap()).unwrap();
        assert_eq!((again.models[0].cached_input, again.models[1].output), (tiny.cached_input, free.output));
    }

    #[test]
    fn a_wrong_price_is_refused_by_name() {
        let model = |fields: &str| format!("[[prices.model]]\nname = \"a\"\ninput = 1\noutput = 1\n{fields}");
        for (toml, param) in [
            ("[[prices.model]]\nname = \"a\"\noutput = 1".to_owned(), "prices.model[0].input"),
            ("[[prices.model]]\nname = \"a\"\ninput = 1".to_owned(), "prices.model[0].output"),
            ("[[prices.model]]\ninput = 1\noutput = 1".to_owned(), "prices.model[0].name"),
            (model(&model("")), "prices.model[1].name"),
            (model("cached_input = -0.1"), "prices.model[0].cached_input"),
            (model("cached_input = -1"), "prices.model[0].cached_input"),
            (model("cached_input = nan"), "prices.model[0].cached_input"),
            (model("cached_input = \"1e3\""), "prices.model[0].cached_input"),
            (model("cached_input = \"1,5\""), "prices.model[0].cached_input"),
            (model("cached_input = \"0.0000000001\""), "prices.model[0].cached_input"),
            (model("cached_input = 1000000000.1"), "prices.model[0].cached_input"),
            (model("cached_input = 12345678.87654321"), "prices.model[0].cached_input"),
            (model("cached_input = true"), "prices.model[0].cached_input"),
            ("[prices]\ncurrency = \"\"".to_owned(), "prices.currency"),
        ] {
            let error = Config::from_toml(&toml).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(param), "{toml}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_price_is_written_as_it_was_read(billionths in 0..=MOST * UNIT) {
            let price = Price(billionths);
            prop_assert_eq!(price.to_string().parse::<Price>().unwrap(), price);
            let json = serde_json::to_string(&price).unwrap();
            prop_assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
        }
    }
}
