//! The page about the command line, made from the arguments themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory as _};

use crate::Cli;

/// The page, which says the rest in its own words, and the marks around the commands.
const PAGE: &str = "../../docs/reference/command-line.md";
const BEGIN: &str = "<!-- commands: made from the arguments by `cargo xtask gen`; do not edit. -->\n";
const END: &str = "<!-- end of commands -->";

/// The headings under which many commands have the same options.
type Shared = BTreeMap<String, BTreeMap<String, String>>;

/// Every command with its arguments, then the options that many of them share.
fn commands() -> String {
    let mut root = Cli::command();
    root.build();
    let (mut out, mut shared) = (String::new(), Shared::new());
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        write_command(&mut out, &mut shared, command, "cortensor-router");
    }
    for (heading, options) in &shared {
        let _ = write!(out, "### {heading}\n\n| option | what it does |\n|---|---|\n");
        for row in options.values() {
            out.push_str(row);
        }
        out.push('\n');
    }
    out
}

fn write_command(out: &mut String, shared: &mut Shared, command: &Command, before: &str) {
    let name = format!("{before} {}", command.get_name());
    let inner: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let _ = writeln!(out, "### `{name}`\n\n{}.\n", line(command.get_long_about().or(command.get_about())));
    if inner.is_empty() {
        let (mut rows, mut headings) = (String::new(), Vec::new());
        for argument in command.get_arguments().filter(|argument| !is_common(argument)) {
            match argument.get_help_heading() {
                None => rows.push_str(&row(argument)),
                Some(heading) => {
                    shared.entry(heading.to_owned()).or_default().insert(shown(argument), row(argument));
                    if !headings.contains(&heading) {
                        headings.push(heading);
                    }
                }
            }
        }
        if !rows.is_empty() {
            let _ = writeln!(out, "| argument | what it does |\n|---|---|\n{rows}");
        }
        if !headings.is_empty() {
            let links: Vec<_> = headings
                .iter()
                .map(|heading| format!("[{heading}](#{})", heading.to_lowercase().replace(' ', "-")))
                .collect();
            let _ = writeln!(out, "Further options: {}.\n", links.join(", "));
        }
    }
    if let Some(examples) = command.get_after_help() {
        let _ = writeln!(out, "```text\n{}\n```\n", examples.to_string().trim_end());
    }
    for command in inner {
        write_command(out, shared, command, &name);
    }
}

/// Whether every command has the argument.
fn is_common(argument: &Arg) -> bool {
    ["help", "version", "color"].contains(&argument.get_id().as_str()) || argument.is_hide_set()
}

/// An argument as a user types it.
fn shown(argument: &Arg) -> String {
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let mut shown: Vec<String> = short.into_iter().chain(long).collect();
    let takes = argument.get_action().takes_values();
    let names: Vec<_> = argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    if shown.is_empty() {
        return names.join(" ");
    }
    let last = shown.len() - 1;
    if takes {
        let _ = write!(shown[last], " {}", names.join(" "));
    }
    shown.join(", ")
}

/// The row of an argument in a table.
fn row(argument: &Arg) -> String {
    let mut says = line(argument.get_long_help().or(argument.get_help()));
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() && argument.get_action().takes_values() {
        let _ = write!(says, ". One of {}", values.join(", "));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        let _ = write!(says, ". Default {}", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(says, ". Variable `{}`", variable.to_string_lossy());
    }
    format!("| `{}` | {} |\n", shown(argument).replace('|', "\\|"), says.replace('|', "\\|"))
}

/// A text of help on one line.
fn line(text: Option<&StyledStr>) -> String {
    text.map(StyledStr::to_string).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_about_the_command_line_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let (before, rest) = there.split_once(BEGIN).unwrap_or((&there, END));
    let after = rest.split_once(END).map_or("\n", |(_, after)| after);
    let wanted = format!("{before}{BEGIN}\n{}{END}{after}", commands());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(there == wanted, "docs/reference/command-line.md is not current: run cargo xtask gen");
    }
}
