//! Model servers that the router starts itself: `[[upstream]] command`.
//!
//! The router does not start a server directly, but a [supervisor](supervise): the command `cortensor-router` once more,
//! which starts the server in a process group of its own. The supervisor reads a pipe that only the router holds open. If
//! the router ends in any way, `kill -9` included, the pipe ends, and the supervisor ends the whole group.
//!
//! | pipe of the supervisor | direction | what it carries |
//! |---|---|---|
//! | standard input | from the router | nothing; its end asks for the end of the server |
//! | standard output | to the router | [what became of the server](Told), a line each |
//! | standard error | to the router | the output of the server, which goes to the log |

mod launch;
mod output;
#[cfg(unix)]
mod supervisor;
mod told;

pub(crate) use launch::Launch;
#[cfg(unix)]
pub use supervisor::supervise;

/// Supervises a server. There are no process groups here, so that it only says that it cannot.
#[cfg(not(unix))]
pub fn supervise(_command: &[std::ffi::OsString], _patience: std::time::Duration) -> u8 {
    1
}

/// The name of the hidden sub-command of `cortensor-router` that supervises a server.
pub const SUPERVISE: &str = "supervise";

/// Ends all processes of a group at once.
#[cfg(unix)]
fn kill_group(group: u32) {
    signal_group(group, rustix::process::Signal::KILL);
}

#[cfg(not(unix))]
fn kill_group(_group: u32) {}

/// Sends a signal to all processes of a group. A group that is gone needs none.
#[cfg(unix)]
fn signal_group(group: u32, signal: rustix::process::Signal) {
    let group = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group
        && let Err(error) = rustix::process::kill_process_group(group, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(%error, "the processes of a model server cannot be signalled");
    }
}
