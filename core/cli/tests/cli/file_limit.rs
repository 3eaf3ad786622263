//! The command under a limit of file sizes (`ulimit -f`).

#![cfg(target_os = "linux")]

use crate::command::{Home, until};

/// At the limit the system sends SIGXFSZ, which must not end the router: the store refuses, as on a full disk, and
/// writes again when it can.
#[test]
fn a_write_beyond_the_limit_of_file_sizes_is_refused_and_ends_nothing() {
    let home = Home::new();
    let server = home.serve(&["--set", "storage.check_interval_ms=100"]);
    let limit = |bytes: &str| {
        let fsize = format!("--fsize={bytes}:unlimited");
        let set = std::process::Command::new("prlimit").args(["--pid", &server.pid().to_string(), &fsize]).status();
        assert!(set.unwrap().success());
    };
    assert_eq!(server.client(&["submit", "before"]).status, 0);
    limit("4096");
    let refused = server.client(&["submit", "too much"]);
    assert_eq!(refused.status, 6, "{}", refused.stderr);
    assert!(refused.stderr.contains("the store does not answer"), "{}", refused.stderr);
    limit("unlimited");
    until(|| server.client(&["submit", "after"]).stdout, |said| said.contains("after"));
    assert_eq!(server.terminate(), Some(0));
}

/// A router that starts under the limit says what is wrong, and is not killed.
#[test]
fn a_start_under_the_limit_of_file_sizes_is_an_error_in_words() {
    let home = Home::new();
    let line = format!("ulimit -f 1; exec {} serve --port 0", env!("CARGO_BIN_EXE_cortensor-router"));
    let said = home.shell(&line);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert!(said.stderr.starts_with("error: "), "{}", said.stderr);
}
