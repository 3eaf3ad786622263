//! `supervise`: a hidden command that a router runs to start a model server and to end it with the router.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::time::Duration;

use cortensor_router::RouterBuilder;
use cortensor_router::internals::{SUPERVISE, supervise};

/// The program of this command and its arguments before the sub-command; `None`: they are not known.
static OWN: OnceLock<Option<Vec<OsString>>> = OnceLock::new();

/// The exit status if the arguments are those of `supervise`. They are not read like those of other commands, because
/// a router alone writes them.
pub(crate) fn answered(arguments: &[OsString]) -> Option<u8> {
    let [_, name, flag, millis, dashes, command @ ..] = arguments else { return None };
    if name != SUPERVISE || flag != "--stop-timeout-ms" || dashes != "--" {
        return None;
    }
    let millis = millis.to_str()?.parse().ok()?;
    Some(supervise(command, Duration::from_millis(millis)))
}

/// Notes how this command was started; `arguments` are those that it got, the program's name first.
pub(crate) fn note_own(arguments: &[OsString]) {
    OWN.get_or_init(|| own(std::env::args_os().collect(), arguments));
}

/// The command line of the process without the arguments of the command. `python -m cortensor_router serve` leaves
/// `python -m cortensor_router`.
fn own(mut line: Vec<OsString>, arguments: &[OsString]) -> Option<Vec<OsString>> {
    let given = arguments.get(1..).unwrap_or_default();
    if line.is_empty() || line.len() <= given.len() || !line.ends_with(given) {
        return None;
    }
    line.truncate(line.len() - given.len());
    if line.len() == 1 {
        // The program's name may be found on a path, or no more after an update. The system knows the file itself.
        let running = OsString::from("/proc/self/exe");
        let there = cfg!(target_os = "linux") && std::path::Path::new(&running).exists();
        line[0] = if there { running } else { std::env::current_exe().ok()?.into_os_string() };
    }
    Some(line)
}

/// The builder of a router that can start model servers.
pub(crate) fn supervised(builder: RouterBuilder) -> RouterBuilder {
    match OWN.get() {
        Some(Some(own)) => builder.supervisor(own.clone()),
        _ => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    #[test]
    fn the_own_command_is_the_line_without_the_arguments() {
        let own =
            |line: &str, arguments: &str| own(words(line), &words(arguments)).map(|own| own.join(&OsString::from(" ")));
        let python = "/venv/bin/python -m cortensor_router";
        assert_eq!(own(&format!("{python} serve --port 0"), "cortensor-router serve --port 0"), Some(python.into()));
        assert_eq!(own("node cli.js serve", "cortensor-router serve"), Some("node cli.js".into()));
        assert_eq!(own("other program", "cortensor-router serve"), None);
        assert_eq!(own("", "cortensor-router serve"), None);
        let alone = own("cortensor-router serve", "cortensor-router serve").unwrap();
        assert!(std::path::Path::new(&alone).exists(), "{alone:?}");
    }

    #[test]
    fn other_arguments_are_no_supervision() {
        for line in [
            "cortensor-router",
            "cortensor-router serve",
            "cortensor-router supervise x",
            "c supervise --stop-timeout-ms x -- true",
        ] {
            assert_eq!(answered(&words(line)), None, "{line}");
        }
    }
}
