//! Writes the foreign half of `core/uniffi` from the library in which UniFFI's macros have put its description.
//!
//! `cortensor-router-bindgen LANGUAGE LIBRARY OUT CRATE`, with the directory of the crate, whose `uniffi.toml` has the
//! names. `cargo xtask` calls it.
#![allow(clippy::print_stderr, reason = "a command line talks to its user")]

use std::process::ExitCode;

use camino::Utf8PathBuf;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

/// The directory of the one crate, which is found without asking cargo.
struct Directory(Utf8PathBuf);

impl BindgenPathsLayer for Directory {
    fn get_crate_root(&self, _: &str) -> Option<Utf8PathBuf> {
        Some(self.0.clone())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [language, library, out, directory] = arguments.as_slice() else {
        eprintln!("usage: cortensor-router-bindgen kotlin|swift|ruby LIBRARY OUT CRATE");
        return ExitCode::from(2);
    };
    let language = match language.as_str() {
        "kotlin" => TargetLanguage::Kotlin,
        "swift" => TargetLanguage::Swift,
        "ruby" => TargetLanguage::Ruby,
        other => {
            eprintln!("{other} is no language of this crate: kotlin, swift or ruby");
            return ExitCode::from(2);
        }
    };
    let options = GenerateOptions {
        languages: vec![language],
        source: library.into(),
        out_dir: out.into(),
        crate_filter: Some("cortensor_router_uniffi".to_owned()),
        ..GenerateOptions::default()
    };
    let mut paths = BindgenPaths::default();
    paths.add_layer(Directory(directory.into()));
    match generate_with_bindgen_paths(options, paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{library}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
