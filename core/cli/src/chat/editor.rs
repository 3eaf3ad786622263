//! The line editor of a chat, and its history in the platform's state directory.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor as LineEditor, Helper};

use super::line::COMMANDS;
use crate::exit::{Done, Exit};
use crate::output;
use crate::platform;

/// The lines that the history keeps.
const LINES: usize = 1_000;

/// An act of the user.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C: the line is thrown away.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// A line editor.
pub(super) struct Editor {
    lines: LineEditor<Words, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// Makes an editor that completes the names of those models. `remember` keeps a history over calls.
    pub(super) fn new(models: Vec<String>, remember: bool) -> Done<Self> {
        let config = Config::builder().max_history_size(LINES).and_then(|config| config.history_ignore_dups(true));
        let config = config.map_err(|e| broken(&e))?.history_ignore_space(true).auto_add_history(false).build();
        let mut lines = LineEditor::with_config(config).map_err(|e| broken(&e))?;
        lines.set_helper(Some(Words { models }));
        let history = if remember { history_file() } else { None };
        if let Some(file) = &history {
            // The first chat has none yet.
            let _ = lines.load_history(file);
        }
        Ok(Self { lines, history })
    }

    /// Reads a line. A backslash at its end goes on in the next line.
    pub(super) fn read(&mut self) -> Done<Typed> {
        match self.lines.readline("> ") {
            Ok(line) => {
                self.remember(&line);
                Ok(Typed::Line(line.replace("\\\n", "\n")))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(broken(&error)),
        }
    }

    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || !self.lines.add_history_entry(line).unwrap_or_default() {
            return;
        }
        if let Some(file) = &self.history
            && let Err(error) = self.lines.append_history(file)
        {
            output::remark(&format!("the history cannot be kept in {}: {error}", file.display()));
            self.history = None;
        }
    }
}

fn broken(error: &ReadlineError) -> Exit {
    Exit::failed(format!("the line cannot be read: {error}"))
}

/// The file of the history, in a directory that is the user's alone. The editor gives the file the mode 0600.
fn history_file() -> Option<PathBuf> {
    let dir = platform::state_dir()?;
    match make(&dir) {
        Ok(()) => Some(dir.join("chat_history")),
        Err(error) => {
            output::remark(&format!("the history cannot be kept in {}: {error}", dir.display()));
            None
        }
    }
}

fn make(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Completes the commands, and the models of `/model`.
struct Words {
    models: Vec<String>,
}

impl Helper for Words {}

impl Highlighter for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..at];
        Ok(candidates(typed, &self.models))
    }
}

fn candidates(typed: &str, models: &[String]) -> (usize, Vec<Pair>) {
    let pair = |word: &str| Pair { display: word.to_owned(), replacement: word.to_owned() };
    if let Some(start) = typed.strip_prefix("/model ") {
        let found = models.iter().filter(|model| model.starts_with(start)).map(|model| pair(model));
        return (typed.len() - start.len(), found.collect());
    }
    let names = COMMANDS.iter().map(|(command, _)| command.split(' ').next().unwrap_or(command));
    (0, names.filter(|name| typed.starts_with('/') && name.starts_with(typed)).map(pair).collect())
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let goes_on = context.input().ends_with('\\');
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_models_are_completed() {
        let models = ["tiny".to_owned(), "tall".to_owned(), "other".to_owned()];
        let words = |typed: &str| {
            let (at, found) = candidates(typed, &models);
            (at, found.into_iter().map(|pair| pair.replacement).collect::<Vec<_>>())
        };
        assert_eq!(words("/mo"), (0, vec!["/model".to_owned()]));
        assert_eq!(words("/model t"), (7, vec!["tiny".to_owned(), "tall".to_owned()]));
        assert_eq!(words("t").1, Vec::<String>::new());
    }
}
