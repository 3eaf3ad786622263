//! Draws the screen of `top`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Row, Table, Wrap};
use unicode_width::UnicodeWidthStr as _;

use super::desk::{Desk, Mode};
use super::panes::{self, PANES, Pane};
use crate::colors;
use crate::output::{self, text};
use crate::overview::{miners_of, number};
use crate::printable::printable;
use crate::table::{is_of_states, one_line};
use crate::tasks::state_of;

/// A body that is at least so high shows all lists, a lower one the focused list alone.
const ALL_LISTS: u16 = 16;

/// The widest column but the last.
const COLUMN: usize = 24;

/// Fewer lines of a prompt than this are shown above an answer.
const PROMPT_LINES: usize = 5;

const KEYS: &[(&str, &str)] = &[
    ("Up Down PgUp PgDn", "move"),
    ("Tab, 1 2 3", "tasks, miners, sessions"),
    ("Enter", "open the task; of a miner or session: its tasks"),
    ("c", "cancel the task (asks first)"),
    ("d", "drain a managed upstream, or resume it (asks first)"),
    ("/", "filter; Esc takes it back"),
    ("s, r", "sort by the next column, reverse"),
    ("e", "with tasks that have ended, or without"),
    ("p", "pause"),
    ("q, Esc, Ctrl-C", "back, quit"),
];

/// Draws it all. `colored` allows colours; without them, weight and inversion alone tell things apart.
pub(super) fn screen(frame: &mut Frame<'_>, desk: &mut Desk, colored: bool) {
    let area = frame.area();
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(if area.height >= 14 { 3 } else { 1 }),
        Constraint::Min(0),
        Constraint::Length(u16::from(area.height >= 3)),
    ])
    .areas(area);
    header(frame, head, desk, colored);
    if desk.opened.is_some() {
        opened(frame, body, desk, colored);
    } else {
        lists(frame, body, desk, colored);
    }
    footer(frame, foot, desk, colored);
    if desk.mode == Mode::Help {
        help(frame, body);
    }
}

fn color(style: Style, color: Color, colored: bool) -> Style {
    if colored { style.fg(color) } else { style }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The style of a state's word, as in the tables of the other commands.
fn of_state(state: &str, colored: bool) -> Style {
    let style = colors::of_state(state);
    let plain = if style.get_effects().contains(anstyle::Effects::DIMMED) {
        Style::new().add_modifier(Modifier::DIM)
    } else {
        Style::new()
    };
    match style.get_fg_color() {
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Green)) => color(plain, Color::Green, colored),
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Red)) => color(plain, Color::Red, colored).patch(bold()),
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Yellow)) => color(plain, Color::Yellow, colored),
        _ => plain,
    }
}

fn header(frame: &mut Frame<'_>, area: Rect, desk: &Desk, colored: bool) {
    let status = &desk.board.status;
    let state = match &desk.away {
        Some((since, _)) => {
            let seconds = since.elapsed().as_secs();
            Span::styled(format!("no answer for {}", output::span(seconds)), of_state("down", colored).patch(bold()))
        }
        None if desk.paused => Span::styled("paused", bold()),
        None => {
            let word = one_line(&text(status, "status"));
            let style = of_state(&word, colored);
            Span::styled(word, style)
        }
    };
    let counts = vec![
        Span::raw("queued "),
        Span::styled(text(status, "queued_tasks"), bold()),
        Span::raw("  running "),
        Span::styled(text(status, "running_tasks"), bold()),
        Span::raw(format!(
            "  miners {}/{}  sessions {}",
            text(status, "active_miners"),
            text(status, "miner_count"),
            text(status, "active_sessions")
        )),
    ];
    if area.height < 3 {
        let line: Vec<_> = [state, Span::raw("  ")].into_iter().chain(counts).collect();
        frame.render_widget(Line::from(line), area);
        return;
    }
    let title = Line::from(vec![
        Span::styled("cortensor-router ", bold()),
        Span::raw(one_line(&format!(
            "{} {}  up {}  {:.0} MiB",
            text(status, "version"),
            desk.url,
            output::span(number(status, "uptime")),
            status.get("memory_usage").and_then(serde_json::Value::as_f64).unwrap_or_default()
        ))),
        Span::raw("  "),
        state,
    ]);
    let rates = &desk.board.rates;
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let line = format!(
        "tokens/s {}  tasks/s {}  failed/s {}  first token {} (p95 {})  waited p95 {}",
        rate(rates.tokens),
        rate(rates.ended),
        rate(rates.failed),
        time(rates.first_token),
        time(rates.first_token_p95),
        time(rates.waited_p95)
    );
    frame.render_widget(Paragraph::new(vec![title, Line::from(counts), Line::from(line)]), area);
}

/// A time in the unit that suits it.
pub(super) fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1_000.0),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

fn lists(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, colored: bool) {
    if area.height < ALL_LISTS {
        list(frame, area, desk, desk.focus, colored);
        return;
    }
    let wanted = |pane: Pane| {
        let rows = u16::try_from(desk.list(pane).rows.len()).unwrap_or(u16::MAX);
        Constraint::Length(rows.saturating_add(2).clamp(3, area.height / 4))
    };
    let parts = Layout::vertical([Constraint::Min(0), wanted(Pane::Miners), wanted(Pane::Sessions)]).split(area);
    for (pane, part) in PANES.into_iter().zip(parts.iter()) {
        list(frame, *part, desk, pane, colored);
    }
}

fn list(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, pane: Pane, colored: bool) {
    let (focused, ended, filter) = (desk.focus == pane, desk.ended, desk.filter.clone());
    let list = &mut desk.lists[pane as usize];
    let mut heads: Vec<String> = pane.columns().iter().map(|&name| name.to_owned()).collect();
    if let Some(head) = list.sort.column.and_then(|column| heads.get_mut(column)) {
        head.push(if list.sort.reversed { '-' } else { '+' });
    }
    let end = heads.len() - 1;
    let widths = heads.iter().enumerate().map(|(at, head)| {
        let cells = list.rows.iter().map(|row| row.cells[at].words.width()).max().unwrap_or_default();
        let width = u16::try_from(cells.min(COLUMN).max(head.width())).unwrap_or(u16::MAX);
        if at == end { Constraint::Fill(1) } else { Constraint::Length(width) }
    });
    let rows = list.rows.iter().map(|row| {
        let styled = |(at, cell): (usize, &panes::Cell)| {
            let style = if is_of_states(pane.columns()[at]) { of_state(&cell.words, colored) } else { Style::new() };
            Span::styled(cell.words.clone(), style)
        };
        Row::new(row.cells.iter().enumerate().map(styled).collect::<Vec<_>>())
    });
    let what = match pane {
        Pane::Tasks if ended => " with ended ones",
        Pane::Tasks => " at work",
        Pane::Miners | Pane::Sessions => "",
    };
    let filtered = if filter.is_empty() { String::new() } else { format!(" with {filter:?}") };
    let title = format!(" {} {}{what}: {}{filtered} ", pane as usize + 1, pane.name(), list.rows.len());
    let title = Span::styled(title, if focused { bold().add_modifier(Modifier::REVERSED) } else { bold() });
    let table = Table::new(rows, widths.collect::<Vec<_>>())
        .header(Row::new(heads).style(color(bold(), Color::Cyan, colored)))
        .row_highlight_style(if focused { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() })
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_stateful_widget(table, area, &mut list.table);
}

fn opened(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, colored: bool) {
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

fn footer(frame: &mut Frame<'_>, area: Rect, desk: &Desk, colored: bool) {
    let line = match &desk.mode {
        Mode::Filter => Line::from(vec![Span::styled("filter: ", bold()), Span::raw(format!("{}_", desk.filter))]),
        Mode::Ask(act) => Line::from(Span::styled(
            one_line(&format!("{} y: yes, any other key: no", act.question())),
            bold().add_modifier(Modifier::REVERSED),
        )),
        Mode::Lists | Mode::Help => match (&desk.away, &desk.said) {
            (Some((_, why)), _) => {
                Line::from(Span::styled(one_line(&format!("trying again: {why}")), of_state("down", colored)))
            }
            (None, Some(said)) => Line::from(Span::styled(one_line(said), bold())),
            (None, None) if desk.opened.is_some() => Line::from("Esc back  c cancel  arrows scroll  ? help"),
            (None, None) => {
                Line::from("q quit  ? help  Enter open  c cancel  / filter  s sort  e ended  Tab next list")
            }
        },
    };
    frame.render_widget(line, area);
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let width = KEYS.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let line = |(key, what): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!(" {key:<width$}  "), bold()), Span::raw(*what)])
    };
    frame.render_widget(Clear, area);
    let block = Block::new().borders(Borders::TOP).title(Span::styled(" keys ", bold()));
    frame.render_widget(Paragraph::new(KEYS.iter().map(line).collect::<Vec<_>>()).block(block), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::super::act::Act;
    use super::super::board::Board;
    use super::super::opened::Opened;
    use super::*;

    fn desk() -> Desk {
        let board = Board {
            status: json!({"status": "ok", "queued_tasks": 3, "running_tasks": 1, "version": "9", "uptime": 7}),
            miners: vec![json!({"id": "rack", "address": "0x1", "status": "idle"})],
            tasks: vec![json!({"id": 5, "session_id": 0, "state": "queued", "prompt": "日本\u{1b}[2J why"})],
            sessions: vec![json!({"id": 0, "name": "default", "state": "open"})],
            ..Board::default()
        };
        Desk::new("http://127.0.0.1:1".to_owned(), board)
    }

    fn drawn(desk: &mut Desk, width: u16, height: u16, colored: bool) -> (String, bool) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen(frame, desk, colored)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let has_color = buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        (terminal.backend().to_string(), has_color)
    }

    #[test]
    fn every_size_down_to_nothing_can_be_drawn() {
        let mut desk = desk();
        let opened = || {
            let mut opened = Opened::new(0, 5);
            opened.record = json!({"state": "acked", "prompt": "p\n".repeat(20), "failure": "why"});
            opened.add(&"words of an answer ".repeat(50));
            opened
        };
        for mode in [Mode::Lists, Mode::Help, Mode::Filter, Mode::Ask(Act::Cancel { session: 0, task: 5 })] {
            desk.mode = mode;
            for open in [false, true] {
                desk.opened = open.then(opened);
                for (width, height) in [(1, 1), (5, 2), (10, 3), (40, 10), (80, 24), (300, 90)] {
                    drawn(&mut desk, width, height, true);
                }
            }
        }
    }

    #[test]
    fn a_high_screen_has_all_lists_and_a_low_one_the_focused_list() {
        let mut desk = desk();
        let (high, _) = drawn(&mut desk, 100, 30, true);
        for words in ["queued 3", "1 tasks at work: 1", "2 miners: 1", "3 sessions: 1", "rack", "why"] {
            assert!(high.contains(words), "{words}: {high}");
        }
        let (low, _) = drawn(&mut desk, 40, 10, true);
        assert!(low.contains("queued 3") && low.contains("1 tasks") && !low.contains("miners:"), "{low}");
    }

    #[test]
    fn without_colors_there_is_none() {
        let mut desk = desk();
        assert!(drawn(&mut desk, 80, 24, true).1);
        assert!(!drawn(&mut desk, 80, 24, false).1);
    }

    #[test]
    fn an_opened_task_shows_its_end() {
        let mut desk = desk();
        let mut opened = Opened::new(0, 5);
        opened.record = json!({"state": "ended", "outcome": "failed", "failure": "no miner", "prompt": "why"});
        for number in 0..100 {
            opened.add(&format!("line {number}\n"));
        }
        desk.opened = Some(opened);
        let (shown, _) = drawn(&mut desk, 60, 20, false);
        assert!(shown.contains("line 99") && !shown.contains("line 5\u{20}"), "{shown}");
        desk.opened.as_mut().unwrap().go_to_start();
        let (shown, _) = drawn(&mut desk, 60, 20, false);
        assert!(shown.contains("ended (failed)") && shown.contains("no miner"), "{shown}");
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!([time(None), time(Some(0.0123)), time(Some(2.34))], ["-", "12 ms", "2.3 s"]);
    }
}
