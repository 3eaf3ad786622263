//! Plays the scenarios of `core/tests/conformance` against the facade: against one router, and against two routers of one
//! fleet, of which one takes the tasks and the other one has the miners and the readers.

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

pub(crate) struct Stage {
    router: Router,
    /// Another router of the same fleet. It has the miners, and tasks are read and cancelled there.
    there: Option<Router>,
    kept: HashMap<String, Value>,
    tasks: HashMap<String, Task>,
    seen: HashMap<String, Arc<Seen>>,
}

/// A handle of a task at the router where it is read.
enum Reading<'a> {
    Own(&'a Task),
    There(Task),
}

impl std::ops::Deref for Reading<'_> {
    type Target = Task;

    fn deref(&self) -> &Task {
        match self {
            Self::Own(task) => task,
            Self::There(task) => task,
        }
    }
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
        Self::of(Router::open(&config.to_string(), None).wait().unwrap(), None)
    }

    pub(crate) fn of(router: Router, there: Option<Router>) -> Self {
        Self { router, there, kept: HashMap::new(), tasks: HashMap::new(), seen: HashMap::new() }
    }

    fn add_miner(&mut self, miner: &Value) -> Result<()> {
        let seen = Arc::new(Seen::default());
        let host = self.there.as_ref().unwrap_or(&self.router);
        let added = host.add_miner(&miner["spec"].to_string(), play(miner, seen.clone()));
        let name = miner["spec"]["name"].as_str().unwrap_or_default();
        if added.is_ok() {
            self.seen.insert(name.to_owned(), seen);
            self.await_miner(name, true);
        }
        added.map(drop)
    }

    fn remove_miner(&self, name: &str) -> Result<()> {
        let removed = self.there.as_ref().unwrap_or(&self.router).remove_miner(name);
        if removed.is_ok() {
            self.await_miner(name, false);
        }
        removed
    }

    /// Waits until the router that takes the tasks has heard of a miner of the other one, or of its end.
    fn await_miner(&self, name: &str, comes: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.there.is_some() {
            let miners: Value = serde_json::from_str(&self.router.miners().unwrap()).unwrap();
            if miners["miners"].as_array().unwrap().iter().any(|miner| miner["id"] == name) == comes {
                return;
            }
            assert!(Instant::now() < deadline, "the other router has not heard of {name}: {miners}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The handle by which a task is read.
    fn reading(&self, step: &Value) -> Result<Reading<'_>> {
        let own = self.task(step);
        match &self.there {
            None => Ok(Reading::Own(own)),
            Some(there) => there.attach(own.session_id(), own.task_id()).wait().map(Reading::There),
        }
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
        let reader = self.there.as_ref().unwrap_or(router);
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
            "text" => Ok((json!({"text": self.reading(step)?.text().wait()?}), None)),
            "embed" => {
                let embeddings =
                    router.embed(number("session"), &json!({"input": step["input"]}).to_string()).wait()?;
                record(embeddings.record())
            }
            "attach" => handle(reader.attach(number("session"), number("task_id")).wait()),
            "task" => record(reader.task(number("session"), number("task_id")).wait()),
            "cancel" => record(reader.cancel(number("session"), number("task_id")).wait()),
            "tasks" => record(reader.tasks(number("session"), &text("query")).wait()),
            "record" => record(self.reading(step)?.record().wait()),
            "result" => record(self.reading(step)?.result().wait()),
            "cancel_task" => nothing(self.task(step).cancel()),
            "detach" => {
                self.task(step).detach().unwrap();
                nothing(Ok(()))
            }
            "release" => {
                self.tasks.remove(step["task"].as_str().unwrap().trim_start_matches('$')).unwrap();
                nothing(Ok(()))
            }
            "stream" => {
                let task = self.reading(step)?;
                read(&task, step)
            }
            "add_miner" => nothing(self.add_miner(&step["miner"])),
            "remove_miner" => nothing(self.remove_miner(step["name"].as_str().unwrap())),
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
        let mut step = self.resolved(step);
        if self.there.is_some()
            && step["do"] == "stream"
            && let Some(expected) = step["expect"].as_object_mut()
        {
            // The text of a task that has ended meanwhile comes whole from its row, with numbers of its own.
            expected.remove("tokens");
        }
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

/// Plays one scenario on a stage. Gives the fault, or `None` when every step holds.
pub(crate) fn fault(mut stage: Stage, scenario: &Value) -> Option<String> {
    for miner in scenario["miners"].as_array().unwrap() {
        stage.add_miner(miner).unwrap();
    }
    let mut fault = None;
    for (index, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        if let Err(wrong) = stage.perform(step) {
            fault = Some(format!("step {} {step}\n    {wrong}", index + 1));
            break;
        }
    }
    stage.tasks.clear();
    let ends = [Some(&stage.router), stage.there.as_ref()].into_iter().flatten();
    // All of them are shut down, whatever the first one says.
    let failed: Vec<_> = ends.filter_map(|router| router.shutdown(Some(PATIENCE)).err()).collect();
    fault.or_else(|| failed.last().map(ToString::to_string))
}

/// All scenarios, with the files and the names of each.
pub(crate) fn scenarios() -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let scenarios: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let stem = file.file_stem().unwrap().display();
        let place = |scenario: &Value| format!("{stem}: {}", scenario["name"].as_str().unwrap());
        all.extend(scenarios.into_iter().map(|scenario| (place(&scenario), scenario)));
    }
    assert!(all.len() >= 40, "only {} scenarios were found", all.len());
    all
}

#[test]
fn every_scenario_holds() {
    let all = scenarios();
    let found = all.iter().filter_map(|(place, scenario)| {
        let stage = Stage::new(&scenario["config"]);
        fault(stage, scenario).map(|fault| format!("{place}\n  {fault}"))
    });
    let faults: Vec<String> = found.collect();
    assert!(faults.is_empty(), "{} of {} scenarios do not hold:\n{}", faults.len(), all.len(), faults.join("\n"));
}
