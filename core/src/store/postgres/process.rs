//! The mark by which a router that starts again knows that its last process is gone.

use std::fs;
use std::path::Path;

/// The boot of the machine, which no other machine has.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The mark of this process: the machine's boot, the name space of its processes, its number and its start. Empty where
/// the system does not tell.
pub(super) fn own() -> String {
    let pid = std::process::id();
    mark(pid).unwrap_or_default()
}

fn mark(pid: u32) -> Option<String> {
    let boot = fs::read_to_string(BOOT).ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {} {pid} {}", boot.trim(), space.display(), started(pid)?))
}

/// The start of a process, in ticks of the machine's clock.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may contain blanks and brackets; the start is the 20th word after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Whether the process of that mark is certainly gone: it was one of this machine's that this process could see.
pub(super) fn is_gone(other: &str) -> bool {
    let words = |mark: &str| mark.rsplitn(3, ' ').map(str::to_owned).collect::<Vec<_>>();
    let (own, other) = (words(&own()), words(other));
    let ([_, _, here], [start, pid, there]) = (own.as_slice(), other.as_slice()) else { return false };
    // Where other users' processes are hidden, the first one is, too.
    if here != there || !Path::new("/proc/1").exists() {
        return false;
    }
    pid.parse().is_ok_and(|pid: u32| started(pid).as_ref() != Some(start))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_only_if_it_was_seen_here() {
        let mark = own();
        assert!(!is_gone(&mark), "{mark}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let other = self::mark(child.id()).unwrap();
        assert!(!is_gone(&other), "{other}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&other), "{other}");
        // Another machine's process may run there, whatever runs here.
        assert!(!is_gone(&format!("x{other}")));
        for nothing in ["", "a", "a b", "a b c"] {
            assert!(!is_gone(nothing));
        }
    }
}
