//! The `cortensor-router` command. It runs a router as a server, and calls a running router.
//!
//! The command is a library too, so that `python -m cortensor_router` and `npx cortensor-router` run the command of the
//! binary.

#[cfg(not(all(feature = "mcp", feature = "terminal")))]
mod absent;
mod audit;
mod candidates;
#[cfg(feature = "terminal")]
mod chat;
mod client;
mod colors;
mod command_token;
mod completions;
mod config;
mod demo;
mod doctor;
mod exit;
mod fleet;
mod greeting;
mod keys;
mod logging;
#[cfg(feature = "terminal")]
mod man;
#[cfg(feature = "mcp")]
mod mcp;
mod miner;
mod miner_health;
mod miner_token;
mod miners;
mod neighbours;
#[cfg(feature = "otel")]
mod otel;
mod output;
mod overview;
mod platform;
mod printable;
#[cfg(all(test, feature = "mcp", feature = "postgres", feature = "terminal"))]
mod reference;
mod reload;
mod room;
mod runtime;
mod serve;
mod sessions;
mod settings;
mod signals;
mod spans;
mod sse;
mod status;
mod stderr;
mod store;
mod submit;
mod supervise;
mod table;
mod tasks;
#[cfg(feature = "terminal")]
mod top;
mod unreached;
mod upstreams;
mod usage;
mod waiting;
mod webhooks;
mod work;

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use colors::When;
use exit::Exit;
use stderr::Form;

const EXAMPLES: &str = "\
Examples:
  cortensor-router serve                       a router on 127.0.0.1:5010, no set-up needed
  cortensor-router serve --upstream http://127.0.0.1:8080/v1
                                               ... in front of llama.cpp, vLLM, Ollama
  cortensor-router submit 'Why is the sky blue?'
  cortensor-router sessions create research --priority 5
  cortensor-router tasks list 0
  cortensor-router key create --name app --scope submit
  cortensor-router miner --router wss://router.example --backend http://127.0.0.1:8080/v1
  cortensor-router chat                        a conversation in the terminal
  cortensor-router top                         what the router does, live
  cortensor-router doctor";

/// The end of the help.
fn after_help() -> String {
    format!("{EXAMPLES}\n\n{}", exit::statuses())
}

/// A router for AI inference: sessions, tasks and miners behind Cortensor's REST API and OpenAI's.
#[derive(Parser)]
#[command(name = "cortensor-router", version, propagate_version = true, after_help = after_help(), max_term_width = 110)]
struct Cli {
    /// When the output is coloured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: When,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a router with its HTTP listener
    Serve(serve::Serve),
    /// Send a prompt to a running router and stream the answer
    Submit(submit::Submit),
    /// Talk with a model over a running router
    #[cfg(feature = "terminal")]
    Chat(chat::Chat),
    /// Talk with a model over a running router (not in this build)
    #[cfg(not(feature = "terminal"))]
    Chat(absent::Absent),
    /// Show live what a running router does: queue, rates, miners, tasks
    #[cfg(feature = "terminal")]
    Top(top::Top),
    /// Show live what a running router does (not in this build)
    #[cfg(not(feature = "terminal"))]
    Top(absent::Absent),
    /// Show the state of a running router
    Status(status::Status),
    /// List, show, create and close sessions
    #[command(visible_alias = "session")]
    Sessions(sessions::Sessions),
    /// List, show and cancel tasks
    #[command(visible_alias = "task")]
    Tasks(tasks::Tasks),
    /// Show what was used: requests and tokens by day, key, model, session or miner
    Usage(usage::Usage),
    /// Show who changed keys, miners, upstreams, sessions and the configuration
    Audit(audit::Audit),
    /// Show the routers that share a database
    Fleet(fleet::Fleet),
    /// List the miners of a running router
    Miners(miners::Miners),
    /// List the upstreams of a running router, and change the managed ones
    #[command(visible_alias = "upstream")]
    Upstreams(upstreams::Upstreams),
    /// List the messages that wait for their webhooks
    #[command(visible_alias = "webhook")]
    Webhooks(webhooks::Webhooks),
    /// Offer a model server to a router, as a miner that dials in
    Miner(miner::Miner),
    /// Create, list and revoke the one-time tokens that enrol miners' keys
    #[command(name = "miner-token", visible_alias = "miner-tokens")]
    MinerToken(miner_token::MinerTokens),
    /// Create, list and revoke API keys
    #[command(visible_alias = "keys")]
    Key(keys::Keys),
    /// Speak the Model Context Protocol on standard input and output, for desktop programs
    #[cfg(feature = "mcp")]
    Mcp(mcp::Mcp),
    /// Speak the Model Context Protocol on standard input and output (not in this build)
    #[cfg(not(feature = "mcp"))]
    Mcp(absent::Absent),
    /// Copy the store to another place: from a data directory to a database, or back
    Store(store::StoreCommand),
    /// Let a running router read its configuration again
    Reload(reload::Reload),
    /// Check configuration, data directory, port and upstreams, and say how to mend each fault
    Doctor(doctor::Doctor),
    /// Check and show the configuration
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print the manual pages
    #[cfg(feature = "terminal")]
    Man(man::Manual),
    /// Print the manual pages (not in this build)
    #[cfg(not(feature = "terminal"))]
    Man(absent::Absent),
}

/// Runs the command with those arguments, of which the first is the program's name. Gives the exit status for the
/// process.
///
/// While it runs, `serve` handles SIGINT and SIGTERM. Every command installs a logger and a handler of SIGXFSZ, so that
/// a write beyond the limit of file sizes fails instead of ending the process. Call this function from a process that
/// does nothing else.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(status) = supervise::answered(&arguments) {
        return status;
    }
    supervise::note_own(&arguments);
    signals::outlive_the_file_size_limit();
    if completions::answered(&arguments) {
        return 0;
    }
    let form = Form::of_arguments(&arguments);
    form.choose();
    let colors = When::of_arguments(&arguments);
    colors.choose();
    let parsed = without_empty_variables(Cli::command()).color(colors.of_help()).try_get_matches_from(arguments);
    let command = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            cli.color.choose();
            cli.command
        }
        Err(told) => {
            let status = u8::try_from(told.exit_code()).unwrap_or(2);
            if told.use_stderr() && form != Form::Text {
                let text = told.render().to_string();
                stderr::error(text.strip_prefix("error: ").unwrap_or(&text).trim_end(), Some("usage"), status);
            } else {
                // Help and version are printed here too. A closed terminal does not change the status.
                let _ = told.print();
            }
            return status;
        }
    };
    let done = match command {
        Command::Serve(command) => command.run(),
        Command::Submit(command) => command.run(),
        #[cfg(feature = "terminal")]
        Command::Chat(command) => command.run(),
        #[cfg(feature = "terminal")]
        Command::Top(command) => command.run(),
        #[cfg(not(feature = "terminal"))]
        Command::Chat(_) => absent::told("chat"),
        #[cfg(not(feature = "terminal"))]
        Command::Top(_) => absent::told("top"),
        Command::Status(command) => command.run(),
        Command::Fleet(command) => command.run(),
        Command::Sessions(command) => command.run(),
        Command::Tasks(command) => command.run(),
        Command::Usage(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Miners(command) => command.run(),
        Command::Upstreams(command) => command.run(),
        Command::Webhooks(command) => command.run(),
        Command::Miner(command) => command.run(),
        Command::MinerToken(command) => command.run(),
        Command::Key(command) => command.run(),
        #[cfg(feature = "mcp")]
        Command::Mcp(command) => command.run(),
        #[cfg(not(feature = "mcp"))]
        Command::Mcp(_) => absent::told("mcp"),
        Command::Store(command) => command.run(),
        Command::Reload(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Completions(command) => command.run(),
        #[cfg(feature = "terminal")]
        Command::Man(command) => command.run(),
        #[cfg(not(feature = "terminal"))]
        Command::Man(_) => absent::told("man"),
    };
    let status = done.map_or_else(Exit::report, |()| 0);
    stderr::flush();
    status
}

/// Treats a variable with an empty value as not set. A compose file passes on empty variables that its caller did not
/// set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.to_string_lossy().trim().is_empty());
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}
