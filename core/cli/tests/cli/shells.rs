//! Completions, asked for by the shells that are installed, and colours of plain commands.

use std::path::Path;
use std::process::Command;

use crate::command::{Home, Server, output_of};

fn complete(home: &Home, server: &Server<'_>, shell: &str, script: &str) -> Option<String> {
    if Command::new(shell).arg("--version").output().is_err() {
        return None;
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_cortensor-router")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display());
    let call = home.program(shell, &["-c", script]).env("PATH", &path).env("CORTENSOR_URL", &server.url);
    Some(output_of(call))
}

#[test]
fn shells_complete_the_names_that_the_router_knows() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(server.client(&["sessions", "create", "research"]).status, 0);
    assert_eq!(server.client(&["submit", "--session", "2", "a prompt"]).status, 0);
    let key = home.run(&["key", "create", "--name", "app", "--json"]);
    let key: serde_json::Value = serde_json::from_str(&key.stdout).unwrap();
    let bash = |words: &[&str]| {
        let (line, last) = (words.join(" "), words.len() - 1);
        let script = format!(
            "source <(cortensor-router completions bash); COMP_WORDS=({line}); COMP_CWORD={last}; COMP_TYPE=9\n\
             _clap_complete_cortensor_router cortensor-router {} x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[last]
        );
        complete(&home, &server, "bash", &script)
    };
    let name = "cortensor-router";
    for (words, wanted) in [
        (vec![name, "submit", "--model", "''"], "echo"),
        (vec![name, "sessions", "show", "''"], "2"),
        (vec![name, "tasks", "show", "2", "''"], "1"),
        (vec![name, "key", "revoke", "''"], key["id"].as_str().unwrap()),
        (vec![name, "sub"], "submit"),
    ] {
        let Some(said) = bash(&words) else { break };
        assert!(said.lines().any(|line| line == wanted), "{words:?}: {said:?}");
    }
    if let Some(said) = complete(
        &home,
        &server,
        "fish",
        "cortensor-router completions fish | source; complete -C 'cortensor-router submit --model '",
    ) {
        assert!(said.contains("echo"), "{said}");
    }
    let zsh = "source <(cortensor-router completions zsh | grep -v ^compdef)\n_CLAP_COMPLETE_INDEX=3 CORTENSOR_COMPLETE=zsh cortensor-router -- cortensor-router submit --model ''";
    if let Some(said) = complete(&home, &server, "zsh", zsh) {
        assert!(said.contains("echo"), "{said}");
    }
    // A router that is not there has no names, and costs no time.
    let gone = home
        .command(&["--", "cortensor-router", "submit", "--model", ""])
        .env("CORTENSOR_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "3")
        .env("CORTENSOR_URL", "http://127.0.0.1:1");
    assert_eq!(output_of(gone), "");
}

/// On a terminal, the tests of `top` look for them.
#[test]
fn colors_come_where_they_are_asked_for() {
    let home = Home::new();
    let server = home.serve(&["--log", "info", "--color", "always"]);
    server.wait_for_stderr("\u{1b}[32m INFO");
    let plain = server.client(&["miners"]).stdout;
    assert!(!plain.contains('\u{1b}') && plain.starts_with("MINER  KIND"), "{plain}");
    for (wish, variable, colored) in [
        ("auto", ("NO_COLOR", ""), false),
        ("auto", ("CLICOLOR_FORCE", "1"), true),
        ("always", ("NO_COLOR", "1"), true),
        ("never", ("CLICOLOR_FORCE", "1"), false),
    ] {
        let call = |command| {
            let call = home.command(&[command, "--url", &server.url, "--color", wish]);
            output_of(call.env(variable.0, variable.1))
        };
        assert_eq!(call("miners").contains("\u{1b}[32midle"), colored, "{wish} {variable:?}");
        assert_eq!(call("status").contains("\u{1b}[1mrouter"), colored, "{wish} {variable:?}");
    }
    assert!(!server.client(&["miners", "--json", "--color", "always"]).stdout.contains('\u{1b}'));
    let wrong = home.run(&["status", "--color", "pink"]);
    assert!(wrong.status == 2 && wrong.stderr.contains("auto"), "{}", wrong.stderr);
}

#[cfg(feature = "terminal")]
#[test]
fn the_manual_has_a_page_for_every_command() {
    let home = Home::new();
    let dir = format!("{}/man1", home.path());
    let said = home.run(&["man", "--dir", &dir]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for page in ["cortensor-router", "cortensor-router-serve", "cortensor-router-key-create"] {
        let page = std::fs::read_to_string(format!("{dir}/{page}.1")).unwrap();
        assert!(page.contains("EXIT STATUS"), "{page}");
    }
    assert!(home.run(&["man", "key", "create"]).stdout.contains("tokens_per_day"));
    assert_eq!(home.run(&["man", "nothing"]).status, 2);
}
