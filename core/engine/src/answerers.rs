//! The miners that got a task which several miners answer.

use std::sync::Arc;

use cortensor_router_model::Fence;

use super::rules::MinerRules;

/// A miner that got the task, and its attempt. The record stays after the miner is gone, because the miner may come
/// back under another key.
#[derive(Debug)]
struct Answerer {
    fence: Fence,
    identity: Arc<str>,
    owner: Arc<str>,
}

/// The miners that got a task which several miners answer, without those that failed. There are none if one miner
/// answers.
#[derive(Debug, Default)]
pub(super) struct Answerers(Vec<Answerer>);

impl Answerers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the miner with these rules, which got that attempt.
    pub(super) fn add(&mut self, fence: Fence, rules: &MinerRules) {
        self.0.push(Answerer { fence, identity: rules.identity.clone(), owner: rules.owner.clone() });
    }

    /// Adds a miner that answers the same task at another router.
    pub(super) fn add_elsewhere(&mut self, identity: Arc<str>, owner: Arc<str>) {
        self.0.push(Answerer { fence: Fence(0), identity, owner });
    }

    /// The identities of all, with their owners.
    pub(super) fn all(&self) -> impl Iterator<Item = (Arc<str>, Arc<str>)> + '_ {
        self.0.iter().map(|one| (one.identity.clone(), one.owner.clone()))
    }

    /// Removes the miner of an attempt that gave no answer. The miner may be asked again if no other miner is left.
    pub(super) fn forget(&mut self, fence: Fence) {
        if let Some(at) = self.0.iter().position(|one| one.fence == fence) {
            self.0.remove(at);
        }
    }

    /// The identity of the attempt's miner.
    pub(super) fn identity_of(&self, fence: Fence) -> Option<&Arc<str>> {
        self.0.iter().find(|one| one.fence == fence).map(|one| &one.identity)
    }

    /// Whether the miner of that identity is among them.
    pub(super) fn has(&self, identity: &str) -> bool {
        self.0.iter().any(|one| *one.identity == *identity)
    }

    /// Whether a miner of that owner is among them. A miner without an owner counts as its own owner.
    pub(super) fn has_owner(&self, owner: &str) -> bool {
        !owner.is_empty() && self.0.iter().any(|one| *one.owner == *owner)
    }
}
