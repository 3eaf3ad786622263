//! `man`: makes the manual pages of the command and of all its subcommands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::exit::{Done, Exit, STATUSES};
use crate::{Cli, output};

const EXAMPLES: &str = "\
Examples:
  cortensor-router man | man -l -
  cortensor-router man serve | man -l -
  cortensor-router man --dir ~/.local/share/man/man1";

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Manual {
    /// The command whose page is printed, for example `serve` or `key create`; the whole command where none is given
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// The directory into which the pages of all commands are written instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Variables that belong to no flag.
const VARIABLES: &[(&str, &str)] = &[
    ("CORTENSOR_*", "Each setting of the configuration has a variable: `config docs` lists them."),
    ("NO_COLOR", "Any value takes the colours away, unless --color says otherwise."),
    ("CLICOLOR_FORCE", "Any value but 0 colours the output where it is no terminal, too."),
    ("TERM", "The kind of terminal; `top` cannot draw on one that is `dumb`."),
];

/// Files, as they are on Linux.
const FILES: &[(&str, &str)] = &[
    ("$XDG_CONFIG_HOME/cortensor-router/config.toml", "The configuration (~/.config where the variable is not set)."),
    ("$XDG_DATA_HOME/cortensor-router", "Tasks and keys (~/.local/share): see storage.data_dir."),
    ("$XDG_STATE_HOME/cortensor-router/chat_history", "The lines of `chat` (~/.local/state)."),
];

impl Manual {
    pub(crate) fn run(&self) -> Done {
        let mut command = Cli::command();
        command.build();
        if let Some(dir) = &self.dir {
            return write_all(&command, dir);
        }
        let mut wanted = &command;
        for name in &self.command {
            wanted = wanted.find_subcommand(name).ok_or_else(|| {
                Exit::usage(format!("there is no command {:?}: see `cortensor-router --help`", self.command.join(" ")))
            })?;
        }
        output::write(&String::from_utf8_lossy(&page(wanted).map_err(|e| failed(&e))?))
    }
}

fn failed(error: &io::Error) -> Exit {
    Exit::failed(format!("the manual pages cannot be written: {error}"))
}

fn write_all(command: &Command, dir: &Path) -> Done {
    let write = || -> io::Result<usize> {
        fs::create_dir_all(dir)?;
        let mut pages = 0;
        let mut left = vec![command];
        while let Some(command) = left.pop() {
            fs::write(dir.join(format!("{}.1", name(command))), page(command)?)?;
            left.extend(shown(command));
            pages += 1;
        }
        Ok(pages)
    };
    let pages = write().map_err(|e| Exit::failed(format!("{} cannot be written: {e}", dir.display())))?;
    output::line(&format!("{pages} pages in {}", dir.display()))
}

/// The subcommands that have pages.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|part| part.get_name() != "help" && !part.is_hide_set())
}

/// The name of a page: the words of the command, with hyphens.
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

/// A page in the language of man(1).
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let man = Man::new(command.clone()).title(name(command)).manual("cortensor-router");
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut more = Roff::new();
    if let Some(text) = command.get_after_help() {
        examples(&mut more, &text.to_string());
    }
    more.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in STATUSES {
        entry(&mut more, &status.to_string(), meaning);
    }
    more.control("SH", ["ENVIRONMENT"]);
    for argument in command.get_arguments() {
        if let (Some(name), Some(help)) = (argument.get_env(), argument.get_help()) {
            entry(&mut more, &name.to_string_lossy(), &help.to_string());
        }
    }
    for (name, meaning) in VARIABLES {
        entry(&mut more, name, meaning);
    }
    more.control("SH", ["FILES"]);
    for (file, meaning) in FILES {
        entry(&mut more, file, meaning);
    }
    more.to_writer(&mut out)?;
    Ok(out)
}

/// The text after the help: its examples line by line, and what follows them as text. The exit statuses have a section
/// of their own.
fn examples(more: &mut Roff, text: &str) {
    more.control("SH", ["EXAMPLES"]);
    for block in text.split("\n\n").filter(|block| !block.starts_with("Exit status")) {
        let lines = block.strip_prefix("Examples:\n");
        if let Some(lines) = lines {
            more.control("nf", []);
            for line in lines.lines() {
                more.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            more.control("fi", []);
        } else {
            more.control("PP", []);
            more.text([roman(block.split_whitespace().collect::<Vec<_>>().join(" "))]);
        }
    }
}

fn entry(more: &mut Roff, name: &str, meaning: &str) {
    more.control("TP", []);
    more.text([bold(name)]);
    more.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_whole_page() {
        let mut command = Cli::command();
        command.build();
        let mut left = vec![&command];
        let mut pages = 0;
        while let Some(command) = left.pop() {
            let page = String::from_utf8(page(command).unwrap()).unwrap();
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
                assert!(
                    page.contains(&format!(".SH {section}")) || page.contains(&format!(".SH \"{section}\"")),
                    "{section}: {page}"
                );
            }
            left.extend(shown(command));
            pages += 1;
        }
        assert!(pages > 30, "{pages}");
    }

    #[test]
    fn a_page_of_a_part_has_its_examples_line_by_line() {
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand("serve").unwrap();
        assert_eq!(name(serve), "cortensor-router-serve");
        let page = String::from_utf8(page(serve).unwrap()).unwrap();
        assert!(page.contains(".nf\n") && page.contains("CORTENSOR_CONFIG"), "{page}");
    }
}
