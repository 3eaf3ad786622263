//! A store that moves to another place, with the routers before and after it.

use cortensor_router_testkit::Postgres;
use serde_json::Value;

use crate::command::{Home, Said, until};
use crate::echo;

fn json(said: &Said) -> Value {
    assert_eq!(said.status, 0, "{}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.stdout))
}

/// The rows of each kind with their hashes.
fn copied(said: &Said) -> Value {
    json(said)["copied"].clone()
}

/// A store with a key, a session and tasks goes to a database and back. The routers after the copies know the key and
/// the tasks, and give new ids.
#[test]
fn a_store_goes_to_a_database_and_back() {
    let Some(database) = Postgres::start() else { return };
    let home = Home::new();
    let [first, back] = ["first", "back"].map(|name| format!("{}/{name}", home.path()));
    let url = database.url();
    let made = home.run(&["key", "create", "--name", "ops", "--scope", "admin,submit,read", "--data-dir", &first]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let token = made.stdout.trim().to_owned();
    let client = |server: &str, arguments: &[&str]| {
        home.command(arguments).env("CORTENSOR_URL", server).env("CORTENSOR_TOKEN", &token).output()
    };
    let server = home.serve(&["--data-dir", &first]);
    let session = json(&client(&server.url, &["sessions", "create", "research", "--json"]));
    let id = session["id"].to_string();
    let keyed = ["submit", "--session", &id, "--no-stream", "--json", "--idempotency-key", "k", "one"];
    let task = json(&client(&server.url, &keyed));
    assert_eq!(server.terminate(), Some(0));

    // A task is open when its router is killed.
    let server = home.serve(&["--data-dir", &first, "--upstream", "http://127.0.0.1:1/v1"]);
    let body = r#"{"prompt":"late","async":true,"timeout":600}"#;
    let late = format!(
        "curl -sS -f -X POST {}/api/v1/completions/{id} -H 'Authorization: Bearer {token}' \
         -H 'Content-Type: application/json' -d '{body}'",
        server.url
    );
    let late = json(&home.shell(&late))["task_id"].to_string();

    // While the router runs, its store is in use.
    let refused = home.run(&["store", "copy", "--from", &first, "--to", &url]);
    assert_eq!(refused.status, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("the source") && refused.stderr.contains("is in use by"), "{}", refused.stderr);
    server.signal("KILL");
    server.wait();

    let there = home.run(&["store", "copy", "--from", &first, "--to", &url, "--json"]);
    let hashes = copied(&there);
    assert_eq!((&hashes[2]["rows"], &json(&there)["open_tasks"]), (&2.into(), &1.into()), "{}", there.stdout);
    let again = home.run(&["store", "copy", "--from", &first, "--to", &url]);
    assert_eq!(again.status, 5, "{}", again.stderr);
    assert!(again.stderr.contains("is not empty (sessions: 1"), "{}", again.stderr);

    let requests = |server: &str| {
        let used = json(&client(server, &["usage", "--session", &id, "--json"]));
        used["usage"].as_array().unwrap().iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>()
    };
    let server = home.serve(&["--store", &url, "--set", "echo=true"]);
    let show = || client(&server.url, &["tasks", "show", &id, &late]).stdout;
    until(show, |said| said.contains(echo("late").trim_end()));
    assert_eq!(requests(&server.url), 2);
    let joined = json(&client(&server.url, &keyed));
    assert_eq!(joined["task_id"], task["task_id"], "the idempotency key is known");
    let next = json(&client(&server.url, &["submit", "--session", &id, "--no-stream", "--json", "two"]));
    assert!(next["task_id"].as_u64() > late.parse().ok(), "{next}");
    assert_ne!(next["id"], task["id"]);
    let shown = client(&server.url, &["tasks", "show", &id, &task["task_id"].to_string()]).stdout;
    assert!(shown.contains(echo("one").trim_end()), "{shown}");
    assert_eq!(requests(&server.url), 3);
    // Nothing may be copied from a database that a router uses.
    let refused = home.run(&["store", "copy", "--from", &url, "--to", &back]);
    assert_eq!(refused.status, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("stop every router that uses it"), "{}", refused.stderr);
    assert_eq!(server.terminate(), Some(0));

    // The configured store is the source where none is named.
    let home_again = home.command(&["store", "copy", "--to", &back]).env("CORTENSOR_STORAGE_URL", &url).output();
    assert_eq!(home_again.status, 0, "{}", home_again.stderr);
    assert!(home_again.stdout.contains("equal to the source: 3 tasks"), "{}", home_again.stdout);
    assert!(!home_again.stdout.contains("router@"), "{}", home_again.stdout);
    let doctor = home.run(&["doctor", "--data-dir", &back]);
    assert!(doctor.stdout.contains("sound: 3 sessions, 3 tasks, 0 unfinished"), "{}", doctor.stdout);
    let server = home.serve(&["--data-dir", &back, "--set", "echo=true"]);
    let third = json(&client(&server.url, &["submit", "--session", &id, "--no-stream", "--json", "three"]));
    assert!(third["task_id"].as_u64() > next["task_id"].as_u64(), "{third}");
    assert_eq!(requests(&server.url), 4);
    let made = json(&client(&server.url, &["sessions", "create", "more", "--json"]));
    assert!(made["id"].as_u64() > session["id"].as_u64(), "{made}");
    assert_eq!(server.terminate(), Some(0));
}

/// The process is killed while it copies. A router starts on the target, which is empty, and the next copy is whole.
#[test]
fn a_copy_that_is_killed_leaves_an_empty_target() {
    let Some(database) = Postgres::start() else { return };
    let home = Home::new();
    let [first, back] = ["first", "back"].map(|name| format!("{}/{name}", home.path()));
    let url = database.url();
    // The audit log, which comes last, has an entry.
    let made = home.run(&["key", "create", "--name", "ops", "--data-dir", &first]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let patient = ["--json", "--set", "storage.max_write_wait_ms=30000"];
    let copy =
        |from: &str, to: &str| home.command(&[&["store", "copy", "--from", from, "--to", to], &patient[..]].concat());
    let keys = |at: &str| {
        if at.starts_with("postgres") {
            home.command(&["key", "list", "--json"]).env("CORTENSOR_STORAGE_URL", at).output()
        } else {
            home.run(&["key", "list", "--json", "--data-dir", at])
        }
    };
    // The tables of the target are there.
    assert_eq!(json(&keys(&url))["count"], 0);
    for (from, to, mode) in [(&first, &url, "SHARE"), (&url, &back, "ACCESS EXCLUSIVE")] {
        let sees_lock = |granted: bool| {
            let sql = format!(
                "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'cortensor.audit'::regclass AND granted = {granted}
                     AND pid <> pg_backend_pid()"
            );
            until(|| database.psql(&sql).unwrap(), |said| said == "t");
        };
        std::thread::scope(|scope| {
            let hold = format!("BEGIN; LOCK TABLE cortensor.audit IN {mode} MODE; SELECT pg_sleep(60)");
            let database = &database;
            scope.spawn(move || database.psql(&hold));
            sees_lock(true);
            let mut copying = copy(from, to).start();
            sees_lock(false);
            copying.signal("KILL");
            assert_eq!(copying.wait(), None);
            let release = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'
                           AND pid <> pg_backend_pid()";
            assert_eq!(database.psql(release).as_deref(), Some("t"));
        });
        assert_eq!(json(&keys(to))["count"], 0, "{to}");
        assert_eq!(copied(&copy(from, to).output())[4]["rows"], 1);
        assert_eq!(json(&keys(to))["count"], 1, "{to}");
    }
}

#[test]
fn a_wrong_place_is_explained() {
    let home = Home::new();
    let dir = format!("{}/none", home.path());
    for (arguments, status, words) in [
        ([].as_slice(), 2, "--from"),
        (&["--to", "mysql://u:s3cret@h/d"], 2, "a store is a data directory, or a URL like postgres://"),
        (&["--to", ""], 2, "--to: a store is a data directory"),
        (&["--from", &dir, "--to", &format!("{dir}2")], 4, "there is no store in"),
        (&["--from", &dir, "--to", &dir], 2, "one store"),
        (&["--to", "postgres://u:s3cret@h/d", "--to-schema", "a\"b"], 2, "storage.schema must be a name"),
        (&["--to", &dir, "--to-schema", "x"], 2, "remove --to-schema"),
        (&["--to", &dir, "--set", "storage.durability=memory"], 2, "name one with --from"),
        (&["--from", "postgres://u:s3cret@127.0.0.1:1/d", "--to", &dir], 6, "the source: the store does not answer"),
    ] {
        let said = home.run(&[&["store", "copy"], arguments].concat());
        assert!(said.status == status && said.stderr.contains(words), "{words}: {} {}", said.status, said.stderr);
        assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);
    }
}
