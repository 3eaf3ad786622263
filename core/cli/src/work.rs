//! The flags of commands that run a router: who does the work, and what outlives a failure.

use clap::Args;
use cortensor_router::config::{Loaded, MinersConfig, Override, Source, TokenConfig};
use cortensor_router::model::Scope;
use toml::Value;

use crate::room;

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// An OpenAI-compatible server that does the work (repeatable)
    #[arg(long = "upstream", value_name = "URL")]
    upstreams: Vec<String>,
    /// A command that starts a model server on the port `{port}`, which the router chooses (repeatable). The server ends
    /// with the router
    #[arg(long = "run", value_name = "COMMAND", value_parser = started)]
    started: Vec<Started>,
    /// The failures that an acknowledged task survives: full (a power loss), relaxed (the end of the process) or memory
    /// (none)
    #[arg(long, value_name = "full|relaxed|memory", value_parser = ["full", "relaxed", "memory"])]
    durability: Option<String>,
    /// The PostgreSQL database that keeps tasks and keys, instead of a directory: `postgres://USER@HOST/DATABASE`. A password
    /// is better kept in `CORTENSOR_STORAGE_URL`, since other users see the arguments of a process
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl Work {
    /// The settings that the flags make.
    pub(crate) fn flags(&self) -> Vec<Override> {
        let mut flags = Vec::new();
        if let Some(durability) = &self.durability {
            flags.push(Override::new("storage.durability", durability.as_str(), "--durability"));
        }
        if let Some(url) = &self.store {
            flags.push(Override::new("storage.url", url.as_str(), "--store"));
        }
        if self.started.is_empty() {
            if !self.upstreams.is_empty() {
                flags.push(Override::new("upstream", tables("url", &self.upstreams, None), "--upstream"));
            }
            return flags;
        }
        let mut upstreams = match tables("url", &self.upstreams, None) {
            Value::Array(upstreams) => upstreams,
            _ => Vec::new(),
        };
        upstreams.extend(servers(&self.started));
        let from = if self.upstreams.is_empty() { "--run" } else { "--upstream and --run" };
        flags.push(Override::new("upstream", Value::Array(upstreams), from));
        flags
    }
}

/// The words of a command that starts a model server.
#[derive(Debug, Clone)]
struct Started(Vec<String>);

fn started(text: &str) -> Result<Started, String> {
    let words = shlex::split(text).ok_or("a quotation mark has no partner, or a backslash stands at the end")?;
    if words.is_empty() {
        return Err("write a command, as in 'llama-server -m model.gguf --port {port}'".to_owned());
    }
    if !words.iter().any(|word| word.contains("{port}")) {
        return Err("write {port} where the command takes its port, as in --port {port}".to_owned());
    }
    Ok(Started(words))
}

/// A table for each server. Servers of one program get names of their own.
fn servers(started: &[Started]) -> impl Iterator<Item = Value> + '_ {
    let program = |command: &Started| {
        let first = command.0.first().map(String::as_str).unwrap_or_default();
        first.rsplit('/').next().unwrap_or_default().to_owned()
    };
    started.iter().enumerate().map(move |(at, command)| {
        let name = program(command);
        let earlier = started[..at].iter().filter(|other| program(other) == name).count();
        let name = if earlier == 0 { name } else { format!("{name}-{}", earlier + 1) };
        let words = command.0.iter().cloned().map(Value::String).collect();
        let fields = [("name".to_owned(), Value::String(name)), ("command".to_owned(), Value::Array(words))];
        Value::Table(fields.into_iter().collect())
    })
}

/// A list of tables that have a value and, if it is given, a name.
pub(crate) fn tables(key: &str, values: &[String], name: Option<&str>) -> Value {
    let table = |value: &String| {
        let mut table = toml::Table::from_iter([(key.to_owned(), Value::String(value.clone()))]);
        if let Some(name) = name {
            table.insert("name".to_owned(), Value::String(name.to_owned()));
        }
        Value::Table(table)
    };
    Value::Array(values.iter().map(table).collect())
}

/// Tells what is odd about a configuration.
pub(crate) fn tell(loaded: &Loaded) {
    for remark in &loaded.remarks {
        tracing::warn!("{remark}");
    }
}

/// Bounds the memory of a router whose user set no bound.
pub(crate) fn bound_memory(loaded: &mut Loaded) {
    if loaded.source("limits.max_memory_bytes") == Source::Default {
        loaded.config.limits.max_memory_bytes = room::default_bytes();
    }
}

/// Whether the configuration names no miner at all. The built-in echo then answers until the first miner comes, so that
/// a new user sees an answer. An operator who set `echo`, an upstream or a key for miners does not need it.
pub(crate) fn nobody_is_expected(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    let lets_miners_in = |token: &TokenConfig| token.scopes.contains(&Scope::Miner);
    loaded.source("echo") == Source::Default
        && config.upstreams.is_empty()
        && config.miners == MinersConfig::default()
        && !config.listen.tokens.iter().any(lets_miners_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_splits_them() {
        let words = |text: &str| started(text).map(|started| started.0);
        let wanted = ["llama-server", "-m", "my model.gguf", "--port", "{port}"];
        assert_eq!(words("llama-server -m 'my model.gguf' --port {port}").unwrap(), wanted);
        for (text, words) in [("llama 'a {port}", "quotation mark"), ("", "write a command"), ("llama", "{port}")] {
            let error = started(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn servers_of_one_program_have_names_of_their_own() {
        let commands = ["/a/serve {port}", "serve -x {port}", "other {port}"].map(|text| started(text).unwrap());
        let names: Vec<_> = servers(&commands).map(|table| table["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["serve", "serve-2", "other"]);
    }
}
