//! Installs other routers for inference from Python's package index, so that they can be measured beside the product.

use std::fs;
use std::path::PathBuf;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The packages. Each has an environment of its own, because they need different versions of what they share.
const PEERS: [(&str, &str); 3] = [("vllm-router", "0.1.17"), ("smg", "1.13.0"), ("tensorzero", "2026.6.0")];

/// Installs them below `target/peers`, each in the environment of its name. One that cannot be installed is left out
/// with the reason. Gives the directory.
///
/// # Errors
/// When the directory cannot be made.
pub(super) fn installed(steps: &mut Steps) -> Outcome<PathBuf> {
    let base = environment::target().join("peers");
    fs::create_dir_all(&base).map_err(|error| format!("{}: {error}", base.display()))?;
    for (name, version) in PEERS {
        let requirements = base.join(format!("{name}.txt"));
        let text = format!("{name}=={version}\n");
        fs::write(&requirements, text).map_err(|error| format!("{}: {error}", requirements.display()))?;
        if let Err(why) = environment::venv(steps, &base.join(name), &requirements) {
            steps.skip(&format!("{name} beside the product"), &why);
        }
    }
    Ok(base)
}
