//! Names of models that stand for several models.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::check_name;
use crate::{Error, Result};

/// The reason why a task leaves a model for the next one of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FallbackReason {
    /// No miner that serves the model is up.
    NoMiner,
    /// The miners of the model have too much to do.
    Overload,
    /// The prompt exceeds the model's context.
    ContextTooLong,
    /// The attempts at the model failed for another reason.
    Error,
}

impl FallbackReason {
    /// All reasons.
    const ALL: [Self; 4] = [Self::NoMiner, Self::Overload, Self::ContextTooLong, Self::Error];

    /// The reason with that name.
    fn of(word: &str) -> Option<Self> {
        match word {
            "no_miner" => Some(Self::NoMiner),
            "overload" => Some(Self::Overload),
            "context_too_long" => Some(Self::ContextTooLong),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

documented! {
/// A name that stands for several models. A task goes to the next one when it gets no answer from the one before, as
/// long as no token of an answer was seen. A model may be another such name.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The name that clients ask for. The models have it in their list.
    pub name: String,
    /// The models that answer, in this order. Each is a name, or a table with it.
    pub targets: Vec<ModelTarget>,
}
}

documented! {
/// One of the models that a name stands for.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct ModelTarget {
    /// The model's name.
    pub model: String,
    /// Its share of the tasks that it gets first, among the weights of its list. Default 0. If no model of a list has a
    /// weight, the first one gets all.
    pub weight: u32,
    /// The reasons for which tasks come to it from the model before: `no_miner`, `overload`, `context_too_long`,
    /// `error`. Default: all of them.
    pub when: Vec<String>,
}
}

impl Serialize for ModelTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Reads a target: a table, or the name alone.
impl<'de> Deserialize<'de> for ModelTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ModelTarget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a model, or a table with model, weight and when")
            }

            fn visit_str<E>(self, name: &str) -> Result<ModelTarget, E> {
                Ok(ModelTarget::default().model(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelTarget, A::Error> {
                ModelTarget::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The most models that one name may stand for, with those of the names within it.
const MOST: usize = 64;

impl ModelTarget {
    /// The reasons for which tasks come to it.
    pub(crate) fn reasons(&self) -> Vec<FallbackReason> {
        if self.when.is_empty() {
            return FallbackReason::ALL.into();
        }
        self.when.iter().filter_map(|word| FallbackReason::of(word)).collect()
    }
}

/// Checks the names and their targets.
///
/// # Errors
/// `InvalidArgument` names the key. Names that lead back to themselves are told as a chain.
pub(super) fn validate(models: &[ModelConfig]) -> Result<()> {
    let mut names = BTreeSet::new();
    for (index, model) in models.iter().enumerate() {
        let key = |field: &str| format!("model[{index}].{field}");
        check_name(&key("name"), &model.name)?;
        if model.name.is_empty() {
            return Err(Error::invalid(key("name"), format!("{} must name the models together", key("name"))));
        }
        if !names.insert(&model.name) {
            return Err(Error::invalid(key("name"), format!("two lists of models are called {:?}", model.name)));
        }
        if model.targets.is_empty() {
            let words = format!("{} must list at least one model", key("targets"));
            return Err(Error::invalid(key("targets"), words));
        }
        for (place, target) in model.targets.iter().enumerate() {
            let key = format!("model[{index}].targets[{place}].model");
            check_name(&key, &target.model)?;
            if target.model.is_empty() {
                return Err(Error::invalid(&key, format!("{key} must name a model")));
            }
            if let Some(word) = target.when.iter().find(|word| FallbackReason::of(word).is_none()) {
                let key = format!("model[{index}].targets[{place}].when");
                let words = format!("{key} must list no_miner, overload, context_too_long or error, not {word:?}");
                return Err(Error::invalid(&key, words));
            }
            if target.weight > 1_000_000 {
                let key = format!("model[{index}].targets[{place}].weight");
                return Err(Error::invalid(&key, format!("{key} must be 0 to 1000000")));
            }
        }
    }
    let lists = lists(models);
    for (index, model) in models.iter().enumerate() {
        let key = format!("model[{index}].targets");
        let mut chain = vec![model.name.as_str()];
        if leads_back(&lists, &mut chain, &mut BTreeSet::new()) {
            let words = format!("{key} leads back to itself: {}", chain.join(" -> "));
            return Err(Error::invalid(&key, words));
        }
        if flat(&lists, &model.name, &mut BTreeSet::new()).len() > MOST {
            return Err(Error::invalid(&key, format!("{key} has more than {MOST} models")));
        }
    }
    Ok(())
}

type Lists<'a> = BTreeMap<&'a str, &'a [ModelTarget]>;

fn lists(models: &[ModelConfig]) -> Lists<'_> {
    models.iter().map(|model| (model.name.as_str(), model.targets.as_slice())).collect()
}

/// Whether the last name of the chain leads to one that is in the chain already, with which the chain then ends. A name
/// among its own targets is no list but the model of that name. `ending` are names that are known to lead to an end.
fn leads_back<'a>(lists: &Lists<'a>, chain: &mut Vec<&'a str>, ending: &mut BTreeSet<&'a str>) -> bool {
    let Some(last) = chain.last().copied() else { return false };
    for target in lists.get(last).copied().unwrap_or_default().iter().filter(|target| target.model != last) {
        let is_known = chain.contains(&target.model.as_str());
        if ending.contains(target.model.as_str()) {
            continue;
        }
        chain.push(&target.model);
        if is_known || leads_back(lists, chain, ending) {
            return true;
        }
        chain.pop();
    }
    ending.insert(last);
    false
}

/// The models that a name stands for, in order and each once, with the names within it replaced by their own models.
/// A list that stands in the place of a target has the target's reasons and weight.
pub(crate) fn targets_of(models: &[ModelConfig], name: &str) -> Vec<ModelTarget> {
    flat(&lists(models), name, &mut BTreeSet::new())
}

/// `known` are the lists whose models come before: their models are there already.
fn flat<'a>(lists: &Lists<'a>, name: &str, known: &mut BTreeSet<&'a str>) -> Vec<ModelTarget> {
    let mut out: Vec<ModelTarget> = Vec::new();
    for target in lists.get(name).copied().unwrap_or_default() {
        if target.model == name || !lists.contains_key(target.model.as_str()) {
            out.push(target.clone());
            continue;
        }
        if !known.insert(&target.model) {
            continue;
        }
        for (place, mut inner) in flat(lists, &target.model, known).into_iter().enumerate() {
            inner.weight = if place == 0 { target.weight } else { 0 };
            if place == 0 {
                inner.when.clone_from(&target.when);
            }
            out.push(inner);
        }
        // A list of lists is bounded before it is too long to be made.
        if out.len() > MOST {
            return out;
        }
    }
    let mut seen = BTreeSet::new();
    out.retain(|target| seen.insert(target.model.clone()));
    out
}

#[cfg(test)]
mod tests {
    use crate::Config;

    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::from_toml(text)
    }

    #[test]
    fn a_target_is_a_name_or_a_table_and_a_list_may_stand_in_another() {
        let text = r#"
            [[model]]
            name = "smart"
            targets = ["a", { model = "b", weight = 3, when = ["overload", "context_too_long"] }, "fast"]
            [[model]]
            name = "fast"
            targets = ["fast", "a", "c"]
        "#;
        let config = read(text).unwrap();
        let found = targets_of(&config.models, "smart");
        let names: Vec<&str> = found.iter().map(|target| target.model.as_str()).collect();
        assert_eq!(names, ["a", "b", "fast", "c"]);
        assert_eq!((found[1].weight, found[1].reasons().len(), found[0].reasons().len()), (3, 2, 4));
        let json = serde_json::to_string(&config).unwrap();
        let again = Config::from_json(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json);
    }

    #[test]
    fn a_wrong_list_is_named() {
        let two = |a: &str, b: &str| format!("[[model]]\nname='x'\ntargets={a}\n[[model]]\nname='y'\ntargets={b}");
        for (text, words) in [
            ("[[model]]\ntargets=['a']".to_owned(), "model[0].name must name"),
            ("[[model]]\nname='x'".to_owned(), "model[0].targets must list"),
            ("[[model]]\nname='x'\ntargets=['']".to_owned(), "model[0].targets[0].model must name"),
            ("[[model]]\nname='x'\ntargets=[5]".to_owned(), "model[0].targets[0]: not of the right type"),
            ("[[model]]\nname='x'\ntargets=[{model='a',when=['never']}]".to_owned(), "must list no_miner"),
            ("[[model]]\nname='x'\ntargets=[{modell='a'}]".to_owned(), "modell"),
            ("[[model]]\nname='x'\ntargets=[{model='a',weight=2000000}]".to_owned(), "weight must be"),
            (two("['a']", "['b']").replace("'y'", "'x'"), "two lists of models are called"),
            (two("['a','y']", "['x']"), "x -> y -> x"),
        ] {
            let error = read(&text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.message().contains(words), "{text}: {error}");
        }
        assert!(read(&two("['x','y']", "['y','a']")).is_ok());
    }

    #[test]
    fn lists_within_lists_are_read_once_each() {
        // Each list has the next two, so that there are more ways through them than anybody could go.
        let list = |at: usize| format!("[[model]]\nname='m{at}'\ntargets=['m{}','m{}']\n", at + 1, at + 2);
        let config = read(&(0..200).map(list).collect::<String>()).unwrap();
        let found = targets_of(&config.models, "m0");
        let names: Vec<&str> = found.iter().map(|target| target.model.as_str()).collect();
        assert_eq!(names, ["m200", "m201"]);
    }
}
