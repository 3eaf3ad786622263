//! Every route shows one end of a task at every time: at first, in a replay while the task is in memory, after the
//! memory has dropped it, and after a restart.

use std::time::Duration;

use bytes::Bytes;
use cortensor_router::config::{DispatchConfig, LimitsConfig, StorageConfig};
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec, Usage};
use cortensor_router::{Config, MinerHandle};
use serde_json::{Value, json};

use cortensor_router_testkit::Server;
use cortensor_router_testkit::server::{DEV, Reply};

const ROUTES: [&str; 3] = ["/v1/chat/completions", "/api/v1/completions", "/api/v1/chat/completions"];

/// Each prompt tells the miner how to behave.
const CASES: &[&str] = &[
    "say",
    "hold",
    "overloaded",
    "context",
    "invalid",
    "model",
    "refused",
    "credentials",
    "unreadable",
    "internal",
    "unreachable",
    "cancelled",
    "invalid with the server's words",
    "overloaded with the server's words",
    "internal with the server's words",
];

fn work(job: Job) {
    let prompt = job.prompt().into_owned();
    let (word, words) = prompt.split_once(' ').map_or((prompt.as_str(), false), |(word, _)| (word, true));
    match word {
        "say" => {
            job.emit("one ");
            job.emit("two");
            job.finish(Answer::default().usage(Usage::new(1, 2)).model(Some("tiny".into())));
        }
        "hold" => {
            tokio::spawn(async move { job.cancelled().await });
        }
        class => {
            let mut failure = Failure::new(class.parse::<FailClass>().unwrap(), format!("it is {class}"));
            failure.retry_after_ms = Some(7_000);
            if words {
                let said =
                    json!({"error": {"message": "own words", "type": "own", "param": "own_field", "code": "own_code"}});
                failure.raw = Some(Bytes::from(said.to_string()));
                failure.http_status = Some(422);
            }
            job.fail(failure);
        }
    }
}

async fn open(dir: &std::path::Path) -> Server {
    Server::open(
        Config::default()
            .storage(StorageConfig::default().data_dir(Some(dir.to_owned())))
            .limits(LimitsConfig::default().recent_tasks(1))
            .dispatch(DispatchConfig::default().max_attempts(1)),
    )
    .await
}

fn miner(server: &Server, name: String) -> MinerHandle {
    server.router.add_miner(MinerSpec::new(name, 4), work).unwrap()
}

async fn ask(server: &Server, route: &str, case: &str, key: &str, stream: bool) -> Reply {
    let mut body = json!({"stream": stream});
    if route.ends_with("/chat/completions") {
        body["messages"] = json!([{"role": "user", "content": case}]);
    } else {
        body["prompt"] = case.into();
    }
    // Each caller has its own timeout; the timeout of the first one alone decides when the task is given up.
    body["timeout"] = json!(if key.ends_with("first") { 0.2 } else { 20.0 });
    let key = key.trim_end_matches(" first");
    let headers = if key.is_empty() { DEV.to_owned() } else { format!("{DEV}Idempotency-Key: {key}\r\n") };
    server.send("POST", route, &headers, &body.to_string()).await
}

/// Everything that a caller sees of the end, by any route: the status and the error, or the text.
fn end(reply: &Reply) -> Value {
    if reply.status != 200 {
        return json!([reply.status, reply.header("retry-after"), reply.json()]);
    }
    if reply.header("content-type") == Some("application/json") {
        let body = reply.json();
        let choice = &body["choices"][0];
        let text = choice.pointer("/message/content").unwrap_or(&choice["text"]);
        return json!([200, body["id"], text, choice["finish_reason"]]);
    }
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> =
        data.take_while(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect();
    let last = events.last().unwrap();
    let text: String = events
        .iter()
        .filter_map(|event| {
            let choice = event.pointer("/choices/0")?;
            // Cortensor's last event repeats the whole text in another member.
            choice.pointer("/delta/content").or_else(|| choice.get("text"))?.as_str()
        })
        .collect();
    json!([200, last["id"], text, last.pointer("/choices/0/finish_reason")])
}

#[tokio::test]
async fn every_end_is_the_same_by_every_route_and_at_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path()).await;
    let mut ends = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        for (place, route) in ROUTES.iter().enumerate() {
            // Each case has a miner of its own, so that no miner rests because of an earlier failure.
            let at_work = miner(&server, format!("m{number}-{place}"));
            let key = format!("k{number}-{place}");
            let first = ask(&server, route, case, &format!("{key} first"), number % 2 == 0).await;
            let first = end(&first);
            for stream in [false, true] {
                let again = end(&ask(&server, route, case, &key, stream).await);
                assert_eq!(again, first, "{case} at {route}, stream {stream}, in memory");
            }
            for _ in 0..2 {
                assert_eq!(ask(&server, route, "say", "", false).await.status, 200);
            }
            for stream in [false, true] {
                let again = end(&ask(&server, route, case, &key, stream).await);
                assert_eq!(again, first, "{case} at {route}, stream {stream}, forgotten");
            }
            at_work.remove();
            assert_eq!(first[0] == 200, *case == "say", "{case}: {first}");
            ends.push((*case, *route, key, first));
        }
    }
    server.router.close().await;

    let server = open(dir.path()).await;
    for (case, route, key, first) in &ends {
        for stream in [false, true] {
            let again = end(&ask(&server, route, case, key, stream).await);
            assert_eq!(again, *first, "{case} at {route}, stream {stream}, after a restart");
        }
    }
    server.router.close().await;
}

#[tokio::test]
async fn a_cancel_is_told_alike_at_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path()).await;
    let (server, mut firsts) = (std::sync::Arc::new(server), Vec::new());
    miner(&server, "m".into());
    for (number, route) in ROUTES.iter().enumerate() {
        let (asked, key) = (server.clone(), format!("k{number}"));
        let first = tokio::spawn(async move { end(&ask(&asked, route, "hold", &key, false).await) });
        let id = number as u64 + 1;
        while server
            .router
            .cancel(cortensor_router::model::SessionId(0), cortensor_router::model::TaskId(id))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        firsts.push(first.await.unwrap());
        assert_eq!(firsts[number][0], 499);
    }
    server.router.close().await;
    let server = open(dir.path()).await;
    for (number, route) in ROUTES.iter().enumerate() {
        for stream in [false, true] {
            let again = end(&ask(&server, route, "hold", &format!("k{number}"), stream).await);
            assert_eq!(again, firsts[number], "{route}, stream {stream}");
        }
    }
    server.router.close().await;
}

/// Joining a task that failed before its first event is answered with a status, not with a stream.
#[tokio::test]
async fn a_failed_task_has_no_stream() {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path()).await;
    miner(&server, "m".into());
    let reply = ask(&server, ROUTES[1], "context", "", true).await;
    let first = end(&reply);
    assert_eq!((first[0].clone(), first[2]["code"].clone()), (json!(400), json!("context_length_exceeded")));
    let id = &first[2]["task_id"];
    assert_eq!(end(&server.get(&format!("/api/v1/tasks/0/{id}/stream")).await), first);
    server.router.close().await;
}
