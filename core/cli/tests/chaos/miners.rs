//! The miners: processes of the command that dial in and work with the upstream.

use std::net::SocketAddr;

use parking_lot::Mutex;

use super::process::Process;
use super::router::TOKEN;

/// The number of miners.
const MINERS: usize = 2;

/// The miners' processes; `None` for one that was killed.
pub(crate) struct Miners {
    router: SocketAddr,
    backend: u16,
    running: Mutex<Vec<Option<Process>>>,
}

impl Miners {
    /// Starts all miners.
    pub(crate) fn start(router: SocketAddr, backend: u16) -> Self {
        let miners = Self { router, backend, running: Mutex::new((0..MINERS).map(|_| None).collect()) };
        miners.revive();
        miners
    }

    /// Kills every miner.
    pub(crate) fn kill(&self) {
        self.running.lock().iter_mut().for_each(|miner| *miner = None);
    }

    /// Starts every miner that was killed.
    pub(crate) fn revive(&self) {
        for (number, miner) in self.running.lock().iter_mut().enumerate() {
            miner.get_or_insert_with(|| self.spawn(number));
        }
    }

    /// Pauses every miner, or lets all go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.running.lock().iter().flatten().for_each(|miner| miner.pause(paused));
    }

    fn spawn(&self, number: usize) -> Process {
        let (router, backend) = (format!("ws://{}", self.router), format!("http://127.0.0.1:{}/v1", self.backend));
        let name = format!("miner-{number}");
        let mut arguments = vec!["miner", "--router", &router, "--backend", &backend, "--name", &name];
        arguments.extend(["--reconnect-base-ms", "50", "--reconnect-max-ms", "400"]);
        let mut process = Process::spawn(&arguments, &[("CORTENSOR_TOKEN", TOKEN)]);
        // Its output must be read on, so that it never blocks on a full pipe.
        let mut output = process.output();
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        process
    }
}
