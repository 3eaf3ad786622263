//! A webhook gets its message although the router is killed between the end of the task and the delivery.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::command::{Home, PATIENCE};
use crate::request::Request;

/// Starts a receiver that takes messages while the flag is set, and answers nothing while it is not.
pub(crate) fn receiver(takes: &Arc<AtomicBool>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ended", listener.local_addr().unwrap());
    let (tell, told) = channel();
    let takes = Arc::clone(takes);
    thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { continue };
            if takes.load(Ordering::SeqCst) {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            } else {
                silent.push(stream);
            }
            let _ = tell.send(request);
        }
    });
    (url, told)
}

#[test]
fn a_kill_between_the_end_and_the_delivery_loses_no_message() {
    let home = Home::new();
    let takes = Arc::new(AtomicBool::new(false));
    let (url, told) = receiver(&takes);
    let flags = ["--set", "webhooks.networks=127.0.0.1", "--set", "echo=true"];
    let server = home.serve(&flags);
    let body = format!(
        r#"{{"prompt":"hello","async":true,"webhook":{{"url":"{url}","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}}"#
    );
    let post = format!(
        "curl -sS -X POST {}/api/v1/completions/0 -H 'Authorization: Bearer default-dev-token' -d '{body}'",
        server.url
    );
    let said = home.shell(&post);
    assert_eq!(said.status, 0, "{}", said.stderr);
    // The receiver has the message, and the router waits for its answer: the task has ended, its delivery has not.
    let first = told.recv_timeout(PATIENCE).unwrap();
    let shown = server.client(&["tasks", "show", "0", "1", "--json"]).stdout;
    assert!(shown.contains(r#""outcome":"ok""#) && shown.contains(r#""state":"pending""#), "{shown}");
    assert!(!shown.contains("MfKQ9r8"), "{shown}");
    let waits = server.client(&["webhooks"]).stdout;
    let line = waits.lines().last().unwrap_or_default();
    assert!(waits.starts_with("SESSION  TASK  ENDED") && line.starts_with("0        1     "), "{waits}");
    assert!(line.contains("now") && line.contains(&url), "{waits}");
    server.signal("KILL");
    server.wait();
    takes.store(true, Ordering::SeqCst);
    let server = home.serve(&flags);
    let second = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(second.body, first.body);
    crate::until(
        || server.client(&["tasks", "show", "0", "1", "--json"]).stdout,
        |shown| shown.contains(r#""state":"delivered""#),
    );
    let shown = server.client(&["tasks", "show", "0", "1"]).stdout;
    assert!(shown.contains(&format!("delivered, {url}, tries: ")), "{shown}");
    let none: serde_json::Value = serde_json::from_str(&server.client(&["webhooks", "--json"]).stdout).unwrap();
    assert_eq!(none, serde_json::json!({"count": 0, "webhooks": []}));
    server.terminate();
    let server = home.serve(&flags);
    assert!(server.client(&["tasks", "show", "0", "1", "--json"]).stdout.contains(r#""state":"delivered""#));
    assert!(told.try_recv().is_err(), "a message that was taken is not sent again");
}
