//! `completions`: prints completion scripts for shells.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::exit::Done;
use crate::{Cli, output};

const EXAMPLES: &str = "\
Examples:
  cortensor-router completions bash > ~/.local/share/bash-completion/completions/cortensor-router
  cortensor-router completions zsh  > ~/.zfunc/_cortensor-router
  cortensor-router completions fish > ~/.config/fish/completions/cortensor-router.fish";

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cortensor-router", &mut script);
        output::write(&String::from_utf8_lossy(&script))
    }
}
