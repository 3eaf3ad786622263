//! Commands that this build has not, because it was made without the feature `full`.

use std::ffi::OsString;

use clap::Args;

use crate::exit::{Done, Exit};

/// Whatever arguments the command would have.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Absent {
    /// The arguments of the command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

/// Says how to get a command.
pub(crate) fn told(command: &str) -> Done {
    Err(Exit::usage(format!(
        "this build has no `{command}`: the packages have it, and `cargo install --path core/cli --features full` builds it"
    )))
}
