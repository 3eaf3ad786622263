//! `completions`: prints the script by which a shell asks this command for completions, and answers these questions.

use std::ffi::{OsStr, OsString};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::exit::{Done, Exit};
use crate::{Cli, candidates, output};

const EXAMPLES: &str = "\
Examples:
  cortensor-router completions bash > ~/.local/share/bash-completion/completions/cortensor-router
  echo 'source <(cortensor-router completions zsh)' >> ~/.zshrc
  cortensor-router completions fish > ~/.config/fish/completions/cortensor-router.fish

The script asks this command at each Tab. The names of models, sessions, tasks, keys, miners and
upstreams come from the running router, if it answers within 200 ms.";

/// The variable by which a script says which shell asks.
const VARIABLE: &str = "CORTENSOR_COMPLETE";

const NAME: &str = "cortensor-router";

/// A script in zsh's `fpath` runs at the first Tab, which it must answer too.
const ZSH_AUTOLOAD: &str =
    "if [[ $funcstack[1] == _cortensor-router ]]; then _clap_dynamic_completer_cortensor_router; fi\n";

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
        let shells = Shells::builtins();
        let shell = shells
            .completer(&self.shell.to_string())
            .ok_or_else(|| Exit::usage(format!("there is no completion for {}", self.shell)))?;
        shell
            .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
            .map_err(|e| Exit::failed(format!("the script cannot be made: {e}")))?;
        if self.shell == Shell::Zsh {
            script.extend_from_slice(ZSH_AUTOLOAD.as_bytes());
        }
        output::write(&String::from_utf8_lossy(&script))
    }
}

/// Answers a shell that asks what may stand at the cursor. Gives whether one asked.
pub(crate) fn answered(arguments: &[OsString]) -> bool {
    let Some(name) = std::env::var_os(VARIABLE) else { return false };
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&name.to_string_lossy()) else { return false };
    let words: Vec<OsString> =
        arguments.iter().skip_while(|word| word.as_os_str() != OsStr::new("--")).skip(1).cloned().collect();
    candidates::typed(&words);
    let mut answer = Vec::new();
    let here = std::env::current_dir().ok();
    // A shell shows what a completion says, so that one that fails says nothing.
    if shell.write_complete(&mut Cli::command(), words, here.as_deref(), &mut answer).is_ok() {
        let _ = output::write(&String::from_utf8_lossy(&answer));
    }
    true
}
