//! Programs that run during a measurement, and their use of the machine as the system reports it (Linux's `/proc`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cortensor_router_testkit::machine;

use crate::Outcome;

/// The time within which a program must answer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Linux reports processor time in hundredths of a second on every architecture that it has.
const TICK: Duration = Duration::from_millis(10);
/// The time that a program has to end by itself before it is killed.
const END_WITHIN: Duration = Duration::from_secs(3);

/// A running program, which ends on drop.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts a program and discards its output.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(|child| Self { child }).map_err(|error| format!("{command:?} did not start: {error}"))
    }

    /// Starts a program and reads its port from the first line of output that has `marker` before a number.
    pub(crate) fn listening(command: &mut Command, marker: &str) -> Outcome<(Self, SocketAddr)> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut program =
            child.map(|child| Self { child }).map_err(|error| format!("{command:?} did not start: {error}"))?;
        let stdout = program.child.stdout.take().ok_or("its output cannot be read")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            let Some((_, after)) = line.split_once(marker) else { continue };
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            let port: u16 = digits.parse().map_err(|error| format!("{line:?}: {error}"))?;
            // The output must be read on, so that the program never blocks on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((program, SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        Err(format!("{command:?} ended before it listened"))
    }

    /// Waits until the program accepts connections at that address.
    pub(crate) fn await_port(&mut self, address: SocketAddr) -> Outcome {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the program for {address} ended with {status}"));
            }
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("nothing listens on {address}"))
    }

    /// Kills the program as a crash does.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
    }

    /// The processor time that the program and its children have used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        tree_time(self.child.id(), false)
    }

    /// The processor time of the program's living threads so far, without its children. It is exact to nanoseconds,
    /// where [`processor_time`](Self::processor_time) counts hundredths of a second.
    pub(crate) fn exact_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let of = |thread: std::fs::DirEntry| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.filter_map(of).sum())
    }

    /// The resident memory in KiB; 0 where the system does not report it.
    pub(crate) fn resident_kib(&self) -> f64 {
        machine::resident_kib(self.child.id()).unwrap_or(0) as f64
    }

    /// Asks the program to end, and waits for that. A program that is killed cannot end its own children: nginx would
    /// leave its workers behind.
    fn ask_to_end(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let since = Instant::now();
        while asked.as_ref().is_ok_and(ExitStatus::success) && since.elapsed() < END_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.ask_to_end();
        // The program may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that one process has used, and its parent.
struct Usage {
    parent: u32,
    own: u64,
    ended_children: u64,
}

fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain any character, so fields are counted from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Usage { parent: number(1)? as u32, own: number(11)? + number(12)?, ended_children: number(13)? + number(14)? })
}

/// The processor time of a process and its living descendants, with or without those that have ended.
fn tree_time(root: u32, with_ended: bool) -> Duration {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(usage) = usage(pid)
        {
            processes.insert(pid, usage);
        }
    }
    let mut ticks = 0;
    for (pid, usage) in &processes {
        let mut at = *pid;
        while at != root && at != 0 {
            at = processes.get(&at).map_or(0, |usage| usage.parent);
        }
        if at == root {
            ticks += usage.own + if with_ended { usage.ended_children } else { 0 };
        }
    }
    TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Measures how much of the machine other processes use.
pub(crate) struct Foreign {
    busy: u64,
    total: u64,
    own: Duration,
}

impl Foreign {
    /// Starts measuring.
    pub(crate) fn watch() -> Self {
        let (busy, total) = machine_ticks();
        Self { busy, total, own: tree_time(std::process::id(), true) }
    }

    /// The share of all processors that other processes have used since then, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let (busy, total) = machine_ticks();
        let own = tree_time(std::process::id(), true).saturating_sub(self.own);
        let own = own.as_secs_f64() / TICK.as_secs_f64();
        if total == self.total {
            return 0.0;
        }
        (((busy - self.busy) as f64 - own) / (total - self.total) as f64).clamp(0.0, 1.0)
    }
}

/// The busy ticks of all processors, and all their ticks.
fn machine_ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (total - idle, total)
}

/// The load averages, as the system writes them.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The processor's name, and the number of processors.
pub(crate) fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} x {}", name.map_or("unknown processor", |(_, name)| name.trim()))
}
