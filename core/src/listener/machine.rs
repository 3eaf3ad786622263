//! The share of the machine that this process uses, sampled at most once a second.

use parking_lot::Mutex;
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

use crate::router::Metrics;

pub(in crate::listener) struct Machine {
    sample: Mutex<Sample>,
}

struct Sample {
    /// The system's figures; `None` if the system gives none.
    system: Option<System>,
    at: Option<Instant>,
    cpu: f64,
    memory_mib: f64,
}

impl Machine {
    pub(in crate::listener) fn new() -> Self {
        Self { sample: Mutex::new(Sample { system: System::new().ok(), at: None, cpu: 0.0, memory_mib: 0.0 }) }
    }

    /// Brings the metrics of the process up to date.
    pub(in crate::listener) fn show(metrics: &Metrics) {
        // A system of its own, because the use of processors is measured from one look to the next.
        let Ok(mut system) = System::new() else { return };
        if let Some(process) = look(&mut system) {
            let cpu_seconds = process.accumulated_cpu_time() as f64 / 1_000.0;
            metrics.show_process(cpu_seconds, process.memory(), process.start_time(), process.open_files());
        }
    }

    /// The use of processors in per cent of one processor, and the resident memory in MiB.
    pub(in crate::listener) fn usage(&self) -> (f64, f64) {
        let mut sample = self.sample.lock();
        if sample.at.is_none_or(|at| at.elapsed().as_secs() >= 1) {
            let measured = sample.system.as_mut().and_then(|system| {
                let process = look(system)?;
                Some((f64::from(process.cpu_usage()), process.memory() as f64 / 1_048_576.0))
            });
            if let Some((cpu, memory)) = measured {
                sample.cpu = (cpu * 100.0).round() / 100.0;
                sample.memory_mib = (memory * 100.0).round() / 100.0;
            }
            sample.at = Some(Instant::now());
        }
        (sample.cpu, sample.memory_mib)
    }
}

/// Looks at this process; `None` if the system does not show it.
fn look(system: &mut System) -> Option<&Process> {
    let pid = Pid::from_u32(std::process::id());
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
    system.process(pid)
}
