//! The terminal while `top` has it: the other screen, single keys, and the way back, whatever ends the command.

use std::io::{self, IsTerminal as _};
use std::thread;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

use crate::exit::{Done, Exit};

/// The keys that wait at most; a user who types faster waits.
const KEYS: usize = 64;

/// An act of the user.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// Nothing more will come.
    Lost(String),
}

/// The terminal, which is given back on drop. A panic gives it back before its message is written.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

/// Refuses a terminal that cannot be drawn on.
pub(super) fn check() -> Done {
    if !io::stdin().is_terminal() {
        return Err(Exit::usage("there is no keyboard: standard input is no terminal; --once prints the state once"));
    }
    let kind = std::env::var("TERM").unwrap_or_default();
    if cfg!(unix) && matches!(kind.as_str(), "" | "dumb") {
        let kind = if kind.is_empty() { "not set" } else { "dumb" };
        return Err(Exit::usage(format!(
            "this terminal cannot be drawn on (TERM is {kind}): --once prints the state once"
        )));
    }
    Ok(())
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> Done<Self> {
        let terminal =
            ratatui::try_init().map_err(|e| Exit::failed(format!("the terminal cannot be drawn on: {e}")))?;
        Ok(Self { terminal })
    }

    /// Draws a picture; only what changed is written.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Done {
        let drawn = self.terminal.draw(picture);
        drawn.map(drop).map_err(|e| Exit::failed(format!("the terminal is gone: {e}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads the user's keys on a thread of their own, which ends with the process.
pub(super) fn input() -> Done<mpsc::Receiver<Input>> {
    let (keys, received) = mpsc::channel(KEYS);
    let read = move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(_) => continue,
                Err(error) => Input::Lost(error.to_string()),
            };
            let last = matches!(input, Input::Lost(_));
            if keys.blocking_send(input).is_err() || last {
                return;
            }
        }
    };
    let started = thread::Builder::new().name("cortensor-router-keys".to_owned()).spawn(read);
    started.map(|_| received).map_err(|e| Exit::failed(format!("cannot read keys: {e}")))
}
