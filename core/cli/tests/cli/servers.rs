//! Model servers that the router starts: when they start, when they end, and what callers see meanwhile.

use std::thread;

use crate::command::{Home, Said, until, until_true};
use crate::model_server::{Desk, lives, parent, signal};

/// A router as its callers see it, from any thread.
#[derive(Clone, Copy)]
struct Router<'a> {
    home: &'a Home,
    url: &'a str,
}

impl Router<'_> {
    fn client(self, arguments: &[&str]) -> Said {
        self.home.command(arguments).env("CORTENSOR_URL", self.url).output()
    }
}

/// Writes the configuration.
fn file(home: &Home, text: &str) -> String {
    home.write("router.toml", text)
}

/// The server of an upstream, as `upstreams list` tells of it.
fn record(router: Router<'_>, name: &str) -> serde_json::Value {
    let shown = router.client(&["upstreams", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
    let all = list["upstreams"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{}{}", shown.stdout, shown.stderr))["server"].take()
}

/// The status of a miner, as `miners` shows it.
fn status(router: Router<'_>, name: &str) -> String {
    let shown = router.client(&["miners", "--json"]);
    let miners: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
    let all = miners["miners"].as_array().or(miners.as_array()).cloned().unwrap_or_default();
    let found =
        all.iter().find(|miner| miner["id"] == name).unwrap_or_else(|| panic!("{}{}", shown.stdout, shown.stderr));
    format!("{} {}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap_or_default())
}

fn ask(router: Router<'_>, model: &str, prompt: &str) -> String {
    let said = router.client(&["submit", "--model", model, prompt]);
    assert_eq!(said.status, 0, "{model} {prompt}: {}", said.stderr);
    said.stdout
}

#[test]
fn a_command_is_all_that_a_real_model_needs() {
    let (home, desk) = (Home::new(), Desk::new());
    let server = home.serve(&["--run", &desk.line("tiny"), "--log", "info"]);
    let router = Router { home: &home, url: &server.url.clone() };
    assert!(server.greeting.contains("miners   env"), "{}", server.greeting);
    // Its models are not known before it has started, and a task for one of them waits for it.
    assert_eq!(ask(router, "tiny", "hello"), "tiny: hello\n");
    let [process] = desk.processes("tiny")[..] else { panic!("{:?}", desk.processes("tiny")) };
    assert!(lives(process));
    let shown = router.client(&["upstreams", "list", "--json"]).stdout;
    assert!(shown.contains("\"up\"") && shown.contains("http://127.0.0.1:"), "{shown}");
    server.signal("TERM");
    let log = server.rest();
    assert!(log.contains("tiny says hello"), "the output of the server is in the log: {log}");
    assert!(log.contains("a model server is ready"), "{log}");
    assert!(!lives(process), "the server ends before the router has ended");
}

#[test]
fn nothing_is_left_after_the_router_was_killed() {
    let (home, desk) = (Home::new(), Desk::new());
    let text = desk.upstream("tame", "plain", "") + &desk.upstream("wild", "stubborn", "stop_timeout_ms = 1");
    let path = file(&home, &text);
    let server = home.serve(&["--config", &path]);
    let router = Router { home: &home, url: &server.url.clone() };
    assert_eq!((ask(router, "tame", "a").as_str(), ask(router, "wild", "b").as_str()), ("tame: a\n", "wild: b\n"));
    let processes = [desk.processes("tame"), desk.processes("wild")].concat();
    assert!(processes.len() == 2 && processes.iter().all(|process| lives(*process)));
    server.signal("KILL");
    until_true("all servers end", || !processes.iter().any(|process| lives(*process)));
}

#[test]
fn a_server_starts_for_a_task_and_is_stopped_when_it_has_none() {
    let (home, desk) = (Home::new(), Desk::new());
    let path = file(&home, &desk.upstream("sleepy", "plain", "models = ['sleepy']\nidle_stop_ms = 1"));
    let server = home.serve(&["--config", &path, "--set", "dispatch.no_miner_grace_ms=1"]);
    let router = Router { home: &home, url: &server.url.clone() };
    assert!(status(router, "sleepy").starts_with("stopped "), "{}", status(router, "sleepy"));
    assert!(desk.processes("sleepy").is_empty());
    let new = record(router, "sleepy");
    assert_eq!(
        (&new["starts"], &new["since"], &new["output"]),
        (&0.into(), &serde_json::Value::Null, &serde_json::json!([]))
    );
    // It holds its health back, so that the task waits longer than for a miner that is down.
    desk.make("sleepy.holds");
    for turn in 1..=2 {
        thread::scope(|scope| {
            let asked = scope.spawn(|| ask(router, "sleepy", "hello"));
            until(|| status(router, "sleepy"), |status| status.starts_with("starting "));
            desk.remove("sleepy.holds");
            assert_eq!(asked.join().unwrap(), "sleepy: hello\n");
        });
        until(|| status(router, "sleepy"), |status| status.starts_with("stopped it is stopped: it had no task"));
        let processes = desk.processes("sleepy");
        assert!(processes.len() == turn && !processes.iter().any(|process| lives(*process)), "{processes:?}");
        desk.make("sleepy.holds");
    }
    let old = record(router, "sleepy");
    assert_eq!(
        (&old["starts"], &old["failures"], &old["idle_since"]),
        (&2.into(), &0.into(), &serde_json::Value::Null)
    );
    assert!(
        old["start_took_ms"].as_u64() > Some(0) && old["output"].to_string().contains("sleepy says hello"),
        "{old}"
    );
    let shown = router.client(&["miners", "--json"]).stdout;
    assert!(shown.contains("\"failed\":0") || shown.contains("\"failed\": 0"), "a stop is no fault: {shown}");
}

#[test]
fn servers_of_a_group_take_turns_and_finish_what_they_have() {
    let (home, desk) = (Home::new(), Desk::new());
    let of =
        |name: &str| desk.upstream(name, "plain", &format!("models = ['{name}']\ngroup = 'gpu'\nmin_stay_ms = 20"));
    let path = file(&home, &(of("left") + &of("right")));
    let server = home.serve(&["--config", &path, "--set", "dispatch.no_miner_grace_ms=1"]);
    let router = Router { home: &home, url: &server.url.clone() };
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(router, "left", "hold end"));
        desk.wait_for_begun("end");
        let second = scope.spawn(|| ask(router, "right", "hello"));
        until(
            || status(router, "left"),
            |status| status.starts_with("stopping it is being stopped: tasks wait for right"),
        );
        assert!(desk.processes("right").is_empty(), "the running task ends first");
        desk.make("end");
        assert_eq!(
            (first.join().unwrap(), second.join().unwrap()),
            ("left: hold end\n".into(), "right: hello\n".into())
        );
    });
    // Callers of both models, who ask all the time.
    thread::scope(|scope| {
        for model in ["left", "right", "left", "right"] {
            scope.spawn(move || {
                for turn in ["one", "two", "three"] {
                    assert_eq!(ask(router, model, turn), format!("{model}: {turn}\n"));
                }
            });
        }
    });
    assert!(desk.processes("left.with.right").is_empty() && desk.processes("right.with.left").is_empty());
    assert!(desk.processes("left").len() > 1, "it was started again");
}

#[test]
fn a_server_that_cannot_work_is_a_clear_answer() {
    let (home, desk) = (Home::new(), Desk::new());
    let none = "[[upstream]]\nname = 'none'\nmodels = ['none']\ncommand = ['/no/such/program', '{port}']\n";
    let text = none.to_owned()
        + &desk.upstream("dead", "dies", "models = ['dead']")
        + &desk.upstream("ill", "sick", "models = ['ill']\nstart_timeout_ms = 1");
    let path = file(&home, &text);
    let server = home.serve(&["--config", &path, "--set", "dispatch.no_miner_grace_ms=1"]);
    let router = Router { home: &home, url: &server.url.clone() };
    for (name, words) in [
        ("none", "it cannot be started: /no/such/program: No such file"),
        ("dead", "it ended by itself: exit status: 3; it said: "),
        ("ill", "it was not ready within start_timeout_ms = 1: "),
    ] {
        until(|| status(router, name), |status| status.starts_with("failed ") && status.contains(words));
        let said = router.client(&["submit", "--model", name, "hello"]);
        assert!(said.status != 0 && said.stderr.contains(words), "{name}: {}", said.stderr);
    }
    assert!(status(router, "dead").contains("dead has no weights"), "{}", status(router, "dead"));
    let dead = record(router, "dead");
    assert!(
        dead["failures"].as_u64() > Some(0) && dead["output"].to_string().contains("dead has no weights"),
        "{dead}"
    );
    server.signal("TERM");
    let log = server.rest();
    assert_eq!(log.matches("a model server failed").count().min(3), 3, "{log}");
}

#[test]
fn a_server_that_dies_in_the_middle_is_started_again() {
    let (home, desk) = (Home::new(), Desk::new());
    let path = file(&home, &desk.upstream("frail", "plain", "models = ['frail']\nrestart_backoff_ms = 1"));
    let server = home.serve(&["--config", &path]);
    let router = Router { home: &home, url: &server.url.clone() };
    let said = router.client(&["submit", "--model", "frail", "die"]);
    assert!(said.status != 0 && said.stdout.starts_with("frail: "), "{} {}", said.stdout, said.stderr);
    assert_eq!(ask(router, "frail", "hello"), "frail: hello\n");
    assert!(desk.processes("frail").len() >= 2);
}

#[test]
fn a_reload_that_changes_the_command_starts_another_process() {
    let (home, desk) = (Home::new(), Desk::new());
    let (before, after) = (desk.upstream("one", "plain", ""), desk.upstream("one", "plain", "env.MORE = 'x'"));
    let path = file(&home, &before);
    let server = home.serve(&["--config", &path]);
    let router = Router { home: &home, url: &server.url.clone() };
    assert_eq!(ask(router, "one", "a"), "one: a\n");
    let old = desk.processes("one");
    file(&home, &after.replace("env = { ", "env = { MORE = 'x', ").replace("env.MORE = 'x'\n", ""));
    assert_eq!(router.client(&["reload"]).status, 0);
    until_true("another process", || desk.processes("one").len() == 2);
    assert!(!lives(old[0]), "the old server ends before the new one starts");
    assert_eq!(ask(router, "one", "b"), "one: b\n");
    file(&home, "");
    assert_eq!(router.client(&["reload"]).status, 0);
    until_true("no process", || !desk.processes("one").iter().any(|process| lives(*process)));
}

#[test]
fn a_server_whose_supervisor_was_killed_ends_and_is_started_again() {
    let (home, desk) = (Home::new(), Desk::new());
    let path = file(&home, &desk.upstream("orphan", "stubborn", "restart_backoff_ms = 1\nstop_timeout_ms = 1"));
    let server = home.serve(&["--config", &path]);
    let router = Router { home: &home, url: &server.url.clone() };
    assert_eq!(ask(router, "orphan", "a"), "orphan: a\n");
    let process = desk.processes("orphan")[0];
    signal(parent(process), "KILL");
    until_true("the server ends", || !lives(process));
    assert_eq!(ask(router, "orphan", "b"), "orphan: b\n");
    assert_eq!(desk.processes("orphan").len(), 2);
}

/// A program that embeds the router is not the command, and must say where that is.
#[test]
fn a_program_that_embeds_the_router_names_the_command() {
    use cortensor_router::{Config, ErrorKind};
    let desk = Desk::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let open = async |more: &str| {
            let config = Config::from_toml(&(desk.upstream("own", "plain", "models = ['own']") + more)).unwrap();
            cortensor_router::Router::open(config).await
        };
        let error = open("").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.details().param.as_deref()),
            (ErrorKind::InvalidArgument, Some("upstream.command"))
        );
        assert!(error.message().contains("runtime.supervisor") && desk.processes("own").is_empty(), "{error}");
        let missing = "[dispatch]\nno_miner_grace_ms = 1\n[runtime]\nsupervisor = '/no/such/cortensor-router'";
        let missing = open(missing).await.unwrap();
        let failed = missing.complete("hello").await.unwrap_err();
        assert!(failed.message().contains("its supervisor /no/such/cortensor-router cannot be started"), "{failed}");
        missing.close().await;
        let command = env!("CARGO_BIN_EXE_cortensor-router");
        let router = open(&format!("[runtime]\nsupervisor = {command:?}")).await.unwrap();
        assert_eq!(router.complete("hello").await.unwrap().text(), "own: hello");
        let [process] = desk.processes("own")[..] else { panic!("{:?}", desk.processes("own")) };
        assert!(lives(process));
        router.close().await;
        assert!(!lives(process), "the server ends with the router");
    });
}
