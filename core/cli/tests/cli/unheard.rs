//! The command when its output is not read, or read by a program: closed pipes, full disks, SIGHUP, and JSON lines.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::Value;

use crate::command::{Home, until};
use crate::model::Model;

fn lines_of_json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"))).collect()
}

#[test]
fn a_router_whose_output_nobody_takes_serves_on() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let sinks: [(&str, Stdio, Stdio); 2] =
        [("a full disk", full().into(), full().into()), ("a closed pipe", gone().into(), gone().into())];
    for (name, stdout, stderr) in sinks {
        let home = Home::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let url = format!("http://127.0.0.1:{port}");
        let mut server = home.command(&["serve", "--port", &port, "--log", "trace"]).to(stdout, stderr).start();
        let client = |arguments: &[&str]| home.command(arguments).env("CORTENSOR_URL", &url).output();
        until(|| client(&["status"]).stdout, |said| said.contains("sqlite"));
        // The output of a miner is not read either.
        let router = url.replace("http", "ws");
        let miner = home.command(&["miner", "--echo", "--name", "m", "--router", &router, "--log", "trace"]);
        let miner = miner.to(full().into(), full().into()).start();
        until(|| client(&["miners"]).stdout, |said| said.lines().any(|line| line.starts_with('m')));
        let said = client(&["submit", "--no-stream", "hi"]);
        assert_eq!(said.status, 0, "{name}: {}", said.stderr);
        miner.signal("TERM");
        until(|| client(&["miners"]).stdout, |said| !said.lines().any(|line| line.starts_with("m ")));
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0), "{name}");
    }
}

#[test]
fn a_reader_of_the_log_that_is_stopped_holds_up_nobody() {
    let home = Home::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("http://127.0.0.1:{port}");
    // The test never reads these pipes, which hold 64 KiB.
    let server = home.command(&["serve", "--port", &port, "--log", "trace", "--durability", "memory"]);
    let mut server = server.to(Stdio::piped(), Stdio::piped()).start();
    let client = |arguments: &[&str]| home.command(arguments).env("CORTENSOR_URL", &url).output();
    until(|| client(&["status"]).stdout, |said| said.contains("memory"));
    for _ in 0..60 {
        let said = client(&["submit", "--no-stream", "hi"]);
        assert_eq!(said.status, 0, "{}", said.stderr);
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_hangup_never_ends_a_router() {
    let home = Home::new();
    let model = Model::start();
    let server = home.serve(&["--upstream", &model.url(), "--log", "info"]);
    server.signal("HUP");
    server.wait_for_stderr("SIGHUP");
    assert_eq!(server.client(&["status"]).status, 0);
    // The server must keep working during the drain too.
    let waits = home.command(&["submit", "hold"]).env("CORTENSOR_URL", &server.url).start();
    model.wait_for_request();
    server.signal("TERM");
    server.wait_for_stderr("stopping");
    server.signal("HUP");
    server.wait_for_stderr("SIGHUP");
    model.answer(" and ended");
    assert_eq!(waits.output().status, 0);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn every_line_of_a_router_that_logs_json_is_json() {
    let home = Home::new();
    let json = ["serve", "--port", "0", "--log", "info", "--log-format", "json"];
    let server = home.serve(&json[3..]);
    // A second server cannot start, because its data directory is in use. Its error must be JSON.
    let second = home.run(&json);
    assert!(second.status != 0 && second.stdout.is_empty(), "{}", second.stdout);
    let said = lines_of_json(&second.stderr);
    let last = said.last().unwrap();
    assert_eq!((&last["level"], &last["exit_status"]), (&Value::from("ERROR"), &Value::from(second.status)));
    assert!(last["message"].as_str().unwrap().contains("router") && last["timestamp"].is_string(), "{last}");
    for wrong in [&["--set", "no.such=1"][..], &["--port", "x"], &["--no-such-flag"], &["--config", "/nowhere"]] {
        let arguments = [&json[..], wrong].concat();
        let said = home.run(&arguments);
        let lines = lines_of_json(&said.stderr);
        assert!(said.status == 2 && lines.last().unwrap()["level"] == "ERROR", "{wrong:?}: {}", said.stderr);
    }
    let by_variable = home.command(&["serve", "--port", "x"]).env("CORTENSOR_LOG_FORMAT", "json").output();
    assert_eq!(lines_of_json(&by_variable.stderr).len(), 1, "{}", by_variable.stderr);
    server.signal("TERM");
    let lines = lines_of_json(&server.rest());
    assert!(lines.iter().any(|line| line["message"].as_str().is_some_and(|words| words.contains("stopping"))));
}

#[test]
fn an_error_of_a_command_that_prints_json_is_json() {
    let home = Home::new();
    let server = home.serve(&[]);
    for (arguments, status, code) in [
        (&["tasks", "show", "0", "99", "--json"][..], 4, Value::from("task_not_found")),
        (&["sessions", "show", "77", "--json"], 4, Value::from("session_not_found")),
        (&["submit", "--json", "--token", "wrong", "hi"], 3, Value::from("unauthorized")),
        (&["submit", "--json", "  "], 2, Value::Null),
        (&["status", "--json", "--no-such-flag"], 2, Value::from("usage")),
        (&["status", "--json", "--url", "http://127.0.0.1:1"], 10, Value::Null),
    ] {
        let said = server.client(arguments);
        let lines = lines_of_json(&said.stderr);
        assert_eq!(lines.len(), 1, "{arguments:?}: {}", said.stderr);
        assert_eq!((said.status, &lines[0]["code"], &lines[0]["exit_status"]), (status, &code, &Value::from(status)));
        assert!(lines[0]["error"].as_str().is_some_and(|words| !words.is_empty()), "{}", said.stderr);
        assert_eq!(said.stdout, "");
    }
    // After `--` the word is a prompt.
    let said = server.client(&["submit", "--session", "77", "--", "--json"]);
    assert!(said.stderr.starts_with("error: "), "{}", said.stderr);
}
