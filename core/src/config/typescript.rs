//! The configuration as TypeScript declares it: names in camelCase, and no index signatures.

use std::fmt::Write as _;

use super::keys::{self, Key};
use super::kind::KeyKind;

const HEAD: &str = "\
// Made from the configuration types by `UPDATE_DOCS=1 cargo test --test docs`; do not edit.

";

/// Keys whose text is one of a few words.
const WORDS: &[(&str, &str)] = &[
    ("storage.durability", "'full' | 'relaxed' | 'memory'"),
    ("runtime.log_level", "'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace'"),
];

/// Keys that must be given if their table is given.
const REQUIRED: &[&str] = &[
    "prices.model[].name",
    "prices.model[].input",
    "prices.model[].output",
    "upstream[].url",
    "model[].name",
    "model[].targets",
    "model[].targets[].model",
];

/// The types of all keys: `bindings-node/config.d.ts`.
pub fn typescript() -> String {
    let mut out = HEAD.to_owned();
    interface(&mut out, "The one configuration, as in docs/configuration.md. Everything has a default.", "");
    for section in keys::keys().iter().filter(|key| matches!(key.kind, KeyKind::Section | KeyKind::Tables)) {
        interface(&mut out, &section.doc, &section.path);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn interface(out: &mut String, doc: &str, path: &str) {
    let _ = writeln!(out, "/** {doc} */\nexport interface {} {{", name_of(path));
    let is_table = keys::keys().iter().any(|key| key.path == path && key.kind == KeyKind::Tables);
    let prefix = match (path, is_table) {
        ("", _) => String::new(),
        (path, true) => format!("{path}[]."),
        (path, false) => format!("{path}."),
    };
    for key in keys::keys() {
        let Some(name) = key.path.strip_prefix(&prefix).filter(|name| !name.contains('.')) else { continue };
        let optional = if REQUIRED.contains(&key.path.as_str()) { "" } else { "?" };
        let _ = writeln!(out, "  /** {} */\n  {}{optional}: {};", key.doc, camel(name), type_of(key));
    }
    out.push_str("}\n\n");
}

fn type_of(key: &Key) -> String {
    let words = WORDS.iter().find(|(path, _)| *path == key.path).map(|(_, words)| *words);
    match key.kind {
        KeyKind::Bool => "boolean".to_owned(),
        KeyKind::Integer | KeyKind::Number => "number".to_owned(),
        KeyKind::Text => words.unwrap_or("string").to_owned(),
        KeyKind::TextList => "string[]".to_owned(),
        KeyKind::IntegerList => "number[]".to_owned(),
        KeyKind::TextMap => "Record<string, string>".to_owned(),
        KeyKind::Section => name_of(&key.path),
        // A target of a list of models may be its name alone.
        KeyKind::Tables if key.path == "model[].targets" => format!("(string | {})[]", name_of(&key.path)),
        KeyKind::Tables => format!("{}[]", name_of(&key.path)),
    }
}

/// Sections whose last word is the name of another type of the package.
const NAMES: &[(&str, &str)] =
    &[("prices.model", "ModelPriceOptions"), ("model", "ModelListOptions"), ("model[].targets", "ModelTargetOptions")];

/// Names the type of a section: `listen.token` is `TokenOptions`. No two sections end with one word.
fn name_of(path: &str) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(section, _)| *section == path) {
        return (*name).to_owned();
    }
    let Some(last) = path.rsplit('.').next().filter(|last| !last.is_empty()) else { return "RouterConfig".to_owned() };
    let name = camel(last);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}Options", first.to_uppercase())
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_stands_in_the_type_of_its_section() {
        let types = typescript();
        assert!(
            types.contains("  limits?: LimitsOptions;") && types.contains("  upstream?: UpstreamOptions[];"),
            "{types}"
        );
        assert!(types.contains("  url: string;") && types.contains("  aliases?: Record<string, string>;"), "{types}");
        for key in keys::keys() {
            let name = camel(key.path.rsplit('.').next().unwrap());
            assert!(types.contains(&format!("  {name}?: ")) || types.contains(&format!("  {name}: ")), "{}", key.path);
        }
        assert!(!types.contains("[setting: string]"));
        let names: Vec<_> = types.lines().filter_map(|line| line.strip_prefix("export interface ")).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "two sections have one name: {names:?}");
        for (path, _) in WORDS {
            assert!(keys::find(path).is_some_and(|key| key.kind == KeyKind::Text), "{path}");
        }
        assert!(REQUIRED.iter().chain(NAMES.iter().map(|(path, _)| path)).all(|path| keys::find(path).is_some()));
    }
}
