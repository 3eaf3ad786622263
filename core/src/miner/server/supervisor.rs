//! The supervisor of a model server: a process between the router and the server, which ends the server when the router
//! has ended or asks for it.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::told::Told;
use super::{kill_group, signal_group};

/// The time between two looks whether the router is there.
const LOOK_FOR_PARENT: Duration = Duration::from_secs(1);

/// Starts a server, waits until it has ended, and tells about it on standard output. Ends the server with all processes
/// of its group once standard input ends or a signal asks for the end: by SIGTERM, and after `patience` by SIGKILL. Gives
/// the exit status for the process, which must do nothing else.
pub fn supervise(command: &[OsString], patience: Duration) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.and_then(|runtime| {
        let done = runtime.block_on(watch(command, patience));
        // A thread may still read standard input.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => 0,
        Err(error) => {
            tell(&Told::Failed(error.to_string()));
            1
        }
    }
}

async fn watch(command: &[OsString], patience: Duration) -> io::Result<()> {
    // A terminal or a service manager may signal all processes at once. The supervisor must outlive the server.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no command"));
    };
    let output = io::stderr().as_fd().try_clone_to_owned()?;
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn();
    let mut server =
        started.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy())))?;
    let group = server.id().unwrap_or_default();
    tell(&Told::Started(group));
    let status = tokio::select! {
        status = server.wait() => status,
        () = end_of_input() => ended(&mut server, group, patience).await,
        () = end_of_parent() => ended(&mut server, group, patience).await,
        _ = interrupt.recv() => ended(&mut server, group, patience).await,
        _ = terminate.recv() => ended(&mut server, group, patience).await,
        _ = hang_up.recv() => ended(&mut server, group, patience).await,
    }?;
    // Processes that the server has started may hold the memory of its devices.
    kill_group(group);
    tell(&Told::Ended(status.to_string()));
    Ok(())
}

/// Ends the server: it may end by itself until its time is up.
async fn ended(server: &mut Child, group: u32, patience: Duration) -> io::Result<ExitStatus> {
    signal_group(group, Signal::TERM);
    if let Ok(status) = tokio::time::timeout(patience, server.wait()).await {
        return status;
    }
    kill_group(group);
    server.wait().await
}

/// Waits until the router has closed its end of the pipe, or has ended. A thread reads the pipe: if the input is no pipe,
/// no other way of reading is sure to work.
async fn end_of_input() {
    let (at_end, seen) = oneshot::channel::<()>();
    let reader = std::thread::Builder::new().spawn(move || {
        let mut piece = [0; 64];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut piece) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        drop(at_end);
    });
    if reader.is_ok() {
        // The sender is dropped at the end, which is the only thing that it tells.
        let _ = seen.await;
    }
}

/// Waits until the router has ended. A process that its host forked may still hold the pipe open.
async fn end_of_parent() {
    let parent = rustix::process::getppid();
    while rustix::process::getppid() == parent {
        tokio::time::sleep(LOOK_FOR_PARENT).await;
    }
}

/// Tells the router. A router that is gone reads nothing.
fn tell(told: &Told) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{told}").and_then(|()| output.flush());
}
