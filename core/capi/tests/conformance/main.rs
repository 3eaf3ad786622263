//! Plays the scenarios of `core/tests/conformance` against the C functions, with nothing but what the header offers.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test; each block says why it is sound"
)]

mod calls;
#[path = "../../../tests/embed/matching.rs"]
mod matching;
mod miners;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cortensor_router_capi as c;
use serde_json::{Value, json};

use calls::{Fault, Held, bytes, done, event, held, record};
use matching::mismatch;
use miners::Seen;

/// Longer than anything in a scenario takes.
const PATIENCE_MS: i64 = 10_000;

struct Stage {
    router: Held<c::Router>,
    kept: HashMap<String, Value>,
    tasks: HashMap<String, Held<c::Task>>,
    seen: HashMap<String, Arc<Seen>>,
}

/// What a step gives: a record, and a handle where it made one.
type Outcome = Result<(Value, Option<Held<c::Task>>), Fault>;

fn whole(record: Result<Value, Fault>) -> Outcome {
    record.map(|record| (record, None))
}

fn handle(task: Result<Held<c::Task>, Fault>) -> Outcome {
    let task = task?;
    let shown = json!({
        "session_id": c::cortensor_task_session_id(task.get()), "task_id": c::cortensor_task_id(task.get()),
        "gid": c::cortensor_task_gid(task.get()), "joined": c::cortensor_task_joined(task.get()),
    });
    Ok((shown, Some(task)))
}

impl Stage {
    fn new(config: &Value) -> Self {
        let config = config.to_string();
        // SAFETY: the text has that many bytes.
        let router = held(|out, err| unsafe {
            c::cortensor_router_open(config.as_ptr().cast(), config.len(), std::ptr::null(), out, err)
        });
        Self { router: router.unwrap(), kept: HashMap::new(), tasks: HashMap::new(), seen: HashMap::new() }
    }

    fn add_miner(&mut self, miner: &Value) -> Result<(), Fault> {
        let spec = miner["spec"].to_string();
        let seen = Arc::new(Seen::default());
        let callbacks = miners::callbacks(miner, seen.clone());
        // SAFETY: the text has that many bytes, and the table its size.
        done(|err| unsafe {
            c::cortensor_router_add_miner(
                self.router.get(),
                spec.as_ptr().cast(),
                spec.len(),
                &raw const callbacks,
                None,
                err,
            )
        })?;
        let name = miner["spec"]["name"].as_str().unwrap_or_default();
        self.seen.insert(name.to_owned(), seen);
        Ok(())
    }

    /// The step with every `"$name.path"` put in.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.lookup(text).unwrap_or_else(|| value.clone()),
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.resolved(member))).collect()
            }
            _ => value.clone(),
        }
    }

    fn lookup(&self, text: &str) -> Option<Value> {
        let (name, path) = text.strip_prefix('$')?.split_once('.')?;
        let kept = self.kept.get(name)?;
        Some(path.split('.').fold(kept, |value, part| &value[part]).clone())
    }

    fn task(&self, step: &Value) -> Option<&c::Task> {
        let name = step["task"].as_str().unwrap().trim_start_matches('$');
        self.tasks.get(name).unwrap_or_else(|| panic!("no task handle {name}")).get()
    }

    fn play(&mut self, step: &Value) -> Outcome {
        let number = |name: &str| step[name].as_u64().unwrap();
        let text = |name: &str| step[name].to_string();
        let router = self.router.get();
        match step["do"].as_str().unwrap() {
            "info" => whole(record(|out, err| c::cortensor_router_info(router, out, err))),
            "status" => whole(record(|out, err| c::cortensor_router_status(router, out, err))),
            "miners" => whole(record(|out, err| c::cortensor_router_miners(router, out, err))),
            "models" => whole(record(|out, err| c::cortensor_router_models(router, out, err))),
            "metrics" => {
                let text = bytes(|out, err| c::cortensor_router_metrics(router, out, err))?;
                Ok((json!({ "text": text }), None))
            }
            "create_session" => {
                let spec = text("spec");
                let mut id = std::mem::MaybeUninit::new(u64::MAX);
                // SAFETY: the text has that many bytes.
                let record = record(|out, err| unsafe {
                    c::cortensor_router_create_session(
                        router,
                        spec.as_ptr().cast(),
                        spec.len(),
                        Some(&mut id),
                        out,
                        err,
                    )
                })?;
                // SAFETY: it was written above, if not by the call.
                assert_eq!(record["id"].as_u64(), Some(unsafe { id.assume_init() }));
                Ok((record, None))
            }
            "session" => whole(record(|out, err| c::cortensor_router_session(router, number("session"), out, err))),
            "close_session" => {
                whole(record(|out, err| c::cortensor_router_close_session(router, number("session"), out, err)))
            }
            "update_session" => {
                let patch = text("patch");
                // SAFETY: the text has that many bytes.
                whole(record(|out, err| unsafe {
                    let (data, len) = (patch.as_ptr().cast(), patch.len());
                    c::cortensor_router_update_session(router, number("session"), data, len, out, err)
                }))
            }
            "sessions" => {
                let query = text("query");
                // SAFETY: the text has that many bytes.
                whole(record(|out, err| unsafe {
                    c::cortensor_router_sessions(router, query.as_ptr().cast(), query.len(), out, err)
                }))
            }
            "submit" => {
                let request = text("request");
                // SAFETY: the text has that many bytes.
                handle(held(|out, err| unsafe {
                    let (data, len) = (request.as_ptr().cast(), request.len());
                    c::cortensor_router_submit(router, number("session"), data, len, out, err)
                }))
            }
            "attach" => {
                let (session, task) = (number("session"), number("task_id"));
                handle(held(|out, err| c::cortensor_router_attach(router, session, task, out, err)))
            }
            "task" => {
                let (session, task) = (number("session"), number("task_id"));
                whole(record(|out, err| c::cortensor_router_task(router, session, task, out, err)))
            }
            "cancel" => {
                let (session, task) = (number("session"), number("task_id"));
                whole(record(|out, err| c::cortensor_router_cancel(router, session, task, out, err)))
            }
            "tasks" => {
                let query = text("query");
                // SAFETY: the text has that many bytes.
                whole(record(|out, err| unsafe {
                    let (data, len) = (query.as_ptr().cast(), query.len());
                    c::cortensor_router_tasks(router, number("session"), data, len, out, err)
                }))
            }
            "record" => whole(record(|out, err| c::cortensor_task_record(self.task(step), out, err))),
            "result" => whole(record(|out, err| c::cortensor_task_result(self.task(step), -1, out, err))),
            "cancel_task" => whole(done(|err| c::cortensor_task_cancel(self.task(step), err)).map(|()| Value::Null)),
            "detach" => whole(done(|err| c::cortensor_task_detach(self.task(step), err)).map(|()| Value::Null)),
            "release" => {
                self.tasks.remove(step["task"].as_str().unwrap().trim_start_matches('$')).unwrap();
                Ok((Value::Null, None))
            }
            "stream" => read(self.task(step), step),
            "add_miner" => whole(self.add_miner(&step["miner"]).map(|()| Value::Null)),
            "remove_miner" => {
                let name = step["name"].as_str().unwrap();
                // SAFETY: the text has that many bytes.
                let removed = done(|err| unsafe {
                    c::cortensor_router_remove_miner(router, name.as_ptr().cast(), name.len(), err)
                });
                whole(removed.map(|()| Value::Null))
            }
            "miner_saw" => {
                let seen = &self.seen[step["name"].as_str().unwrap()];
                let (jobs, cancelled) = (seen.jobs.load(Ordering::SeqCst), seen.cancelled.load(Ordering::SeqCst));
                Ok((json!({"jobs": jobs, "cancelled": cancelled}), None))
            }
            "drain" => {
                let limit = number("timeout_ms") as i64;
                match done(|err| c::cortensor_router_drain(router, limit, err)) {
                    Ok(()) => Ok((json!({"drained": true}), None)),
                    Err(fault) if fault.details["code"] == "wait_timeout" => Ok((json!({"drained": false}), None)),
                    Err(fault) => Err(fault),
                }
            }
            "shutdown" => {
                whole(done(|err| c::cortensor_router_shutdown(router, PATIENCE_MS, err)).map(|()| Value::Null))
            }
            other => panic!("no such step: {other}"),
        }
    }

    /// Plays a step as often as it wants and compares; the text says what is wrong.
    fn perform(&mut self, step: &Value) -> Result<(), String> {
        let step = self.resolved(step);
        let deadline = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
        loop {
            let outcome = self.play(&step);
            let wrong = match (&outcome, step.get("error")) {
                (Ok((value, _)), None) => step.get("expect").and_then(|expected| mismatch(expected, value)),
                (Err(fault), Some(expected)) => mismatch(expected, &fault.details),
                (Ok((value, _)), Some(expected)) => Some(format!("expected the error {expected}, got {value}")),
                (Err(fault), None) => Some(format!("failed: {}", fault.details)),
            };
            match wrong {
                Some(_) if step["until"] == true && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Some(wrong) => return Err(wrong),
                None => {}
            }
            if let (Ok((value, task)), Some(name)) = (outcome, step["as"].as_str()) {
                self.kept.insert(name.to_owned(), value);
                self.tasks.extend(task.map(|task| (name.to_owned(), task)));
            }
            return Ok(());
        }
    }
}

fn read(task: Option<&c::Task>, step: &Value) -> Outcome {
    let after = step["after"].as_u64().unwrap_or(0);
    let stream = held(|out, err| c::cortensor_task_stream(task, after, out, err))?;
    let take = step["take"].as_u64().unwrap_or(u64::MAX);
    let (mut tokens, mut text, mut restarts, mut end) = (Vec::new(), String::new(), 0, Value::Null);
    while (tokens.len() as u64) < take {
        let event = match event(&stream, PATIENCE_MS) {
            Ok(event) => event,
            Err(fault) if fault.details["code"] == "stream_over" => break,
            Err(fault) => return Err(fault),
        };
        match event.kind {
            c::EventKind::Token => {
                text.push_str(&event.text);
                tokens.push(json!({"seq": event.seq, "text": event.text}));
            }
            c::EventKind::Restart => {
                text.clear();
                restarts += 1;
            }
            c::EventKind::End => {
                end = event
                    .error
                    .map_or_else(|| serde_json::from_str(&event.text).unwrap(), |error| json!({ "error": error }));
            }
        }
    }
    Ok((json!({"tokens": tokens, "text": text, "restarts": restarts, "end": end}), None))
}

/// Plays one scenario; `None` when all of it holds.
fn fault(scenario: &Value) -> Option<String> {
    let mut stage = Stage::new(&scenario["config"]);
    for miner in scenario["miners"].as_array().unwrap() {
        stage.add_miner(miner).unwrap();
    }
    let end = |stage: &Stage| done(|err| c::cortensor_router_shutdown(stage.router.get(), PATIENCE_MS, err));
    for (index, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        if let Err(wrong) = stage.perform(step) {
            let _ = end(&stage);
            return Some(format!("step {} {step}\n    {wrong}", index + 1));
        }
    }
    end(&stage).err().map(|fault| fault.details.to_string())
}

#[test]
fn every_scenario_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let (mut count, mut faults) = (0, Vec::new());
    for file in files {
        let scenarios: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for scenario in &scenarios {
            count += 1;
            let place = format!("{}: {}", file.file_stem().unwrap().display(), scenario["name"]);
            faults.extend(fault(scenario).map(|fault| format!("{place}\n  {fault}")));
        }
    }
    assert!(count >= 40, "only {count} scenarios were found");
    assert!(faults.is_empty(), "{} of {count} scenarios do not hold:\n{}", faults.len(), faults.join("\n"));
}
