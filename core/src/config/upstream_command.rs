//! The settings of a model server that the router starts itself.

use super::UpstreamConfig;
use crate::model::check_name;
use crate::{Error, Result};

/// The word in a command that stands for the port.
pub(crate) const PORT: &str = "{port}";

/// The most milliseconds of a time that bounds a server's start, stop or stay: a day.
const MOST_MS: u64 = 86_400_000;

impl UpstreamConfig {
    /// Whether the router starts the server itself.
    pub(crate) fn is_started(&self) -> bool {
        !self.command.is_empty()
    }

    /// Whether the server runs only while there is work for it.
    pub(crate) fn is_on_demand(&self) -> bool {
        self.is_started() && (self.idle_stop_ms > 0 || self.group.is_some())
    }

    /// Checks the fields that belong to the command. `at` gives the key of a field.
    pub(super) fn validate_command(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        let wrong = |key: &str, words: &str| Err(Error::invalid(at(key), words));
        check_name(&at("group"), self.group.as_deref().unwrap_or_default())?;
        if !self.is_started() {
            let has = [
                ("env", !self.env.is_empty()),
                ("group", self.group.is_some()),
                ("idle_stop_ms", self.idle_stop_ms > 0),
            ];
            return match has.iter().find(|(_, has)| *has) {
                Some((key, _)) => wrong(
                    key,
                    &format!("{key} belongs to a server that the router starts: add its command, or leave it out"),
                ),
                None => Ok(()),
            };
        }
        if !self.url.is_empty() {
            return wrong(
                "url",
                "url must be left out with command: the router chooses the port, as {port} in the command",
            );
        }
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            return wrong(
                "command",
                "command must begin with a program, as in [\"llama-server\", \"--port\", \"{port}\"]",
            );
        }
        let texts = || self.command.iter().chain(self.env.values());
        if texts().chain(self.env.keys()).any(|text| text.contains('\0')) {
            return wrong("command", "command and env must not hold a zero byte");
        }
        if !texts().any(|text| text.contains(PORT)) {
            return wrong(
                "command",
                "command must say where the port goes: write {port} in it or in env, as in \"--port\", \"{port}\"",
            );
        }
        if let Some(name) = self.env.keys().find(|name| name.is_empty() || name.contains('=')) {
            return wrong("env", &format!("{name:?} is no name of a variable"));
        }
        if self.is_on_demand() && self.models.is_empty() {
            let key = if self.group.is_some() { "group" } else { "idle_stop_ms" };
            return wrong(
                "models",
                &format!("models must name what the server serves, because with {key} it does not always run"),
            );
        }
        let path: std::result::Result<http::uri::PathAndQuery, _> = self.health_path.parse();
        if !self.health_path.starts_with('/') || path.is_err() {
            return wrong("health_path", "health_path must be a path like /health");
        }
        for (key, millis) in
            [("start_timeout_ms", self.start_timeout_ms), ("restart_backoff_ms", self.restart_backoff_ms)]
        {
            if !(1..=MOST_MS).contains(&millis) {
                return wrong(key, &format!("{key} must be 1 to {MOST_MS}"));
            }
        }
        for (key, millis) in [("stop_timeout_ms", self.stop_timeout_ms), ("min_stay_ms", self.min_stay_ms)] {
            if millis > MOST_MS {
                return wrong(key, &format!("{key} must be at most {MOST_MS}"));
            }
        }
        if !(80..=1_048_576).contains(&self.max_output_line_bytes) {
            return wrong("max_output_line_bytes", "max_output_line_bytes must be 80 to 1048576");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    const GOOD: &str = "command = ['llama-server', '--port', '{port}']\n";

    #[test]
    fn a_command_is_checked_with_what_belongs_to_it() {
        for (fields, wrong) in [
            (GOOD.to_owned(), None),
            (format!("{GOOD}models = ['a']\ngroup = 'gpu'\nidle_stop_ms = 1000"), None),
            ("command = ['ollama', 'serve']\nenv = { OLLAMA_HOST = '127.0.0.1:{port}' }".into(), None),
            (format!("{GOOD}url = 'http://127.0.0.1:1/v1'"), Some(("url", "must be left out"))),
            ("command = ['llama-server']".into(), Some(("command", "write {port}"))),
            ("command = ['', '{port}']".into(), Some(("command", "begin with a program"))),
            ("command = ['a', '{port}\\u0000']".replace('\'', "\""), Some(("command", "zero byte"))),
            (format!("{GOOD}env = {{ 'A=B' = 'c' }}"), Some(("env", "no name of a variable"))),
            (format!("{GOOD}group = 'gpu'"), Some(("models", "with group"))),
            (format!("{GOOD}idle_stop_ms = 5"), Some(("models", "with idle_stop_ms"))),
            (format!("{GOOD}health_path = 'health'"), Some(("health_path", "like /health"))),
            (format!("{GOOD}start_timeout_ms = 0"), Some(("start_timeout_ms", "1 to"))),
            (format!("{GOOD}stop_timeout_ms = 86400001"), Some(("stop_timeout_ms", "at most"))),
            (format!("{GOOD}max_output_line_bytes = 1"), Some(("max_output_line_bytes", "80 to"))),
            ("url = 'http://a'\ngroup = 'gpu'".into(), Some(("group", "add its command"))),
            ("url = 'http://a'\nidle_stop_ms = 1".into(), Some(("idle_stop_ms", "add its command"))),
            ("url = 'http://a'\nenv = { A = 'b' }".into(), Some(("env", "add its command"))),
        ] {
            let read = Config::from_toml(&format!("[[upstream]]\n{fields}"));
            match (read, wrong) {
                (Ok(_), None) => {}
                (Err(error), Some((key, words))) => {
                    assert_eq!(
                        error.details().param.as_deref(),
                        Some(&*format!("upstream[0].{key}")),
                        "{fields}: {error}"
                    );
                    assert!(error.message().contains(words), "{fields}: {error}");
                }
                (read, _) => panic!("{fields}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_server_is_called_by_its_first_model_or_by_its_program() {
        let name = |fields: &str| {
            let config = Config::from_toml(&format!("[[upstream]]\n{fields}")).unwrap();
            config.upstreams[0].miner_name()
        };
        assert_eq!(name("command = ['/opt/llama/llama-server', '--port={port}']"), "llama-server");
        assert_eq!(name(&format!("{GOOD}models = ['qwen', 'other']")), "qwen");
        assert_eq!(name(&format!("{GOOD}models = ['qwen']\nname = 'own'")), "own");
    }
}
