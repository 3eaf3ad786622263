//! The rules of imports between the layers of `docs/ARCHITECTURE.md`, checked on the source.
//!
//! A module of `core/src` may name only the modules in its row of [`MAY_IMPORT`]; a module without a
//! row fails, so that whoever adds one says where it belongs.

use std::fs;
use std::path::{Path, PathBuf};

use super::source;
use crate::{Outcome, environment};

/// What everything may import.
const GROUND: &[&str] = &["model", "config"];

/// A module of `core/src`, and what it may import beside the ground and itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &[]),
    ("verdict", &[]),
    ("store", &[]),
    ("miner", &[]),
    ("router", &["store", "miner", "token", "verdict"]),
    ("token", &["store"]),
    ("secrecy", &[]),
    ("listener", &["router", "token", "miner", "store"]),
    ("embed", &["router", "listener", "miner", "store", "token", "secrecy"]),
    ("internals", &["miner", "router", "secrecy", "verdict"]),
];

/// What `core/src/lib.rs` re-exports, and the module it is of.
const ROOT_NAMES: &[(&str, &str)] = &[
    ("Config", "config"),
    ("Metrics", "router"),
    ("MinerHandle", "router"),
    ("ModelInfo", "router"),
    ("Router", "router"),
    ("RouterBuilder", "router"),
    ("SessionFilter", "router"),
    ("StreamEvent", "router"),
    ("Submission", "router"),
    ("SubmitOptions", "router"),
    ("TokenStream", "router"),
];

/// The crates of the bindings: of the core they may name the facade alone.
const BINDINGS: &[&str] = &["core/capi", "core/uniffi", "bindings-python", "bindings-node"];

/// Checks the whole of `core/src`, and the bindings.
///
/// # Errors
/// A line for every import that is against the rules.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let source = root.join("core/src");
    let mut files = Vec::new();
    gather(&source, &mut files)?;
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&source).unwrap_or(file);
        let text = environment::read(file)?;
        wrong.extend(violations(inside, &text).into_iter().map(|what| format!("core/src/{}:{what}", inside.display())));
    }
    for binding in BINDINGS.iter().map(|name| root.join(name).join("src")).filter(|source| source.exists()) {
        let before = files.len();
        gather(&binding, &mut files)?;
        for file in &files[before..] {
            let inside = file.strip_prefix(root).unwrap_or(file).display();
            wrong.extend(
                around_the_facade(&environment::read(file)?).into_iter().map(|what| format!("{inside}:{what}")),
            );
        }
    }
    if wrong.is_empty() { Ok(format!("{} files keep to the layers", files.len())) } else { Err(wrong.join("\n")) }
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What of one file (its path inside `core/src`) is against the rules: `line: why`.
fn violations(file: &Path, text: &str) -> Vec<String> {
    let parts: Vec<String> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let Some(module) = parts.first().filter(|first| !matches!(first.as_str(), "lib" | "bin")) else {
        return Vec::new();
    };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| name == module) else {
        return vec![format!("1: `{module}` has no row in xtask/src/lint/imports.rs: say what it may import")];
    };
    // `mod.rs` is the module itself, every other file a level below it.
    let depth = parts.len() - usize::from(parts.last().is_some_and(|last| last == "mod"));
    let code = source::code(text);
    paths(&code, depth)
        .into_iter()
        .filter_map(|(line, name)| {
            let target = ROOT_NAMES.iter().find(|(root, _)| *root == name).map_or(name.as_str(), |(_, of)| of);
            let known = MAY_IMPORT.iter().any(|(module, _)| *module == target);
            let may = target == module || GROUND.contains(&target) || allowed.contains(&target);
            (known && !may).then(|| format!("{line}: `{module}` may not import `{target}`"))
        })
        .collect()
}

/// What of a binding's file names more of the core than its facade: `line: why`.
fn around_the_facade(text: &str) -> Vec<String> {
    let code = source::code(text);
    let mut wrong = Vec::new();
    for crate_name in ["cortensor_router::", "cortensor_router as "] {
        for (at, _) in code.match_indices(crate_name) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let names = heads(&code[at + crate_name.len()..]);
            if crate_name.ends_with("as ") || names.iter().any(|name| name != "embed") {
                let line = code[..at].matches('\n').count() + 1;
                wrong.push(format!("{line}: a binding may name only `cortensor_router::embed`"));
            }
        }
    }
    wrong
}

/// Every name that is looked up at the top of the crate, `crate::name` or by enough `super::`, with its line.
fn paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        let mut at = 0;
        while let Some(next) = code[at..].find(start) {
            let begin = at + next;
            at = begin + start.len();
            if code[..begin].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            let mut rest = &code[at..];
            let mut ups = 1;
            while start == "super::"
                && let Some(further) = rest.strip_prefix("super::")
            {
                rest = further;
                ups += 1;
            }
            if start == "super::" && ups < depth {
                continue;
            }
            let line = code[..begin].matches('\n').count() + 1;
            found.extend(heads(rest).into_iter().map(|name| (line, name)));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first names of a path or of a group: `a::b` gives a, `{a::{b}, c}` gives a and c.
fn heads(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else {
        return vec![word(text)];
    };
    let (mut depth, mut names, mut fresh) = (1, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && (c.is_alphanumeric() || c == '_') => {
                names.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_keeps_to_its_layers() {
        if let Err(wrong) = check(&environment::root()) {
            panic!("{wrong}");
        }
    }

    #[test]
    fn every_way_to_write_a_forbidden_import_is_found() {
        for (file, text) in [
            ("miner/mod.rs", "use crate::store::Store;"),
            ("miner/queue.rs", "use crate::{Error, store::{self, Op}};"),
            ("miner/queue.rs", "use super::super::router::Router;"),
            ("model/task.rs", "fn f() -> crate::Router {}"),
            ("miner/mod.rs", "pub fn f(x: &super::listener::Serve) {}"),
            ("listener/mod.rs", "use crate::{\n    model::Task,\n    embed,\n};"),
            ("novelty.rs", "fn f() {}"),
        ] {
            assert_eq!(violations(Path::new(file), text).len(), 1, "{file}: {text}");
        }
    }

    #[test]
    fn a_binding_that_goes_around_the_facade_is_found() {
        assert!(
            around_the_facade("use cortensor_router::embed::{Router, Task}; // cortensor_router::Config").is_empty()
        );
        assert!(around_the_facade("struct A { a: crate::cortensor_router_thing::B }").is_empty());
        for text in [
            "use cortensor_router::Config;",
            "use cortensor_router::{embed::Router, listener};",
            "use cortensor_router as core;",
            "fn f(x: cortensor_router::router::Router) {}",
        ] {
            assert_eq!(around_the_facade(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        for (file, text) in [
            ("store/queue.rs", "use super::event::Event; // crate::miner\nuse crate::{Error, model::Task};"),
            ("store/queue.rs", "const WHY: &str = \"crate::router::Router\"; mod tests { use super::super::queue; }"),
            ("router/mod.rs", "use crate::{engine, store::Store, miner::Miner};"),
            ("lib.rs", "pub use crate::listener::serve;"),
        ] {
            assert_eq!(violations(Path::new(file), text), Vec::<String>::new(), "{file}: {text}");
        }
    }
}
