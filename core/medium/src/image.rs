//! The content of files that is safe from a power loss, and the changes that are not yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The unit that a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// The files of a medium.
#[derive(Debug, Default)]
pub(crate) struct Image {
    files: BTreeMap<PathBuf, Content>,
}

#[derive(Debug)]
struct Content {
    synced: Vec<u8>,
    /// The changes since the last sync, oldest first.
    since: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(to, *at, bytes),
            Self::Truncate(size) => to.truncate(*size),
        }
    }
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

impl Image {
    /// Notes that a file is in use. Its present content counts as synced.
    pub(crate) fn opened(&mut self, path: &Path) {
        self.files
            .entry(path.to_owned())
            .or_insert_with(|| Content { synced: std::fs::read(path).unwrap_or_default(), since: Vec::new() });
    }

    /// Notes a write that the disk holds in its cache.
    pub(crate) fn wrote(&mut self, path: &Path, at: usize, bytes: &[u8]) {
        if let Some(file) = self.files.get_mut(path) {
            file.since.push(Change::Write { at, bytes: bytes.to_vec() });
        }
    }

    /// Notes that a file was cut.
    pub(crate) fn truncated(&mut self, path: &Path, size: usize) {
        if let Some(file) = self.files.get_mut(path) {
            file.since.push(Change::Truncate(size));
        }
    }

    /// Makes all changes of a file safe.
    pub(crate) fn synced(&mut self, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            for change in file.since.drain(..) {
                change.apply(&mut file.synced);
            }
        }
    }

    /// Forgets a file.
    pub(crate) fn deleted(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// The files after a power loss. `chance` gives a number below its argument, and decides which changes are there:
    /// a change is there, or is not, or a write is there up to one of its sectors.
    pub(crate) fn after_power_loss(&self, mut chance: impl FnMut(u64) -> u64) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut out = BTreeMap::new();
        for (path, file) in &self.files {
            let mut content = file.synced.clone();
            for change in &file.since {
                match (chance(3), change) {
                    (0, _) => {}
                    (1, Change::Write { at, bytes }) => {
                        let sectors = bytes.len().div_ceil(SECTOR) as u64;
                        let most = (chance(sectors + 1) as usize * SECTOR).min(bytes.len());
                        write(&mut content, *at, &bytes[..most]);
                    }
                    _ => change.apply(&mut content),
                }
            }
            out.insert(path.clone(), content);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_loss_takes_what_was_not_synced_and_nothing_else() {
        let (mut image, path) = (Image::default(), Path::new("/nonexistent/file"));
        image.opened(path);
        image.wrote(path, 0, &[1; 2_000]);
        image.synced(path);
        image.wrote(path, 1_000, &[2; 1_000]);
        image.truncated(path, 500);
        let nothing = image.after_power_loss(|_| 0);
        assert_eq!(nothing[path], [1; 2_000]);
        let all = image.after_power_loss(|_| 2);
        assert_eq!(all[path], [1; 500]);
        let torn = image.after_power_loss(|below| u64::from(below == 3));
        assert_eq!(torn[path], [1; 500], "the write is there up to its first sector, then the file was cut");
    }
}
