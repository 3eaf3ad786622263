//! The facade as a binding uses it: JSON in and out, plain threads, callbacks.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cortensor_router::embed::{Emit, ErrorKind, Event, HostMiner, HttpRequest, Job, MinerClient, Next, Router};
use serde_json::{Value, json};

const SOON: Option<Duration> = Some(Duration::from_secs(10));

fn open() -> Router {
    Router::open("", None).wait().unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Answers with the prompt's words, one in each piece.
fn words(job: Job) {
    for word in job.prompt().split_inclusive(' ') {
        if job.emit(word.as_bytes()).unwrap() == Emit::Cancelled {
            return;
        }
    }
    job.finish(r#"{"usage": {"prompt_tokens": 3, "completion_tokens": 2}}"#).unwrap();
}

#[test]
fn a_job_shows_unknown_fields_as_they_were_sent() {
    let router = open();
    let (told, shown) = mpsc::channel();
    let miner = move |job: Job| {
        told.send(job.info().unwrap()).unwrap();
        job.finish(r#"{"text": "seen"}"#).unwrap();
    };
    router.add_miner(r#"{"name": "curious"}"#, miner).unwrap();
    let sent = r#""grammar":{"z":123456789012345678901234567890,"a":1.10}"#;
    let request = format!(r#"{{"prompt": "hi", {sent}}}"#);
    router.submit(0, &request).wait().unwrap().result().wait().unwrap();
    let info = shown.recv().unwrap();
    assert!(info.contains(sent), "{info}");
    let info = parse(&info);
    assert_eq!(
        (&info["prompt"], &info["session_id"], &info["request"]["prompt"]),
        (&json!("hi"), &json!(0), &json!("hi"))
    );
    router.shutdown(SOON).unwrap();
}

#[test]
fn usage_is_told_by_the_key_that_the_host_names() {
    let config = r#"{"prices": {"model": [{"name": "tiny", "input": 1, "output": "0.5"}]}}"#;
    let router = Router::open(config, None).wait().unwrap();
    router.add_miner(r#"{"name": "words", "models": ["tiny"]}"#, words).unwrap();
    for key in [r#""key_id": "shop","#, r#""key_id": "shop","#, ""] {
        router.complete(0, &format!(r#"{{{key} "prompt": "hi", "model": "tiny"}}"#)).wait().unwrap();
    }
    assert_eq!(parse(&router.task(0, 1).wait().unwrap())["key_id"], "shop");
    let usage = |query: &str| router.usage(query).wait().map(|text| parse(&text));
    let by_key = usage(r#"{"by": "key"}"#).unwrap();
    let told: Vec<_> =
        by_key["usage"].as_array().unwrap().iter().map(|part| (&part["name"], &part["requests"])).collect();
    assert_eq!(told, [(&json!(""), &json!(1)), (&json!("shop"), &json!(2))]);
    assert_eq!((&by_key["usage"][1]["cost"], &by_key["currency"]), (&json!("0.000008"), &json!("USD")));
    assert_eq!(usage(r#"{"key": "shop", "limit": 1}"#).unwrap()["usage"][0]["requests"], 2);
    assert_eq!(usage("").unwrap()["by"], "day");
    for (query, param) in [
        (r#"{"by": "year"}"#, "by"),
        (r#"{"from": "x"}"#, "from"),
        (r#"{"session": -1}"#, "session"),
        (r#"{"kind": "day"}"#, "kind"),
    ] {
        assert_eq!(usage(query).unwrap_err().details().param.as_deref(), Some(param), "{query}");
    }
    for wrong in [r#""""#, "5", r#""a\u0000b""#] {
        let error = router.submit(0, &format!(r#"{{"key_id": {wrong}, "prompt": "hi"}}"#)).wait().unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some("key_id"), "{wrong}");
    }
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_task_runs_from_submit_to_result() {
    let router = open();
    router.add_miner(r#"{"name": "words", "models": ["tiny"], "capacity": 2}"#, words).unwrap();
    let session = parse(&router.create_session(r#"{"name": "chat", "model": "tiny"}"#).wait().unwrap());
    let id = session["id"].as_u64().unwrap();
    assert_eq!(cortensor_router::embed::record_id(&session.to_string()).unwrap(), id);
    let task = router.submit(id, r#"{"prompt": "one two three", "max_tokens": 9}"#).wait().unwrap();
    let stream = task.stream(0).unwrap();
    let mut text = String::new();
    let end = loop {
        match stream.next(SOON).unwrap() {
            Next::Event(Event::Token { text: piece, .. }) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Next::Event(Event::End(end)) => break parse(&end.unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(stream.next(SOON).unwrap(), Next::Over));
    assert_eq!(text, "one two three");
    assert_eq!(end, parse(&task.result().wait().unwrap()));
    // A value that is there already is found without waiting.
    assert_eq!(end, parse(&task.result().wait_for(Some(Duration::ZERO)).unwrap().unwrap()));
    assert!(task.record().wait_for(Some(Duration::ZERO)).is_some());
    assert_eq!((&end["choices"][0]["text"], &end["usage"]["total_tokens"]), (&json!("one two three"), &json!(5)));
    let listed = parse(&router.tasks(id, "").wait().unwrap());
    assert_eq!((&listed["count"], &listed["tasks"][0]["state"]), (&json!(1), &json!("ended")));
    let record = parse(&router.task(id, task.task_id()).wait().unwrap());
    assert_eq!(record["results"]["data"], json!(["one two three"]));
    router.shutdown(SOON).unwrap();
    assert_eq!(router.status().unwrap_err().kind(), ErrorKind::Closed);
    router.shutdown(SOON).unwrap();
}

#[test]
fn events_can_be_pushed_and_a_job_answered_later() {
    let router = open();
    let (give, jobs) = mpsc::channel();
    let give = Mutex::new(give);
    router.add_miner(r#"{"name": "later"}"#, move |job: Job| give.lock().unwrap().send(job).unwrap()).unwrap();
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let _subscription =
        task.stream(0).unwrap().subscribe(move |event| told.lock().unwrap().send(event).unwrap()).unwrap();
    let job = jobs.recv_timeout(Duration::from_secs(10)).unwrap();
    // A character that is divided between two pieces arrives whole.
    assert_eq!(job.emit(b"\xc3").unwrap(), Emit::Ok);
    assert_eq!(job.emit(b"\xa9").unwrap(), Emit::Ok);
    assert_eq!(job.finish(r#"{"usage": 1}"#).unwrap_err().details().param.as_deref(), Some("usage"));
    job.finish("").unwrap();
    assert!(job.is_answered());
    assert_eq!(job.finish("").unwrap_err().code(), "job_answered");
    assert_eq!(job.emit(b"x").unwrap_err().kind(), ErrorKind::Closed);
    let events: Vec<Event> = heard.iter().collect();
    assert!(matches!(&events[..], [Event::Token { text, .. }, Event::End(Ok(_))] if text == "é"), "{events:?}");
    router.shutdown(SOON).unwrap();
}

#[test]
fn waiting_for_callbacks_from_inside_of_one_is_refused() {
    let router = open();
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let inner = router.clone();
    router
        .add_miner(r#"{"name": "inside"}"#, move |job: Job| {
            // Any other call is allowed in this callback.
            let nested = parse(&inner.create_session(r#"{"name": "nested"}"#).wait().unwrap());
            told.lock().unwrap().send((inner.shutdown(SOON).unwrap_err().kind(), nested["name"].clone())).unwrap();
            job.finish(r#"{"text": "done"}"#).unwrap();
        })
        .unwrap();
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap(), (ErrorKind::WouldDeadlock, json!("nested")));
    assert_eq!(parse(&task.result().wait().unwrap())["choices"][0]["text"], "done");
    router.shutdown(SOON).unwrap();
}

#[test]
fn shutdown_waits_for_the_callback_under_way_and_ends_every_stream() {
    let router = open();
    let (entered, inside) = mpsc::channel();
    let entered = Mutex::new(entered);
    let host = Arc::new(());
    let (held, dropped) = (host.clone(), Arc::downgrade(&host));
    router
        .add_miner(r#"{"name": "slow"}"#, move |job: Job| {
            assert_eq!(Arc::weak_count(&held), 1);
            entered.lock().unwrap().send(()).unwrap();
            assert!(job.wait_cancelled(SOON).unwrap(), "a shutdown cancels the job");
            assert_eq!(job.emit(b"x").unwrap(), Emit::Cancelled);
        })
        .unwrap();
    drop(host);
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    let stream = task.stream(0).unwrap();
    inside.recv_timeout(Duration::from_secs(10)).unwrap();
    router.shutdown(SOON).unwrap();
    assert!(dropped.upgrade().is_none(), "the host's code is let go before the shutdown returns");
    assert!(matches!(stream.next(SOON).unwrap(), Next::Event(Event::End(Err(_)))));
}

#[test]
fn a_shutdown_gives_a_slow_subscriber_its_end() {
    let router = open();
    let (give, jobs) = mpsc::channel();
    let give = Mutex::new(give);
    router.add_miner(r#"{"name": "kept"}"#, move |job: Job| give.lock().unwrap().send(job).unwrap()).unwrap();
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    task.stream(0)
        .unwrap()
        .subscribe(move |event| {
            told.lock().unwrap().send(event).unwrap();
            // Only the first call waits here: the sender is gone afterwards.
            let _ = gate.lock().unwrap().recv();
        })
        .unwrap();
    let job = jobs.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(job.emit(b"a").unwrap(), Emit::Ok);
    assert!(matches!(heard.recv_timeout(Duration::from_secs(10)).unwrap(), Event::Token { .. }));
    let error = router.shutdown(Some(Duration::from_millis(20))).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "shutdown_timeout"));
    drop(go_on);
    router.shutdown(SOON).unwrap();
    let rest: Vec<Event> = heard.try_iter().collect();
    assert!(matches!(&rest[..], [Event::End(Err(error))] if error.kind() == ErrorKind::Cancelled), "{rest:?}");
}

#[test]
fn a_removed_miner_is_called_no_more() {
    let router = open();
    let miner = router.add_miner(r#"{"name": "gone"}"#, words).unwrap();
    assert_eq!(router.add_miner(r#"{"name": "gone"}"#, words).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(miner.remove(SOON).unwrap());
    let task = router.submit(0, r#"{"prompt": "x"}"#).wait().unwrap();
    assert_eq!(task.result().wait().unwrap_err().code(), "no_miner");
    assert_eq!(router.remove_miner("gone").unwrap_err().code(), "miner_not_found");
    router.shutdown(SOON).unwrap();
}

/// Keeps its jobs for the test, on whatever thread offers them.
struct Kept(mpsc::Sender<Job>);

impl HostMiner for Kept {
    fn on_job(&self, job: Job) {
        let _ = self.0.send(job);
    }

    fn is_quick(&self) -> bool {
        true
    }
}

#[test]
fn a_call_and_its_answer_need_no_other_thread() {
    let router = open();
    let (keep, kept) = mpsc::channel();
    router.add_miner(r#"{"name": "kept", "capacity": 8}"#, Kept(keep)).unwrap();
    let here = std::thread::current().id();
    let (tell, told) = mpsc::channel();
    let mut call = router.complete(0, r#"{"prompt": "hi"}"#);
    assert!(call.wait_for(Some(Duration::ZERO)).is_none(), "the miner has not answered");
    let job = kept.try_recv().expect("the job was offered by the thread that called");
    call.then(move |answer| tell.send((answer, std::thread::current().id())).unwrap());
    job.on_cancelled(|| unreachable!("it is answered"));
    job.finish(r#"{"text": "there"}"#).unwrap();
    let (answer, thread) = told.try_recv().expect("the thread that answered the job went on with the call");
    assert_eq!((parse(&answer.unwrap())["choices"][0]["text"].clone(), thread), (json!("there"), here));

    let submitted = router.submit(0, r#"{"prompt": "hi"}"#).wait().unwrap();
    let job = kept.try_recv().unwrap();
    let (tell, told) = mpsc::channel();
    job.on_cancelled(move || tell.send(()).unwrap());
    let given_up = submitted.result();
    drop(given_up);
    submitted.cancel().unwrap();
    told.recv_timeout(SOON.unwrap()).expect("a cancellation is told");

    let call = router.complete(0, r#"{"prompt": "hi"}"#);
    let job = kept.try_recv().unwrap();
    drop(call);
    assert!(job.is_cancelled(), "the call held the task");
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_completion_in_one_call_and_one_that_nobody_waits_for() {
    let router = open();
    router.add_miner(r#"{"name": "words", "models": ["tiny"]}"#, words).unwrap();
    let done = parse(&router.complete(0, r#"{"prompt": "a b", "model": "tiny"}"#).wait().unwrap());
    assert_eq!(done["choices"][0]["text"], "a b");
    assert_eq!(router.complete(0, "{}").wait().unwrap_err().details().param.as_deref(), Some("prompt"));
    let (give, jobs) = mpsc::channel();
    let give = Mutex::new(give);
    router
        .add_miner(r#"{"name": "later", "models": ["slow"]}"#, move |job: Job| give.lock().unwrap().send(job).unwrap())
        .unwrap();
    let call = router.complete(0, r#"{"prompt": "x", "model": "slow"}"#);
    let canceller = call.canceller();
    let (told, heard) = mpsc::channel();
    call.then(move |answer| told.send(answer).unwrap());
    let job = jobs.recv_timeout(Duration::from_secs(10)).unwrap();
    canceller.cancel();
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(job.wait_cancelled(SOON).unwrap(), "nobody waits for the task any more");
    router.shutdown(SOON).unwrap();
}

#[test]
fn what_is_wrong_is_named() {
    let named = |text: &str| Router::open(text, None).wait().unwrap_err().details().param.clone();
    assert_eq!(named(r#"{"limits": {"max_sesions": 1}}"#).as_deref(), Some("limits.max_sesions"));
    assert_eq!(named(r#"{"runtime": {"log_level": "loud"}}"#).as_deref(), Some("runtime.log_level"));
    let router = open();
    router.add_miner(r#"{"name": "words"}"#, words).unwrap();
    for (request, field) in [
        (r#"{"prompt": 7}"#, "prompt"),
        ("{", "request"),
        ("{}", "prompt"),
        (r#"{"prompt": "x", "detach": 1}"#, "detach"),
        (r#"{"prompt": "x", "timeout": -1}"#, "timeout"),
    ] {
        let error = router.submit(0, request).wait().unwrap_err();
        assert_eq!(
            (error.kind(), error.details().param.as_deref()),
            (ErrorKind::InvalidArgument, Some(field)),
            "{request}"
        );
    }
    assert_eq!(router.submit(9, r#"{"prompt": "x"}"#).wait().unwrap_err().code(), "session_not_found");
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_call_answers_a_function_and_the_log_goes_to_the_host() {
    let (logged, lines) = mpsc::channel();
    let logged = Mutex::new(logged);
    let sink = Box::new(move |record: &cortensor_router::embed::LogRecord| {
        let _ = logged.lock().unwrap().send((record.level, record.message.clone()));
    });
    let router = Router::open(r#"{"runtime": {"log_level": "debug"}}"#, Some(sink)).wait().unwrap();
    let (told, heard) = mpsc::channel();
    router.create_session(r#"{"name": "a"}"#).then(move |result| told.send(result).unwrap());
    assert_eq!(parse(&heard.recv_timeout(Duration::from_secs(10)).unwrap().unwrap())["name"], "a");
    // No server listens at this upstream's address, so its probe logs a warning.
    router.add_upstream(r#"{"url": "http://127.0.0.1:9/v1"}"#).unwrap();
    let (level, _) = lines.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(["debug", "info", "warn"].contains(&level), "{level}");
    router.shutdown(SOON).unwrap();
    drop(router);
    assert!(lines.iter().count() < 10_000, "the sink is dropped");
}

#[test]
fn the_rest_api_answers_over_a_socket_and_without_one() {
    let router = open();
    router.add_miner(r#"{"name": "words"}"#, words).unwrap();
    let listener = router.listen(r#"{"port": 0}"#).wait().unwrap();
    assert!(listener.address().port() > 0 && !listener.posture().is_empty());
    let handler = router.http_handler("").wait().unwrap();
    let key = parse(&router.create_key(r#"{"name": "app"}"#).wait().unwrap());
    let token = key["token"].as_str().unwrap();
    let request = |body: &str, token: &str| HttpRequest {
        method: "POST".into(),
        target: "/api/v1/completions".into(),
        headers: vec![("authorization".into(), format!("Bearer {token}").into_bytes())],
        peer: Some(([127, 0, 0, 1], 1).into()),
        body: body.to_owned().into(),
    };
    let refused = handler.handle(request("{}", "wrong")).wait().unwrap();
    assert_eq!(refused.status, 401);
    let response = handler.handle(request(r#"{"prompt": "a b", "stream": true}"#, "default-dev-token")).wait().unwrap();
    assert_eq!(response.status, 200);
    let mut body = Vec::new();
    while let Some(piece) = response.next_piece().wait().unwrap() {
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).unwrap();
    assert!(body.ends_with("data: [DONE]\n\n") && body.contains(r#""text":"a ""#), "{body}");
    router.delete_key(key["id"].as_str().unwrap()).wait().unwrap();
    assert_eq!(handler.handle(request(r#"{"prompt": "a"}"#, token)).wait().unwrap().status, 401);
    assert_eq!(router.delete_key("none").wait().unwrap_err().code(), "key_not_found");
    assert_eq!(parse(&router.keys().wait().unwrap())["count"], 0);
    let dev = handler.handle(request(r#"{"prompt": "a b"}"#, "default-dev-token")).wait().unwrap();
    assert_eq!(dev.status, 200);
    // Callers are local by the rule that applies to sockets.
    for line in
        [("host", "evil.example"), ("x-forwarded-for", "8.8.8.8"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        let mut foreign = request(r#"{"prompt": "a b"}"#, "default-dev-token");
        foreign.headers.push((line.0.into(), line.1.into()));
        assert_eq!(handler.handle(foreign).wait().unwrap().status, 401, "{line:?}");
    }
    let nobody = HttpRequest { peer: None, ..request(r#"{"prompt": "a b"}"#, "default-dev-token") };
    assert_eq!(handler.handle(nobody).wait().unwrap().status, 401);
    listener.stop().wait().unwrap();
    listener.ended().wait().unwrap();
    router.shutdown(SOON).unwrap();
}

#[test]
fn what_runs_past_the_drain_of_a_listener_is_told_so() {
    use std::io::{Read as _, Write as _};
    let router = open();
    let (told, begun) = mpsc::channel();
    let miner = move |job: Job| {
        job.emit(b"begun ").unwrap();
        told.send(job).unwrap();
    };
    router.add_miner(r#"{"name": "slow", "capacity": 2}"#, miner).unwrap();
    let listener = router.listen(r#"{"port": 0, "drain_timeout_ms": 200}"#).wait().unwrap();
    let call = |body: &str| {
        let mut stream = std::net::TcpStream::connect(listener.address()).unwrap();
        stream.set_read_timeout(SOON).unwrap();
        let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token";
        let length = body.len();
        write!(stream, "{head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream
    };
    let whole = call(r#"{"prompt": "a"}"#);
    let streamed = call(r#"{"prompt": "b", "stream": true}"#);
    let jobs = [begun.recv_timeout(SOON.unwrap()).unwrap(), begun.recv_timeout(SOON.unwrap()).unwrap()];
    listener.stop().wait().unwrap();
    let rest = |mut stream: std::net::TcpStream| {
        let mut answer = String::new();
        // The connection must end, or this read would time out.
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let (whole, streamed) = (rest(whole), rest(streamed));
    assert!(whole.starts_with("HTTP/1.1 503 ") && whole.contains("\"code\":\"closed\""), "{whole}");
    assert!(streamed.starts_with("HTTP/1.1 200 ") && streamed.contains("begun "), "{streamed}");
    assert!(streamed.contains("\"code\":\"closed\"") && streamed.contains("data: [DONE]"), "{streamed}");
    // No caller waits for the tasks any more.
    let cancelled = jobs.iter().all(|job| job.wait_cancelled(SOON).unwrap());
    assert!(cancelled);
    router.shutdown(SOON).unwrap();
}

#[test]
fn a_miner_of_this_program_works_for_a_distant_router() {
    let router = Router::open(r#"{"dispatch": {"no_miner_grace_ms": 10000}}"#, None).wait().unwrap();
    let listener = router.listen(r#"{"port": 0}"#).wait().unwrap();
    let key = parse(&router.create_key(r#"{"name": "far", "scopes": ["miner"]}"#).wait().unwrap());
    let config = json!({"routers": [format!("ws://{}", listener.address())], "name": "far", "token": key["token"]});
    let wrong = MinerClient::start(r#"{"routers": [], "name": "x"}"#, words, None).unwrap_err();
    assert_eq!(wrong.details().param.as_deref(), Some("routers"));
    let client = MinerClient::start(&config.to_string(), words, None).unwrap();
    let task = router.submit(0, r#"{"prompt": "from afar"}"#).wait().unwrap();
    assert_eq!(parse(&task.result().wait().unwrap())["choices"][0]["text"], "from afar");
    assert!(client.drain(Duration::from_secs(10)).wait().unwrap());
    assert_eq!(parse(&client.stats().unwrap())["finished"], 1);
    client.close(SOON).unwrap();
    assert_eq!(client.drain(Duration::ZERO).wait().unwrap_err().kind(), ErrorKind::Closed);
    router.shutdown(SOON).unwrap();
}
