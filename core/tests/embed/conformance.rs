//! Plays the scenarios of `core/tests/conformance` against the facade.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cortensor_router::embed::{Error, Event, Next, Result, Router, Task, error_json};
use serde_json::{Value, json};

use crate::matching::mismatch;
use crate::miners::{Seen, play};

/// The time limit of a wait, longer than any step of a scenario takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Stage {
    router: Router,
    kept: HashMap<String, Value>,
    tasks: HashMap<String, Task>,
    seen: HashMap<String, Arc<Seen>>,
}

/// The result of a step: a record, and a task's handle if the step made one.
type Outcome = Result<(Value, Option<Task>)>;

fn record(text: Result<String>) -> Outcome {
    Ok((serde_json::from_str(&text?).unwrap(), None))
}

fn nothing(done: Result<()>) -> Outcome {
    done.map(|()| (Value::Null, None))
}

fn handle(task: Result<Task>) -> Outcome {
    let task = task?;
    let shown = json!({
        "session_id": task.session_id(), "task_id": task.task_id(), "gid": task.gid(), "joined": task.joined(),
    });
    Ok((shown, Some(task)))
}

fn details(error: &Error) -> Value {
    serde_json::from_str(&error_json(error)).unwrap()
}

impl Stage {
    fn new(config: &Value) -> Self {
        let router = Router::open(&config.to_string(), None).wait().unwrap();
        Self { router, kept: HashMap::new(), tasks: HashMap::new(), seen: HashMap::new() }
    }

    fn add_miner(&mut self, miner: &Value) -> Result<()> {
        let seen = Arc::new(Seen::default());
        let added = self.router.add_miner(&miner["spec"].to_string(), play(miner, seen.clone()));
        let name = miner["spec"]["name"].as_str().unwrap_or_default();
        if added.is_ok() {
            self.seen.insert(name.to_owned(), seen);
        }
        added.map(drop)
    }

    /// The step with every `"$name.path"` replaced by its value.
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

    fn task(&self, step: &Value) -> &Task {
        let name = step["task"].as_str().unwrap().trim_start_matches('$');
        self.tasks.get(name).unwrap_or_else(|| panic!("no task handle {name}"))
    }

    fn play(&mut self, step: &Value) -> Outcome {
        let number = |name: &str| step[name].as_u64().unwrap();
        let text = |name: &str| step[name].to_string();
        let router = &self.router;
        match step["do"].as_str().unwrap() {
            "info" => record(router.info()),
            "status" => record(router.status()),
            "miners" => record(router.miners()),
            "models" => record(router.models()),
            "metrics" => Ok((json!({"text": router.metrics()?}), None)),
            "create_session" => record(router.create_session(&text("spec")).wait()),
            "session" => record(router.session(number("session"))),
            "close_session" => record(router.close_session(number("session")).wait()),
            "update_session" => record(router.update_session(number("session"), &text("patch")).wait()),
            "sessions" => record(router.sessions(&text("query"))),
            "submit" => handle(router.submit(number("session"), &text("request")).wait()),
            "submit_prompt" => {
                let prompt = step["prompt"].as_str().unwrap();
                handle(router.submit_prompt(number("session"), prompt, &text("options")).wait())
            }
            "text" => Ok((json!({"text": self.task(step).text().wait()?}), None)),
            "embed" => {
                let embeddings =
                    router.embed(number("session"), &json!({"input": step["input"]}).to_string()).wait()?;
                record(embeddings.record())
            }
            "attach" => handle(router.attach(number("session"), number("task_id")).wait()),
            "task" => record(router.task(number("session"), number("task_id")).wait()),
            "cancel" => record(router.cancel(number("session"), number("task_id")).wait()),
            "tasks" => record(router.tasks(number("session"), &text("query")).wait()),
            "record" => record(self.task(step).record().wait()),
            "result" => record(self.task(step).result().wait()),
            "cancel_task" => nothing(self.task(step).cancel()),
            "detach" => {
                self.task(step).detach().unwrap();
                nothing(Ok(()))
            }
            "release" => {
                self.tasks.remove(step["task"].as_str().unwrap().trim_start_matches('$')).unwrap();
                nothing(Ok(()))
            }
            "stream" => read(self.task(step), step),
            "add_miner" => nothing(self.add_miner(&step["miner"])),
            "remove_miner" => nothing(router.remove_miner(step["name"].as_str().unwrap())),
            "miner_saw" => {
                let seen = &self.seen[step["name"].as_str().unwrap()];
                let (jobs, cancelled) = (seen.jobs.load(Ordering::SeqCst), seen.cancelled.load(Ordering::SeqCst));
                Ok((json!({"jobs": jobs, "cancelled": cancelled}), None))
            }
            "drain" => {
                let drained = router.drain(Duration::from_millis(number("timeout_ms"))).wait()?;
                Ok((json!({"drained": drained}), None))
            }
            "shutdown" => nothing(router.shutdown(Some(PATIENCE))),
            other => panic!("no such step: {other}"),
        }
    }

    /// Plays a step as often as it says, and compares its result. The error says what is wrong.
    fn perform(&mut self, step: &Value) -> std::result::Result<(), String> {
        let step = self.resolved(step);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outcome = self.play(&step);
            let wrong = match (&outcome, step.get("error")) {
                (Ok((value, _)), None) => step.get("expect").and_then(|expected| mismatch(expected, value)),
                (Err(error), Some(expected)) => mismatch(expected, &details(error)),
                (Ok((value, _)), Some(expected)) => Some(format!("expected the error {expected}, got {value}")),
                (Err(error), None) => Some(format!("failed: {}", details(error))),
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

fn read(task: &Task, step: &Value) -> Outcome {
    let stream = task.stream(step["after"].as_u64().unwrap_or(0)).unwrap();
    let take = step["take"].as_u64().unwrap_or(u64::MAX);
    let (mut tokens, mut text, mut restarts, mut end) = (Vec::new(), String::new(), 0, Value::Null);
    while (tokens.len() as u64) < take {
        match stream.next(Some(PATIENCE))? {
            Next::Event(Event::Token { seq, text: piece }) => {
                let piece = String::from_utf8(piece.to_vec()).unwrap();
                text.push_str(&piece);
                tokens.push(json!({"seq": seq, "text": piece}));
            }
            Next::Event(Event::Restart { .. }) => {
                text.clear();
                restarts += 1;
            }
            Next::Event(Event::End(Ok(completion))) => end = serde_json::from_str(&completion).unwrap(),
            Next::Event(Event::End(Err(error))) => end = json!({"error": details(&error)}),
            Next::Over => break,
            Next::Timeout => panic!("nothing came for {PATIENCE:?}"),
        }
    }
    Ok((json!({"tokens": tokens, "text": text, "restarts": restarts, "end": end}), None))
}

/// Plays one scenario. Gives the fault, or `None` when every step holds.
fn fault(scenario: &Value) -> Option<String> {
    let mut stage = Stage::new(&scenario["config"]);
    for miner in scenario["miners"].as_array().unwrap() {
        stage.add_miner(miner).unwrap();
    }
    for (index, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        if let Err(wrong) = stage.perform(step) {
            let _ = stage.router.shutdown(Some(PATIENCE));
            return Some(format!("step {} {step}\n    {wrong}", index + 1));
        }
    }
    stage.router.shutdown(Some(PATIENCE)).err().map(|error| error.to_string())
}

#[test]
fn every_scenario_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
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
