//! The miners of the fleet: processes that dial in at one router, and at the next one if they lose it.

use std::net::SocketAddr;

use parking_lot::Mutex;

use super::super::process::Process;
use super::super::router::TOKEN;

/// The number of miners.
const MINERS: usize = 6;

/// The miners' processes; `None` for one that was killed.
pub(crate) struct Miners {
    doors: Vec<SocketAddr>,
    backend: u16,
    running: Mutex<Vec<Option<Process>>>,
}

impl Miners {
    /// Starts all miners.
    pub(super) fn start(doors: Vec<SocketAddr>, backend: u16) -> Self {
        let miners = Self { doors, backend, running: Mutex::new((0..MINERS).map(|_| None).collect()) };
        miners.revive();
        miners
    }

    /// Kills those of one router.
    pub(super) fn kill(&self, router: usize) {
        let routers = self.doors.len();
        let mut running = self.running.lock();
        running.iter_mut().skip(router).step_by(routers).for_each(|miner| *miner = None);
    }

    /// Starts every miner that was killed.
    pub(super) fn revive(&self) {
        for (number, miner) in self.running.lock().iter_mut().enumerate() {
            miner.get_or_insert_with(|| self.spawn(number));
        }
    }

    fn spawn(&self, number: usize) -> Process {
        let mut doors: Vec<String> = self.doors.iter().map(|door| format!("ws://{door}")).collect();
        doors.rotate_left(number % self.doors.len());
        let backend = format!("http://127.0.0.1:{}/v1", self.backend);
        let name = format!("miner-{number}");
        let mut arguments = vec!["miner", "--backend", &backend, "--name", &name, "--capacity", "2"];
        arguments.extend(doors.iter().flat_map(|door| ["--router", door.as_str()]));
        arguments.extend(["--reconnect-base-ms", "50", "--reconnect-max-ms", "400"]);
        let mut process = Process::spawn(&arguments, &[("CORTENSOR_TOKEN", TOKEN)]);
        // Its output must be read on, so that it never blocks on a full pipe.
        let mut output = process.output();
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        process
    }
}
