//! The colours of the command: whether its output has any, and which words have which.

use std::ffi::OsString;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// The head of a table and the names of fields.
pub(crate) const HEAD: Style = Style::new().bold();
/// The word `error` before a message.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Remarks of lesser weight.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// When the output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl When {
    /// The wish of the arguments. They are not checked yet, so that an error in them is written as wished too.
    pub(crate) fn of_arguments(arguments: &[OsString]) -> Self {
        let words: Vec<_> =
            arguments.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--").collect();
        let after = words.windows(2).find(|pair| pair[0] == "--color").map(|pair| &*pair[1]);
        let wish = words.iter().find_map(|word| word.strip_prefix("--color=")).or(after);
        wish.and_then(|wish| Self::from_str(wish, false).ok()).unwrap_or_default()
    }

    /// Makes it the choice of the whole process.
    pub(crate) fn choose(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::AlwaysAnsi,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }

    /// The choice for the help and the errors of arguments.
    pub(crate) fn of_help(self) -> clap::ColorChoice {
        match self {
            Self::Auto => clap::ColorChoice::Auto,
            Self::Always => clap::ColorChoice::Always,
            Self::Never => clap::ColorChoice::Never,
        }
    }
}

/// Whether standard output may be coloured.
pub(crate) fn on_stdout() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Whether standard error may be coloured.
pub(crate) fn on_stderr() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Writes a text in a style, or plainly if there are no colours.
pub(crate) fn styled(text: &str, style: Style, colored: bool) -> String {
    if colored && !style.is_plain() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// The style of the state of a task, a session or a miner, for example of `ended (ok)`.
pub(crate) fn of_state(state: &str) -> Style {
    let word = state.strip_prefix("ended (").map_or(state, |outcome| outcome.trim_end_matches(')'));
    let color = match word {
        "ok" | "open" | "idle" | "busy" | "up" => AnsiColor::Green,
        "failed" | "expired" | "disputed" | "down" | "set_aside" | "store_unavailable" => AnsiColor::Red,
        "queued" | "assigned" | "acked" | "precommitted" | "committed" | "draining" | "cooling" | "starting"
        | "stopping" => AnsiColor::Yellow,
        "cancelled" | "closed" | "drained" | "leaving" => return QUIET,
        _ => return Style::new(),
    };
    color.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_is_read_before_the_arguments_are_checked() {
        let of = |words: &[&str]| When::of_arguments(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(of(&["c", "status", "--color", "never"]), When::Never);
        assert_eq!(of(&["c", "--color=always", "status"]), When::Always);
        assert_eq!(of(&["c", "submit", "--", "--color=always"]), When::Auto);
        assert_eq!(of(&["c", "--color"]), When::Auto);
    }

    #[test]
    fn states_have_their_colors() {
        assert_eq!(of_state("ended (ok)"), AnsiColor::Green.on_default());
        assert_eq!(of_state("ended (failed)"), AnsiColor::Red.on_default());
        assert_eq!(of_state("cancelled"), QUIET);
        assert!(of_state("a word of a later router").is_plain());
        assert_eq!(styled("x", of_state("ok"), false), "x");
    }
}
