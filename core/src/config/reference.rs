//! The configuration for people: the reference page, and the effective configuration with its documentation.

use std::fmt::Write as _;

use toml::Value;

use super::examples;
use super::fixed::is_fixed;
use super::keys::{self, Key};
use super::kind::{KeyKind, join};
use super::{COMMAND_ENV, ENV_ALIASES, Loaded, Source};
use crate::secrecy::shown_url;

const HEAD: &str = "\
# Configuration

<!-- Made from the configuration types by `UPDATE_DOCS=1 cargo test --test docs`; `cortensor-router config docs` prints it. -->

Nothing has to be configured: `cortensor-router serve` listens on 127.0.0.1:5010 and keeps its
tasks in the platform's data directory. Settings come from four places; each wins over those
before it:

1. the defaults below,
2. a TOML file: `--config FILE`, else `CORTENSOR_CONFIG`, else `config.toml` in the platform's
   configuration directory (`~/.config/cortensor-router/config.toml` on Linux) if it exists,
3. environment variables: `CORTENSOR_<SECTION>_<KEY>`,
4. flags: the common ones by name, every key by `--set key=value`.

A list that is set in a later place replaces the list of an earlier one. Unknown keys are refused,
with the line and the key that was probably meant. `cortensor-router config check` reads
everything and says what is wrong; `cortensor-router config show` prints every key with its value
and its source. Bindings take the same keys as JSON
(`{\"storage\":{\"data_dir\":\"/var/lib/router\"}}`): sections are objects, names are `snake_case`.

```toml
# cortensor-router.toml
[storage]
data_dir = \"/var/lib/cortensor-router\"

[listen]
host = \"0.0.0.0\"

[[listen.token]]
name = \"app\"
value_env = \"APP_TOKEN\"
scopes = [\"submit\", \"read\"]

[[upstream]]
url = \"http://127.0.0.1:8080/v1\"
```

A running router reads all of it again with `cortensor-router reload` or SIGHUP
([change.md](how-to/change.md)). Keys that need a restart say so below.

In environment variables lists are written with commas between
(`CORTENSOR_COMPLETION_SESSIONS=1,2`) or as JSON. `CORTENSOR_UPSTREAM=http://a/v1,http://b/v1` and
`CORTENSOR_LISTEN_TOKEN=secret` set the lists of tables as a whole; `CORTENSOR_UPSTREAM_0_WEIGHT=5`
sets a key of one element. A variable that is set to nothing counts as not set.

";

/// The reference page of all keys, in Markdown: `docs/configuration.md`.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    let (top, nested): (Vec<_>, Vec<_>) = keys::keys().iter().partition(|key| !key.path.contains('.'));
    out.push_str("## Top level\n\n");
    let (plain, sections): (Vec<_>, Vec<_>) = top.into_iter().partition(|key| !has_keys(key));
    table(&mut out, &plain);
    example(&mut out, "");
    let inner = nested.iter().copied().filter(|key| has_keys(key));
    for section in sections.into_iter().chain(inner) {
        let head = section.path.replace("[]", "");
        let (title, prefix) = match section.kind {
            KeyKind::Tables => (format!("[[{head}]]"), format!("{}[].", section.path)),
            _ => (format!("[{head}]"), format!("{}.", section.path)),
        };
        let _ = write!(out, "## `{title}`\n\n{}\n\n", section.doc);
        let own: Vec<_> = nested
            .iter()
            .copied()
            .filter(|key| !has_keys(key) && key.path.strip_prefix(&prefix).is_some_and(|name| !name.contains('.')))
            .collect();
        table(&mut out, &own);
        example(&mut out, &title);
    }
    out.push_str(
        "## Environment names of Cortensor's own router and of OpenTelemetry\n\nThey are read if a key is not set under its own name, in the file or anywhere else.\n\n| variable | key | how it is read |\n|---|---|---|\n",
    );
    for alias in ENV_ALIASES {
        let key = if alias.key.is_empty() { String::new() } else { format!("`{}`", alias.key) };
        let _ = writeln!(out, "| `{}` | {key} | {} |", alias.name, alias.note);
    }
    out.push_str("\n## Environment of the command itself\n\n| variable | what it is |\n|---|---|\n");
    for (name, note) in COMMAND_ENV {
        let _ = writeln!(out, "| `{name}` | {note} |");
    }
    out
}

fn has_keys(key: &Key) -> bool {
    matches!(key.kind, KeyKind::Section | KeyKind::Tables)
}

fn table(out: &mut String, keys: &[&Key]) {
    out.push_str("| key | takes | default | variable | what it does |\n|---|---|---|---|---|\n");
    for key in keys {
        let default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
        let name = key.path.rsplit('.').next().unwrap_or(&key.path);
        let doc = key.doc.replace('|', "\\|");
        let restart = if is_fixed(&key.path) { " Needs a restart." } else { "" };
        let _ = writeln!(out, "| `{name}` | {} | {default} | `{}` | {doc}{restart} |", key.kind.describe(), key.env);
    }
    out.push('\n');
}

/// Writes the example of a section. The checks of the page run it, but for one that names files.
fn example(out: &mut String, title: &str) {
    if let Some(example) = examples::of(title) {
        let mark = if title == "[listen.tls]" { "<!-- not run: needs the files of a certificate -->\n" } else { "" };
        let _ = write!(out, "{mark}```toml\n{example}```\n\n");
    }
}

impl Loaded {
    /// The effective configuration as TOML: every key with its documentation and its source, secrets hidden. Reading
    /// it again gives an equal configuration, except for the secrets.
    pub fn to_toml(&self) -> String {
        let value = Value::try_from(&self.config).unwrap_or_else(|_| Value::Table(toml::Table::new()));
        let mut out = String::from("# The effective configuration. `from` says where a value comes from.\n");
        self.section(&mut out, "", "", &value);
        out
    }

    /// Writes the keys below `place`, plain ones first, as TOML demands; `pattern` is the place without numbers.
    fn section(&self, out: &mut String, place: &str, pattern: &str, value: &Value) {
        let prefix = if pattern.is_empty() { String::new() } else { format!("{pattern}.") };
        let own: Vec<_> = keys::keys()
            .iter()
            .filter_map(|key| Some((key, key.path.strip_prefix(&prefix)?)))
            .filter(|(_, name)| !name.contains('.'))
            .collect();
        for (key, name) in own.iter().filter(|(key, _)| !has_keys(key)) {
            self.key(out, key, &join(place, name), name, value.get(name));
        }
        for (key, name) in own.iter().filter(|(key, _)| has_keys(key)) {
            let place = join(place, name);
            let (inner, head) = (value.get(name), &key.path.replace("[]", ""));
            match inner {
                Some(Value::Array(items)) => {
                    if items.is_empty() {
                        let _ = write!(out, "\n# {}\n# from: {}\n# [[{head}]]\n", key.doc, self.source(&place));
                    }
                    for (index, item) in items.iter().enumerate() {
                        let _ = write!(out, "\n# {}\n[[{head}]]\n", key.doc);
                        self.section(out, &format!("{place}[{index}]"), &format!("{}[]", key.path), item);
                    }
                }
                Some(inner) => {
                    let _ = write!(out, "\n# {}\n[{head}]\n", key.doc);
                    self.section(out, &place, &key.path, inner);
                }
                None => {}
            }
        }
    }

    fn key(&self, out: &mut String, key: &Key, place: &str, name: &str, value: Option<&Value>) {
        let shown = value.map(|value| without_secrets(value).to_string());
        let secret = key.secret && self.is_set(place);
        let unset = !secret && shown.as_deref().unwrap_or_default() == key.default;
        // A key of a list's element inherits the place of the list, unless it has nothing but its default.
        let source = if unset && !self.sources.contains_key(place) { Source::Default } else { self.source(place) };
        let _ = write!(out, "# {}\n# from: {source}", key.doc);
        match shown {
            Some(shown) => {
                let default =
                    if unset || key.default.is_empty() { String::new() } else { format!(", default: {}", key.default) };
                let _ = write!(out, "{default}\n{name} = {shown}\n");
            }
            None if secret => {
                let _ = write!(out, "\n# {name} = \"(set, hidden)\"\n");
            }
            None => {
                let _ = write!(out, "\n# {name} = (not set)\n");
            }
        }
    }

    fn is_set(&self, place: &str) -> bool {
        let index = |list: &str| place.strip_prefix(list)?.split_once(']')?.0.parse::<usize>().ok();
        match (index("listen.token["), index("upstream[")) {
            (Some(index), _) => self.config.listen.tokens.get(index).is_some_and(|token| token.value.is_some()),
            (_, Some(index)) => self.config.upstreams.get(index).is_some_and(|upstream| upstream.api_key.is_some()),
            _ => place == "webhooks.secret" && self.config.webhooks.secret.is_some(),
        }
    }
}

/// The value without the parts of a URL that may be secret: `https://user:password@host/v1?key=secret`.
fn without_secrets(value: &Value) -> Value {
    match value.as_str().filter(|text| text.contains("://")) {
        Some(url) => Value::String(shown_url(url)),
        None => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::config::{Override, load};

    fn loaded(assignments: &[&str]) -> Loaded {
        load(None, std::iter::empty(), assignments.iter().map(|text| Override::parse(text, "--set").unwrap())).unwrap()
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_configuration() {
        let shown = loaded(&[
            "limits.max_sessions=7",
            "storage.data_dir=/d",
            "dispatch.retry_ratio=0.5",
            r#"upstream=[{"url":"http://a/v1","aliases":{"x":"y"},"models":["y"]},{"url":"http://b/v1"}]"#,
            r#"listen.token=[{"name":"app","value":"v3ry","scopes":["read"],"quota":{"tokens_per_day":5}}]"#,
            "listen.cors.origins=https://app.example",
            "completion_sessions=1,2",
            r#"prices.model=[{"name":"tiny","input":1,"output":"0.5","cached_input":0.25}]"#,
            r#"model=[{"name":"smart","targets":["tiny",{"model":"large","weight":2,"when":["overload"]}]}]"#,
        ]);
        let text = shown.to_toml();
        let again = Config::from_toml(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(Value::try_from(&again).unwrap(), Value::try_from(&shown.config).unwrap());
        for key in keys::keys() {
            let name = key.path.rsplit('.').next().unwrap();
            assert!(text.contains(&key.doc) && text.contains(name), "{}", key.path);
        }
    }

    #[test]
    fn the_configuration_stays_as_it_is() {
        let written = |loaded: &Loaded| toml::to_string(&loaded.config).unwrap();
        insta::assert_snapshot!("defaults", written(&loaded(&[])));
        let full = loaded(&[
            "storage.data_dir=/d",
            "runtime.worker_threads=3",
            "listen.cors.origins=https://app.example",
            "listen.dev_token=false",
            r#"otel={"endpoint":"http://o:4318","traces_endpoint":"http://o/t","headers":"k=v","ca_file":"/o"}"#,
            r#"listen.tls={"cert":"/c","key":"/k","client_ca":"/a"}"#,
            r#"listen.token=[{"name":"app","value":"v3ry","scopes":["read"],"sessions":[2],"models":["tiny"]}]"#,
            r#"upstream=[{"url":"http://a/v1","name":"a","models":["y"],"aliases":{"x":"y"},"api_key":"s","ca_file":"/u","stream_usage":"on"}]"#,
        ]);
        insta::assert_snapshot!("full", written(&full));
    }

    #[test]
    fn secrets_are_hidden_and_said_to_be_there() {
        let text = loaded(&[
            r#"upstream=[{"url":"https://u:pa55word@a:1/v1?key=s3cret-3","name":"a","api_key":"s3cret-1"}]"#,
            "listen.token=s3cret-2",
        ])
        .to_toml();
        assert!(!text.contains("s3cret") && !text.contains("pa55word"), "{text}");
        assert!(text.contains("url = \"https://...@a:1/v1?...\""), "{text}");
        assert_eq!(text.matches("(set, hidden)").count(), 2, "{text}");
    }

    #[test]
    fn every_value_says_where_it_comes_from() {
        let text = loaded(&["limits.max_sessions=7"]).to_toml();
        assert!(
            text.contains("# Open sessions; closed ones do not count. Default 100000.\n# from: --set, default: 100000\nmax_sessions = 7\n"),
            "{text}"
        );
        assert!(text.contains("# Miners. Default 10000.\n# from: default\nmax_miners = 10000\n"), "{text}");
    }

    #[test]
    fn the_reference_has_every_key_alias_and_variable() {
        let page = reference();
        for key in keys::keys() {
            let wanted =
                if has_keys(key) { format!("[{}]", key.path.replace("[]", "")) } else { format!("`{}`", key.env) };
            assert!(page.contains(&wanted), "{wanted}");
        }
        assert!(ENV_ALIASES.iter().all(|alias| page.contains(&format!("| `{}` |", alias.name))));
    }
}
