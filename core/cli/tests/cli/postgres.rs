//! A router whose tasks are in PostgreSQL, as processes.

use cortensor_router_testkit::Postgres;
use serde_json::Value;

use crate::command::{Home, until};
use crate::echo;

/// A router that is killed loses nothing that it acknowledged, and the next one goes on at once.
#[test]
fn a_router_that_is_killed_goes_on_where_it_was() {
    let Some(database) = Postgres::start() else { return };
    let home = Home::new();
    let url = database.url();
    let first = home.serve(&["--store", &url]);
    assert!(first.greeting.contains("PostgreSQL, schema cortensor (durability full"), "{}", first.greeting);
    assert!(!first.greeting.contains("postgres://"), "{}", first.greeting);
    let said = first.client(&["submit", "one"]);
    assert_eq!((said.stdout, said.status), (echo("one"), 0), "{}", said.stderr);
    let status: Value = serde_json::from_str(&first.client(&["status", "--json"]).stdout).unwrap();
    assert!(status.to_string().contains("\"store\":\"postgres\""), "{status}");

    // While it runs, no other one gets its name, and the keys can be read beside it.
    let second = Home::new();
    let said = second.run(&["serve", "--port", "0", "--store", &url]);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert!(said.stderr.contains("another router called"), "{}", said.stderr);
    let said = second.command(&["key", "list"]).env("CORTENSOR_STORAGE_URL", &url).output();
    assert_eq!(said.status, 0, "{}", said.stderr);

    let said = first.client(&["submit", "two"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    first.signal("KILL");
    drop(first);
    let from = std::time::Instant::now();
    let next = home.serve(&["--store", &url]);
    assert!(from.elapsed().as_secs() < 8, "the machine knows that the first one is gone: {:?}", from.elapsed());
    let ask = || next.client(&["tasks", "list", "0", "--json"]).stdout;
    until(ask, |said| said.contains("one") && said.contains("two"));
    next.signal("TERM");
    drop(next);

    // Without a router, the command works with the database itself.
    let made = home.command(&["key", "create", "--name", "ops", "--scope", "admin"]).env("CORTENSOR_STORAGE_URL", &url);
    let made = made.output();
    assert_eq!(made.status, 0, "{}", made.stderr);
    let listed = home.command(&["key", "list"]).env("CORTENSOR_STORAGE_URL", &url).output();
    assert!(listed.stdout.contains("ops"), "{}", listed.stderr);
    let doctor = home.command(&["doctor"]).env("CORTENSOR_STORAGE_URL", &url).output().stdout;
    for line in ["database     PostgreSQL ", "schema       cortensor has version 4", "replication  no standby"] {
        assert!(doctor.contains(line), "{doctor}");
    }
}

#[test]
fn a_wrong_database_is_explained_without_its_password() {
    let home = Home::new();
    for (arguments, words) in [
        (["--store", "mysql://u:s3cret@h/d", "--log", "off"].as_slice(), "must begin with postgres://"),
        (&["--store", "postgres://u:s3cret@127.0.0.1:1/d"], "cannot be reached"),
        (&["--store", "postgres://u:s3cret@127.0.0.1:1/d", "--data-dir", "x"], "exclude each other"),
        (&["--store", "postgres://u:s3cret@127.0.0.1:1/d", "--durability", "memory"], "must be full or relaxed"),
        (&["--store", "postgres://u:s3cret@h/d?sslmode=prefer"], "sslmode"),
        (&["--store", "postgres://u:s3cret@h/d", "--set", "storage.schema=Not-A-Name"], "storage.schema must be"),
    ] {
        let said = home.run(&[&["serve", "--port", "0"], arguments].concat());
        assert!(said.status > 0 && said.stderr.contains(words), "{words}: {}", said.stderr);
        assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);
    }
    let shown = home.command(&["config", "show"]).env("CORTENSOR_STORAGE_URL", "postgres://u:s3cret@h/d").output();
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    assert!(!shown.stdout.contains("s3cret"), "{}", shown.stdout);
}
