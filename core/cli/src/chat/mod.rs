//! `chat`: a conversation with a model, over a running router.

mod answer;
mod conversation;
mod editor;
mod line;
mod markdown;
mod restored;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::client::{Client, Remote};
use crate::exit::{Done, Exit};
use crate::output::{self, text};
use crate::submit::prompt_of;
use crate::{candidates, colors, runtime, stderr};
use answer::Manner;
use conversation::Conversation;
use editor::{Editor, Typed};
use line::{COMMANDS, Line};

const EXAMPLES: &str = "\
Examples:
  cortensor-router chat
  cortensor-router chat --model qwen --system 'Answer in one sentence.'
  cortensor-router chat --once 'Why is the sky blue?'
  git diff | cortensor-router chat --system 'Review this change.'

Ctrl-C gives an answer up, and the router cancels its task. Ctrl-D ends. /help lists the
commands. A backslash at the end of a line goes on in the next one. Lines are kept in the
platform's state directory, but for those that begin with a blank.";

/// The time for the names of the models, which only help with typing.
const NAMES: Duration = Duration::from_secs(1);

/// The arguments of `chat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chat {
    /// The first message; `-` reads it from standard input
    #[arg(value_name = "MESSAGE")]
    message: Option<String>,
    /// The model
    #[arg(long, short, value_name = "MODEL", add = candidates::models())]
    model: Option<String>,
    /// The session; the router chooses one where none is given
    #[arg(long, short, value_name = "ID", add = candidates::sessions())]
    session: Option<String>,
    /// The system message: how the model should answer
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The maximum number of tokens in an answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// The randomness of the model's choice of words, 0 to 2
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Print one answer and end; so too where standard input is no terminal
    #[arg(long)]
    once: bool,
    /// Keep no history of the lines, and read none
    #[arg(long)]
    no_history: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Chat {
    pub(crate) fn run(&self) -> Done {
        let conversation = Conversation {
            system: self.system.clone(),
            model: self.model.clone(),
            session: self.session.clone(),
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            ..Conversation::default()
        };
        let client = self.remote.client()?;
        if self.once || !io::stdin().is_terminal() {
            return self.once(&client, conversation);
        }
        if !io::stdout().is_terminal() {
            return Err(Exit::usage("standard output is no terminal: give the message and --once"));
        }
        let talk = runtime::talk()?;
        let done = self.talk(&client, conversation, &talk);
        talk.shutdown_background();
        done
    }

    /// Prints one answer.
    fn once(&self, client: &Client, mut conversation: Conversation) -> Done {
        conversation.ask(&prompt_of(self.message.as_deref(), "message")?);
        let terminal = io::stdout().is_terminal();
        let manner = Manner { styled: terminal && colors::on_stdout(), sign: terminal };
        let talk = runtime::talk()?;
        let done = talk.block_on(answer::ask(client, &conversation, manner));
        talk.shutdown_background();
        let answer = done?;
        if answer.cancelled {
            return Err(Exit::silent(Exit::INTERRUPTED));
        }
        if terminal {
            quietly(&answer.summary());
        }
        Ok(())
    }

    /// Talks until the user ends.
    fn talk(&self, client: &Client, mut conversation: Conversation, talk: &Runtime) -> Done {
        let models = talk.block_on(async {
            restored::at_signals()?;
            // A router that is not there is told now, and not after the first question.
            let models = tokio::time::timeout(NAMES, models(client)).await;
            models.unwrap_or_else(|_| Ok(Vec::new()))
        })?;
        let model = conversation.model.clone().or_else(|| (models.len() == 1).then(|| models[0].clone()));
        quietly(&format!("{}, {}; /help lists the commands", client.base(), model.as_deref().unwrap_or("any model")));
        let mut editor = Editor::new(models, !self.no_history)?;
        let mut first = self.message.as_deref().map(|message| prompt_of(Some(message), "message")).transpose()?;
        loop {
            let typed = match first.take() {
                Some(message) => Typed::Line(message),
                None => editor.read()?,
            };
            let typed = match typed {
                Typed::Line(typed) => typed,
                Typed::Interrupted => {
                    quietly("Ctrl-D ends");
                    continue;
                }
                Typed::End => return Ok(()),
            };
            match Line::of(&typed) {
                Line::Nothing => {}
                Line::Quit => return Ok(()),
                Line::Message(message) => question(client, &mut conversation, message, talk),
                command => {
                    // A command that fails does not end the conversation.
                    if let Err(exit) = act(command, client, &mut conversation, talk) {
                        told(&exit);
                    }
                }
            }
        }
    }
}

/// Asks a question. A failure is told and does not end the conversation.
fn question(client: &Client, conversation: &mut Conversation, message: &str, talk: &Runtime) {
    conversation.ask(message);
    let manner = Manner { styled: colors::on_stdout(), sign: true };
    match talk.block_on(answer::ask(client, conversation, manner)) {
        Ok(answer) => {
            conversation.answered(&answer.text);
            quietly(&answer.summary());
        }
        Err(exit) => {
            conversation.answered("");
            told(&exit);
        }
    }
}

fn act(command: Line<'_>, client: &Client, conversation: &mut Conversation, talk: &Runtime) -> Done {
    match command {
        Line::Help => {
            let width = COMMANDS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            COMMANDS.iter().try_for_each(|(name, what)| output::line(&format!("{name:<width$}  {what}")))
        }
        Line::Model(None) => {
            for model in talk.block_on(models(client))? {
                let mark = if conversation.model.as_ref() == Some(&model) { "* " } else { "  " };
                output::foreign(&format!("{mark}{model}\n"))?;
            }
            Ok(())
        }
        Line::Model(Some(name)) => {
            let known = talk.block_on(models(client))?;
            if !known.iter().any(|model| model == name) {
                return Err(Exit::usage(format!(
                    "no miner offers the model {name:?}: /model lists those that are there"
                )));
            }
            conversation.model = Some(name.to_owned());
            Ok(())
        }
        Line::System(None) => {
            output::foreign(&format!("{}\n", conversation.system.as_deref().unwrap_or("(no system message)")))
        }
        Line::System(Some(text)) => {
            conversation.system = (text != "-").then(|| text.to_owned());
            Ok(())
        }
        Line::Clear => {
            conversation.clear();
            Ok(())
        }
        Line::Save(file) => save(conversation, file),
        Line::Unknown(text) => Err(Exit::usage(format!("{text:?} is no command: /help lists them"))),
        Line::Nothing | Line::Message(_) | Line::Quit => Ok(()),
    }
}

/// Writes the conversation to a new file. A file that exists is never written over.
fn save(conversation: &Conversation, file: &str) -> Done {
    if conversation.is_empty() {
        return Err(Exit::usage("there is nothing to save yet"));
    }
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    written
        .and_then(|mut out| out.write_all(conversation.text().as_bytes()))
        .map_err(|e| Exit::failed(format!("{file} cannot be written: {e}")))?;
    quietly(&format!("saved as {file}"));
    Ok(())
}

/// The names of the models that the router offers.
async fn models(client: &Client) -> Done<Vec<String>> {
    let answer = client.get("/v1/models").await?;
    let models = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(models.iter().map(|model| text(model, "id")).collect())
}

/// Tells something of lesser weight on standard error.
fn quietly(words: &str) {
    let words = crate::printable::printable(words);
    stderr::remark(&colors::styled(&words, colors::QUIET, colors::on_stderr()));
}

fn told(exit: &Exit) {
    stderr::error(&crate::printable::printable(exit.message()), None, exit.status());
}
