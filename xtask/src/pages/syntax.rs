//! Blocks that are not run must at least be right in form.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// Programs of Python that parse the file of their first argument.
const PYTHON: &str = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
const YAML: &str = "import sys, yaml; list(yaml.safe_load_all(open(sys.argv[1])))";
const INI: &str = "import configparser, sys; \
                   configparser.ConfigParser(strict=False, interpolation=None).read_file(open(sys.argv[1]))";

/// Checks the form of a block in its language. A language without a checker gives `None`.
///
/// # Errors
/// The checker's words.
pub(super) fn check(python: &Path, scratch: &Path, language: &str, text: &str) -> Option<Outcome<String>> {
    let parsed = |fault: Option<String>| Some(fault.map_or_else(|| Ok("it parses".to_owned()), Err));
    let (program, arguments, name): (&Path, &[&str], &str) = match language {
        "json" => return parsed(serde_json::from_str::<serde_json::Value>(text).err().map(|error| error.to_string())),
        "toml" => return parsed(toml::from_str::<toml::Table>(text).err().map(|error| error.to_string())),
        "sh" | "bash" | "shell" => (Path::new("bash"), &["-n"], "block.sh"),
        "python" | "py" => (python, &["-c", PYTHON], "block.py"),
        "js" | "javascript" | "mjs" => (Path::new("node"), &["--check"], "block.mjs"),
        "yaml" => (python, &["-c", YAML], "block.yaml"),
        "ini" => (python, &["-c", INI], "block.ini"),
        _ => return None,
    };
    Some(by(Command::new(program).args(arguments), scratch, name, text))
}

/// Runs a checker on a file with the block.
fn by(command: &mut Command, scratch: &Path, name: &str, text: &str) -> Outcome<String> {
    let file = scratch.join(name);
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let output = command.arg(&file).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok("it parses".to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_form_is_found_in_every_language() {
        let scratch = tempfile::tempdir().unwrap();
        for (language, good, bad) in [
            ("json", "{}", "{"),
            ("toml", "a = 1", "a ="),
            ("sh", "echo a", "if"),
            ("python", "a = 1", "a ="),
            ("js", "const a = 1;", "const"),
            ("ini", "[a]\nb=1\nb=2", "b"),
        ] {
            let checked = |text| check(Path::new("python3"), scratch.path(), language, text).unwrap();
            assert!(checked(good).is_ok(), "{language}");
            assert!(checked(bad).is_err(), "{language}");
        }
        assert!(check(Path::new("python3"), scratch.path(), "text", "{").is_none());
    }
}
