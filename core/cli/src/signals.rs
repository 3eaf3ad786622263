//! The signals that end the server, the signal that makes it read its files again, and the signal that must not end it.

use std::time::Duration;

use crate::exit::{Done, Exit};

/// Signals that arrive within this time count as one.
const TOGETHER: Duration = Duration::from_millis(200);

/// SIGXFSZ, by its number on Linux (but for MIPS and PA-RISC), macOS and the BSDs.
#[cfg(unix)]
const FILE_SIZE: std::ffi::c_int = 25;

/// Lets a write beyond the limit of file sizes (`ulimit -f`) fail, as a write to a full disk does. Without a handler,
/// SIGXFSZ ends the process at such a write.
#[cfg(unix)]
pub(crate) fn outlive_the_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    // Only a runtime can install the handler, which then stays for the life of the process. A process that cannot have
    // a runtime now cannot work at all and says so at its next step.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _runtime = runtime.enter();
        let _ = signal(SignalKind::from_raw(FILE_SIZE));
    }
}

/// Does nothing, because there is no such limit here.
#[cfg(not(unix))]
pub(crate) fn outlive_the_file_size_limit() {}

/// The signals that end the server: SIGINT and SIGTERM on Unix, Ctrl-C elsewhere.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> Done<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(|e| Exit::failed(format!("cannot wait for signals: {e}")));
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Done<Self> {
        Ok(Self {})
    }

    /// Waits for a further signal. Supervisors signal a process and its group, so signals that arrive together count as
    /// one.
    pub(crate) async fn again(&mut self) {
        let together = tokio::time::sleep(TOGETHER);
        tokio::pin!(together);
        loop {
            tokio::select! {
                biased;
                () = &mut together => break,
                () = self.next() => {}
            }
        }
        self.next().await;
    }

    /// Waits for the next signal.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for the next signal.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// SIGHUP on Unix. It is caught as long as the process lives, so that it never ends the process.
pub(crate) struct Hangups {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangups {
    #[cfg(unix)]
    pub(crate) fn new() -> Done<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = signal(SignalKind::hangup()).map_err(|e| Exit::failed(format!("cannot wait for signals: {e}")))?;
        Ok(Self { hangup })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Done<Self> {
        Ok(Self {})
    }

    /// Waits for the next SIGHUP.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        if self.hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for ever, because there is no such signal here.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
