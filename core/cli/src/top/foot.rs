//! The foot of the screen of `top`: a question, the outcome of the last wish, or the keys of the moment.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use unicode_width::UnicodeWidthStr as _;

use super::desk::{Desk, Mode};
use super::draw::{bold, of_state};
use crate::table::one_line;

/// The most lines of a foot.
const MOST: u16 = 5;

/// The lines that the foot takes: an outcome that is longer than a line is shown whole where there is room.
pub(super) fn height(desk: &Desk, area: Rect) -> u16 {
    if area.height < 3 {
        return 0;
    }
    // Words are not cut, so that lines end early.
    let width = usize::from(area.width.max(1));
    let lines = wrapped(&words(desk), width);
    u16::try_from(lines).unwrap_or(u16::MAX).clamp(1, MOST.min(area.height / 3))
}

/// The lines of a text whose words are not cut.
fn wrapped(text: &str, width: usize) -> usize {
    let (mut lines, mut used) = (1, 0);
    for word in text.split(' ') {
        let long = word.width();
        if used > 0 && used + 1 + long > width {
            (lines, used) = (lines + 1, 0);
        }
        lines += long.saturating_sub(1) / width;
        used += long + usize::from(used > 0);
    }
    lines
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, desk: &Desk, colored: bool) {
    let said = words(desk);
    let line = match &desk.mode {
        Mode::Ask(_) => Line::from(Span::styled(said, bold().add_modifier(Modifier::REVERSED))),
        Mode::Filter | Mode::New(_) => {
            let (head, typed) = said.split_at(said.find(": ").map_or(0, |at| at + 2));
            Line::from(vec![Span::styled(head.to_owned(), bold()), Span::raw(typed.to_owned())])
        }
        Mode::Lists | Mode::Help if desk.away.is_some() => Line::from(Span::styled(said, of_state("down", colored))),
        Mode::Lists | Mode::Help if desk.said.is_some() => Line::from(Span::styled(said, bold())),
        Mode::Lists | Mode::Help => Line::from(said),
    };
    frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: false }), area);
}

fn words(desk: &Desk) -> String {
    match &desk.mode {
        Mode::Filter => format!("filter: {}_", desk.filter),
        Mode::New(typed) => one_line(&format!("name and address of the upstream: {typed}_")),
        Mode::Ask(act) => one_line(&format!("{} y: yes, any other key: no", act.question())),
        Mode::Lists | Mode::Help => match (&desk.away, &desk.said) {
            (Some((_, why)), _) => one_line(&format!("trying again: {why}")),
            (None, Some(said)) => one_line(said),
            (None, None) if desk.opened.is_some() => "Esc back  c cancel  arrows scroll  ? help".to_owned(),
            (None, None) if desk.upstream.is_some() => {
                "Esc back  d drain or resume  x remove  R reload  ? help".to_owned()
            }
            (None, None) => "q quit  ? help  Enter open  c cancel  / filter  s sort  e ended  Tab next list".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_long_words_are_cut() {
        for (text, width, lines) in
            [("", 5, 1), ("one two", 7, 1), ("one two", 6, 2), ("one two three", 7, 2), ("abcdefghij", 5, 2)]
        {
            assert_eq!(wrapped(text, width), lines, "{text:?}");
        }
    }
}
