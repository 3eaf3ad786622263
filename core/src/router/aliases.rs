//! The names that stand for several models, ready for requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{FallbackReason, ModelConfig, targets_of};
use crate::engine::{Lack, Target};

/// The lists of models, by their names.
#[derive(Debug, Default)]
pub(super) struct Aliases(BTreeMap<String, Alias>);

#[derive(Debug)]
struct Alias {
    targets: Vec<Target>,
    /// The share of each target in the tasks that it gets first, as the sum of the shares up to it.
    shares: Vec<u64>,
    /// The number of tasks so far.
    turn: AtomicU64,
}

impl Aliases {
    /// The lists of a configuration that was checked.
    pub(super) fn new(models: &[ModelConfig]) -> Self {
        Self(models.iter().map(|model| (model.name.clone(), Alias::new(models, &model.name))).collect())
    }

    /// The model to which the next task for that name goes first, and those to which it goes after it; `None`: the name
    /// is that of a model.
    pub(super) fn next(&self, name: &str) -> Option<(Arc<str>, Arc<[Target]>)> {
        let alias = self.0.get(name)?;
        let first = alias.first();
        let others = alias.targets.iter().enumerate().filter(|(place, _)| *place != first);
        Some((alias.targets.get(first)?.model.clone(), others.map(|(_, target)| target.clone()).collect()))
    }

    /// The first model of the list with that name; the name itself if it is that of a model.
    pub(super) fn first<'a>(&'a self, name: &'a str) -> &'a str {
        let target = self.0.get(name).and_then(|alias| alias.targets.first());
        target.map_or(name, |target| &target.model)
    }

    /// The models of the list with that name; the name itself if it is that of a model.
    pub(super) fn models<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.0.get(name) {
            Some(alias) => alias.targets.iter().map(|target| &*target.model).collect(),
            None => vec![name],
        }
    }

    /// The names, each with its models.
    pub(super) fn lists(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0.iter().map(|(name, alias)| (name.as_str(), alias.targets.iter().map(|target| &*target.model)))
    }
}

impl Alias {
    fn new(models: &[ModelConfig], name: &str) -> Self {
        let given = targets_of(models, name);
        let target = |target: &crate::config::ModelTarget| Target {
            model: Arc::from(target.model.as_str()),
            when: target.reasons().into_iter().map(lack).collect(),
        };
        let mut sum = 0;
        let shares = given.iter().map(|target| {
            sum += u64::from(target.weight);
            sum
        });
        Self { shares: shares.collect(), targets: given.iter().map(target).collect(), turn: AtomicU64::new(0) }
    }

    /// The place of the target that is next by the weights.
    fn first(&self) -> usize {
        let sum = self.shares.last().copied().unwrap_or_default();
        if sum == 0 {
            return 0;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % sum;
        self.shares.iter().position(|share| turn < *share).unwrap_or_default()
    }
}

fn lack(reason: FallbackReason) -> Lack {
    match reason {
        FallbackReason::NoMiner => Lack::NoMiner,
        FallbackReason::Overload => Lack::Overload,
        FallbackReason::ContextTooLong => Lack::Context,
        FallbackReason::Error => Lack::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn tasks_begin_by_weight_and_go_on_in_order() {
        let text = r#"
            [[model]]
            name = "x"
            targets = [{ model = "a", weight = 2 }, "b", { model = "c", weight = 1, when = ["overload"] }]
        "#;
        let aliases = Aliases::new(&Config::from_toml(text).unwrap().models);
        let begun: Vec<String> = (0..6).map(|_| aliases.next("x").unwrap().0.to_string()).collect();
        assert_eq!(begun, ["a", "a", "c", "a", "a", "c"]);
        let (first, others) = aliases.next("x").unwrap();
        let others: Vec<(&str, usize)> = others.iter().map(|target| (&*target.model, target.when.len())).collect();
        assert_eq!((&*first, others), ("a", vec![("b", 4), ("c", 1)]));
        assert_eq!((aliases.first("x"), aliases.first("y"), aliases.next("y").is_none()), ("a", "y", true));
    }
}
