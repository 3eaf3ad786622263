//! The router's clock, which can jump. libfaketime stands between the process and the system's clock.

use std::path::{Path, PathBuf};

/// The places of the library in Debian and elsewhere.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The clock of the router's processes.
pub(crate) struct Clock {
    library: &'static str,
    file: PathBuf,
}

impl Clock {
    /// The clock, with its setting in that directory; `None` if the library is not installed.
    pub(crate) fn new(data: &Path) -> Option<Self> {
        let library = LIBRARIES.into_iter().find(|library| Path::new(library).exists())?;
        let clock = Self { library, file: data.join("clock") };
        clock.set(0);
        Some(clock)
    }

    /// The wall clock is that many seconds ahead from now on. The monotonic clock does not change.
    pub(crate) fn set(&self, ahead: i64) {
        // A reader must not see half of a file.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead:+}\n")).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// The environment of a process with this clock.
    pub(crate) fn environment(&self) -> [(&str, &str); 6] {
        [
            ("LD_PRELOAD", self.library),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().expect("a path in UTF-8")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]
    }
}
