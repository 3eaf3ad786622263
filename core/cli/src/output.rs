//! Standard output of the command. A reader that goes away early (`| head`) ends the command quietly.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use crate::exit::{Done, Exit};
use crate::printable::printable;
use crate::{colors, stderr, table};
use cortensor_router::model::Timestamp;

/// Writes text to standard output unchanged, at once.
pub(crate) fn write(text: &str) -> Done {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => Exit::silent(0),
        _ => Exit::failed(format!("cannot write to standard output: {e}")),
    })
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Done {
    write(&format!("{text}\n"))
}

/// Writes a value as one line of JSON.
pub(crate) fn json(value: &serde_json::Value) -> Done {
    line(&value.to_string())
}

/// Writes text that a model or another user made, without control characters if standard output is a terminal.
pub(crate) fn foreign(text: &str) -> Done {
    if io::stdout().is_terminal() { write(&printable(text)) } else { write(text) }
}

/// Writes a remark beside the result to standard error.
pub(crate) fn remark(message: &str) {
    stderr::remark(&printable(message));
}

/// Writes a table: plain columns, or on a terminal such that fit.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> Done {
    write(&table::layout(head, rows, columns(), colors::on_stdout()))
}

/// The columns of the terminal to which standard output goes.
fn columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0).max(1))
}

/// Writes names and values below each other.
pub(crate) fn fields(fields: &[(&str, String)]) -> Done {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let colored = colors::on_stdout();
    let mut out = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let value = printable(value).replace('\n', &format!("\n{:width$}  ", ""));
        let blanks = width - name.len() + 2;
        let _ = writeln!(out, "{}{:blanks$}{value}", colors::styled(name, colors::HEAD, colored), "");
    }
    write(&out)
}

/// Reads a value from a JSON object as text: numbers and booleans as they are written, and an empty text for null.
pub(crate) fn text(value: &serde_json::Value, name: &str) -> String {
    match value.get(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    }
}

/// Says how long ago a time in Unix seconds was; empty for 0.
pub(crate) fn ago(value: &serde_json::Value, name: &str) -> String {
    match value.get(name).and_then(serde_json::Value::as_u64) {
        None | Some(0) => String::new(),
        Some(at) => format!("{} ago", span(Timestamp::wall_clock().as_secs().saturating_sub(at))),
    }
}

/// Writes a span of seconds in its largest unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_largest_unit() {
        assert_eq!([span(5), span(300), span(10_000), span(999_999)], ["5 s", "5 min", "2 h", "11 days"]);
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}\tb\n"), "a]0;x\tb\n");
    }
}
