//! Draws the screen of `top`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Row, Table, Wrap};
use unicode_width::UnicodeWidthStr as _;

use super::desk::{Desk, Mode};
use super::panes::{self, PANES, Pane};
use super::{foot, head, task, upstream};
use crate::colors;
use crate::table::{is_of_states, one_line};

/// A body that is at least so high shows all lists, a lower one the focused list alone.
const ALL_LISTS: u16 = 16;

/// The widest column but the last.
const COLUMN: usize = 24;

const KEYS: &[(&str, &str)] = &[
    ("Up Down PgUp PgDn", "move"),
    ("Tab, 1 2 3 4", "tasks, miners, sessions, upstreams"),
    ("Enter", "open the task or the upstream; of a miner or session: its tasks"),
    ("c, x", "cancel the task (asks first), remove the upstream (asks first)"),
    ("d", "drain a managed upstream, or resume it (asks first)"),
    ("a", "add an upstream"),
    ("R", "read the configuration again (asks first)"),
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
        Constraint::Length(foot::height(desk, area)),
    ])
    .areas(area);
    head::draw(frame, head, desk, colored);
    if desk.opened.is_some() {
        task::draw(frame, body, desk, colored);
    } else if let Some(name) = &desk.upstream {
        upstream::draw(frame, body, name, desk.record(name), colored);
    } else {
        lists(frame, body, desk, colored);
    }
    foot::draw(frame, foot, desk, colored);
    if desk.mode == Mode::Help {
        help(frame, body);
    }
}

pub(super) fn color(style: Style, color: Color, colored: bool) -> Style {
    if colored { style.fg(color) } else { style }
}

pub(super) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The style of a state's word, as in the tables of the other commands.
pub(super) fn of_state(state: &str, colored: bool) -> Style {
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

fn lists(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, colored: bool) {
    if area.height < ALL_LISTS {
        list(frame, area, desk, desk.focus, colored);
        return;
    }
    let wanted = |pane: Pane| {
        let rows = u16::try_from(desk.list(pane).rows.len()).unwrap_or(u16::MAX);
        Constraint::Length(rows.saturating_add(2).clamp(3, area.height / 4))
    };
    // A router without upstreams, or a token that may not see them, leaves the room to the other lists.
    let none = desk.list(Pane::Upstreams).rows.is_empty() && desk.focus != Pane::Upstreams;
    let upstreams = if none { Constraint::Length(0) } else { wanted(Pane::Upstreams) };
    let parts =
        Layout::vertical([Constraint::Min(0), wanted(Pane::Miners), wanted(Pane::Sessions), upstreams]).split(area);
    for (pane, part) in PANES.into_iter().zip(parts.iter()) {
        list(frame, *part, desk, pane, colored);
    }
}

fn list(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, pane: Pane, colored: bool) {
    let (focused, ended, filter) = (desk.focus == pane, desk.ended, desk.filter.clone());
    let unseen = desk.board.upstreams.unseen.clone().filter(|_| pane == Pane::Upstreams);
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
        Pane::Miners | Pane::Sessions | Pane::Upstreams => "",
    };
    let filtered = if filter.is_empty() { String::new() } else { format!(" with {filter:?}") };
    let title = format!(" {} {}{what}: {}{filtered} ", pane as usize + 1, pane.name(), list.rows.len());
    let title = Span::styled(title, if focused { bold().add_modifier(Modifier::REVERSED) } else { bold() });
    if let Some(why) = unseen {
        let block = Block::new().borders(Borders::TOP).title(title);
        frame.render_widget(Paragraph::new(one_line(&why)).wrap(Wrap { trim: false }).block(block), area);
        return;
    }
    let table = Table::new(rows, widths.collect::<Vec<_>>())
        .header(Row::new(heads).style(color(bold(), Color::Cyan, colored)))
        .row_highlight_style(if focused { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() })
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_stateful_widget(table, area, &mut list.table);
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
    use crate::overview::Upstreams;

    fn far() -> serde_json::Value {
        let output: Vec<String> = (0..20).map(|line| format!("line {line}\u{1b}[2J")).collect();
        json!({"name": "far", "state": "failed", "source": "config", "url": "http://h/v1", "in_flight": 0, "credits": 4,
            "reason": "it failed: it ended by itself", "models": ["tiny", "large"], "last_probe": {"at": 1, "error": "refused"},
            "server": {"group": "gpu", "since": 1, "starts": 3, "failures": 2, "retry_at": 9_999_999_999_u64,
                "idle_since": null, "idle_stop_ms": 60_000, "start_took_ms": null, "output": output}})
    }

    fn desk() -> Desk {
        let board = Board {
            status: json!({"status": "ok", "queued_tasks": 3, "running_tasks": 1, "version": "9", "uptime": 7}),
            miners: vec![json!({"id": "rack", "address": "0x1", "status": "idle"})],
            tasks: vec![json!({"id": 5, "session_id": 0, "state": "queued", "prompt": "日本\u{1b}[2J why"})],
            sessions: vec![json!({"id": 0, "name": "default", "state": "open"})],
            upstreams: Upstreams { all: vec![far()], ..Upstreams::default() },
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
        desk.said = Some("long words about what has happened ".repeat(9));
        let ask = Mode::Ask(Act::Cancel { session: 0, task: 5 });
        for mode in [Mode::Lists, Mode::Help, Mode::Filter, Mode::New("x".repeat(90)), ask] {
            desk.mode = mode;
            for (open, upstream) in [(false, None), (true, None), (false, Some("far")), (false, Some("gone"))] {
                desk.opened = open.then(opened);
                desk.upstream = upstream.map(str::to_owned);
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
        for words in [
            "queued 3",
            "1 tasks at work: 1",
            "2 miners: 1",
            "3 sessions: 1",
            "4 upstreams: 1",
            "rack",
            "why",
            "it failed",
        ] {
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
    fn an_upstream_alone_shows_its_server_and_the_end_of_its_output() {
        let mut desk = desk();
        desk.upstream = Some("far".to_owned());
        let (shown, _) = drawn(&mut desk, 100, 24, false);
        for words in ["failed", "it ended by itself", "group gpu", "starts 3", "tiny, large", "refused", "line 19[2J"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let (low, _) = drawn(&mut desk, 100, 12, false);
        assert!(low.contains("line 19") && !low.contains("line 5["), "{low}");
    }

    #[test]
    fn a_token_that_may_not_see_upstreams_is_told_why() {
        let mut desk = desk();
        let unseen = Some("this token does not carry the scope \"admin\"".to_owned());
        desk.board.upstreams = Upstreams { unseen, ..Upstreams::default() };
        let board = desk.board.clone();
        desk.take(super::super::feed::Update::Board(Box::new(board)));
        assert!(!drawn(&mut desk, 100, 30, false).0.contains("upstreams"));
        desk.focus = Pane::Upstreams;
        let (shown, _) = drawn(&mut desk, 100, 30, false);
        assert!(shown.contains("4 upstreams") && shown.contains("the scope"), "{shown}");
    }

    #[test]
    fn a_long_outcome_is_shown_whole() {
        let mut desk = desk();
        desk.said = Some(format!("nothing has changed: {} the end", "words ".repeat(20)));
        let (shown, _) = drawn(&mut desk, 60, 20, false);
        assert!(shown.contains("the end"), "{shown}");
    }
}
