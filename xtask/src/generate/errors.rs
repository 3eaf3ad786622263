//! The table of the kinds of errors on the page about errors.

use std::fmt::Write as _;

use cortensor_router_model::{KINDS, KindRow};

use super::{go, java, kinds, status, typescript};
use crate::{Outcome, environment};

/// The page, which says the rest in its own words.
pub(super) const PAGE: &str = "docs/reference/errors.md";

/// The marks around the tables.
const BEGIN: &str = "<!-- kinds: made from the table of errors by `cargo xtask gen`; do not edit. -->\n";
const END: &str = "<!-- end of kinds -->";

/// The page with its present tables.
///
/// # Errors
/// When the page cannot be read, or has no place for the tables.
pub(super) fn page() -> Outcome<String> {
    let text = environment::read(&environment::root().join(PAGE))?;
    let places = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = places.ok_or_else(|| format!("{PAGE} has no place for the kinds ({})", BEGIN.trim_end()))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", tables()))
}

/// The table of meanings, and those of names.
fn tables() -> String {
    let mut out = String::from("| kind | HTTP | meaning and remedy | again? |\n|---|---|---|---|\n");
    for row in KINDS {
        let again = if row.retryable { "yes" } else { "" };
        let _ = writeln!(out, "| `{}` | {} | {} | {again} |", row.code, row.http_status, row.says);
    }
    out.push_str("\n| kind | Rust | C | Python | OpenAI's `type` | Anthropic's `type` |\n|---|---|---|---|---|---|\n");
    for row in KINDS {
        let KindRow { kind, code, c_status, python_base, openai_type, anthropic_type, .. } = row;
        let (constant, class) = (status::constant(row), kinds::class(row));
        let _ = writeln!(
            out,
            "| `{code}` | `{kind:?}` | {c_status} `{constant}` | `{class}`, a `{python_base}` | `{openai_type}` | \
             `{anthropic_type}` |"
        );
    }
    out.push_str("\n| kind | Go | Java | Kotlin | Ruby | Swift |\n|---|---|---|---|---|---|\n");
    for row in KINDS {
        let (go, java, kotlin) = (go::pascal(row.code), java::name(row), kinds::exception(row));
        let (ruby, swift) = (kinds::class(row), typescript::camel(row.code));
        let code = row.code;
        let _ = writeln!(out, "| `{code}` | `Err{go}` | `{java}` | `{kotlin}` | `{ruby}` | `.{swift}` |");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::lint::list;

    #[test]
    fn the_page_has_every_code_of_the_sources() {
        let root = environment::root();
        let mut files = BTreeSet::new();
        for part in PARTS {
            list(&root, Path::new(part), &mut files).unwrap();
        }
        let page = environment::read(&root.join(PAGE)).unwrap();
        let (mut seen, mut absent) = (BTreeSet::new(), BTreeSet::new());
        let is_code = |file: &&String| {
            let of_tests = ["test", "samples"].iter().any(|part| file.contains(part));
            let languages = ["rs", "py", "cjs", "go", "java", "rb", "kt", "swift"];
            Path::new(file).extension().is_some_and(|end| languages.iter().any(|language| end == *language))
                && !of_tests
        };
        for file in files.iter().filter(is_code) {
            let text = environment::read(&root.join(file)).unwrap();
            // Tests at the end of a file make up codes of their own.
            let source = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for name in codes(source) {
                if !page.contains(&format!("`{name}`")) {
                    absent.insert(format!("{name} ({file})"));
                }
                seen.insert(name);
            }
        }
        assert!(absent.is_empty(), "{PAGE} does not explain {absent:?}");
        // One code of each way in which the languages write them.
        for name in ["no_miner", "miner_busy", "stream_restarted", "released", "interrupted", "stream_over"] {
            assert!(seen.contains(name), "{name} was not found in the sources");
        }
    }

    /// The sources of the router and of its packages.
    const PARTS: &[&str] = &[
        "core/src",
        "core/model/src",
        "core/engine/src",
        "core/capi/src",
        "core/capi/go",
        "core/capi/java/src",
        "core/uniffi/src",
        "core/uniffi/kotlin/src",
        "core/uniffi/ruby/lib",
        "core/uniffi/swift/Sources/CortensorRouter",
        "bindings-python/python",
        "bindings-node/lib",
    ];

    /// The codes that a source gives to errors of its own.
    fn codes(source: &str) -> BTreeSet<String> {
        let made = source.split("with_code(\"").skip(1);
        let named =
            ["code=\"", "code = \"", "code: \"", "code: '"].into_iter().flat_map(|mark| source.split(mark).skip(1));
        let in_full = made.chain(named).filter_map(|rest| rest.split(['"', '\'']).next());
        // The C packages' `local` has the kind first.
        let local = source.split("local(").skip(1).filter_map(|rest| {
            let (kind, rest) = rest.split_once(',')?;
            let is_kind = kind.trim_start().starts_with("Kind") || kind.trim_start().starts_with('"');
            let code = rest.trim_start().strip_prefix('"')?.split('"').next()?;
            is_kind.then_some(code)
        });
        let is_code =
            |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !name.is_empty();
        in_full.chain(local).filter(is_code).map(str::to_owned).collect()
    }
}
