//! Checks a hello: its texts must be short, and it may offer only models that the miner's identity allows.

use cortensor_router_model::internals::check_word;
use cortensor_router_model::{CONTINUE, Error, MinerKind, MinerSpec, NodeKind, Result};

use crate::frame::{Hello, RAW};

/// The features that a router knows.
pub const FEATURES: &[&str] = &[CONTINUE, RAW];

/// [`FEATURES`] as frames carry them.
pub fn features() -> Vec<String> {
    FEATURES.iter().map(|&feature| feature.to_owned()).collect()
}

/// The maximum number of features that a miner may name. This bound and the next two are part of the protocol, so that
/// a miner that one router admits is admitted by every other.
const MAX_FEATURES: usize = 64;

/// The maximum number of models that a miner may name.
const MAX_MODELS: usize = 256;

/// The maximum bytes of a model's id.
const MAX_MODEL_ID: usize = 256;

/// A miner that has proved its identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The miner's id, unique among all miners.
    pub id: String,
    /// The only models that the miner may serve; empty: all.
    pub models: Vec<String>,
    /// The person or company that runs the miner; `None`: unknown.
    pub owner: Option<String>,
}

/// The features that both sides know.
pub fn common_features(hello: &Hello) -> Vec<String> {
    FEATURES.iter().filter(|known| hello.features.iter().any(|f| f == *known)).map(|&f| f.to_owned()).collect()
}

/// Checks that a hello names at most `most` attempts of an earlier connection.
///
/// # Errors
/// `InvalidArgument` names the setting that allows more.
pub fn check_resumed(hello: &Hello, most: usize) -> Result<()> {
    let named = hello.resume.as_ref().map_or(0, |resume| resume.inflight.len());
    if named <= most {
        return Ok(());
    }
    Err(Error::invalid(
        "resume.inflight",
        format!(
            "the hello names {named} tasks and may name {most} (miners.max_resumed): come back without `resume`, or \
             raise the setting"
        ),
    ))
}

/// The miner that a hello describes, within the rights of its identity.
///
/// # Errors
/// `InvalidArgument` names the wrong field of the hello.
pub fn spec_of(identity: &Identity, hello: &Hello) -> Result<MinerSpec> {
    if hello.models.len() > MAX_MODELS {
        return Err(Error::invalid("models", format!("a miner has at most {MAX_MODELS} models")));
    }
    if let Some(model) = hello.models.iter().find(|model| model.id.is_empty() || model.id.len() > MAX_MODEL_ID) {
        let length = model.id.len();
        return Err(Error::invalid("models", format!("a model's id has 1 to {MAX_MODEL_ID} bytes, not {length}")));
    }
    check_words(hello)?;
    let allowed = |model: &str| identity.models.is_empty() || identity.models.iter().any(|own| own == model);
    let mut models: Vec<String> =
        hello.models.iter().map(|model| model.id.clone()).filter(|model| allowed(model)).collect();
    if hello.models.is_empty() {
        models.clone_from(&identity.models);
    } else if models.is_empty() {
        return Err(Error::invalid(
            "models",
            format!("this miner may serve {} and nothing else", identity.models.join(", ")),
        ));
    }
    let details: Vec<_> = hello.models.iter().filter(|model| models.contains(&model.id)).cloned().collect();
    let spec = MinerSpec::new(hello.name.clone().unwrap_or_else(|| hello.miner_id.clone()), hello.max_concurrency)
        .kind(MinerKind::Remote)
        .owner(identity.owner.clone().unwrap_or_else(|| hello.owner.clone()))
        .dedicated(hello.node_kind() == NodeKind::Dedicated)
        .embeddings(details.iter().any(|model| model.embeddings))
        .max_context_tokens(details.iter().filter_map(|model| model.context).max())
        .features(common_features(hello))
        .agent(hello.agent.clone())
        .hardware(hello.hw.clone())
        .model_details(details)
        .models(models);
    spec.validate()?;
    Ok(spec)
}

/// Checks the texts of a hello. They appear in the router's lists and logs, so they must be short and printable.
fn check_words(hello: &Hello) -> Result<()> {
    check_word("agent", &hello.agent)?;
    check_word("owner", &hello.owner)?;
    if hello.features.len() > MAX_FEATURES {
        return Err(Error::invalid("features", format!("a miner names at most {MAX_FEATURES} features")));
    }
    for feature in &hello.features {
        check_word("features", feature)?;
    }
    for model in &hello.models {
        check_word("models.id", &model.id)?;
        check_word("models.digest", model.digest.as_deref().unwrap_or_default())?;
        check_word("models.quant", model.quant.as_deref().unwrap_or_default())?;
    }
    if let Some(hardware) = &hello.hw {
        check_word("hw.gpu", hardware.gpu.as_deref().unwrap_or_default())?;
        check_word("hw.cpu", hardware.cpu.as_deref().unwrap_or_default())?;
    }
    Ok(())
}
