//! The command as its users see it: processes, their output, their exit statuses and their reaction to signals.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[cfg(feature = "terminal")]
#[path = "cli/chat.rs"]
mod chat;
#[path = "cli/command.rs"]
mod command;
#[path = "cli/file_limit.rs"]
mod file_limit;
#[cfg(feature = "postgres")]
#[path = "cli/fleet.rs"]
mod fleet;
#[path = "cli/log.rs"]
mod log;
#[path = "cli/mcp.rs"]
mod mcp;
#[path = "cli/miner.rs"]
mod miner;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[path = "cli/model.rs"]
mod model;
#[path = "cli/model_server.rs"]
mod model_server;
#[cfg(feature = "otel")]
#[path = "cli/otel.rs"]
mod otel;
#[cfg(feature = "postgres")]
#[path = "cli/postgres.rs"]
mod postgres;
#[path = "cli/reload.rs"]
mod reload;
#[path = "cli/request.rs"]
mod request;
#[cfg(feature = "terminal")]
#[path = "cli/screen.rs"]
mod screen;
#[path = "cli/servers.rs"]
mod servers;
#[path = "cli/shells.rs"]
mod shells;
#[cfg(feature = "postgres")]
#[path = "cli/store.rs"]
mod store;
#[cfg(feature = "terminal")]
#[path = "cli/top.rs"]
mod top;
#[path = "cli/unheard.rs"]
mod unheard;
#[path = "cli/webhook.rs"]
mod webhook;

use command::{Home, output_of, shell, until};
use model::Model;

/// The built-in miner's answer to a prompt, as `submit` prints it.
fn echo(prompt: &str) -> String {
    format!("echo (built-in demo miner, no model): {prompt}\n")
}

/// Somebody who starts a router in front of a server that is not there reads so at once, and in the log when a task
/// fails.
#[test]
fn the_greeting_and_the_log_say_why_an_upstream_is_down() {
    let home = Home::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let arguments = ["--upstream", &format!("http://{address}/v1"), "--set", "dispatch.no_miner_grace_ms=1"];
    let server = home.serve(&arguments);
    let line = format!("{address}: it is down: cannot connect");
    assert!(server.greeting.contains(&line), "{}", server.greeting);
    let failed = server.client(&["submit", "hello"]);
    assert!(failed.stderr.contains("cannot connect"), "{}", failed.stderr);
    server.signal("TERM");
    let log = server.rest();
    let why = log.lines().find(|line| line.contains("no miner that could serve them is up"));
    assert!(why.is_some_and(|line| line.contains("cannot connect")), "{log}");
}

#[test]
fn serve_says_where_it_is_and_the_line_that_it_prints_works() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert!(server.greeting.contains("durability full"), "{}", server.greeting);
    assert!(server.greeting.contains("--upstream http://127.0.0.1:8080/v1"), "{}", server.greeting);
    let line = server.greeting.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    let said = shell(line);
    assert!(said.contains("Hello, router!") && said.trim_end().ends_with("data: [DONE]"), "{said}");
}

/// The pages whose shell examples run against a router with its defaults.
const EXAMPLES: &[&str] = &[
    "explanation/concepts.md",
    "how-to/mcp.md",
    "how-to/requests.md",
    "how-to/several-answers.md",
    "how-to/streams.md",
    "reference/agents.md",
    "reference/apis.md",
    "reference/command-line.md",
];

#[test]
fn the_examples_of_the_pages_work() {
    let pages = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let binaries = std::path::Path::new(env!("CARGO_BIN_EXE_cortensor-router")).parent().unwrap();
    let mut said = String::new();
    for page in EXAMPLES {
        let page = std::fs::read_to_string(pages.join(page)).unwrap();
        let chunks: Vec<&str> = page.split("```sh\n").collect();
        let is_run = |before: &str| !before.trim_end().lines().last().unwrap().starts_with("<!-- not run: ");
        let runs = chunks.windows(2).filter(|pair| is_run(pair[0]));
        let blocks: Vec<&str> = runs.map(|pair| pair[1].split("```").next().unwrap()).collect();
        let home = Home::new();
        let server = home.serve(&[]);
        let script = blocks.join("\n").replace("http://127.0.0.1:5010", &server.url);
        let path = format!("export PATH={}:$PATH CORTENSOR_URL={}\nset -eu\n", binaries.display(), server.url);
        said += &shell(&(path + &script));
    }
    // A response of the Responses API has a member `error`, which is null.
    assert!(!said.replace("\"error\":null", "").contains("\"error\""), "{said}");
    for wanted in ["\"name\":\"research\"", "Hello, router!", "data: [DONE]", "Why is the sky blue?", "STATE"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn submit_streams_and_tells_why_it_could_not() {
    let home = Home::new();
    let server = home.serve(&[]);
    let streamed = server.client(&["submit", "one two three"]);
    assert_eq!((streamed.stdout, streamed.status), (echo("one two three"), 0), "{}", streamed.stderr);
    let piped = home.command(&["submit", "-", "--url", &server.url]).with_input("from a pipe");
    assert_eq!(piped.stdout, echo("from a pipe"), "{}", piped.stderr);
    let whole = server.client(&["submit", "--no-stream", "--json", "--idempotency-key", "k", "say yes"]);
    let whole: serde_json::Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(whole["choices"][0]["text"], echo("say yes").trim_end());
    let joined = server.client(&["submit", "--no-stream", "--json", "--idempotency-key", "k", "say yes"]);
    let joined: serde_json::Value = serde_json::from_str(&joined.stdout).unwrap();
    assert_eq!(joined["task_id"], whole["task_id"]);
    let other = server.client(&["submit", "--no-stream", "--idempotency-key", "k", "say no"]);
    assert_eq!(other.status, 5, "{}", other.stderr);
    let events = server.client(&["submit", "--json", "one two"]);
    assert!(events.stdout.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));

    let refused = server.client(&["submit", "--token", "wrong", "hi"]);
    assert_eq!(refused.status, 3);
    assert!(
        refused.stderr.starts_with("error: Unauthorized") && refused.stderr.contains("CORTENSOR_TOKEN"),
        "{}",
        refused.stderr
    );
    assert_eq!(server.client(&["submit", "--session", "77", "hi"]).status, 4);
    let empty = server.client(&["submit", "  "]);
    assert_eq!((empty.status, empty.stderr.as_str()), (2, "error: the prompt is empty\n"));
    let nobody = home.run(&["submit", "hi", "--url", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status, 10);
    assert!(nobody.stderr.contains("cortensor-router serve"), "{}", nobody.stderr);
}

#[test]
fn sessions_tasks_miners_and_status_are_shown() {
    let home = Home::new();
    let server = home.serve(&[]);
    let made = server.client(&["sessions", "create", "research", "--priority", "5", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let id = made["id"].to_string();
    assert!(server.client(&["sessions", "list"]).stdout.contains("research"));
    assert!(server.client(&["sessions", "show", &id]).stdout.contains("priority          5"));
    assert_eq!(server.client(&["submit", "--session", &id, "a prompt"]).status, 0);
    let tasks = server.client(&["tasks", "list", &id]).stdout;
    assert!(tasks.contains("ended (ok)") && tasks.contains("a prompt"), "{tasks}");
    let task = server.client(&["tasks", "show", &id, "1"]).stdout;
    assert!(task.contains("answer") && task.contains("a prompt"), "{task}");
    let late = server.client(&["tasks", "cancel", &id, "1"]);
    assert_eq!(late.status, 5, "{}", late.stderr);
    assert!(server.client(&["miners"]).stdout.contains("echo"));
    let status = server.client(&["status"]).stdout;
    assert!(status.contains("sqlite, durability full") && status.contains("1 active of 1"), "{status}");
    assert!(server.client(&["sessions", "close", &id]).stdout.contains("is closed"));
    assert_eq!(server.client(&["submit", "--session", &id, "too late"]).status, 5);
    assert_eq!(server.client(&["tasks", "show", &id, "99"]).status, 4);
}

#[test]
fn a_router_with_a_certificate_of_its_own_is_reached_by_those_who_know_its_authority() {
    let home = Home::new();
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) =
        (home.write("cert.pem", &own.cert.pem()), home.write("key.pem", &own.signing_key.serialize_pem()));
    let config = home.write("tls.toml", &format!("[listen.tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    let server = home.serve(&["--config", &config]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    assert_eq!(server.client(&["submit", "--ca-file", &cert, "hi"]).stdout, echo("hi"));
    let stranger = server.client(&["status"]);
    assert!(stranger.status != 0 && stranger.stderr.contains("certificate"), "{}", stranger.stderr);
    // The data directory tells the command the router's address, and that it speaks TLS.
    let made = home.run(&["key", "create", "--name", "app", "--ca-file", &cert]);
    assert!(made.stdout.starts_with("ctr_"), "{}", made.stderr);
    let port = server.url.rsplit(':').next().unwrap();
    let doctor = home.command(&["doctor", "--config", &config]).env("CORTENSOR_LISTEN_PORT", port).output();
    assert!(doctor.stdout.contains("is served by process"), "{}{}", doctor.stdout, doctor.stderr);
    let wrong = server.client(&["status", "--ca-file", &key]);
    assert!(wrong.status == 2 && wrong.stderr.contains("--ca-file"), "{}", wrong.stderr);
}

#[test]
fn keys_are_made_used_and_revoked_with_and_without_a_server() {
    let home = Home::new();
    let before = home.run(&["key", "create", "--name", "ops", "--scope", "admin,submit,read"]);
    assert_eq!(before.status, 0, "{}", before.stderr);
    let admin = before.stdout.trim().to_owned();
    assert!(admin.starts_with("ctr_"), "{admin}");

    let server = home.serve(&[]);
    assert!(!server.greeting.contains(&admin));
    let made = home
        .command(&["key", "create", "--name", "app", "--ttl", "1h", "--json"])
        .env("CORTENSOR_TOKEN", &admin)
        .output();
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap_or_else(|_| panic!("{}", made.stderr));
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(made["scopes"], serde_json::json!(["submit", "read"]));
    assert_eq!(server.client(&["submit", "--token", token, "hi"]).stdout, echo("hi"));
    let denied = home.command(&["key", "list"]).env("CORTENSOR_TOKEN", token).output();
    assert_eq!(denied.status, 3, "{}{}", denied.stdout, denied.stderr);
    let list = home.command(&["key", "list"]).env("CORTENSOR_TOKEN", &admin).output().stdout;
    assert!(list.contains("ops") && list.contains("app") && list.contains(id), "{list}");
    assert!(!list.contains(token));
    let revoked = home.command(&["key", "revoke", id]).env("CORTENSOR_TOKEN", &admin).output();
    assert_eq!(revoked.status, 0, "{}", revoked.stderr);
    assert_eq!(server.client(&["submit", "--token", token, "hi"]).status, 3);
    let newest = home.command(&["audit", "--limit", "1", "--json"]).env("CORTENSOR_TOKEN", &admin).output();
    let newest: serde_json::Value =
        serde_json::from_str(&newest.stdout).unwrap_or_else(|_| panic!("{}", newest.stderr));
    let by = admin.split('_').nth(1).unwrap();
    let entry = &newest["audit"][0];
    assert_eq!((&entry["act"], &entry["subject"], &entry["key_id"]), (&"key_revoked".into(), &id.into(), &by.into()));
    assert_eq!(server.terminate(), Some(0));

    let audit = home.run(&["audit"]).stdout;
    let rows: Vec<Vec<&str>> = audit.lines().map(|line| line.split_whitespace().collect()).collect();
    let told: Vec<_> = rows.iter().map(|row| (row[0], row[2], row[3])).collect();
    let head = ("NUMBER", "WHO", "ACT");
    assert_eq!(told, [head, ("1", "command", "key_created"), ("2", by, "key_created"), ("3", by, "key_revoked")]);
    let wrong = home.run(&["audit", "--act", "reboot"]);
    assert!(wrong.status == 2 && wrong.stderr.contains("key_created"), "{}", wrong.stderr);

    let list = home.run(&["key", "list"]).stdout;
    assert!(list.contains("ops") && !list.contains(id), "{list}");
    assert_eq!(home.run(&["key", "revoke", id]).status, 4);
    assert_eq!(home.run(&["key", "revoke", &admin]).status, 0);
    assert_eq!(home.run(&["key", "create", "--name", "x", "--scope", "root"]).status, 2);
}

#[test]
fn the_command_makes_an_administrator_on_the_data_directory_whatever_keys_there_are() {
    let home = Home::new();
    let server = home.serve(&[]);
    let first = home.run(&["key", "create", "--name", "ops", "--scope", "admin"]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    // The development token is not accepted from any client now.
    let refused = server.client(&["submit", "hi"]);
    assert_eq!(refused.status, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("default-dev-token is refused"), "{}", refused.stderr);
    let second = home.run(&["key", "create", "--name", "again", "--scope", "admin"]);
    assert_eq!(second.status, 0, "{}", second.stderr);
    let list = home.command(&["key", "list"]).env("CORTENSOR_TOKEN", second.stdout.trim()).output().stdout;
    assert!(list.contains("ops") && list.contains("again"), "{list}");
    assert_eq!(server.terminate(), Some(0));
    let server = home.serve(&[]);
    assert!(!server.greeting.contains("default-dev-token"), "{}", server.greeting);
    assert_eq!(server.client(&["submit", "hi"]).status, 3);
    assert_eq!(home.run(&["key", "create", "--name", "third", "--scope", "admin"]).status, 0);
}

#[test]
fn a_second_server_is_told_who_has_the_data_and_who_has_the_port() {
    let home = Home::new();
    let server = home.serve(&[]);
    let second = home.run(&["serve", "--port", "0"]);
    assert_eq!(second.status, 1);
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    let pid = server.pid().to_string();
    assert!(second.stderr.contains(&pid) && second.stderr.contains(server.address()), "{}", second.stderr);
    let port = server.address().rsplit(':').next().unwrap();
    let other = Home::new().run(&["serve", "--port", port]);
    assert_eq!(other.status, 1);
    assert!(other.stderr.starts_with("error: ") && other.stderr.contains("--port"), "{}", other.stderr);
    let open = home.run(&["serve", "--host", "0.0.0.0", "--durability", "memory", "--port", "0"]);
    assert!(open.status != 0 && open.stderr.contains("token"), "{}", open.stderr);
}

#[test]
fn a_terminated_server_lets_running_tasks_end() {
    let (home, model) = (Home::new(), Model::start());
    let server = home.serve(&["--upstream", &model.url()]);
    let submit = home.command(&["submit", "go on", "--url", &server.url]).start();
    model.wait_for_request();
    server.signal("TERM");
    server.wait_for_stderr("stopping");
    let refused = home.run(&["submit", "new work", "--url", &server.url]);
    assert_eq!(refused.status, 6, "{}", refused.stderr);
    model.answer(" and ended");
    let answer = submit.output();
    assert_eq!((answer.stdout.as_str(), answer.status), ("first and ended\n", 0), "{}", answer.stderr);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn what_runs_when_the_time_to_drain_is_up_is_told_so_on_its_connection() {
    use std::io::{Read as _, Write as _};
    use std::time::{Duration, Instant};
    let (home, model) = (Home::new(), Model::start());
    let server = home.serve(&["--upstream", &model.url(), "--set", "listen.drain_timeout_ms=400"]);
    let ask = |path: &str, stream: bool| {
        let mut connection = std::net::TcpStream::connect(server.address()).unwrap();
        let body = format!(
            r#"{{"model":"mock-model","prompt":"x","messages":[{{"role":"user","content":"x"}}],"stream":{stream}}}"#
        );
        write!(
            connection,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        model.wait_for_request();
        connection
    };
    let asked = [
        (ask("/v1/chat/completions", false), "HTTP/1.1 503"),
        (ask("/v1/chat/completions", true), "HTTP/1.1 200"),
        (ask("/api/v1/completions", false), "HTTP/1.1 503"),
        (ask("/api/v1/completions", true), "HTTP/1.1 200"),
    ];
    let since = Instant::now();
    server.signal("TERM");
    for (mut connection, status) in asked {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(status) && answer.contains("\"code\":\"closed\""), "{answer}");
    }
    let took = since.elapsed();
    assert!(took > Duration::from_millis(350) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once_and_the_task_is_there_at_the_next_start() {
    let (home, model) = (Home::new(), Model::start());
    let server = home.serve(&["--upstream", &model.url()]);
    let submit = home.command(&["submit", "unfinished", "--url", &server.url]).start();
    model.wait_for_request();
    server.signal("TERM");
    server.wait_for_stderr("stopping");
    assert_eq!(server.signal_until_end("TERM"), Some(130));
    assert_eq!(submit.output().status, 6);
    let again = home.serve(&[]);
    let tasks = again.client(&["tasks", "list", "0"]).stdout;
    assert!(tasks.contains("unfinished"), "{tasks}");
}

#[test]
fn an_interrupted_submit_cancels_its_task() {
    let (home, model) = (Home::new(), Model::start());
    let server = home.serve(&["--upstream", &model.url()]);
    let submit = home.command(&["submit", "never mind", "--url", &server.url]).start();
    model.wait_for_request();
    submit.signal("INT");
    assert_eq!(submit.output().status, 130);
    model.wait_for_hang_up();
    // The router shows the end once it is durable.
    until(|| server.client(&["tasks", "show", "0", "1"]).stdout, |task| task.contains("ended (cancelled)"));
}

#[test]
fn doctor_finds_what_is_wrong_and_what_is_right() {
    let (home, model) = (Home::new(), Model::start());
    let server = home.serve(&["--upstream", &model.url()]);
    let port = format!("listen.port={}", server.address().rsplit(':').next().unwrap());
    let upstream = format!("upstream={}", model.url());
    let good = home.run(&["doctor", "--set", &port, "--set", &upstream]);
    assert_eq!(good.status, 0, "{}", good.stdout);
    for wanted in ["is served by cortensor-router", "sound:", "serves mock-model", &server.pid().to_string()] {
        assert!(good.stdout.contains(wanted), "{wanted}: {}", good.stdout);
    }
    let bad = home.run(&[
        "doctor",
        "--set",
        "upstream=http://127.0.0.1:1/v1",
        "--set",
        &format!("listen.port={}", model.port()),
    ]);
    assert_eq!(bad.status, 1);
    assert!(bad.stdout.contains("fail  upstream") && bad.stdout.contains("fail  port"), "{}", bad.stdout);
    let wrong = home.command(&["doctor", "--json"]).env("CORTENSOR_LISTEN_PORT", "x").output();
    assert_eq!(wrong.status, 1);
    let wrong: serde_json::Value = serde_json::from_str(&wrong.stdout).unwrap();
    assert_eq!(wrong["findings"][0]["level"], "fail");
    assert!(wrong["findings"][0]["finding"].as_str().unwrap().contains("CORTENSOR_LISTEN_PORT"));
}

#[test]
fn the_configuration_is_checked_and_shown_without_secrets() {
    let home = Home::new();
    let file = home.write("router.toml", "[listen]\nprot = 1\n");
    let wrong = home.run(&["config", "check", "--config", &file]);
    assert_eq!(wrong.status, 2);
    assert!(
        wrong.stderr.contains("router.toml:2: unknown key \"listen.prot\": did you mean \"listen.port\"?"),
        "{}",
        wrong.stderr
    );
    let file = home.write("router.toml", "[[listen.token]]\nname = \"app\"\nvalue = \"s3cret-s3cret-s3cret\"\n");
    assert_eq!(home.run(&["config", "check", "--config", &file]).status, 0);
    let shown = home.run(&["config", "show", "--config", &file]).stdout;
    assert!(shown.contains("(set, hidden)") && !shown.contains("s3cret"), "{shown}");
    assert_eq!(home.run(&["config", "docs"]).stdout, cortensor_router::config::reference());
    let server = home.serve(&["--config", &file]);
    assert!(!server.greeting.contains("s3cret") && server.greeting.contains("$CORTENSOR_TOKEN"), "{}", server.greeting);
    assert_eq!(server.client(&["submit", "hi"]).status, 3);
    assert_eq!(server.client(&["submit", "--token", "s3cret-s3cret-s3cret", "hi"]).stdout, echo("hi"));
}

#[test]
fn the_demonstration_shows_an_answer_and_json_is_json() {
    let home = Home::new();
    let server = home.serve(&["--demo"]);
    server.wait_for_stdout("Demonstration:");
    server.wait_for_stdout("Tell me in one sentence what a router for AI inference does.");
    assert_eq!(server.terminate(), Some(0));
    let server = home.serve(&["--log-format", "json", "--log", "info"]);
    let said: serde_json::Value = serde_json::from_str(server.greeting.trim()).unwrap();
    assert_eq!(said["event"], "listening");
}

#[test]
fn help_and_completions_are_there_for_every_command() {
    let home = Home::new();
    let help = output_of(home.command(&["--help"]));
    for name in ["serve", "submit", "status", "sessions", "tasks", "miners", "key", "doctor", "config", "completions"] {
        assert!(help.contains(name), "{name}");
        assert_eq!(home.run(&[name, "--help"]).status, 0);
    }
    for name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(home.run(&["completions", name]).stdout.contains("cortensor-router"), "{name}");
    }
    assert_eq!(home.run(&["no-such-command"]).status, 2);
}
