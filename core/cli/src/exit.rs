//! The end of the command: one line on standard error, and a status for scripts.

use std::fmt::Write as _;

use cortensor_router::{Error, ErrorKind};

use crate::printable::printable;
use crate::stderr;

/// The exit statuses and their meaning.
pub(crate) const STATUSES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "it did not work"),
    (2, "wrong arguments or configuration"),
    (3, "token refused"),
    (4, "not found"),
    (5, "conflict"),
    (6, "overloaded or unavailable, try again later"),
    (7, "timed out"),
    (8, "cancelled"),
    (9, "the miner failed"),
    (10, "no router answers"),
    (130, "stopped by Ctrl-C"),
];

/// The exit statuses as the help shows them.
pub(crate) fn statuses() -> String {
    let mut out = String::from("Exit status:");
    let mut width = usize::MAX;
    for (status, meaning) in STATUSES {
        let entry = format!("{status} {meaning}");
        if width.saturating_add(entry.len()) > 90 {
            out.push_str("\n  ");
            width = 0;
        } else {
            out.push_str("   ");
        }
        width = width.saturating_add(entry.len() + 3);
        out.push_str(&entry);
    }
    out
}

/// The reason why the command ended without doing its work.
#[derive(Debug)]
pub(crate) struct Exit {
    status: u8,
    message: String,
    /// The error's code, if the router or the command gave one.
    code: Option<String>,
}

/// The result of a command.
pub(crate) type Done<T = ()> = Result<T, Exit>;

impl Exit {
    /// The status when the token is refused, or lacks a scope.
    #[cfg(feature = "terminal")]
    pub(crate) const REFUSED: u8 = 3;
    /// The status when no router answers.
    pub(crate) const UNREACHABLE: u8 = 10;
    /// The status after Ctrl-C, which shells use too.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// An exit with that status and message.
    pub(crate) fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None }
    }

    /// An exit because the work failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// An exit because the arguments or the configuration are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// An exit with that status and no message, because the command has printed everything already.
    pub(crate) fn silent(status: u8) -> Self {
        Self::new(status, "")
    }

    /// Ends the process on a second signal.
    pub(crate) fn at_once() -> ! {
        stderr::remark("stopped at once");
        stderr::flush();
        std::process::exit(i32::from(Self::INTERRUPTED));
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// The message, for commands that report several failures.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Adds a hint after the message.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message = format!("{}: {hint}", self.message);
        self
    }

    /// Sets the code, if there is one.
    pub(crate) fn with_code(mut self, code: Option<String>) -> Self {
        self.code = code.or(self.code);
        self
    }

    /// Writes the reason in the form that the user chose, and gives the status.
    pub(crate) fn report(self) -> u8 {
        if !self.message.is_empty() {
            stderr::error(&printable(&self.message), self.code.as_deref(), self.status);
        }
        self.status
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::TooLarge => 2,
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => 3,
            ErrorKind::NotFound => 4,
            ErrorKind::Conflict | ErrorKind::IdempotencyMismatch => 5,
            ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Closed => 6,
            ErrorKind::Timeout => 7,
            ErrorKind::Cancelled => 8,
            ErrorKind::MinerFailed => 9,
            _ => 1,
        };
        let mut message = error.message().to_owned();
        let details = error.details();
        if let (Some(session), Some(task)) = (details.session_id, details.task_id) {
            let _ = write!(message, " (look at it with: cortensor-router tasks show {session} {task})");
        }
        Self { status, message, code: Some(error.code().to_owned()) }
    }
}
