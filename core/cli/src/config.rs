//! `config`: checks, shows and documents the configuration.

use clap::{Args, Subcommand};
use cortensor_router::config::reference;

use crate::exit::{Done, Exit};
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  cortensor-router config check --config router.toml
  cortensor-router config show                 every key, its value and its source; no secrets
  cortensor-router config docs                 the reference of all keys, in Markdown";

/// The arguments of `config`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read file, environment and flags, and say what is wrong
    Check(Settings),
    /// Print the effective configuration as TOML, with each value's source
    Show(Settings),
    /// Print the reference of all keys
    Docs,
}

impl ConfigCommand {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::Check(settings) => {
                let loaded = settings.load(Vec::new())?;
                for remark in &loaded.remarks {
                    output::remark(&format!("warning: {remark}"));
                }
                for token in &loaded.config.listen.tokens {
                    token.secret().map_err(|e| Exit::usage(e.message()))?;
                }
                let from = settings.file().map_or_else(String::new, |file| format!(" ({})", file.display()));
                output::line(&format!("the configuration is good{from}"))
            }
            Action::Show(settings) => output::write(&settings.load(Vec::new())?.to_toml()),
            Action::Docs => output::write(&reference()),
        }
    }
}
