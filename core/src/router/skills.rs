//! The things that only some miners can do, in the words of the engine.

use crate::config::UpstreamApi;
use crate::engine::Skills;
use crate::model::{MinerKind, MinerSpec};

/// The things that a miner can do and others cannot.
pub(super) fn skills_of(spec: &MinerSpec) -> Skills {
    if spec.kind != MinerKind::Upstream {
        return Skills::default();
    }
    spec.features.iter().filter_map(|feature| skill_of(feature)).fold(Skills::ROUTES, Skills::and)
}

/// The ability to take the bodies of that API as they are.
pub(super) fn skill_of(api: &str) -> Option<Skills> {
    [(UpstreamApi::Anthropic, Skills::MESSAGES), (UpstreamApi::Responses, Skills::RESPONSES)]
        .into_iter()
        .find_map(|(known, skill)| (known.route() == api).then_some(skill))
}
