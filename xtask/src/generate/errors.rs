//! The table of the kinds of errors on the page about errors.

use std::fmt::Write as _;

use cortensor_router_model::{KINDS, KindRow};

use super::{kinds, status};
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

/// The table of meanings, and that of names.
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
        for part in ["core/src", "core/model/src", "core/engine/src"] {
            list(&root, Path::new(part), &mut files).unwrap();
        }
        let page = environment::read(&root.join(PAGE)).unwrap();
        let mut absent = BTreeSet::new();
        let is_code = |file: &&String| {
            let of_tests = ["test", "samples"].iter().any(|part| file.contains(part));
            Path::new(file).extension().is_some_and(|end| end == "rs") && !of_tests
        };
        for file in files.iter().filter(is_code) {
            let text = environment::read(&root.join(file)).unwrap();
            // Tests at the end of a file make up codes of their own.
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for rest in code.split("with_code(\"").skip(1) {
                let name = rest.split('"').next().unwrap();
                if !page.contains(&format!("`{name}`")) {
                    absent.insert(format!("{name} ({file})"));
                }
            }
        }
        assert!(absent.is_empty(), "{PAGE} does not explain {absent:?}");
    }
}
