//! Draws the opened task of `top`: its course, its request, and its answer as it comes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use super::desk::Desk;
use super::draw::{bold, of_state};
use crate::output::{self, text};
use crate::overview::miners_of;
use crate::printable::printable;
use crate::table::one_line;
use crate::tasks::{state_of, webhook_of};

/// Fewer lines of a prompt than this are shown above an answer.
const PROMPT_LINES: usize = 5;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, colored: bool) {
    let Some(opened) = &mut desk.opened else { return };
    let record = &opened.record;
    let title = format!(" task {} of session {} ", opened.task, opened.session);
    let block = Block::new().borders(Borders::TOP).title(Span::styled(title, bold().add_modifier(Modifier::REVERSED)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines: Vec<Line<'_>> = Vec::new();
    if record.is_null() {
        lines.push(Line::from("reading ..."));
    }
    let state = one_line(&state_of(record));
    let mut facts = vec![Span::styled(state.clone(), of_state(&state, colored))];
    for (name, value) in [
        ("queue position", text(record, "queue_position")),
        ("model", text(record, "model")),
        ("attempts", text(record, "attempts")),
        ("miners", miners_of(record, &desk.board.miners).join(", ")),
        ("created", output::ago(record, "created_at")),
        ("key", text(record, "key_id")),
        ("finish", text(record, "finish_reason")),
        ("usage", usage(record)),
        ("webhook", webhook_of(record)),
    ] {
        if !value.is_empty() {
            facts.push(Span::raw(format!("  {name} ")));
            facts.push(Span::styled(one_line(&value), bold()));
        }
    }
    lines.push(Line::from(facts));
    let failure = text(record, "failure");
    if !failure.is_empty() {
        lines.push(Line::from(Span::styled(one_line(&failure), of_state("failed", colored))));
    }
    let prompt = printable(&text(record, "prompt"));
    let all = prompt.lines().count();
    for (number, line) in prompt.lines().take(PROMPT_LINES).enumerate() {
        let head = if number == 0 { "prompt  " } else { "        " };
        let line: String = line.chars().take(usize::from(inner.width) * 2).collect();
        lines.push(Line::from(vec![Span::styled(head, bold()), Span::raw(line)]));
    }
    if all > PROMPT_LINES {
        lines.push(Line::from(format!("        ... {} more lines", all - PROMPT_LINES)));
    }
    lines.push(Line::from(Span::styled("answer", bold())));
    let answer = opened.answer();
    lines.extend(answer.lines().map(|line| Line::from(line.replace('\t', "    "))));
    let height = lines.iter().map(|line| line.width().max(1).div_ceil(usize::from(inner.width.max(1)))).sum();
    let top = opened.first_line(height, inner.height);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((top, 0)), inner);
}

fn usage(record: &serde_json::Value) -> String {
    match record.get("usage").filter(|usage| usage.is_object()) {
        Some(usage) => format!("{} + {} tokens", text(usage, "prompt_tokens"), text(usage, "completion_tokens")),
        None => String::new(),
    }
}
