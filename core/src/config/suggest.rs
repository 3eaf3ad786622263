//! Refuses unknown keys, with the place and the key that was probably meant.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::kind::KeyKind;
use crate::Error;

/// A key as somebody wrote it, and where.
pub(super) struct Written {
    /// `upstream[0].url`.
    pub(super) path: String,
    /// From 1; `None` outside of files.
    pub(super) line: Option<usize>,
}

/// The line on which a span of the text starts, from 1.
pub(super) fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()[..span.start.min(text.len())].split(|&byte| byte == b'\n').count()
}

/// All keys of a TOML text with their lines.
pub(super) fn in_toml(text: &str, table: &DeTable<'_>) -> Vec<Written> {
    fn walk(text: &str, prefix: &str, table: &DeTable<'_>, out: &mut Vec<Written>) {
        for (name, value) in table {
            let path = join(prefix, name.get_ref());
            out.push(Written { line: Some(line_of(text, &name.span())), path: path.clone() });
            descend(text, &path, value, out);
        }
    }
    fn descend(text: &str, path: &str, value: &Spanned<DeValue<'_>>, out: &mut Vec<Written>) {
        if is_leaf(path) {
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => walk(text, path, table, out),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(table) = item.get_ref() {
                        walk(text, &format!("{path}[{index}]"), table, out);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(text, "", table, &mut out);
    out
}

/// All keys of a JSON object.
pub(super) fn in_json(value: &serde_json::Value) -> Vec<Written> {
    fn walk(prefix: &str, value: &serde_json::Value, out: &mut Vec<Written>) {
        match value {
            serde_json::Value::Object(object) if !is_leaf(prefix) => {
                for (name, value) in object {
                    let path = join(prefix, name);
                    out.push(Written { path: path.clone(), line: None });
                    walk(&path, value, out);
                }
            }
            serde_json::Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| walk(&format!("{prefix}[{index}]"), item, out));
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk("", value, &mut out);
    out
}

/// Refuses the first key that does not exist.
pub(super) fn refuse_unknown(written: &[Written], place: impl Fn(&Written) -> String) -> Result<(), Error> {
    match written.iter().find(|key| keys::find(&key.path).is_none()) {
        Some(key) => Err(Error::invalid(
            key.path.clone(),
            format!("{}unknown key {:?}{}", place(key), key.path, did_you_mean(&key.path)),
        )),
        None => Ok(()),
    }
}

/// Writes `: did you mean "listen.port"?`, or where the known keys are listed.
pub(super) fn did_you_mean(path: &str) -> String {
    match suggestion(path) {
        Some(path) => format!(": did you mean {path:?}?"),
        None => ": see `cortensor-router config docs` for the keys that there are".to_owned(),
    }
}

/// The key that was probably meant: a close spelling, the same name in another section, or camelCase.
fn suggestion(path: &str) -> Option<String> {
    let wanted = snake_case(&keys::canonical(path));
    let last = wanted.rsplit('.').next().unwrap_or(&wanted);
    let score = |key: &keys::Key| {
        let whole = strsim::jaro_winkler(&wanted, &key.path);
        let own = key.path.rsplit('.').next().unwrap_or(&key.path);
        let misplaced = if own == last { 0.95 } else { strsim::damerau_levenshtein(own, last) as f64 * -0.1 + 0.95 };
        whole.max(misplaced)
    };
    // Of equally close keys the first one is taken: it is the last of the reversed list.
    let best = keys().iter().rev().map(|key| (score(key), key)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.75).then(|| best.1.path.clone())
}

/// The environment variable that was probably meant.
pub(super) fn close_env<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, candidate)| candidate)
}

fn is_leaf(path: &str) -> bool {
    keys::find(path).is_some_and(|key| key.kind == KeyKind::TextMap)
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if c.is_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase().map(|c| if c == '-' { '_' } else { c }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for (wrong, right) in [
            ("listen.prot", "listen.port"),
            ("port", "listen.port"),
            ("limits.maxQueuedTasks", "limits.max_queued_tasks"),
            ("limit.max_sessions", "limits.max_sessions"),
            ("data_dir", "storage.data_dir"),
            ("dispatch.max-attempts", "dispatch.max_attempts"),
            ("upstream[0].modles", "upstream[].models"),
            ("upstreams[1].apikey", "upstream[].api_key"),
        ] {
            assert_eq!(suggestion(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(suggestion("zzqqxx"), None);
    }
}
