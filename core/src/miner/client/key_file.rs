//! The file in which a miner keeps its own key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::miner::protocol::identity::MinerKeyPair;
use crate::{Error, Result};

/// Reads the key in a file. If there is no file, makes a key and writes it so that only its owner can read it. Blocks.
///
/// # Errors
/// `InvalidArgument` if the file cannot be read or written, or does not hold a key.
pub(super) fn load_or_create(path: &Path) -> Result<MinerKeyPair> {
    let wrong = |e: io::Error| Error::invalid("key_file", format!("{}: {e}", path.display()));
    match fs::read_to_string(path) {
        Ok(pem) => MinerKeyPair::from_pem(&pem),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let pem = MinerKeyPair::generate()?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(wrong)?;
            file.write_all(pem.as_bytes()).map_err(wrong)?;
            file.sync_all().map_err(wrong)?;
            MinerKeyPair::from_pem(&pem)
        }
        Err(e) => Err(wrong(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("miner.pem");
        let made = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap().id(), made.id());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o77, 0);
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().details().param.as_deref(), Some("key_file"));
    }
}
