//! The state of the screen of `top`: the focused list, the selection, the filter, an opened task; and what a key does.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use super::act::Act;
use super::board::Board;
use super::feed::Update;
use super::opened::Opened;
use super::panes::{PANES, Pane, Row, RowId, Sort};

/// The longest filter.
const FILTER: usize = 200;

/// The state of the screen.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) url: String,
    pub(super) board: Board,
    /// Since when the router does not answer, and why.
    pub(super) away: Option<(Instant, String)>,
    pub(super) focus: Pane,
    pub(super) lists: [List; 4],
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) opened: Option<Opened>,
    /// The name of the upstream that is shown alone.
    pub(super) upstream: Option<String>,
    pub(super) ended: bool,
    /// Whether the lists stand still.
    pub(super) paused: bool,
    /// The outcome of the last wish.
    pub(super) said: Option<String>,
}

/// One list's rows, order and selection.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    pub(super) sort: Sort,
    pub(super) table: TableState,
    pub(super) selected: Option<RowId>,
}

/// The meaning of keys now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Lists,
    Filter,
    Help,
    /// The name and the address of a new upstream, as far as they are typed.
    New(String),
    /// The question whether that shall be done.
    Ask(Act),
}

/// A wish of the user that the screen alone cannot fulfil.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    /// Read the router's state again, with the tasks that are wanted now.
    Refresh,
    Open {
        session: u64,
        task: u64,
    },
    Close,
    Act(Act),
}

impl Desk {
    pub(super) fn new(url: String, board: Board) -> Self {
        let mut desk = Self {
            url,
            board,
            away: None,
            focus: Pane::Tasks,
            lists: Default::default(),
            filter: String::new(),
            mode: Mode::Lists,
            opened: None,
            upstream: None,
            ended: false,
            paused: false,
            said: None,
        };
        desk.arrange();
        desk
    }

    pub(super) fn list(&self, pane: Pane) -> &List {
        &self.lists[pane as usize]
    }

    pub(super) fn focused(&mut self) -> &mut List {
        &mut self.lists[self.focus as usize]
    }

    /// Makes the rows anew. The selection stays with the thing that was selected, wherever it is now.
    pub(super) fn arrange(&mut self) {
        for pane in PANES {
            let list = &mut self.lists[pane as usize];
            list.rows = pane.rows(&self.board, &self.filter, list.sort);
            let found = list.selected.as_ref().and_then(|id| list.rows.iter().position(|row| row.id == *id));
            let before = list.table.selected().unwrap_or_default();
            list.select(found.unwrap_or(before));
        }
    }

    /// Takes news.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Board(board) => {
                self.away = None;
                if !self.paused {
                    self.board = *board;
                    self.arrange();
                }
            }
            Update::Away(why) => {
                let since = self.away.take().map_or_else(Instant::now, |(since, _)| since);
                self.away = Some((since, why));
            }
            Update::Said(said) => self.said = Some(said),
            Update::Task(task) => self.on_opened(|opened| opened.record = *task),
            Update::Piece(text) => self.on_opened(|opened| opened.add(&text)),
            Update::Restart => self.on_opened(Opened::restart),
        }
    }

    fn on_opened(&mut self, act: impl FnOnce(&mut Opened)) {
        if let Some(opened) = &mut self.opened {
            act(opened);
        }
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Wish::Quit);
        }
        match self.mode.clone() {
            Mode::Help => {
                self.mode = Mode::Lists;
                None
            }
            Mode::Filter => {
                self.type_filter(key.code);
                None
            }
            Mode::New(typed) => {
                self.type_upstream(typed, key.code);
                None
            }
            Mode::Ask(act) => {
                self.mode = Mode::Lists;
                let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
                yes.then_some(Wish::Act(act))
            }
            Mode::Lists if self.opened.is_some() => self.press_opened(key.code),
            Mode::Lists if self.upstream.is_some() => {
                self.press_upstream(key.code);
                None
            }
            Mode::Lists => self.press_lists(key.code),
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.mode = Mode::Lists,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Lists;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.len() < FILTER => self.filter.push(c),
            _ => {}
        }
        self.arrange();
    }

    fn press_opened(&mut self, code: KeyCode) -> Option<Wish> {
        let opened = self.opened.as_mut()?;
        match code {
            KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter | KeyCode::Backspace => return Some(Wish::Close),
            KeyCode::Char('c' | 'x') if !opened.has_ended() => {
                self.mode = Mode::Ask(Act::Cancel { session: opened.session, task: opened.task });
            }
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => opened.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => opened.scroll(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => opened.scroll(10),
            KeyCode::PageUp => opened.scroll(-10),
            KeyCode::Home | KeyCode::Char('g') => opened.go_to_start(),
            KeyCode::End | KeyCode::Char('G') => opened.go_to_end(),
            _ => {}
        }
        None
    }

    fn press_lists(&mut self, code: KeyCode) -> Option<Wish> {
        self.said = None;
        match code {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Esc if self.filter.is_empty() => return Some(Wish::Quit),
            KeyCode::Esc => {
                self.filter.clear();
                self.arrange();
            }
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('1') => self.focus = Pane::Tasks,
            KeyCode::Char('2') => self.focus = Pane::Miners,
            KeyCode::Char('3') => self.focus = Pane::Sessions,
            KeyCode::Char('4') => self.focus = Pane::Upstreams,
            KeyCode::Tab => self.focus = PANES[(self.focus as usize + 1) % PANES.len()],
            KeyCode::BackTab => self.focus = PANES[(self.focus as usize + PANES.len() - 1) % PANES.len()],
            KeyCode::Down | KeyCode::Char('j') => self.focused().go(1),
            KeyCode::Up | KeyCode::Char('k') => self.focused().go(-1),
            KeyCode::PageDown => self.focused().go(10),
            KeyCode::PageUp => self.focused().go(-10),
            KeyCode::Home | KeyCode::Char('g') => self.focused().select(0),
            KeyCode::End | KeyCode::Char('G') => self.focused().select(usize::MAX),
            KeyCode::Char('s') => {
                let columns = self.focus.columns().len();
                self.resort(|sort| sort.next(columns));
            }
            KeyCode::Char('r') => self.resort(|sort| Sort { reversed: !sort.reversed, ..sort }),
            KeyCode::Char('e') => {
                self.ended = !self.ended;
                return Some(Wish::Refresh);
            }
            KeyCode::Char('p' | ' ') => {
                self.paused = !self.paused;
                return (!self.paused).then_some(Wish::Refresh);
            }
            KeyCode::Char('c' | 'x') => self.ask_to_end(),
            KeyCode::Char('d') => self.ask_to_drain(),
            KeyCode::Char('a') => self.ask_for_upstream(),
            KeyCode::Char('R') => self.mode = Mode::Ask(Act::Reload),
            KeyCode::Enter => return self.open(),
            _ => {}
        }
        None
    }

    fn resort(&mut self, change: impl FnOnce(Sort) -> Sort) {
        let list = self.focused();
        list.sort = change(list.sort);
        self.arrange();
    }

    /// Opens the selected task. Another row narrows the tasks to those of its session or its miner.
    fn open(&mut self) -> Option<Wish> {
        match self.focused().selected.clone()? {
            RowId::Task { session, id } => return Some(Wish::Open { session, task: id }),
            RowId::Miner(name) => {
                self.filter = name;
                self.focus = Pane::Tasks;
                self.arrange();
            }
            RowId::Upstream(name) => self.upstream = Some(name),
            RowId::Session(id) => {
                let column = Sort { column: Some(0), reversed: false };
                self.lists[Pane::Tasks as usize].sort = column;
                self.focus = Pane::Tasks;
                self.arrange();
                let of_session = |row: &Row| matches!(row.id, RowId::Task { session, .. } if session == id);
                let first = self.list(Pane::Tasks).rows.iter().position(of_session);
                match first {
                    Some(row) => self.focused().select(row),
                    None => self.said = Some(format!("session {id} has no task here (e: with ended ones)")),
                }
            }
        }
        None
    }
}

impl List {
    fn select(&mut self, row: usize) {
        let row = row.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(row).map(|row| row.id.clone());
        self.table.select(self.selected.is_some().then_some(row));
    }

    fn go(&mut self, by: isize) {
        let now = self.table.selected().unwrap_or_default();
        self.select(now.saturating_add_signed(by));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn board(tasks: &[u64]) -> Board {
        let task = |id: &u64| json!({"session_id": 0, "id": id, "state": "queued", "ended": false, "prompt": format!("p{id}")});
        Board { tasks: tasks.iter().map(task).collect(), miners: vec![json!({"id": "rack"})], ..Board::default() }
    }

    fn press(desk: &mut Desk, keys: &[KeyCode]) -> Vec<Wish> {
        keys.iter().filter_map(|code| desk.press(KeyEvent::from(*code))).collect()
    }

    #[test]
    fn the_selection_stays_with_its_task() {
        let mut desk = Desk::new("u".into(), board(&[1, 2, 3]));
        press(&mut desk, &[KeyCode::Down]);
        desk.take(Update::Board(Box::new(board(&[2, 3, 4]))));
        assert_eq!(press(&mut desk, &[KeyCode::Enter]), [Wish::Open { session: 0, task: 2 }]);
        desk.take(Update::Board(Box::new(board(&[4]))));
        assert_eq!(press(&mut desk, &[KeyCode::Enter]), [Wish::Open { session: 0, task: 4 }]);
        desk.take(Update::Board(Box::new(board(&[]))));
        assert_eq!(press(&mut desk, &[KeyCode::Enter, KeyCode::Down, KeyCode::End]), []);
    }

    #[test]
    fn a_task_is_cancelled_only_after_a_yes() {
        let mut desk = Desk::new("u".into(), board(&[7]));
        assert_eq!(press(&mut desk, &[KeyCode::Char('c'), KeyCode::Char('n')]), []);
        assert_eq!(press(&mut desk, &[KeyCode::Char('c'), KeyCode::Esc]), []);
        let yes = press(&mut desk, &[KeyCode::Char('c'), KeyCode::Char('y')]);
        assert_eq!(yes, [Wish::Act(Act::Cancel { session: 0, task: 7 })]);
        press(&mut desk, &[KeyCode::Char('2'), KeyCode::Char('c')]);
        assert!(desk.mode == Mode::Lists && desk.said.is_some(), "a miner is no task");
    }

    #[test]
    fn a_miner_is_drained_and_resumed() {
        let mut desk = Desk::new("u".into(), board(&[7]));
        assert_eq!(press(&mut desk, &[KeyCode::Char('d'), KeyCode::Char('y')]), [], "a task is no miner");
        let keys = [KeyCode::Char('2'), KeyCode::Char('d'), KeyCode::Char('y')];
        let drain = |drained| [Wish::Act(Act::Drain { miner: "rack".to_owned(), drained })];
        assert_eq!(press(&mut desk, &keys), drain(true));
        let mut draining = board(&[7]);
        draining.miners[0]["status"] = "draining".into();
        desk.take(Update::Board(Box::new(draining)));
        assert_eq!(press(&mut desk, &keys), drain(false));
    }

    #[test]
    fn escape_takes_back_one_thing_at_a_time() {
        let mut desk = Desk::new("u".into(), board(&[1, 2]));
        let typed = [KeyCode::Char('/'), KeyCode::Char('p'), KeyCode::Char('2'), KeyCode::Enter];
        assert_eq!(press(&mut desk, &typed), []);
        assert_eq!(desk.list(Pane::Tasks).rows.len(), 1);
        assert_eq!(press(&mut desk, &[KeyCode::Char('?'), KeyCode::Esc, KeyCode::Esc]), []);
        assert_eq!(desk.list(Pane::Tasks).rows.len(), 2, "the filter is gone");
        assert_eq!(press(&mut desk, &[KeyCode::Esc]), [Wish::Quit]);
    }

    #[test]
    fn a_router_that_is_away_is_away_since_its_first_silence() {
        let mut desk = Desk::new("u".into(), board(&[1]));
        desk.take(Update::Away("a".into()));
        let since = desk.away.clone().map(|(since, _)| since);
        desk.take(Update::Away("b".into()));
        assert_eq!(desk.away.clone().map(|(since, _)| since), since);
        desk.take(Update::Board(Box::new(board(&[1]))));
        assert!(desk.away.is_none());
    }
}
