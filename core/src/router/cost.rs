//! The cost of usage by the prices of the configuration, in exact decimal arithmetic.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::config::{ModelPrice, Price, PricesConfig, decimal};
use crate::store::UsageCounts;

/// The decimals of a cost: nine of a price of a million tokens, and six because of the million.
const DECIMALS: usize = 15;

/// An amount of money, in parts of which 10^15 make one unit of the currency.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u128);

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, DECIMALS)
    }
}

impl Serialize for Cost {
    /// Writes a text, because a JSON number is inexact in most languages.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The prices of models by name.
pub(super) struct Prices<'a>(BTreeMap<&'a str, &'a ModelPrice>);

impl<'a> Prices<'a> {
    pub(super) fn of(config: &'a PricesConfig) -> Self {
        Self(config.models.iter().map(|model| (model.name.as_str(), model)).collect())
    }

    /// The cost of a model's usage; `None`: the model has no price.
    pub(super) fn cost(&self, model: &str, counts: &UsageCounts) -> Option<Cost> {
        let price = self.0.get(model)?;
        let (input, output) = (price.input?, price.output?);
        // Servers are not trusted to count no more tokens in their cache than there are.
        let cached = counts.cached_tokens.min(counts.prompt_tokens);
        let amount = |tokens: u64, price: Price| u128::from(tokens) * u128::from(price.billionths());
        Some(Cost(
            amount(counts.prompt_tokens - cached, input)
                + amount(cached, price.cached_input.unwrap_or(input))
                + amount(counts.completion_tokens, output),
        ))
    }
}

/// The cost of a part of the usage, which is added up from its models.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) cost: Option<Cost>,
    /// The tokens of models without a price.
    pub(super) unpriced_tokens: u64,
}

impl Sum {
    pub(super) fn add(&mut self, cost: Option<Cost>, counts: &UsageCounts) {
        match cost {
            Some(Cost(cost)) => self.cost = Some(Cost(self.cost.unwrap_or_default().0.saturating_add(cost))),
            None => self.unpriced_tokens = self.unpriced_tokens.saturating_add(counts.tokens()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::model::MAX_JSON_INTEGER;

    fn cost(prices: &str, prompt_tokens: u64, cached_tokens: u64, completion_tokens: u64) -> Option<String> {
        let config = Config::from_toml(&format!("[[prices.model]]\nname = \"tiny\"\n{prices}")).unwrap();
        let counts = UsageCounts { prompt_tokens, completion_tokens, cached_tokens, ..UsageCounts::default() };
        assert!(Prices::of(&config.prices).cost("other", &counts).is_none());
        Prices::of(&config.prices).cost("tiny", &counts).map(|cost| cost.to_string())
    }

    #[test]
    fn a_cost_is_exact() {
        // Binary floats give 0.30000000000000004 here.
        assert_eq!(cost("input = 0.1\noutput = 0.2", 1_000_000, 0, 1_000_000).unwrap(), "0.3");
        assert_eq!(cost("input = 0.15\noutput = 0.6\ncached_input = 0.075", 10, 4, 1).unwrap(), "0.0000018");
        assert_eq!(cost("input = 0.15\noutput = 0.6", 10, 4, 1).unwrap(), "0.0000021");
        assert_eq!(cost("input = \"0.000000001\"\noutput = 0", 1, 0, 9).unwrap(), "0.000000000000001");
        assert_eq!(cost("input = 0\noutput = 0", 1, 0, 1).unwrap(), "0");
        assert_eq!(cost("input = 1\noutput = 1\ncached_input = 0", 1, 5, 0).unwrap(), "0");
        let most = MAX_JSON_INTEGER;
        let much = cost("input = 1000000000\noutput = 1000000000", most, 0, most).unwrap();
        assert_eq!(much, "18014398509481982000");
    }

    #[test]
    fn a_sum_tells_the_tokens_without_a_price() {
        let counts = UsageCounts { prompt_tokens: 3, completion_tokens: 4, ..UsageCounts::default() };
        let mut sum = Sum::default();
        sum.add(None, &counts);
        assert_eq!((sum.cost, sum.unpriced_tokens), (None, 7));
        sum.add(Some(Cost(5)), &counts);
        sum.add(Some(Cost(6)), &counts);
        assert_eq!((sum.cost, sum.unpriced_tokens), (Some(Cost(11)), 7));
    }
}
