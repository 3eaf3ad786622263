//! Runs other programs. Their output passes through as it comes, and the closing lines of each runner are kept, so that
//! the end of a long log lists the results.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use crate::Outcome;

/// The steps that have run.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
    /// Whether the output of a step is shown in one piece when it has ended, since other steps run beside it.
    whole: bool,
}

/// Work that makes steps of its own.
pub(crate) type Lane<'a> = Box<dyn FnOnce(&mut Steps) -> Outcome + Send + 'a>;

struct Step {
    title: String,
    seconds: f64,
    passed: bool,
    closing: Vec<String>,
}

impl Steps {
    /// Runs `command` under a heading.
    ///
    /// # Errors
    /// When it cannot start, or ends without success.
    pub(crate) fn run(&mut self, title: &str, command: &mut Command) -> Outcome {
        let heading = format!("\n=== {title}\n    {}\n", shown(command));
        let started = Instant::now();
        let ended = if self.whole { at_the_end(&heading, command) } else { at_once(&heading, command) };
        let (passed, closing, outcome) = match ended {
            Ok(Ended { success: true, closing, .. }) => (true, closing, Ok(())),
            Ok(Ended { closing, tail, .. }) => {
                (false, closing, Err(format!("{title}: {} failed{}", shown(command), tail.output_tail())))
            }
            Err(error) => (false, Vec::new(), Err(format!("{title}: {} did not run: {error}", shown(command)))),
        };
        self.done.push(Step { title: title.into(), seconds: started.elapsed().as_secs_f64(), passed, closing });
        outcome
    }

    /// Runs a check of this program under a heading; its result is the closing line.
    pub(crate) fn check(&mut self, title: &str, check: impl FnOnce() -> Outcome<String>) -> Outcome {
        println!("\n=== {title}");
        let started = Instant::now();
        let outcome = check();
        let (Ok(line) | Err(line)) = &outcome;
        println!("{line}");
        self.done.push(Step {
            title: title.into(),
            seconds: started.elapsed().as_secs_f64(),
            passed: outcome.is_ok(),
            closing: line.lines().map(str::to_owned).collect(),
        });
        outcome.map(|_| ()).map_err(|error| {
            let lines: Vec<&str> = error.lines().collect();
            format!("{title} failed: {}", lines[lines.len().saturating_sub(TAIL)..].join("\n"))
        })
    }

    /// Records that a step was skipped, with the reason.
    pub(crate) fn skip(&mut self, title: &str, why: &str) {
        println!("\n=== {title}\nskipped: {why}");
        self.done.push(Step {
            title: title.into(),
            seconds: 0.0,
            passed: true,
            closing: vec![format!("skipped: {why}")],
        });
    }

    /// Runs those lanes beside each other, and gives the outcome of each. The output of a step comes when it has ended.
    pub(crate) fn beside(&mut self, lanes: Vec<Lane<'_>>) -> Vec<Outcome> {
        let run = |lane: Lane<'_>| {
            let mut steps = Self { whole: true, ..Self::default() };
            let outcome = lane(&mut steps);
            (steps.done, outcome)
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(|| run(lane))).collect();
            let ended = running.into_iter().map(|lane| {
                let (done, outcome) = lane.join().map_err(|_| "a lane panicked")?;
                self.done.extend(done);
                outcome
            });
            ended.collect()
        })
    }

    /// Prints one line for each step, with the closing lines of its runner below.
    pub(crate) fn summary(&self) {
        if self.done.is_empty() {
            return;
        }
        println!("\n=== summary");
        for step in &self.done {
            println!("{} {} ({:.1} s)", if step.passed { "ok    " } else { "FAILED" }, step.title, step.seconds);
            for line in &step.closing {
                println!("         {line}");
            }
        }
    }
}

/// The command as a user would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The number of lines that are kept of a program's output.
const TAIL: usize = 15;

/// The last lines of a program's output, for the error when it fails: if a log is cut, these lines still remain.
#[derive(Default)]
pub(crate) struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    /// Passes the output on as it comes, and keeps its last lines.
    pub(crate) fn pass_on(&self, from: impl Read, mut to: impl Write, mut see: impl FnMut(&str)) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            // A closed terminal must not stop the run: the exit status still counts.
            let _ = to.write_all(&line).and_then(|()| to.flush());
            let text = String::from_utf8_lossy(&line);
            see(&text);
            if let Ok(mut lines) = self.0.lock() {
                lines.push_back(text.trim_end().to_owned());
                if lines.len() > TAIL {
                    lines.pop_front();
                }
            }
            line.clear();
        }
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_ok_and(|lines| lines.iter().all(String::is_empty))
    }

    /// The lines as an addition to the sentence of the failure; empty if the program wrote nothing.
    pub(crate) fn output_tail(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let lines: Vec<String> = self.0.lock().map(|lines| lines.iter().cloned().collect()).unwrap_or_default();
        format!("; its last words:\n    {}", lines.join("\n    "))
    }
}

/// The end of a program: the closing lines of runners, and the last lines of its output.
struct Ended {
    success: bool,
    closing: Vec<String>,
    /// The last lines of stderr, or of stdout if stderr is empty.
    tail: Tail,
}

/// Runs a command and passes its output on as it comes.
fn at_once(heading: &str, command: &mut Command) -> std::io::Result<Ended> {
    print!("{heading}");
    tee(command, std::io::stdout(), std::io::stderr())
}

/// Runs a command and passes its output on when it has ended.
fn at_the_end(heading: &str, command: &mut Command) -> std::io::Result<Ended> {
    let told = Mutex::new(heading.as_bytes().to_vec());
    let ended = tee(command, Shared(&told), Shared(&told));
    // A closed terminal must not stop the run: the exit status still counts.
    let _ = std::io::stdout().lock().write_all(&told.into_inner().unwrap_or_default());
    ended
}

/// A text that both outputs of a program are written to.
struct Shared<'a>(&'a Mutex<Vec<u8>>);

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_or(Ok(0), |mut told| told.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a command and passes its output to `out` and `err`.
fn tee(command: &mut Command, out: impl Write + Send, err: impl Write + Send) -> std::io::Result<Ended> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let closing = Mutex::new(Vec::new());
    let (said, complained) = (Tail::default(), Tail::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let see = |line: &str| {
        let text = line.trim_matches(|c: char| c == '=' || c.is_whitespace());
        if is_closing(text)
            && let Ok(mut lines) = closing.lock()
        {
            lines.push(text.to_owned());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| stdout.map(|from| said.pass_on(from, out, see)));
        scope.spawn(|| stderr.map(|from| complained.pass_on(from, err, see)));
    });
    let status = child.wait()?;
    let tail = if complained.is_empty() { said } else { complained };
    Ok(Ended { success: status.success(), closing: closing.into_inner().unwrap_or_default(), tail })
}

/// Whether a line is the closing line of a runner: nextest, cargo test, pytest, node, schemathesis, or this program.
fn is_closing(line: &str) -> bool {
    let counts = |word: &str| line.contains(&format!(" {word}"));
    (line.starts_with("Summary [") && counts("tests run"))
        || (line.starts_with("test result: ") && !line.contains(" 0 passed; 0 failed; 0 ignored"))
        // After more than a minute pytest writes the time twice: `in 85.40s (0:01:25)`.
        || (line.ends_with(['s', ')']) && counts("in ") && (counts("passed") || counts("failed")))
        || ["# tests ", "# pass ", "# fail ", "# skipped ", "ℹ tests ", "ℹ pass ", "ℹ fail ", "ℹ skipped "]
            .iter()
            .any(|start| line.starts_with(start))
        || line.starts_with("SKIPPED [")
        || line.starts_with("chaos: ")
        || line.starts_with("sim: ")
        || line.starts_with("fuzz: ")
        || line.starts_with("bench: ")
        || line.starts_with("conformance: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runners_closing_line_is_known() {
        for line in [
            "Summary [   1.234s] 12 tests run: 12 passed, 0 skipped",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "31 passed in 4.12s",
            "31 passed in 85.40s (0:01:25)",
            "1 failed, 30 passed, 2 skipped in 4.12s",
            "# pass 9",
            "ℹ pass 9",
            "SKIPPED [1] test_model.py:20: no model",
        ] {
            assert!(is_closing(line), "{line}");
        }
        for line in
            ["    Finished `dev` profile in 2s", "test result: ok. 0 passed; 0 failed; 0 ignored;", "running 3 tests"]
        {
            assert!(!is_closing(line), "{line}");
        }
    }

    #[test]
    fn a_failure_is_told_with_its_command_and_an_absent_program_too() {
        let mut steps = Steps::default();
        assert!(steps.run("true", &mut Command::new("true")).is_ok());
        assert!(steps.run("false", Command::new("false").arg("x")).unwrap_err().contains("false x failed"));
        assert!(steps.run("absent", &mut Command::new("no-such-program-here")).unwrap_err().contains("did not run"));
        assert_eq!(steps.done.iter().map(|step| step.passed).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn lanes_run_beside_each_other_and_their_steps_are_listed_lane_by_lane() {
        let both = std::sync::Barrier::new(2);
        let lane = |name: &'static str, command: &'static str| -> Lane<'_> {
            let both = &both;
            Box::new(move |steps| {
                // Neither passes before the other has begun.
                both.wait();
                steps.run(name, &mut Command::new(command))
            })
        };
        let mut steps = Steps::default();
        let outcomes = steps.beside(vec![lane("one", "false"), lane("two", "true")]);
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
        assert_eq!(steps.done.iter().map(|step| step.title.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn a_failure_carries_the_last_words() {
        let mut steps = Steps::default();
        let mut failing = |script: &str| steps.run("words", Command::new("sh").args(["-c", script])).unwrap_err();
        let told = failing("echo out; for i in $(seq 40); do echo line $i >&2; done; exit 1");
        assert!(told.contains("\n    line 26\n") && told.ends_with("\n    line 40"), "{told}");
        assert!(!told.contains("\n    line 25\n") && !told.contains("\n    out"), "{told}");
        assert!(failing("echo out; exit 1").ends_with("its last words:\n    out"), "stdout where stderr has nothing");
        assert!(failing("exit 1").ends_with("failed"));
        let checked = steps.check("check", || Err("why".into())).unwrap_err();
        assert_eq!(checked, "check failed: why");
    }
}
