//! `top`: what its screen shows, and what it prints where there is no screen.

use crate::command::Home;
use crate::model::Model;
use crate::screen::Screen;

#[test]
fn top_shows_opens_and_cancels_tasks_and_survives_a_small_window_and_a_restart() {
    let home = Home::new();
    let model = Model::start();
    let config = home.write("r.toml", &format!("[[upstream]]\nurl = \"{}\"\nmax_concurrency = 1\n", model.url()));
    let server = home.serve(&["--config", &config]);
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let submit = |prompt| home.command(&["submit", prompt, "--url", &server.url]).start();
    let first = submit("the first prompt");
    model.wait_for_request();
    let second = submit("the second prompt");
    let url = [("CORTENSOR_URL", server.url.as_str())];
    let Some(screen) = Screen::start(&home, (110, 30), &url, &["top"]) else { return };
    screen.shows(&["queued 1", "running 1", "the first prompt", "the second prompt", "miners: 1", "default"]);

    screen.press(&["/"]);
    screen.types("second");
    screen.press(&["Enter"]);
    screen.until(|text| !text.contains("the first prompt"), "row less");
    screen.press(&["c"]);
    screen.shows(&["cancel task", "y: yes"]);
    screen.press(&["n", "c", "y"]);
    screen.shows(&["is cancelled", "queued 0", "tasks at work: 0"]);
    assert_eq!(second.output().status, 8);

    screen.press(&["Escape"]);
    screen.shows(&["the first prompt"]);
    screen.press(&["Enter"]);
    screen.shows(&["task 1 of session", "the first prompt", "answer", "first"]);
    model.answer(" and the rest");
    screen.shows(&["first and the rest", "ended (ok)"]);
    assert_eq!(first.output().status, 0);
    screen.press(&["Escape"]);
    screen.shows(&["tasks at work: 0"]);
    screen.press(&["?"]);
    screen.shows(&["cancel the task (asks first)"]);
    screen.press(&["x"]);

    screen.resize(40, 10);
    screen
        .until(|text| text.contains("1 tasks") && text.lines().all(|line| line.chars().count() <= 40), "small screen");
    screen.press(&["2"]);
    screen.shows(&["2 miners: 1"]);
    screen.resize(110, 30);

    assert_eq!(server.terminate(), Some(0));
    screen.shows(&["no answer for", "trying again"]);
    let again = home.serve(&["--config", &config, "--set", &format!("listen.port={port}")]);
    screen.until(|text| !text.contains("no answer") && text.contains("queued 0"), "router again");
    screen.press(&["q"]);
    assert_eq!(screen.ended(), 0);
    assert_eq!(again.terminate(), Some(0));
}

#[test]
fn top_changes_upstreams_and_reads_the_configuration_again() {
    let home = Home::new();
    let model = Model::start();
    let broken = "[[upstream]]\nname = 'broken'\nmodels = ['broken']\ncommand = ['/no/such/program', '{port}']\n";
    let config = home.write("r.toml", broken);
    let networks = ["--set", "listen.upstream_networks=127.0.0.1", "--set", "listen.manage_upstreams=true"];
    let server = home.serve(&[&["--config", &config][..], &networks].concat());
    let admin = home.run(&["key", "create", "--name", "ops", "--scope", "admin"]).stdout.trim().to_owned();
    let reader = home.run(&["key", "create", "--name", "board", "--scope", "read"]).stdout.trim().to_owned();
    let url = ("CORTENSOR_URL", server.url.as_str());
    let with = |token| Screen::start(&home, (110, 30), &[url, ("CORTENSOR_TOKEN", token)], &["top"]);
    let Some(screen) = with(&admin) else { return };
    screen.shows(&["4 upstreams: 1", "broken", "it cannot be started: /no/such/program"]);
    screen.press(&["4", "d"]);
    screen.shows(&["broken comes from the configuration: change it there, and press R"]);
    screen.press(&["Enter"]);
    screen.shows(&["upstream broken", "model server", "failures in a row"]);
    // An escape and a key that follow each other at once would be another key.
    screen.press(&["Escape"]);
    screen.shows(&["4 upstreams: 1"]);
    screen.press(&["a"]);
    screen.types("far http://10.0.0.1/v1");
    screen.press(&["Enter", "y"]);
    screen.shows(&["listen.upstream_networks"]);
    screen.press(&["a"]);
    screen.types(&format!("far {}", model.url()));
    screen.press(&["Enter"]);
    screen.shows(&["add the upstream far at", "y: yes"]);
    screen.press(&["y"]);
    screen.shows(&["far is added", "4 upstreams: 2", "managed", " up "]);
    screen.press(&["End", "d", "y"]);
    screen.shows(&["far finishes its tasks", "drained"]);
    screen.press(&["d", "y"]);
    screen.shows(&["far gets tasks again", " up "]);
    screen.press(&["x", "y"]);
    screen.shows(&["far is removed", "4 upstreams: 1"]);

    home.write("r.toml", &format!("{broken}[limits]\nmax_sessions = 5\n[storage]\nreader_threads = 3\n"));
    screen.press(&["R", "y"]);
    screen.shows(&["in force now: limits.max_sessions", "needs a restart: storage.reader_threads"]);
    home.write("r.toml", &format!("{broken}[limits]\nmax_sesions = 5\n"));
    screen.press(&["R", "y"]);
    screen.shows(&["nothing has changed: ", "r.toml:6: unknown key", "limits.max_sessions"]);
    screen.press(&["q"]);
    assert_eq!(screen.ended(), 0);

    let screen = with(&reader).unwrap();
    screen.shows(&["queued 0", "broken"]);
    screen.press(&["4"]);
    screen.shows(&["4 upstreams", "scope \"admin\""]);
    screen.press(&["a"]);
    screen.until(|text| text.matches("scope \"admin\"").count() == 2, "second word about the scope");
    screen.press(&["q"]);
    assert_eq!(screen.ended(), 0);
}

#[test]
fn top_gives_the_terminal_back_at_a_signal_and_has_no_color_where_none_is_wanted() {
    let home = Home::new();
    let server = home.serve(&[]);
    let color = |text: &str| text.split("\u{1b}[").skip(1).any(|code| code.starts_with('3') && !code.starts_with("39"));
    let url = ("CORTENSOR_URL", server.url.as_str());
    let Some(plain) = Screen::start(&home, (90, 24), &[url, ("NO_COLOR", "1")], &["top"]) else { return };
    let colored = Screen::start(&home, (90, 24), &[url, ("NO_COLOR", "")], &["top"]).unwrap();
    for screen in [&plain, &colored] {
        screen.shows(&["echo", "idle", "queued 0"]);
    }
    assert!(color(&colored.colored()) && !color(&plain.colored()), "{:?}", plain.colored());
    plain.signal("TERM");
    assert_eq!(plain.ended(), 130);
    colored.press(&["C-c"]);
    assert_eq!(colored.ended(), 0);
    let dumb = Screen::start(&home, (90, 24), &[url, ("TERM", "dumb")], &["top"]).unwrap();
    dumb.shows(&["TERM is dumb", "--once"]);
    assert_eq!(dumb.ended(), 2);
    let table = Screen::start(&home, (70, 24), &[url], &["miners"]).unwrap();
    table.shows(&["echo"]);
    assert!(table.colored().contains("\u{1b}[32midle"), "{:?}", table.colored());
}

#[test]
fn without_a_screen_the_state_is_printed_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(server.client(&["submit", "a word"]).status, 0);
    let said = server.client(&["top"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for words in ["queued", "first token", "no tasks", "echo", "SESSION", "default"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    let json = server.client(&["top", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["miners"][0]["id"], &json["status"]["queued_tasks"]), (&"echo".into(), &0.into()));
    assert!(json["first_token_p50_seconds"].is_number(), "{json}");
}

#[test]
fn top_says_at_once_what_is_wrong() {
    let home = Home::new();
    let nobody = home.run(&["top", "--url", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status, 10, "{}", nobody.stderr);
    for wrong in [["top", "--interval", "0"], ["top", "--url", "ftp://x"], ["top", "--wrong", "x"]] {
        assert_eq!(home.run(&wrong).status, 2, "{wrong:?}");
    }
    let made = home.run(&["key", "create", "--name", "app", "--scope", "submit"]);
    let admin = home.run(&["key", "create", "--name", "ops", "--scope", "admin"]);
    assert_eq!((made.status, admin.status), (0, 0));
    let server = home.serve(&[]);
    let denied = server.client(&["top", "--once", "--token", made.stdout.trim()]);
    assert_eq!(denied.status, 3, "{}", denied.stderr);
    // The development token has ended with the first key of an operator; the token of the data directory is used.
    assert_eq!(server.client(&["status"]).status, 3);
    let own = server.client(&["top", "--once"]);
    assert_eq!(own.status, 0, "{}", own.stderr);
    let model = Model::start();
    let stranger = home.run(&["top", "--once", "--url", &format!("http://127.0.0.1:{}", model.port())]);
    assert!(stranger.status != 0 && stranger.stderr.contains("cortensor-router"), "{}", stranger.stderr);
}
