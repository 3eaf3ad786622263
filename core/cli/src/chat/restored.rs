//! Gives the terminal back as it was if a signal ends a chat in the middle of a line.

use crate::exit::Done;

/// Watches for the signals that end a process, on the runtime in which it is called.
#[cfg(unix)]
pub(super) fn at_signals() -> Done {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use tokio::signal::unix::{SignalKind, signal};

    use crate::exit::Exit;

    let on = |kind| signal(kind).map_err(|e| Exit::failed(format!("cannot wait for signals: {e}")));
    let (mut terminate, mut hangup) = (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    let before = tcgetattr(std::io::stdin()).ok();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if let Some(before) = before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        }
        // The shell's prompt does not follow the line that was begun.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"\n");
        std::process::exit(i32::from(Exit::INTERRUPTED));
    });
    Ok(())
}

/// Does nothing, because there are no such signals here.
#[cfg(not(unix))]
pub(super) fn at_signals() -> Done {
    Ok(())
}
