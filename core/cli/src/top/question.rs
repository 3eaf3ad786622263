//! The wishes of a user of `top` that change something: each is checked as far as the screen knows, and asked about.

use ratatui::crossterm::event::KeyCode;
use serde_json::Value;

use super::act::Act;
use super::desk::{Desk, Mode};
use super::panes::{Pane, RowId};
use crate::output::text;
use crate::overview::number;

/// The longest name and address of a new upstream together.
const UPSTREAM: usize = 2_048;

impl Desk {
    /// Asks whether the selected task shall be cancelled, or the selected upstream removed.
    pub(super) fn ask_to_end(&mut self) {
        match self.focused().selected.clone() {
            Some(RowId::Task { session, id }) => self.ask_to_cancel(session, id),
            Some(RowId::Upstream(name)) => self.ask_to_remove(name),
            _ => self.said = Some("select a task to cancel it (1), or an upstream to remove it (4)".to_owned()),
        }
    }

    fn ask_to_cancel(&mut self, session: u64, id: u64) {
        let is_it = |task: &&Value| number(task, "session_id") == session && number(task, "id") == id;
        let ended = self.board.tasks.iter().find(is_it).and_then(|task| task.get("ended")?.as_bool());
        if ended == Some(true) {
            self.said = Some(format!("task {id} of session {session} has ended already"));
        } else {
            self.mode = Mode::Ask(Act::Cancel { session, task: id });
        }
    }

    /// Asks whether the selected upstream shall be drained or resumed.
    pub(super) fn ask_to_drain(&mut self) {
        match self.focused().selected.clone() {
            Some(RowId::Miner(miner)) => {
                let is_it = |found: &&Value| text(found, "id") == miner;
                let found = self.board.miners.iter().find(is_it);
                let drained = found.is_none_or(|found| text(found, "status") != "draining");
                self.mode = Mode::Ask(Act::Drain { miner, drained });
            }
            Some(RowId::Upstream(name)) => self.ask_to_drain_upstream(name),
            _ => self.said = Some("select a managed upstream to drain or resume it (4: upstreams)".to_owned()),
        }
    }

    fn ask_to_drain_upstream(&mut self, name: String) {
        if let Some(why) = self.why_not(&name) {
            self.said = Some(why);
            return;
        }
        let state = self.record(&name).map(|record| text(record, "state")).unwrap_or_default();
        let drained = !matches!(state.as_str(), "draining" | "drained");
        self.mode = Mode::Ask(Act::Drain { miner: name, drained });
    }

    fn ask_to_remove(&mut self, upstream: String) {
        match self.why_not(&upstream) {
            Some(why) => self.said = Some(why),
            None => self.mode = Mode::Ask(Act::Remove { upstream }),
        }
    }

    /// Lets the user type a new upstream.
    pub(super) fn ask_for_upstream(&mut self) {
        let upstreams = &self.board.upstreams;
        if let Some(why) = upstreams.unseen.as_ref().or(upstreams.read_only.as_ref()) {
            self.said = Some(why.clone());
        } else {
            self.focus = Pane::Upstreams;
            self.mode = Mode::New(String::new());
        }
    }

    /// Takes a key of a user who types a new upstream.
    pub(super) fn type_upstream(&mut self, mut typed: String, code: KeyCode) {
        match code {
            KeyCode::Esc => {
                self.mode = Mode::Lists;
                return;
            }
            KeyCode::Enter => {
                let words: Vec<&str> = typed.split_whitespace().collect();
                let [name, url] = words[..] else {
                    self.mode = Mode::Lists;
                    self.said = Some("write a name and an address, like gpu-2 https://gpu-2.example/v1".to_owned());
                    return;
                };
                self.mode = Mode::Ask(Act::Add { name: name.to_owned(), url: url.to_owned() });
                return;
            }
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(c) if typed.len() < UPSTREAM => typed.push(c),
            _ => {}
        }
        self.mode = Mode::New(typed);
    }

    /// Does what a key says while one upstream is shown alone.
    pub(super) fn press_upstream(&mut self, code: KeyCode) {
        self.said = None;
        let Some(name) = self.upstream.clone() else { return };
        match code {
            KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter | KeyCode::Backspace => self.upstream = None,
            KeyCode::Char('d') => self.ask_to_drain_upstream(name),
            KeyCode::Char('c' | 'x') => self.ask_to_remove(name),
            KeyCode::Char('R') => self.mode = Mode::Ask(Act::Reload),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            _ => {}
        }
    }

    /// The record of an upstream. One that leaves may have given its name to another one.
    pub(super) fn record(&self, name: &str) -> Option<&Value> {
        let named = |record: &&Value| text(record, "name") == name;
        let all = &self.board.upstreams.all;
        all.iter().filter(named).find(|record| text(record, "state") != "leaving").or_else(|| all.iter().find(named))
    }

    /// The reason why an upstream cannot be changed, as far as the screen knows.
    fn why_not(&self, name: &str) -> Option<String> {
        let source = self.record(name).map(|record| text(record, "source")).unwrap_or_default();
        match source.as_str() {
            "config" => Some(format!("{name} comes from the configuration: change it there, and press R")),
            "host" => Some(format!("{name} belongs to the program that the router is in")),
            _ => self.board.upstreams.read_only.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;
    use serde_json::json;

    use super::super::board::Board;
    use super::super::desk::Wish;
    use super::*;
    use crate::overview::Upstreams;

    fn desk(read_only: Option<&str>) -> Desk {
        let all = vec![
            json!({"name": "far", "source": "managed", "state": "up"}),
            json!({"name": "file", "source": "config", "state": "up"}),
            json!({"name": "gone", "source": "managed", "state": "drained"}),
        ];
        let upstreams = Upstreams { all, unseen: None, read_only: read_only.map(str::to_owned) };
        Desk::new("u".into(), Board { upstreams, ..Board::default() })
    }

    fn press(desk: &mut Desk, keys: &str) -> Vec<Wish> {
        let code = |key: char| match key {
            '\n' => KeyCode::Enter,
            '<' => KeyCode::Esc,
            'v' => KeyCode::Down,
            key => KeyCode::Char(key),
        };
        keys.chars().filter_map(|key| desk.press(KeyEvent::from(code(key)))).collect()
    }

    fn drain(miner: &str, drained: bool) -> Vec<Wish> {
        vec![Wish::Act(Act::Drain { miner: miner.to_owned(), drained })]
    }

    #[test]
    fn a_managed_upstream_is_drained_resumed_and_removed_after_a_yes() {
        let mut desk = desk(None);
        assert_eq!(press(&mut desk, "4dn"), []);
        assert_eq!(press(&mut desk, "dy"), drain("far", true));
        assert_eq!(press(&mut desk, "vvdy"), drain("gone", false));
        assert_eq!(press(&mut desk, "xy"), [Wish::Act(Act::Remove { upstream: "gone".into() })]);
        // One that is shown alone has these keys, too.
        assert_eq!(press(&mut desk, "\n"), []);
        assert_eq!(desk.upstream.as_deref(), Some("gone"));
        assert_eq!(press(&mut desk, "dy"), drain("gone", false));
        press(&mut desk, "<");
        assert!(desk.upstream.is_none() && desk.mode == Mode::Lists);
    }

    #[test]
    fn an_upstream_of_the_configuration_is_not_asked_about() {
        let mut desk = desk(None);
        press(&mut desk, "4v");
        for key in ["d", "x"] {
            assert_eq!(press(&mut desk, key), []);
            let words = "file comes from the configuration: change it there, and press R";
            assert_eq!((&desk.mode, desk.said.as_deref()), (&Mode::Lists, Some(words)), "{key}");
        }
    }

    #[test]
    fn an_upstream_is_typed_and_asked_about() {
        let mut desk = desk(None);
        press(&mut desk, "agpu http://h/");
        assert_eq!(desk.mode, Mode::New("gpu http://h/".into()));
        assert_eq!(press(&mut desk, "\ny"), [Wish::Act(Act::Add { name: "gpu".into(), url: "http://h/".into() })]);
        assert_eq!(press(&mut desk, "agpu\n"), []);
        assert!(desk.said.as_ref().is_some_and(|said| said.contains("a name and an address")), "{:?}", desk.said);
        press(&mut desk, "ax<");
        assert_eq!(desk.mode, Mode::Lists);
    }

    #[test]
    fn a_reload_is_asked_about() {
        let mut desk = desk(None);
        assert_eq!(press(&mut desk, "Rn"), []);
        assert_eq!(press(&mut desk, "Ry"), [Wish::Act(Act::Reload)]);
    }

    #[test]
    fn who_may_change_nothing_is_told_why() {
        let mut desk = desk(Some("set listen.manage_upstreams = true"));
        for keys in ["a", "4x", "4d"] {
            assert_eq!(press(&mut desk, keys), []);
            assert_eq!(desk.said.as_deref(), Some("set listen.manage_upstreams = true"), "{keys}");
        }
    }
}
