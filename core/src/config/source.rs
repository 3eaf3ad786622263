//! Records where the value of a key comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line, or a value that the caller sets.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The source of a key, or of the list or section that was set as a whole.
pub(super) fn source_of(sources: &BTreeMap<String, Source>, path: &str) -> Source {
    let mut path = path;
    loop {
        if let Some(source) = sources.get(path) {
            return source.clone();
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return Source::Default,
        }
    }
}

/// Forgets the sources of all keys below `parent`.
pub(super) fn forget_below(sources: &mut BTreeMap<String, Source>, parent: &str) {
    // The paths below stand next to each other: '/' comes right after '.', and '\\' right after '['.
    for (first, behind) in [('.', '/'), ('[', '\\')] {
        let below = sources.range(format!("{parent}{first}")..format!("{parent}{behind}"));
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            sources.remove(&path);
        }
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with(['.', '[']))
}

pub(super) fn is_at_or_below(path: &str, parent: &str) -> bool {
    path == parent || is_below(path, parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_below_a_key_are_forgotten_and_no_others() {
        let paths = ["a", "a.b", "a.b.c", "a[0].b", "a-b", "a_b", "aa.b", "a/b", "b.a", "a\\b"];
        let mut sources: BTreeMap<_, _> = paths.map(|path| (path.to_owned(), Source::Default)).into();
        let kept: Vec<_> = sources.keys().filter(|path| !is_below(path, "a")).cloned().collect();
        forget_below(&mut sources, "a");
        assert_eq!(sources.keys().cloned().collect::<Vec<_>>(), kept);
        assert_eq!(sources.len(), paths.len() - 3);
    }
}
