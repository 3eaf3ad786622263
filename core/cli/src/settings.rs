//! The configuration of a command: file, environment, flags, and the defaults that only the command has.

use std::path::{Path, PathBuf};

use clap::Args;
use cortensor_router::config::Durability;
use cortensor_router::config::{Loaded, Override, load};
use cortensor_router::{Error, Result};

use crate::exit::{Done, Exit};
use crate::platform;

/// The sources of the configuration. Every command that reads it has these flags.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Settings {
    /// The configuration file; where none is given, config.toml in the platform's configuration directory, if it exists
    #[arg(long, value_name = "FILE", env = "CORTENSOR_CONFIG")]
    config: Option<PathBuf>,
    /// The directory for tasks and keys; where none is given, the platform's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Set any key of the configuration (repeatable), as in `--set limits.max_sessions=100`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
}

impl Settings {
    /// Whether flags change the configuration.
    #[cfg(feature = "mcp")]
    pub(crate) fn is_given(&self) -> bool {
        self.data_dir.is_some() || !self.assignments.is_empty()
    }

    /// The file that is read: the one that the user named, or else the platform's file if it exists.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let platform = || platform::config_dir().map(|dir| dir.join("config.toml")).filter(|path| path.is_file());
        self.config.clone().filter(|path| !path.as_os_str().is_empty()).or_else(platform)
    }

    /// Reads the configuration; `flags` win over every other source but `--set`.
    pub(crate) fn load(&self, flags: Vec<Override>) -> Done<Loaded> {
        self.read(flags).map_err(|e| Exit::usage(e.message()))
    }

    /// Reads the configuration, for a program that goes on if it is wrong.
    pub(crate) fn read(&self, flags: Vec<Override>) -> Result<Loaded> {
        let mut overrides = flags;
        if let Some(dir) = &self.data_dir {
            overrides.push(Override::new("storage.data_dir", path_text(dir)?, "--data-dir"));
        }
        for assignment in &self.assignments {
            overrides.push(Override::parse(assignment, "--set")?);
        }
        let file = self.file();
        let environment = || {
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        };
        let read = |overrides: Vec<Override>| load(file.as_deref(), environment(), overrides);
        let loaded = read(overrides.clone())?;
        let storage = &loaded.config.storage;
        if storage.data_dir.is_some() || storage.url.is_some() || storage.durability == Durability::Memory {
            return Ok(loaded);
        }
        let Some(dir) = platform::data_dir() else {
            return Err(Error::invalid(
                "storage.data_dir",
                "there is no home directory to keep tasks in: name a directory with --data-dir, or keep them in memory with --durability memory",
            ));
        };
        overrides.push(Override::new("storage.data_dir", path_text(&dir)?, "the platform's data directory"));
        read(overrides)
    }
}

fn path_text(path: &Path) -> Result<String> {
    let wrong = |why: String| Error::invalid("storage.data_dir", format!("{}: {why}", path.display()));
    let absolute = std::path::absolute(path).map_err(|e| wrong(e.to_string()))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| wrong("it is not valid Unicode".to_owned()))
}
