//! Draws one upstream of `top` alone: its state, its last probe, and the server that the router starts for it.

use cortensor_router::model::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};
use serde_json::Value;

use super::draw::{bold, of_state};
use crate::output::{self, text};
use crate::overview::number;
use crate::printable::printable;
use crate::table::one_line;

/// Draws the upstream of that name; without a record it is gone.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, name: &str, record: Option<&Value>, colored: bool) {
    let title = one_line(&format!(" upstream {name} "));
    let block = Block::new().borders(Borders::TOP).title(Span::styled(title, bold().add_modifier(Modifier::REVERSED)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines = match record {
        Some(record) => facts(record, colored),
        None => vec![Line::from("it is gone")],
    };
    let height = |lines: &[Line<'_>]| {
        let width = usize::from(inner.width.max(1));
        lines.iter().map(|line| line.width().max(1).div_ceil(width)).sum::<usize>()
    };
    let output = record.map(output_of).unwrap_or_default();
    if !output.is_empty() {
        lines.push(Line::from(Span::styled("last lines of its output", bold())));
        // The newest lines are at the end, and stay on a low screen.
        let room = usize::from(inner.height).saturating_sub(height(&lines));
        let mut first = output.len();
        while first > 0 && height(&output[first - 1..]) <= room {
            first -= 1;
        }
        lines.extend_from_slice(&output[first..]);
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}

fn facts(record: &Value, colored: bool) -> Vec<Line<'static>> {
    let state = one_line(&text(record, "state"));
    let mut lines = vec![row(
        Span::styled(state.clone(), of_state(&state, colored)),
        &[
            ("from", source(record)),
            ("busy", format!("{} of {}", text(record, "in_flight"), text(record, "credits"))),
            ("at a time", text(record, "max_concurrency")),
            ("api", text(record, "api")),
            ("owner", text(record, "owner")),
        ],
    )];
    let reason = text(record, "reason");
    if !reason.is_empty() {
        lines.push(Line::from(Span::styled(one_line(&reason), of_state(&state, colored))));
    }
    lines.push(Line::from(one_line(&text(record, "url"))));
    let models = text(record, "models");
    lines.push(row(
        Span::raw(""),
        &[("models", if models.is_empty() { "any, or not known yet".into() } else { models })],
    ));
    let probe = &record["last_probe"];
    if probe.is_object() {
        let error = Some(text(probe, "error")).filter(|error| !error.is_empty());
        let outcome = format!("{}: {}", output::ago(probe, "at"), error.unwrap_or_else(|| "good".to_owned()));
        lines.push(row(Span::raw(""), &[("last probe", outcome)]));
    }
    let server = &record["server"];
    if server.is_object() {
        lines.push(row(Span::raw("model server"), &of_server(server)));
    }
    lines
}

fn of_server(server: &Value) -> [(&'static str, String); 7] {
    let now = Timestamp::wall_clock().as_secs();
    let span = |ms: u64| output::span(ms / 1_000);
    let counted = |name: &str| Some(number(server, name)).filter(|count| *count > 0);
    let idle = server.get("idle_since").and_then(Value::as_u64).map(|since| output::span(now.saturating_sub(since)));
    let next = server.get("retry_at").and_then(Value::as_u64).map(|at| match at.saturating_sub(now) {
        0 => "when it is needed".to_owned(),
        wait => format!("in {}", output::span(wait)),
    });
    [
        ("group", text(server, "group")),
        ("since", output::ago(server, "since")),
        ("starts", counted("starts").map(|count| count.to_string()).unwrap_or_default()),
        ("idle", idle.unwrap_or_default()),
        ("stops after", counted("idle_stop_ms").map(span).unwrap_or_default()),
        ("failures in a row", counted("failures").map(|count| count.to_string()).unwrap_or_default()),
        ("next start", next.unwrap_or_default()),
    ]
}

fn source(record: &Value) -> String {
    match text(record, "source").as_str() {
        "config" => "the configuration".to_owned(),
        "managed" => "the store".to_owned(),
        "host" => "the host program".to_owned(),
        other => other.to_owned(),
    }
}

/// A line of facts, without those that have no value.
fn row(head: Span<'static>, facts: &[(&str, String)]) -> Line<'static> {
    let mut spans = vec![head];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let gap = if spans.len() == 1 && spans[0].content.is_empty() { "" } else { "  " };
        spans.push(Span::raw(format!("{gap}{name} ")));
        spans.push(Span::styled(one_line(value), bold()));
    }
    Line::from(spans)
}

fn output_of(record: &Value) -> Vec<Line<'static>> {
    let output = record.pointer("/server/output").and_then(Value::as_array).into_iter().flatten();
    output.filter_map(Value::as_str).map(|line| Line::from(printable(line).replace('\t', "    "))).collect()
}
