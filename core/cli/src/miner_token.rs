//! `miner-token`: creates, lists and revokes the one-time tokens that enrol miners' keys.

use std::num::NonZeroU64;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::Done;
use crate::keys::{self, Place, Revoke, duration};
use crate::output::{self, text};
use cortensor_router::KeySpec;
use cortensor_router::internals::token::DEFAULT_ENROL_SECS;
use cortensor_router::model::Scope;

const EXAMPLES: &str = "\
Examples:
  cortensor-router miner-token create --name gpu-1
  cortensor-router miner --router wss://router.example --key-file key.pem --token \"$TOKEN\" --backend ...
  cortensor-router miner-token create --name gpu-2 --model tiny --owner alice --ttl 1h
  cortensor-router miner-token list
  cortensor-router miner-token revoke 0f3c9a1b2d4e

A token enrols one key, once, and expires. The miner makes the key itself and needs no token afterwards.";

/// The arguments of `miner-token`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MinerTokens {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token that enrols one miner
    Create(Create),
    /// List the tokens that are not spent
    List(List),
    /// Revoke a token that is not spent
    #[command(visible_alias = "delete")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// The miner's name, for people
    #[arg(long)]
    name: String,
    /// The only models that the miner may serve (repeatable); all where none is given
    #[arg(long = "model", visible_alias = "models", value_name = "MODEL", value_delimiter = ',')]
    models: Vec<String>,
    /// The person or company that runs the miner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// How long the token is valid, at most 30d: 90s, 15m, 12h, 7d; a day where it is not given
    #[arg(long, value_parser = duration)]
    ttl: Option<u64>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

impl MinerTokens {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::Create(create) => create.run(),
            Action::List(list) => list.run(),
            Action::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Create {
    fn run(&self) -> Done {
        let ttl_secs = self.ttl.unwrap_or(DEFAULT_ENROL_SECS);
        let spec = KeySpec::new(self.name.clone())
            .scopes([Scope::Enrol])
            .ttl_secs(NonZeroU64::new(ttl_secs))
            .models(self.models.clone())
            .owner(self.owner.clone());
        let made = keys::create(&self.place, &spec)?;
        if self.place.json {
            return output::json(&made);
        }
        output::line(&text(&made, "token"))?;
        output::remark(&format!(
            "token {} enrols one miner, once, within {}: cortensor-router miner --key-file key.pem --token TOKEN ...",
            text(&made, "id"),
            output::span(ttl_secs)
        ));
        Ok(())
    }
}

impl List {
    fn run(&self) -> Done {
        let mut tokens = keys::list(&self.place)?;
        tokens.retain(|token| text(token, "scopes") == Scope::Enrol.as_str());
        if self.place.json {
            return output::json(&json!({"count": tokens.len(), "enrolments": tokens}));
        }
        if tokens.is_empty() {
            return output::line("there are no tokens that are not spent");
        }
        let rows: Vec<Vec<String>> = tokens
            .iter()
            .map(|token: &Value| {
                let models = text(token, "models");
                vec![
                    text(token, "id"),
                    text(token, "name"),
                    if models.is_empty() { "any".to_owned() } else { models },
                    text(token, "owner"),
                    output::ago(token, "created_at"),
                    keys::expiry(token),
                ]
            })
            .collect();
        output::table(&["ID", "NAME", "MODELS", "OWNER", "CREATED", "EXPIRES"], &rows)
    }
}
