//! `upstreams`: lists the upstreams of a running router, and changes the managed ones.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::candidates;
use crate::exit::{Done, Exit};
use crate::keys::Place;
use crate::output::{self, text};
use crate::reload::running;
use crate::runtime;
use crate::submit::path_segment;

const EXAMPLES: &str = "\
Examples:
  cortensor-router upstreams list
  cortensor-router upstreams add gpu-2 https://gpu-2.example/v1 --field weight=3
  printf %s \"$KEY\" | cortensor-router upstreams add hosted https://api.example/v1 --api-key-stdin
  cortensor-router upstreams set gpu-2 weight=3 models=small,large
  cortensor-router upstreams drain gpu-2       no new tasks; those that run end
  cortensor-router upstreams resume gpu-2
  cortensor-router upstreams remove gpu-2

The router keeps them in its store. It needs listen.manage_upstreams = true and a key with
the scope admin; private addresses need listen.upstream_networks. Upstreams of the
configuration are changed there: see `reload`.";

/// The arguments of `upstreams`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Upstreams {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all upstreams
    List(List),
    /// Add a managed upstream
    Add(Add),
    /// Change fields of a managed upstream
    Set(Set),
    /// Give it no new tasks; those that run end
    Drain(Named),
    /// Give it tasks again
    Resume(Named),
    /// Remove it, once its tasks have ended
    #[command(visible_alias = "delete")]
    Remove(Named),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Add {
    /// A name of its own
    name: String,
    /// The base URL with the version, as in `https://gpu.example/v1`
    upstream: String,
    /// Another field (repeatable), as in `--field weight=3`; the fields are those of `[[upstream]]` in the configuration
    #[arg(long = "field", value_name = "FIELD=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
    /// Read the key that the server wants from standard input, so that no other user sees it
    #[arg(long)]
    api_key_stdin: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Set {
    /// The upstream's name
    #[arg(add = candidates::upstreams())]
    name: String,
    /// Its new values: `weight=3`, `models=small,large`; `none` gives a field its default
    #[arg(value_name = "FIELD=VALUE", value_parser = field, required_unless_present = "api_key_stdin")]
    fields: Vec<(String, Value)>,
    /// Read a new key from standard input
    #[arg(long)]
    api_key_stdin: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Named {
    /// The upstream's name
    #[arg(add = candidates::upstreams())]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Upstreams {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::List(list) => list.run(),
            Action::Add(add) => add.run(),
            Action::Set(set) => set.run(),
            Action::Drain(named) => named.change(&json!({"drained": true}), "drains"),
            Action::Resume(named) => named.change(&json!({"drained": false}), "gets tasks again"),
            Action::Remove(named) => named.remove(),
        }
    }
}

/// The fields with the key from standard input, if it is wanted.
fn with_key(fields: &[(String, Value)], wanted: bool) -> Done<Map<String, Value>> {
    let mut fields: Map<String, Value> = fields.iter().cloned().collect();
    if wanted {
        let key = std::io::read_to_string(std::io::stdin())
            .map_err(|error| Exit::failed(format!("cannot read the key from standard input: {error}")))?;
        fields.insert("api_key".to_owned(), Value::String(key.trim().to_owned()));
    }
    Ok(fields)
}

impl List {
    fn run(&self) -> Done {
        let client = running(&self.place)?;
        let answer = runtime::client(client.get("/api/v1/upstreams"))?;
        if self.place.json {
            return output::json(&answer);
        }
        let upstreams = answer.get("upstreams").and_then(Value::as_array).cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = upstreams
            .iter()
            .map(|upstream| {
                vec![
                    text(upstream, "name"),
                    text(upstream, "source"),
                    text(upstream, "state"),
                    format!("{}/{}", text(upstream, "in_flight"), text(upstream, "credits")),
                    text(upstream, "models"),
                    text(upstream, "url"),
                    text(upstream, "reason"),
                ]
            })
            .collect();
        output::table(&["UPSTREAM", "SOURCE", "STATE", "IN FLIGHT", "MODELS", "URL", "REMARK"], &rows)
    }
}

impl Add {
    fn run(&self) -> Done {
        let mut fields = with_key(&self.fields, self.api_key_stdin)?;
        fields.insert("name".to_owned(), json!(self.name));
        fields.insert("url".to_owned(), json!(self.upstream));
        let client = running(&self.place)?;
        let added = runtime::client(client.send(Method::POST, "/api/v1/upstreams", Some(&Value::Object(fields))))?;
        said(&self.place, &added, &format!("upstream {} is added", self.name))
    }
}

impl Set {
    fn run(&self) -> Done {
        let fields = with_key(&self.fields, self.api_key_stdin)?;
        let changed = patch(&self.place, &self.name, &Value::Object(fields))?;
        said(&self.place, &changed, &format!("upstream {} is changed", self.name))
    }
}

impl Named {
    fn change(&self, body: &Value, what: &str) -> Done {
        let changed = patch(&self.place, &self.name, body)?;
        said(&self.place, &changed, &format!("upstream {} {what}", self.name))
    }

    fn remove(&self) -> Done {
        let client = running(&self.place)?;
        let removed = runtime::client(client.send(Method::DELETE, &route(&self.name), None))?;
        said(&self.place, &removed, &format!("upstream {} is removed", self.name))
    }
}

fn route(name: &str) -> String {
    format!("/api/v1/upstreams/{}", path_segment(name))
}

fn patch(place: &Place, name: &str, body: &Value) -> Done<Value> {
    let client = running(place)?;
    runtime::client(client.send(Method::PATCH, &route(name), Some(body)))
}

fn said(place: &Place, answer: &Value, words: &str) -> Done {
    if place.json { output::json(answer) } else { output::line(words) }
}

/// Reads `weight=3`, `models=a,b` or `api=anthropic`. `none` stands for the default, and JSON for itself.
fn field(text: &str) -> Result<(String, Value), String> {
    let wrong = || format!("{text:?} is no field: write it like weight=3 or models=small,large");
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let list = matches!(name, "models" | "also") && !value.starts_with('[');
    let value = match value {
        "none" => Value::Null,
        value if list => value.split(',').filter(|part| !part.is_empty()).map(Value::from).collect(),
        value => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_number_a_word_or_a_list() {
        for (text, value) in [
            ("weight=3", json!(3)),
            ("api=anthropic", json!("anthropic")),
            ("embeddings=false", json!(false)),
            ("models=a,b", json!(["a", "b"])),
            ("models=", json!([])),
            ("models=[\"a,b\"]", json!(["a,b"])),
            ("aliases={\"x\":\"y\"}", json!({"x": "y"})),
            ("owner=none", Value::Null),
            ("url=https://h/v1?a=b", json!("https://h/v1?a=b")),
        ] {
            assert_eq!(field(text).unwrap().1, value, "{text}");
        }
        assert!(field("weight").is_err() && field("=3").is_err());
    }
}
