//! Refuses unknown keys, with the place and the key that was probably meant.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::kind::KeyKind;
use crate::Error;

/// The bytes of the longest text for which a suggestion is looked for. Keys are much shorter, and the comparison with
/// all of them takes as many steps as the product of the lengths.
const LONGEST: usize = 128;

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

/// The places of the line ends of a text. [`line_of`] reads the text from its beginning, which is too slow to be done
/// for each key.
struct LineEnds(Vec<usize>);

impl LineEnds {
    fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line on which a span of the text starts, from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|end| *end < span.start) + 1
    }
}

/// All keys of a TOML text with their lines.
pub(super) fn in_toml(text: &str, table: &DeTable<'_>) -> Vec<Written> {
    fn walk(ends: &LineEnds, prefix: &str, table: &DeTable<'_>, out: &mut Vec<Written>) {
        for (name, value) in table {
            let path = join(prefix, name.get_ref());
            out.push(Written { line: Some(ends.line(&name.span())), path: path.clone() });
            descend(ends, &path, value, out);
        }
    }
    fn descend(ends: &LineEnds, path: &str, value: &Spanned<DeValue<'_>>, out: &mut Vec<Written>) {
        if is_leaf(path) {
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => walk(ends, path, table, out),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(table) = item.get_ref() {
                        walk(ends, &format!("{path}[{index}]"), table, out);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(&LineEnds::of(text), "", table, &mut out);
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
    if path.len() > LONGEST {
        return None;
    }
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

/// The most edits between a variable and the one that was probably meant.
const FAR: usize = 3;

/// The environment variable that was probably meant.
pub(super) fn close_env<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is at least the difference of the lengths.
    let length = name.chars().count();
    known
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= FAR)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= FAR)
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
        assert_eq!(suggestion(&format!("listen.port{}", "x".repeat(10_000))), None);
    }

    #[test]
    fn every_key_of_a_text_has_the_line_on_which_it_begins() {
        let text = "\n[listen]\nport = 1\n\n\"x\\ny\" = [{a = 1},\n{b = 2}]\r\n[[upstream]] # u\nurl = 2";
        let table = DeTable::parse(text).unwrap();
        let mut found = in_toml(text, table.get_ref());
        found.sort_by_key(|key| key.line);
        let lines: Vec<_> = found.iter().map(|key| (key.line.unwrap(), key.path.as_str())).collect();
        let wanted = [
            (2, "listen"),
            (3, "listen.port"),
            (5, "listen.x\ny"),
            (5, "listen.x\ny[0].a"),
            (6, "listen.x\ny[1].b"),
            (7, "upstream"),
            (8, "upstream[0].url"),
        ];
        assert_eq!(lines, wanted);
        for (text, at, line) in [("", 0, 1), ("a", 0, 1), ("a\n", 1, 1), ("a\nb", 2, 2), ("\n\n", 2, 3)] {
            assert_eq!(LineEnds::of(text).line(&(at..at)), line, "{text:?} at {at}");
            assert_eq!(line_of(text, &(at..at)), line, "{text:?} at {at}");
        }
    }
}
