//! Keeps a token in the data directory. Commands that may read the directory use it to make keys through the router
//! that runs there, even if the development token is not accepted. Each start makes a new token.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use cortensor_router::Token;

const FILE: &str = "command.token";

/// The file with the token, which is removed on drop.
#[derive(Debug)]
pub(crate) struct CommandToken(PathBuf);

impl CommandToken {
    /// Writes a token into the directory, readable for its owner alone.
    pub(crate) fn write(dir: &Path, token: &Token) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?.write_all(token.reveal().as_bytes())?;
        Ok(Self(path))
    }

    /// Reads the token of the router that runs on the directory.
    pub(crate) fn read(dir: &Path) -> Option<String> {
        fs::read_to_string(dir.join(FILE)).ok().filter(|text| Token::parse(text).is_some())
    }
}

impl Drop for CommandToken {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_owners_alone_replaces_the_last_one_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "of a router that was killed").unwrap();
        assert_eq!(CommandToken::read(dir.path()), None);
        let token = Token::mint().unwrap();
        let written = CommandToken::write(dir.path(), &token).unwrap();
        assert_eq!(CommandToken::read(dir.path()), Some(token.reveal()));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&written.0).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(written);
        assert_eq!(CommandToken::read(dir.path()), None);
    }
}
