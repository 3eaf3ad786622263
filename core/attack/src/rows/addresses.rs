//! URLs by which a caller might make the router reach this machine, its network, or the metadata of a cloud.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Outcome;
use crate::http::Ask;
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command};

/// Hosts that lead to this machine, its network, or a cloud's metadata, in the spellings that some reader takes.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "0.0.0.0",
    "0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
];

/// A secret of a webhook.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The time within which a message of an honest webhook arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on every address of this machine that counts its callers.
fn listen() -> Outcome<(u16, Arc<AtomicUsize>)> {
    let told = |error: std::io::Error| format!("no server for the attacks: {error}");
    let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).map_err(told)?;
    let port = listener.local_addr().map_err(told)?.port();
    let callers = Arc::new(AtomicUsize::new(0));
    let counted = callers.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            // Whatever comes, the caller may go on.
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    Ok((port, callers))
}

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let (port, callers) = listen()?;
    let reached = || callers.load(Ordering::SeqCst);
    let retries = "[webhooks]\nretry_base_ms = 1\nmax_tries = 3\ntimeout_ms = 200\n";
    let target = command.guarded(&format!("echo = true\n{retries}[listen]\nmanage_upstreams = true\n"))?;
    let mut tally = Tally::default();
    for (at, host) in HOSTS.iter().enumerate() {
        for url in [format!("http://{host}:{port}/v1"), format!("https://{host}:{port}/v1")] {
            let before = reached();
            let upstream = json!({"name": format!("attack-{at}"), "url": url, "connect_timeout_ms": 200});
            let added = target.send(Ask::post("/api/v1/upstreams", &upstream).token(ADMIN))?;
            // A spelling that is no address to the router is a name that leads nowhere.
            if added.status == 201 {
                target.admin(Ask::new("DELETE", &format!("/api/v1/upstreams/attack-{at}")))?;
            }
            let body = json!({"prompt": "hi", "webhook": {"url": url, "secret": SECRET}});
            let sent = target.send(Ask::post("/api/v1/completions/0", &body).token(ADMIN))?;
            tally.must(sent.status == 400 || sent.status == 200, || format!("{url}: {}", sent.told()));
            tally.must(reached() == before, || format!("{url} reached this machine"));
        }
    }
    // The messages that were taken are tried three times.
    let started = Instant::now();
    loop {
        let metrics = target.send(Ask::get("/metrics").token(ADMIN))?.text();
        if metrics.lines().any(|line| line == "cortensor_webhooks_pending 0") || started.elapsed() > PATIENCE {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    tally.must(reached() == 0, || format!("{} connections reached this machine", reached()));
    drop(target);
    // With the network named, the same address is reached.
    let target = command.guarded("echo = true\n[webhooks]\nnetworks = [\"127.0.0.1\"]\n")?;
    let url = format!("http://127.0.0.1:{port}/ended");
    let body = json!({"prompt": "hi", "webhook": {"url": url, "secret": SECRET}});
    target.admin(Ask::post("/api/v1/completions/0", &body))?;
    let started = Instant::now();
    while reached() == 0 && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    control(reached() > 0, || "a webhook of a named network gets no message".to_owned())?;
    tally.note(format!("{} spellings of addresses, as upstreams and as webhooks", HOSTS.len()));
    Ok(tally)
}
