//! Checks the data directory: whether it can be written, its free space, its holder, and the database.

use std::path::Path;

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{check_integrity, holder};
use cortensor_router::{Config, ErrorKind};

use super::{Findings, Level, is_open_to_others};

/// The free space in bytes below which `doctor` warns. Less than a tenth of it is a failure.
const SPACE: u64 = 1 << 30;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    #[cfg(feature = "postgres")]
    if let Some(url) = &config.storage.url {
        return super::database::check(url, &config.storage, findings);
    }
    let dir = match &config.storage.data_dir {
        Some(dir) if config.storage.durability != Durability::Memory => dir,
        _ => {
            return findings
                .warn("data", "tasks are kept in memory and lost with the process (storage.durability = \"memory\")");
        }
    };
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if let Err(e) = tempfile_in(if dir.is_dir() { dir } else { existing }) {
        findings.fail(
            "data",
            format!(
                "{} cannot be written: {e}: give this user the right to, or name another with --data-dir",
                dir.display()
            ),
        );
        return;
    }
    if dir.is_dir() {
        findings.ok("data", format!("{} is writable", dir.display()));
        if is_open_to_others(dir) {
            findings.warn("data", format!("other users can look into {0}: chmod 700 {0}", dir.display()));
        }
    } else {
        findings.ok("data", format!("{} will be created at the first start", dir.display()));
    }
    space(existing, findings);
    match holder(dir) {
        None => findings.ok("lock", "no process has the data directory"),
        Some(holder) => {
            let listens = holder.url.map(|url| format!(" and listens on {url}")).unwrap_or_default();
            findings.ok("lock", format!("process {} has the data directory{listens}", holder.pid));
        }
    }
    library(findings);
    match check_integrity(dir) {
        Err(e) if !dir.is_dir() || e.kind() == ErrorKind::NotFound => {}
        Err(e) => findings.fail("database", e.message()),
        Ok(found) if found.is_ok() => findings.ok(
            "database",
            format!(
                "sound: {} sessions, {} tasks, {} unfinished, {}",
                found.sessions,
                found.tasks,
                found.unfinished,
                bytes(found.file_bytes + found.log_bytes)
            ),
        ),
        Ok(found) => {
            for problem in found.problems.iter().take(5) {
                findings.fail("database", format!("{}: {problem}: restore it from a back-up", found.path.display()));
            }
        }
    }
}

fn library(findings: &mut Findings) {
    let (version, number) = (rusqlite::version(), rusqlite::version_number());
    if number < 3_051_003 {
        findings.fail(
            "sqlite",
            format!("SQLite {version} can corrupt its log under load: build with the bundled one (3.51.3 or newer)"),
        );
    } else {
        findings.ok("sqlite", format!("SQLite {version}"));
    }
}

/// Writes and removes a test file, because permission bits alone do not show whether the directory can be written.
fn tempfile_in(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".cortensor-doctor-{}", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).and_then(|file| file.sync_all());
    std::fs::remove_file(&path).ok();
    written
}

fn space(path: &Path, findings: &mut Findings) {
    let Ok(disks) = sysinfo::Disks::new_with_refreshed_list() else { return };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = disks.iter();
    let disk = mounts
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len());
    let Some(free) = disk.map(sysinfo::Disk::available_space) else { return };
    let finding = format!("{} free for {}", bytes(free), path.display());
    let (level, advice) = match free {
        0..SPACE if free < SPACE / 10 => (Level::Fail, ": free some, or name another --data-dir"),
        0..SPACE => (Level::Warn, ": keep less with retention.max_bytes or retention.max_age_secs"),
        _ => (Level::Ok, ""),
    };
    findings.0.push((level, "space", format!("{finding}{advice}")));
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count.div_ceil(1 << 10)),
        1_048_576..1_073_741_824 => format!("{} MiB", count >> 20),
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!([bytes(0), bytes(1), bytes(5 << 20), bytes(3 << 29)], ["0 KiB", "1 KiB", "5 MiB", "1.5 GiB"]);
    }
}
