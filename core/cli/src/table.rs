//! Tables: plain columns for a pipe, and columns that fit for a terminal.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::colors;

/// The longest cell where no terminal says how much room there is.
const CELL: usize = 60;

/// The blanks between two columns.
const GAP: usize = 2;

/// A column is not made narrower than this.
const NARROWEST: usize = 6;

/// The mark of a cell that was cut.
const CUT: &str = "...";

/// Lays a table out. `room` is the width of the terminal: the widest columns shrink until the table fits. Without one,
/// each column is as wide as its widest cell.
pub(crate) fn layout(head: &[&str], rows: &[Vec<String>], room: Option<usize>, colored: bool) -> String {
    let most = room.unwrap_or(CELL + CUT.len());
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| cut(&one_line(cell), most)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    if let Some(room) = room {
        shrink(&mut widths, room);
    }
    let states: Vec<bool> = head.iter().map(|name| is_of_states(name)).collect();
    let mut out = String::new();
    for (number, row) in std::iter::once(&head).chain(&rows).enumerate() {
        let last = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or_default();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate().take(last + 1) {
            let cell = cut(cell, *width);
            let blanks = if at == last { 0 } else { width.saturating_sub(cell.width()) + GAP };
            let style = match (number, states[at]) {
                (0, _) => colors::HEAD,
                (_, true) => colors::of_state(&cell),
                _ => anstyle::Style::new(),
            };
            let _ = write!(out, "{}{:blanks$}", colors::styled(&cell, style, colored), "");
        }
        out.push('\n');
    }
    out
}

/// Whether a column with that head has the words of states in it.
pub(crate) fn is_of_states(head: &str) -> bool {
    matches!(head, "STATE" | "STATUS")
}

/// Makes the widest columns narrower until all fit, or none can become narrower.
fn shrink(widths: &mut [usize], room: usize) {
    let gaps = widths.len().saturating_sub(1) * GAP;
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
        let Some(widest) = widths.iter().copied().max().filter(|&widest| over > 0 && widest > NARROWEST) else {
            return;
        };
        let next = widths.iter().copied().filter(|&width| width < widest).max().unwrap_or(NARROWEST).max(NARROWEST);
        let equals = widths.iter().filter(|&&width| width == widest).count();
        let step = (widest - next).min(over.div_ceil(equals)).max(1);
        for width in widths.iter_mut().filter(|width| **width == widest) {
            *width -= step;
        }
    }
}

/// A text as one line without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A line that takes at most that many columns.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let (mut width, room) = (0, most.saturating_sub(CUT.len()));
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= room
    };
    text.chars().take_while(fits).chain(CUT.chars().take(most)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_one_short_line_without_control_characters() {
        assert_eq!(one_line("a\n b\t\u{1b}[31mc"), "a b [31mc");
        assert_eq!(cut(&"ä".repeat(100), CELL + 3), format!("{}...", "ä".repeat(CELL)));
        assert_eq!(cut("日本語日本語", 8), "日本...");
        assert_eq!([cut("abcdef", 2), cut("ab", 2)], ["..", "ab"]);
    }

    #[test]
    fn a_pipe_gets_plain_columns_and_a_terminal_those_that_fit() {
        let rows = [vec!["1".to_owned(), "ended (ok)".to_owned(), "a long prompt that goes on and on".to_owned()]];
        let head = ["ID", "STATE", "PROMPT"];
        let piped = layout(&head, &rows, None, false);
        assert_eq!(piped, "ID  STATE       PROMPT\n1   ended (ok)  a long prompt that goes on and on\n");
        for room in [10, 20, 30, 40] {
            let shown = layout(&head, &rows, Some(room), false);
            let widest = shown.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(room.max(2 + 2 * NARROWEST + 2 * GAP)), "{room}: {shown}");
        }
        let colored = layout(&head, &rows, Some(80), true);
        assert!(colored.contains("\u{1b}[32mended (ok)\u{1b}[0m"), "{colored:?}");
    }
}
