//! The default memory bound of a router that the command runs.

use std::fs;
use std::num::NonZeroU64;

/// The bound is the available memory divided by this number.
const SHARE: u64 = 4;

/// The default bound in bytes: a quarter of the least of this machine's memory, the limit of the process's control
/// group, and its limit of address space. `None`, which means no bound, if none of them can be read.
pub(crate) fn default_bytes() -> Option<NonZeroU64> {
    let (machine, group) = match sysinfo::System::new() {
        Ok(mut system) => {
            system.refresh_memory();
            (Some(system.total_memory()), system.cgroup_limits().map(|limits| limits.total_memory))
        }
        Err(_) => (None, None),
    };
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    [machine, group, address_space(&limits)]
        .into_iter()
        .flatten()
        .filter(|bytes| *bytes > 0)
        .min()
        .and_then(|least| NonZeroU64::new(least / SHARE))
}

/// Reads the soft limit from the kernel's table of a process's limits (`proc_pid_limits(5)`); `None` if it is
/// unlimited.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_address_space_is_read_from_the_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max data size             unlimited            unlimited            bytes     \n\
                     Max address space         629145600            unlimited            bytes     \n";
        assert_eq!(address_space(table), Some(629_145_600));
        assert_eq!(address_space(&table.replace("629145600", "unlimited")), None);
        assert_eq!(address_space(""), None);
    }

    #[test]
    fn the_default_is_a_part_of_this_machine() {
        let bytes = default_bytes().unwrap().get();
        assert!(bytes > 16 << 20, "{bytes}");
    }
}
