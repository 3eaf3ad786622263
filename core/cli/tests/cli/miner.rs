//! `miner` and `miner-token`, with a router that runs.

use serde_json::Value;

use crate::command::{Home, Running, output_of, until};

fn start(home: &Home, router: &str, arguments: &[&str]) -> Running {
    let mut all = vec!["miner", "--router", router, "--echo", "--health-every", "1s", "--log", "error"];
    all.extend_from_slice(arguments);
    home.command(&all).start()
}

#[test]
fn a_miner_is_enrolled_serves_a_router_and_drains() {
    let home = Home::new();
    let server = home.serve(&[]);
    let router = server.url.replace("http://", "ws://");
    let made =
        server.client(&["miner-token", "create", "--name", "gpu-1", "--owner", "alice", "--ttl", "1h", "--json"]);
    let made: Value = serde_json::from_str(&made.stdout).unwrap_or_else(|e| panic!("{e}: {}", made.stderr));
    let token = made["token"].as_str().unwrap();
    let listed = server.client(&["miner-token", "list"]).stdout;
    assert!(listed.contains("alice") && listed.contains(made["id"].as_str().unwrap()), "{listed}");
    let key = home.write("seed", "").replace("seed", "key.pem");
    let shown = || server.client(&["miners", "--json"]).stdout;
    let with_key = ["--name", "gpu-1", "--key-file", &key];
    let mut miner =
        start(&home, &router, &[&with_key[..], &["--token", token, "--health-addr", "127.0.0.1:0"]].concat());
    let health = miner.first_line();
    assert!(health.contains(&format!("connected to {router}/miner/v1")), "{health}");
    until(shown, |said| said.contains(r#""id":"gpu-1""#) && said.contains(r#""owner":"alice""#));
    let said = server.client(&["submit", "over the wire"]);
    assert!(said.stdout.contains("over the wire"), "{}", said.stderr);
    until(shown, |said| {
        let all: Value = serde_json::from_str(said).unwrap();
        let mine = all["miners"].as_array().unwrap().iter().find(|miner| miner["id"] == "gpu-1").cloned();
        mine.is_some_and(|miner| miner["completed"] == 1 && miner["kind"] == "remote")
    });
    miner.signal("TERM");
    let ended = miner.output();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(ended.stdout.trim_end().ends_with("1 done, 0 failed, 0 cancelled, draining"), "{}", ended.stdout);
    assert!(ended.stderr.contains("health: http://127.0.0.1:"), "{}", ended.stderr);
    assert!(server.client(&["miner-token", "list"]).stdout.contains("no tokens"), "it is spent");
    until(shown, |said| !said.contains("gpu-1"));
    // From now on the key alone is enough.
    let again = start(&home, &router, &with_key);
    until(shown, |said| said.contains(r#""id":"gpu-1""#));
    again.signal("INT");
    assert_eq!(again.output().status, 0);
}

#[test]
fn a_miner_says_what_keeps_it_away() {
    let home = Home::new();
    let server = home.serve(&[]);
    let router = server.url.replace("http://", "ws://");
    let mut miner = home
        .command(&["miner", "--router", &router, "--echo", "--token", "wrong", "--log-format", "json", "--log", "off"])
        .start();
    let health = miner.first_line();
    miner.signal("TERM");
    assert_eq!(miner.output().status, 0);
    let health: Value = serde_json::from_str(&health).unwrap_or_else(|e| panic!("{e}: {health}"));
    assert_eq!((&health["event"], &health["miner"]["connected"]), (&"health".into(), &false.into()));
    assert!(health["miner"]["last_error"].as_str().unwrap().contains("Unauthorized"), "{health}");
    for (wrong, word) in [
        (&["miner"][..], "--backend"),
        (&["miner", "--echo", "--router", "ftp://x"], "ws://"),
        (&["miner", "--echo", "--router", "wss://router.example"], "token"),
        (&["miner", "--echo", "--name", "with blanks"], "name"),
        (&["miner-token", "create", "--name", "x", "--ttl", "31d"], "30 days"),
    ] {
        let said = home.run(wrong);
        assert_eq!(said.status, 2, "{wrong:?}: {}", said.stderr);
        assert!(said.stderr.contains(word), "{wrong:?}: {}", said.stderr);
    }
    let offline = Home::new();
    let token = output_of(offline.command(&["miner-token", "create", "--name", "x"]));
    assert!(token.starts_with("ctr_"), "{token}");
    let id = token.split('_').nth(1).unwrap();
    assert!(output_of(offline.command(&["miner-token", "revoke", token.trim()])).contains(id));
}

#[test]
fn the_echo_answers_only_until_a_miner_was_there_and_only_where_it_may() {
    let hi = |server: &crate::command::Server<'_>| server.client(&["submit", "--timeout", "20", "hi"]);
    for more in [&["--set", "echo=false"][..], &["--set", "miners.grace_ms=1"]] {
        let home = Home::new();
        let said = hi(&home.serve(more));
        assert!(
            said.status != 0 && said.stderr.contains("start it with --upstream URL"),
            "{more:?}: {}{}",
            said.stdout,
            said.stderr
        );
    }
    let home = Home::new();
    let first = home.serve(&[]);
    assert_eq!(hi(&first).stdout, "echo (built-in demo miner, no model): hi\n");
    let router = first.url.replace("http://", "ws://");
    let miner = start(&home, &router, &["--name", "echo", "--token", "default-dev-token"]);
    let shown = || first.client(&["miners", "--json"]).stdout;
    until(shown, |said| said.contains(r#""kind":"remote""#));
    assert!(!shown().contains(r#""kind":"local""#), "{}", shown());
    miner.signal("TERM");
    assert_eq!(miner.output().status, 0);
    until(shown, |said| !said.contains(r#""kind":"remote""#));
    assert!(hi(&first).stderr.contains("start it with --upstream URL"));
    drop(first);
    assert!(
        hi(&home.serve(&[])).stderr.contains("start it with --upstream URL"),
        "the data directory knows of a miner"
    );
    assert!(hi(&home.serve(&["--set", "echo=true"])).stdout.starts_with("echo"));
}
