//! `top`: shows what a running router does, live on a terminal, or once.

mod act;
mod board;
mod desk;
mod draw;
mod feed;
mod foot;
mod head;
mod opened;
mod panes;
mod plain;
mod question;
mod rates;
mod screen;
mod task;
mod upstream;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use tokio::sync::{mpsc, watch};

use crate::client::{Client, Remote};
use crate::exit::{Done, Exit};
use crate::signals::Signals;
use crate::{colors, runtime};
use board::Board;
use desk::{Desk, Wish};
use feed::{Following, UPDATES};
use opened::Opened;
use rates::Readings;
use screen::{Input, Screen};

const EXAMPLES: &str = "\
Examples:
  cortensor-router top
  cortensor-router top --interval 5
  cortensor-router top --url https://router.example --once
  cortensor-router top --json | jq '.tasks[].prompt'

Keys: q quits, ? shows all keys, Enter opens a task, c cancels it (and asks first), / filters.
Where standard output is no terminal, the state is printed once.";

/// The seconds between two readings.
const INTERVAL: std::ops::RangeInclusive<u64> = 1..=3_600;

/// The ages and the time without an answer are drawn anew so often.
const CLOCK: Duration = Duration::from_secs(1);

/// The arguments of `top`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Top {
    /// Seconds between two readings of the router's state, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(INTERVAL))]
    interval: u64,
    /// Print the state once, as plain text
    #[arg(long)]
    once: bool,
    /// Print the state once, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Top {
    pub(crate) fn run(&self) -> Done {
        let client = self.remote.operator()?;
        if self.json || self.once || !io::stdout().is_terminal() {
            return runtime::client(plain::show(&client, self.json));
        }
        screen::check()?;
        runtime::client(live(client, Duration::from_secs(self.interval)))
    }
}

/// Shows the state until the user quits. An error of the first reading is told before the screen is taken.
async fn live(client: Client, every: Duration) -> Done {
    let mut readings = Readings::default();
    let board = Board::read(&client, &mut readings, false).await?;
    let mut desk = Desk::new(client.base().to_owned(), board);
    let mut signals = Signals::new()?;
    let colored = colors::on_stdout();
    let mut screen = Screen::open()?;
    let mut input = screen::input()?;
    let (news, mut updates) = mpsc::channel(UPDATES);
    let (ended, wanted) = watch::channel(false);
    tokio::spawn(feed::boards(client.clone(), readings, every, wanted, news.clone()));
    let mut following: Option<Following> = None;
    let mut clock = tokio::time::interval(CLOCK);
    loop {
        screen.draw(|frame| draw::screen(frame, &mut desk, colored))?;
        let wish = tokio::select! {
            biased;
            () = signals.next() => return Err(Exit::silent(Exit::INTERRUPTED)),
            input = input.recv() => match input {
                Some(Input::Key(key)) => desk.press(key),
                Some(Input::Resized) => None,
                Some(Input::Lost(why)) => return Err(Exit::failed(format!("the terminal is gone: {why}"))),
                None => return Err(Exit::failed("the terminal is gone")),
            },
            Some(update) = updates.recv() => {
                desk.take(update);
                // One picture is enough for all that has come by now.
                while let Ok(update) = updates.try_recv() {
                    desk.take(update);
                }
                None
            }
            _ = clock.tick() => None,
        };
        match wish {
            None => {}
            Some(Wish::Quit) => return Ok(()),
            Some(Wish::Refresh) => drop(ended.send(desk.ended)),
            Some(Wish::Open { session, task }) => {
                desk.opened = Some(Opened::new(session, task));
                following = Some(feed::follow(client.clone(), session, task, every, news.clone()));
            }
            Some(Wish::Close) => {
                drop(following.take());
                // Updates on their way belong to the task that is closed.
                while let Ok(update) = updates.try_recv() {
                    desk.take(update);
                }
                desk.opened = None;
            }
            Some(Wish::Act(act)) => {
                tokio::spawn(feed::act(client.clone(), act, news.clone(), ended.clone()));
            }
        }
    }
}
