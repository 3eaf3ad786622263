//! Several routers on one PostgreSQL, as processes that are killed, stopped and started again.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cortensor_router_testkit::upstream::{Say, Upstream};
use cortensor_router_testkit::{Pooler, Postgres};
use serde_json::{Value, json};

use crate::command::{Home, PATIENCE, Server, until};
use crate::webhook::receiver;

/// A short lease, so that the tests need not wait long for a router that is dead.
const LEASE: &str = "storage.lease_ms=2000";

/// Model servers for the routers, each of which takes a while for an answer.
struct Models {
    runtime: tokio::runtime::Runtime,
    slow: Upstream,
}

impl Models {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let slow = runtime.block_on(Upstream::new(|_, body| {
            let asked: Value = serde_json::from_str(body).unwrap();
            let prompt = asked["messages"][0]["content"].as_str().or(asked["prompt"].as_str()).unwrap_or_default();
            let wait = if prompt.contains("long") { 20_000 } else { 300 };
            let piece = |text: &str, end: Option<&str>| {
                let choice = json!({ "index": 0, "text": text, "delta": { "content": text }, "finish_reason": end });
                format!("data: {}\n\n", json!({ "choices": [choice] }))
            };
            let mut said: Vec<(u64, String)> = Vec::new();
            // A prompt in words is answered word by word.
            for (at, word) in format!("re {prompt}").split_inclusive(' ').enumerate() {
                said.push((if at == 0 { wait } else { 50 }, piece(word, None)));
            }
            said.extend([(50, piece("!", Some("stop"))), (0, "data: [DONE]\n\n".to_owned())]);
            Say::Slowly(said)
        }));
        Self { runtime, slow }
    }
}

/// A task that a client was told of.
type Told = (u64, u64, String);

fn start<'a>(home: &'a Home, models: &Models, database: &str, name: &str) -> Server<'a> {
    let name = format!("name={name}");
    let upstream = ["--upstream", &models.slow.url, "--set", "upstream.0.max_concurrency=3"];
    home.serve(&[&["--store", database, "--set", &name, "--set", LEASE], &upstream[..]].concat())
}

/// Sends a request. `None`: the router is not there, or says nothing within the test's patience.
fn ask(router: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(router).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    let status = said.split(' ').nth(1)?.parse().ok()?;
    let body = said.split_once("\r\n\r\n")?.1;
    // A body in chunks is one chunk here.
    let json = body.find('{').and_then(|from| Some(&body[from..=body.rfind('}')?]));
    Some((status, json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::String(body.to_owned()))))
}

fn submit(router: &Server<'_>, session: u64, prompt: &str) -> Option<Told> {
    let body = json!({ "prompt": prompt, "async": true, "session_id": session });
    let (status, said) = ask(router.address(), "POST", "/api/v1/completions", &body)?;
    let id = said["task_id"].as_u64()?;
    assert!((200..300).contains(&status), "{said}");
    Some((session, id, prompt.to_owned()))
}

fn task(router: &Server<'_>, (session, id, _): &Told) -> Value {
    let found = ask(router.address(), "GET", &format!("/api/v1/tasks/{session}/{id}"), &Value::Null);
    found.map_or(Value::Null, |(_, task)| task)
}

/// Waits until every task has ended well, as that router tells it.
fn all_end(router: &Server<'_>, told: &[Told], within: Duration) {
    let from = Instant::now();
    for one in told {
        loop {
            let found = task(router, one);
            if found["state"] == "ended" {
                assert_eq!(found["outcome"], "ok", "{found}");
                assert!(found.to_string().contains(&format!("re {}!", one.2)), "{found}");
                break;
            }
            assert!(from.elapsed() < within, "{one:?} has not ended: {found}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let ids: BTreeSet<(u64, u64)> = told.iter().map(|(session, id, _)| (*session, *id)).collect();
    assert_eq!(ids.len(), told.len(), "an id was given out twice");
}

/// One router is killed and another one stands still for longer than its lease. Nothing that was acknowledged is lost, and
/// nothing ends twice.
fn nothing_is_lost(database: &str, server: &Postgres) {
    let (home, models) = (Home::new(), Models::new());
    let routers = ["a", "b", "c"].map(|name| start(&home, &models, database, name));
    let mut told: Vec<Told> = Vec::new();
    for n in 0..30 {
        told.extend(submit(&routers[n % 3], 0, &format!("task {n}")));
    }
    assert_eq!(told.len(), 30);
    let [a, b, c] = routers;
    a.signal("KILL");
    b.signal("STOP");
    // They are read at the third router, whoever has them.
    all_end(&c, &told[..], Duration::from_secs(25));
    b.signal("CONT");
    let from = Instant::now();
    let again = loop {
        match submit(&b, 0, "after the pause") {
            Some(again) => break again,
            None => assert!(from.elapsed() < PATIENCE),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    told.push(again);
    all_end(&c, &told, Duration::from_secs(15));
    all_end(&b, &told, Duration::from_secs(15));
    assert_eq!(server.psql("SELECT count(*) FROM cortensor.task").unwrap(), "31");
    assert_eq!(server.psql("SELECT sum(requests) FROM cortensor.usage").unwrap(), "31", "each is counted once");
    drop((a, models.runtime));
}

#[test]
fn routers_that_die_or_stand_still_lose_nothing() {
    let Some(server) = Postgres::start() else { return };
    nothing_is_lost(&server.url(), &server);
}

#[test]
fn routers_behind_a_pooler_lose_nothing() {
    let Some(server) = Postgres::start() else { return };
    let Some(pooler) = Pooler::before(&server) else { return };
    nothing_is_lost(&pooler.url(), &server);
}

#[test]
fn a_database_that_starts_again_costs_no_task() {
    let Some(mut server) = Postgres::start() else { return };
    let (home, models, url) = (Home::new(), Models::new(), server.url());
    let (a, b) = (start(&home, &models, &url, "a"), start(&home, &models, &url, "b"));
    let mut told: Vec<Told> =
        (0..8).filter_map(|n| submit(if n % 2 == 0 { &a } else { &b }, 0, &format!("{n}"))).collect();
    assert_eq!(told.len(), 8);
    server.stop();
    server.restart();
    all_end(&b, &told, Duration::from_secs(25));
    told.extend(submit(&a, 0, "afterwards"));
    assert_eq!(told.len(), 9);
    all_end(&b, &told, Duration::from_secs(15));
    drop(models.runtime);
}

#[test]
fn what_one_router_has_the_others_show_and_cancel() {
    let Some(server) = Postgres::start() else { return };
    let (home, models, url) = (Home::new(), Models::new(), server.url());
    let (a, b) = (start(&home, &models, &url, "a"), start(&home, &models, &url, "b"));
    // A session that one makes is there at the other at once.
    let (_, made) = ask(a.address(), "POST", "/api/v1/sessions", &json!({ "name": "shared" })).unwrap();
    let session = made["id"].as_u64().unwrap();
    let long = submit(&b, session, "long").unwrap();
    assert_ne!(task(&a, &long)["state"], "ended");
    // A stream at the other router gets the text once it is there.
    let quick = submit(&b, session, "quick").unwrap();
    let path = format!("/api/v1/tasks/{}/{}/stream", quick.0, quick.1);
    let (status, streamed) = ask(a.address(), "GET", &path, &Value::Null).unwrap();
    assert!(status == 200 && streamed.to_string().contains("re quick!"), "{status} {streamed}");
    // The owner ends a task that is cancelled elsewhere.
    let path = format!("/api/v1/tasks/{}/{}", long.0, long.1);
    let (status, cancelled) = ask(a.address(), "DELETE", &path, &Value::Null).unwrap();
    assert_eq!(status, 200, "{cancelled}");
    assert_eq!(task(&b, &long)["outcome"], "cancelled");
    // A key that the command makes in the database counts at both at once.
    let key = home.command(&["key", "create", "--name", "app", "--json"]).env("CORTENSOR_STORAGE_URL", &url).output();
    assert_eq!(key.status, 0, "{}", key.stderr);
    let key: Value = serde_json::from_str(&key.stdout).unwrap();
    let token = key["token"].as_str().unwrap();
    for router in [&a, &b] {
        let said = home.command(&["submit", "hello", "--token", token]).env("CORTENSOR_URL", &router.url).output();
        assert_eq!(said.status, 0, "{}", said.stderr);
    }
    let doctor = home.command(&["doctor"]).env("CORTENSOR_STORAGE_URL", &url).output().stdout;
    assert!(doctor.contains("the router \"a\"") && doctor.contains("the router \"b\""), "{doctor}");
    // One that drains gives what it has not begun to the other, and what it has done stays readable.
    let told: Vec<Told> = (0..12).filter_map(|n| submit(&a, session, &format!("queued {n}"))).collect();
    assert_eq!(told.len(), 12);
    assert_eq!(a.terminate(), Some(0));
    all_end(&b, &told, Duration::from_secs(25));
    drop(models.runtime);
}

/// A router that is killed leaves a message behind whose receiver has not answered. Another router sends it again.
#[test]
fn the_webhook_of_a_router_that_dies_is_sent_by_another() {
    let Some(server) = Postgres::start() else { return };
    let (home, models, database) = (Home::new(), Models::new(), server.url());
    let takes = Arc::new(AtomicBool::new(false));
    let (hook, told) = receiver(&takes);
    let join = |name: &str| {
        let (name, networks) = (format!("name={name}"), "webhooks.networks=127.0.0.1");
        let flags = ["--store", &database, "--set", &name, "--set", LEASE, "--set", networks];
        home.serve(&[&flags[..], &["--upstream", &models.slow.url]].concat())
    };
    let (a, b) = (join("a"), join("b"));
    let webhook = json!({ "url": hook, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
    let body = json!({ "prompt": "hooked", "async": true, "session_id": 0, "webhook": webhook });
    let (status, said) = ask(a.address(), "POST", "/api/v1/completions", &body).unwrap();
    assert!((200..300).contains(&status), "{said}");
    let ids: Told = (0, said["task_id"].as_u64().unwrap(), "hooked".to_owned());
    let first = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(task(&b, &ids)["webhook"]["state"], "pending", "the other router shows it");
    takes.store(true, Ordering::SeqCst);
    a.signal("KILL");
    let second = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(second.body, first.body);
    until(|| task(&b, &ids)["webhook"].to_string(), |shown| shown.contains("delivered"));
    // The first one starts again, and has nothing to send.
    let a = join("a");
    assert_eq!(task(&a, &ids)["webhook"]["state"], "delivered");
    assert_eq!(server.psql("SELECT count(*) FROM cortensor.outbox WHERE pending").unwrap(), "0");
    assert!(told.try_recv().is_err(), "a message that was taken is not sent again");
}

/// The routers as that one sees them, once every one has a link.
fn linked(router: &Server<'_>, count: usize) -> Vec<Value> {
    let from = Instant::now();
    loop {
        let (_, fleet) = ask(router.address(), "GET", "/api/v1/fleet", &Value::Null).unwrap();
        let members = fleet["members"].as_array().unwrap().clone();
        let has_link = |member: &Value| member["link"] == "own" || member["link"] == "up";
        if members.len() == count && members.iter().all(has_link) {
            return members;
        }
        assert!(from.elapsed() < PATIENCE, "{fleet}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn routers_are_linked_and_read_each_others_tasks_as_they_run() {
    let Some(server) = Postgres::start() else { return };
    let (home, models, url) = (Home::new(), Models::new(), server.url());
    let (a, b) = (start(&home, &models, &url, "a"), start(&home, &models, &url, "b"));
    let members = linked(&a, 2);
    assert_eq!(linked(&b, 2).len(), 2);
    let names: Vec<&Value> = members.iter().map(|member| &member["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(members.iter().all(|member| member["state"] == "up" && member["address"] != ""), "{members:?}");
    // Each piece of a task is seen at the other router with the number that it has at its owner.
    let words = "one two three four five six seven eight";
    let told = submit(&a, 0, words).unwrap();
    let path = format!("/api/v1/tasks/{}/{}/stream", told.0, told.1);
    let streamed = |router: &Server<'_>, path: &str| {
        let (status, said) = ask(router.address(), "GET", path, &Value::Null).unwrap();
        let text = said.as_str().unwrap_or_default().to_owned();
        assert!(status == 200 && !text.contains("restart"), "{status} {said}");
        text
    };
    let (here, there) = (streamed(&b, &path), streamed(&a, &path));
    let ids = |said: &str| said.lines().filter(|line| line.starts_with("id:")).map(str::to_owned).collect::<Vec<_>>();
    assert!(ids(&here).len() >= words.split(' ').count(), "{here}");
    assert_eq!(ids(&here), ids(&there));
    // The command shows the routers.
    let status = home.command(&["fleet"]).env("CORTENSOR_URL", &b.url).output();
    let lines: Vec<&str> = status.stdout.lines().collect();
    assert!(status.status == 0 && lines.len() == 3 && lines[0].contains("ROUND TRIP"), "{}", status.stdout);
    let (_, metrics) = ask(a.address(), "GET", "/metrics", &Value::Null).unwrap();
    let metrics = metrics.as_str().unwrap_or_default();
    for line in ["cortensor_fleet_members{state=\"up\"} 2", "cortensor_fleet_links{state=\"up\"} 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // A router that is gone leaves the others' view.
    a.signal("KILL");
    linked(&b, 1);
    let alone = home.serve(&[]);
    let said = home.command(&["fleet"]).env("CORTENSOR_URL", &alone.url).output();
    assert!(said.stdout.contains("`storage.url`"), "{}", said.stdout);
    drop((a, models.runtime));
}

/// A router without upstreams.
fn start_alone<'a>(home: &'a Home, database: &str, name: &str) -> Server<'a> {
    home.serve(&["--store", database, "--set", &format!("name={name}"), "--set", LEASE])
}

/// The routers of the miners that a router shows, once they are so many.
fn routers_of_miners(router: &Server<'_>, count: usize) -> Vec<String> {
    let from = Instant::now();
    loop {
        let (_, said) = ask(router.address(), "GET", "/api/v1/miners", &Value::Null).unwrap();
        let miners = said["miners"].as_array().unwrap().iter();
        let routers: Vec<String> = miners.map(|miner| miner["router"].as_str().unwrap().to_owned()).collect();
        if routers.len() == count && !routers.contains(&"a".to_owned()) {
            return routers;
        }
        assert!(from.elapsed() < PATIENCE, "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A router that has no miner is served by those of the others: an upstream, and a miner that dialled in. A router that dies
/// in the middle of an answer is replaced by the other one, and all stands in the row of the one that was asked.
#[test]
fn a_prompt_is_served_by_miners_of_other_routers() {
    let Some(server) = Postgres::start() else { return };
    let (home, models, url) = (Home::new(), Models::new(), server.url());
    let (a, b) = (start_alone(&home, &url, "a"), start(&home, &models, &url, "b"));
    linked(&a, 2);
    assert_eq!(routers_of_miners(&a, 1), ["b"]);
    let told = submit(&a, 0, "one two three").unwrap();
    all_end(&a, std::slice::from_ref(&told), PATIENCE);
    let row = task(&a, &told);
    assert_eq!((&row["outcome"], &row["text"]), (&json!("ok"), &json!("re one two three!")), "{row}");
    assert_eq!(row["attempts"], 1, "{row}");
    let (_, models_there) = ask(a.address(), "GET", "/v1/models", &Value::Null).unwrap();
    let model = &models_there["data"][0]["id"];
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello there" }] });
    let (status, said) = ask(a.address(), "POST", "/v1/chat/completions", &body).unwrap();
    assert_eq!((status, &said["choices"][0]["message"]["content"]), (200, &json!("re hello there!")), "{said}");
    let (_, metrics) = ask(a.address(), "GET", "/metrics", &Value::Null).unwrap();
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(metrics.contains("cortensor_fleet_loans_total{side=\"borrowed\",end=\"used\"} 2"), "{metrics}");
    // A third router has a miner that dialled in.
    let c = start_alone(&home, &url, "c");
    let ws = c.url.replace("http://", "ws://");
    let made = c.client(&["miner-token", "create", "--name", "dials", "--json"]).stdout;
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    let key = home.write("seed", "").replace("seed", "key.pem");
    let backend = ["--backend", &models.slow.url, "--name", "dials", "--key-file", &key, "--log", "error"];
    let dials = home.command(&[&["miner", "--router", &ws, "--token", token], &backend[..]].concat()).start();
    linked(&a, 3);
    assert_eq!(routers_of_miners(&a, 2).len(), 2);
    let long = "eleven words which come one by one from a model server";
    let body = json!({ "prompt": long, "async": true, "session_id": 0, "stream": true, "on_failure": "restart" });
    let mut sent = Vec::new();
    for _ in 0..3 {
        let (_, said) = ask(a.address(), "POST", "/api/v1/completions", &body).unwrap();
        sent.push((said["session_id"].as_u64().unwrap(), said["task_id"].as_u64().unwrap(), long.to_owned()));
    }
    std::thread::sleep(Duration::from_millis(600));
    b.signal("KILL");
    all_end(&a, &sent, PATIENCE);
    for told in &sent {
        let row = task(&a, told);
        assert_eq!((&row["outcome"], &row["text"]), (&json!("ok"), &json!(format!("re {long}!"))), "{row}");
    }
    drop((a, b, c, dials, models.runtime));
}

#[test]
fn an_upstream_that_is_added_at_one_router_serves_at_the_others() {
    let Some(server) = Postgres::start() else { return };
    let (home, models, database) = (Home::new(), Models::new(), server.url());
    let join = |name: &str| {
        let name = format!("name={name}");
        let managed = ["--set", "listen.manage_upstreams=true", "--set", "listen.upstream_networks=127.0.0.1"];
        home.serve(&[&["--store", &database, "--set", &name, "--set", LEASE], &managed[..]].concat())
    };
    let (a, b) = (join("a"), join("b"));
    let key = home.command(&["key", "create", "--name", "ops", "--scope", "admin"]);
    let key = key.env("CORTENSOR_STORAGE_URL", &database).output().stdout;
    let run = |at: &Server<'_>, arguments: &[&str]| {
        home.command(&[arguments, &["--url", &at.url, "--token", key.trim()]].concat()).output()
    };
    let list = |at: &Server<'_>| run(at, &["upstreams", "list"]).stdout;
    let added = run(&a, &["upstreams", "add", "gpu", &models.slow.url, "--field", "max_concurrency=3"]);
    assert_eq!(added.status, 0, "{}", added.stderr);
    until(|| list(&b), |list| list.contains("gpu") && list.contains(" up "));
    let said = run(&b, &["submit", "hello"]);
    assert_eq!((said.stdout.as_str(), said.status), ("re hello!\n", 0), "{}", said.stderr);
    // Its name is taken everywhere, and it is changed and removed from anywhere.
    assert_eq!(run(&b, &["upstreams", "add", "gpu", &models.slow.url]).status, 5);
    assert_eq!(run(&b, &["upstreams", "drain", "gpu"]).status, 0);
    until(|| list(&a), |list| list.contains("drained"));
    assert_eq!(run(&a, &["upstreams", "resume", "gpu"]).status, 0);
    until(|| list(&b), |list| list.contains(" up "));
    assert_eq!(run(&b, &["upstreams", "remove", "gpu"]).status, 0);
    until(|| list(&a), |list| !list.contains("gpu"));
    assert_eq!(run(&a, &["upstreams", "remove", "gpu"]).status, 4);
    drop(models.runtime);
}

#[test]
fn the_example_of_a_fleet_shows_a_stream_that_goes_on() {
    let Some(server) = Postgres::start() else { return };
    let home = Home::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/fleet/run.sh");
    let call = home.program("bash", &[script]).env("CORTENSOR_STORAGE_URL", &server.url());
    let said = call.env("CORTENSOR_ROUTER", env!("CARGO_BIN_EXE_cortensor-router")).output();
    assert_eq!(said.status, 0, "{}\n{}", said.stdout, said.stderr);
    let (_, streamed) = said.stdout.split_once("router-1 is killed").unwrap();
    let (streamed, shown) = streamed.split_once("== The task, as router-3 has it").unwrap();
    assert!(streamed.contains("restart") && streamed.matches("fleet ").count() >= 2, "{streamed}");
    assert!(shown.contains("A fleet of routers goes on when one of them dies"), "{shown}");
}

#[test]
fn a_port_for_links_that_is_taken_is_named() {
    let Some(server) = Postgres::start() else { return };
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = format!("fleet.port={}", taken.local_addr().unwrap().port());
    let home = Home::new();
    let said = home.run(&["serve", "--port", "0", "--store", &server.url(), "--set", &port]);
    assert!(said.status != 0 && said.stderr.contains("fleet.port"), "{}", said.stderr);
    let said = home.run(&["serve", "--port", "0", "--store", &server.url(), "--set", "fleet.host=192.0.2.1"]);
    assert!(said.status != 0 && said.stderr.contains("fleet.host"), "{}", said.stderr);
}

#[test]
fn two_routers_of_one_name_are_told_apart() {
    let Some(server) = Postgres::start() else { return };
    let (home, other, url) = (Home::new(), Home::new(), server.url());
    let first = home.serve(&["--store", &url, "--set", "name=gpu-1"]);
    let said = other.run(&["serve", "--port", "0", "--store", &url, "--set", "name=gpu-1"]);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert!(
        said.stderr.contains("another router called \"gpu-1\"") && said.stderr.contains("`name`"),
        "{}",
        said.stderr
    );
    let second = other.serve(&["--store", &url, "--set", "name=gpu-2"]);
    assert_eq!(second.client(&["submit", "hello"]).status, 0);
    assert_eq!(first.client(&["submit", "hello"]).status, 0);
}
