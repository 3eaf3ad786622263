//! The directory of the store. Only its owner may open it, and it should not be on a network file system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The name of the database file.
pub(super) const FILE: &str = "router.db";
/// The name of the lock file.
pub(super) const LOCK: &str = "router.lock";

/// File systems whose locks or syncs are not reliable.
const NETWORK: &[&str] =
    &["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.s3fs"];

/// Creates the database (mode 0600) and its directory if they are missing. Gives the path of the database.
pub(super) fn prepare(dir: &Path) -> io::Result<PathBuf> {
    create_dir(dir)?;
    if let Some(kind) = network_file_system(dir) {
        tracing::warn!(
            dir = %dir.display(), file_system = kind,
            "the data directory is on a network file system, where locks and syncs may not hold: use a local disk"
        );
    }
    let path = dir.join(FILE);
    private(&path)?;
    Ok(path)
}

/// Creates the directory (mode 0700) if it is missing.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Opens a file for reading and writing, with permissions for its owner alone; creates it if it is missing. `SQLite`
/// gives its log and its index the mode of the database.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

/// The kind of the network file system that holds the directory; `None` for other file systems, or if the system does
/// not tell.
fn network_file_system(dir: &Path) -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let dir = dir.canonicalize().ok()?;
    kind_of(&mounts, &dir)
}

/// Finds the file system of a directory. The last of the longest mount points above it counts, because a later mount
/// hides an earlier one.
fn kind_of(mounts: &str, dir: &Path) -> Option<&'static str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(point), Some(kind)) = (fields.next(), fields.next()) else { continue };
        let point = point.replace("\\040", " ");
        let longer = best.is_none_or(|(length, _)| point.len() >= length);
        if longer && dir.starts_with(&point) {
            best = Some((point.len(), kind));
        }
    }
    let (_, kind) = best?;
    NETWORK.iter().find(|network| **network == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let mounts = "/dev/vda / ext4 rw 0 0\nhost:/home /home nfs4 rw 0 0\n/dev/vdb /home/a\\040b ext4 rw 0 0\n";
        assert_eq!(kind_of(mounts, Path::new("/var/lib")), None);
        assert_eq!(kind_of(mounts, Path::new("/home/c")), Some("nfs4"));
        assert_eq!(kind_of(mounts, Path::new("/home/a b/data")), None);
        assert_eq!(kind_of(mounts, Path::new("/homework")), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let path = prepare(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        prepare(&dir).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
