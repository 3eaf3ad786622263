//! The platform's directories for a user's configuration, data and state.
//!
//! Linux and the BSDs: the XDG base directories. macOS: Application Support. Windows: the local application data.

use std::env;
use std::path::PathBuf;

const NAME: &str = "cortensor-router";

/// The directory of the configuration file; `None` if the user has no home directory.
pub(crate) fn config_dir() -> Option<PathBuf> {
    place("XDG_CONFIG_HOME", ".config", "APPDATA")
}

/// The directory of the database; `None` if the user has no home directory.
pub(crate) fn data_dir() -> Option<PathBuf> {
    place("XDG_DATA_HOME", ".local/share", "LOCALAPPDATA")
}

/// The directory of what commands remember; `None` if the user has no home directory.
#[cfg(feature = "terminal")]
pub(crate) fn state_dir() -> Option<PathBuf> {
    place("XDG_STATE_HOME", ".local/state", "LOCALAPPDATA")
}

fn place(xdg: &str, below_home: &str, windows: &str) -> Option<PathBuf> {
    if cfg!(windows) {
        return absolute(windows).map(|dir| dir.join(NAME));
    }
    let home = || env::home_dir().filter(|home| home.is_absolute());
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Application Support").join(NAME));
    }
    absolute(xdg).or_else(|| home().map(|home| home.join(below_home))).map(|dir| dir.join(NAME))
}

/// A directory that a variable names. A relative path counts as not set, as the XDG specification demands.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute())
}
