//! The inputs that are checked in, and the place of inputs that broke a rule.

use std::path::{Path, PathBuf};

use crate::targets::Target;

fn below(folder: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target.name)
}

/// The directory for inputs that break a rule of the target.
pub(crate) fn failures(target: &Target) -> PathBuf {
    below("artifacts", target)
}

/// The inputs of the target that are checked in, and those that broke a rule on this machine.
pub(crate) fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let checked_in = below("corpus", target);
    assert!(checked_in.is_dir(), "{} is no directory", checked_in.display());
    let entries = [checked_in, failures(target)].into_iter().flat_map(std::fs::read_dir).flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}
