//! Faults that are built in on purpose, to prove that the tests find them.
//!
//! `core/tests/simulation/planted.toml` lists them. All are built at once into a copy of the workspace, each behind a
//! switch that an environment variable sets. The copy stands below `target/` and builds into the same `target/`, so
//! that it shares all compiled dependencies, and one build serves all faults. Its packages have a version of their own:
//! cargo names what it builds by package and version and not by the directory, and would else take a library of the copy
//! for the one of the checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::programs::{self, Program};
use crate::step::Steps;
use crate::{Outcome, environment};

/// The list of faults, below the root of the checkout.
const LIST: &str = "core/tests/simulation/planted.toml";
/// The word in a replacement that stands for the switch.
const SWITCH: &str = "planted!()";
/// The end of the versions of the copy's packages. It is build metadata, so that the packages still find each other.
const APART: &str = "+planted";
/// The environment variable that names the fault to switch on.
const VARIABLE: &str = "PLANTED_BUG";
/// The time after which a test counts as hung. A fault may keep a test waiting, and is found by that.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time after which an attack counts as broken.
const PATIENCE_OF_ATTACKS: Duration = Duration::from_mins(5);
/// The program of the attacks, and the command that it attacks.
const ATTACK: &str = "cortensor-router-attack";
const ROUTER: &str = "cortensor-router";
/// The beginning of the line in which the attacks report a success.
const SUCCESS: &str = "SUCCESS of the attacker";
/// The number of parts in which CI checks the faults in turn.
pub(crate) const PARTS: usize = 12;
/// The part with all faults that attacks find.
const PART_OF_ATTACKS: usize = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Bug>,
}

/// A fault: a replacement in one file, and the test or the attack that must find it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    name: String,
    what: String,
    file: String,
    old: String,
    new: String,
    found_by: FoundBy,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FoundBy {
    /// The simulator, within that number of worlds.
    Worlds(u32),
    /// A test: its program and its path.
    Test(String),
    /// A row of the attacks on the real command.
    Attack(String),
}

/// The end of a test.
enum Ended {
    Passed,
    Failed(String),
    Hung,
}

/// Builds the faults in and runs for each of them the test or the attack that must find it. `names` selects faults by name and
/// `part` one of [`PARTS`]; all are checked if neither is given.
///
/// # Errors
/// When a replacement does not apply exactly once, a test or an attack fails without a fault, or a fault is not found.
pub(crate) fn run(steps: &mut Steps, names: &[String], part: Option<usize>) -> Outcome {
    let bugs = selected(listed(&environment::root())?, names, part)?;
    if bugs.iter().any(|bug| bug.found_by.needs_postgres()) {
        environment::postgres(steps)?;
    }
    let copy = environment::target().join("planted");
    lay_out(&copy, &bugs)?;
    let mut programs = BTreeMap::new();
    steps.check("planted bugs: build", || {
        programs = built(&copy, &bugs)?;
        Ok(format!("sim: built {} planted bugs in one copy of the workspace", bugs.len()))
    })?;
    steps.check("planted bugs: the tests without them", || {
        let finders: BTreeSet<&FoundBy> = bugs.iter().map(|bug| &bug.found_by).collect();
        for finder in &finders {
            match finder.run(&programs, None)? {
                Ended::Passed => {}
                Ended::Failed(why) => return Err(format!("{finder} fails without a planted bug: {why}")),
                Ended::Hung => return Err(format!("{finder} takes too long")),
            }
        }
        Ok(format!("sim: {} tests pass without planted bugs", finders.len()))
    })?;
    steps.check("planted bugs", || {
        let mut missed = Vec::new();
        for bug in &bugs {
            match bug.found_by.run(&programs, Some(&bug.name))? {
                Ended::Passed => missed.push(format!("{} ({}) was not found by {}", bug.name, bug.what, bug.found_by)),
                Ended::Failed(why) => println!("{}: {why}", bug.name),
                // A fault may keep a test waiting. An attack that takes too long says nothing.
                Ended::Hung if matches!(bug.found_by, FoundBy::Attack(_)) => {
                    missed.push(format!("{}: {} take too long", bug.name, bug.found_by));
                }
                Ended::Hung => println!("{}: {} hangs", bug.name, bug.found_by),
            }
        }
        if missed.is_empty() {
            Ok(format!("sim: all {} planted bugs were found", bugs.len()))
        } else {
            Err(missed.join("\n"))
        }
    })
}

/// Reads the list of the checkout at `root`, and checks that every replacement applies.
fn listed(root: &Path) -> Outcome<Vec<Bug>> {
    let list: List =
        toml::from_str(&environment::read(&root.join(LIST))?).map_err(|error| format!("{LIST}: {error}"))?;
    let mut names = BTreeSet::new();
    for bug in &list.bug {
        if !names.insert(&bug.name) {
            return Err(format!("{LIST}: {} is listed twice", bug.name));
        }
        if !bug.new.contains(SWITCH) {
            return Err(format!("{LIST}: `new` of {} has no `{SWITCH}`", bug.name));
        }
    }
    let mut files: BTreeMap<&str, Vec<&Bug>> = BTreeMap::new();
    for bug in &list.bug {
        files.entry(&bug.file).or_default().push(bug);
    }
    for (file, bugs) in files {
        planted(&environment::read(&root.join(file))?, &bugs)?;
    }
    Ok(list.bug)
}

fn selected(mut bugs: Vec<Bug>, names: &[String], part: Option<usize>) -> Outcome<Vec<Bug>> {
    if let Some(unknown) = names.iter().find(|name| !bugs.iter().any(|bug| bug.name == **name)) {
        return Err(format!("{LIST} has no {unknown}"));
    }
    // Bugs that one program finds are in one part as far as they can, so that a part has few programs to build.
    bugs.sort_by(|one, other| one.found_by.program().cmp(other.found_by.program()));
    let count = bugs.len();
    let wanted = |(place, bug): &(usize, Bug)| {
        // Only one part needs the real command, which takes long to build.
        let its = if matches!(bug.found_by, FoundBy::Attack(_)) { PART_OF_ATTACKS } else { place * PARTS / count };
        part.is_none_or(|part| its == part) && (names.is_empty() || names.contains(&bug.name))
    };
    Ok(bugs.into_iter().enumerate().filter(wanted).map(|(_, bug)| bug).collect())
}

/// The text of a file with these faults in it.
fn planted(text: &str, bugs: &[&Bug]) -> Outcome<String> {
    let mut places = Vec::new();
    for bug in bugs {
        let found: Vec<_> = text.match_indices(&bug.old).map(|(at, _)| at).collect();
        let [at] = found[..] else {
            let count = found.len();
            return Err(format!("{LIST}: `old` of {} occurs {count} times in {} instead of once", bug.name, bug.file));
        };
        places.push((at, *bug));
    }
    places.sort_by_key(|(at, _)| *at);
    let (mut whole, mut end) = (String::new(), 0);
    for (at, bug) in places {
        if at < end {
            return Err(format!("{LIST}: {} replaces a part of what another planted bug replaces", bug.name));
        }
        whole.push_str(&text[end..at]);
        whole.push_str(&bug.new.replace(SWITCH, &switch(&bug.name)));
        end = at + bug.old.len();
    }
    whole.push_str(&text[end..]);
    Ok(whole)
}

/// An expression that tells whether the fault is switched on. It asks the environment once.
fn switch(name: &str) -> String {
    format!(
        "({{ static ON: std::sync::OnceLock<bool> = std::sync::OnceLock::new(); \
         *ON.get_or_init(|| std::env::var_os(\"{VARIABLE}\").is_some_and(|name| name == \"{name}\")) }})"
    )
}

/// Copies the files that git knows or would take. Files that are there already and do not differ stay untouched, so
/// that cargo builds only what has changed.
fn lay_out(copy: &Path, bugs: &[Bug]) -> Outcome {
    let root = environment::root();
    let mut git = Command::new("git");
    let listed = git
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let names = String::from_utf8(listed.stdout).map_err(|error| format!("git ls-files: {error}"))?;
    let kept: BTreeSet<&str> = names.split_terminator('\0').filter(|name| root.join(name).is_file()).collect();
    for file in &kept {
        let mut content = fs::read(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
        let here: Vec<&Bug> = bugs.iter().filter(|bug| bug.file == **file).collect();
        if !here.is_empty() {
            let text = String::from_utf8(content).map_err(|error| format!("{file}: {error}"))?;
            content = planted(&text, &here)?.into_bytes();
        }
        if matches!(*file, "Cargo.toml" | "Cargo.lock") {
            let text = String::from_utf8(content).map_err(|error| format!("{file}: {error}"))?;
            content = set_apart(&text)?.into_bytes();
        }
        let to = copy.join(file);
        if fs::read(&to).is_ok_and(|old| old == content) {
            continue;
        }
        let parent = to.parent().unwrap_or(copy);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&to, content))
            .map_err(|error| format!("{}: {error}", to.display()))?;
    }
    // A file that the checkout no longer has would still be built.
    let mut open = vec![copy.to_path_buf()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let known = path.strip_prefix(copy).ok().and_then(Path::to_str).is_some_and(|name| kept.contains(name));
            if path.is_dir() {
                open.push(path);
            } else if !known {
                fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The manifest of the workspace or its lock file, with the versions of the copy.
///
/// # Errors
/// When the text has no package of the workspace.
fn set_apart(text: &str) -> Outcome<String> {
    let (mut whole, mut is_changed) = (String::new(), false);
    for part in text.split_inclusive("\n\n") {
        // The lock file names a source of every package that does not come from the workspace.
        let is_ours = part.starts_with("[workspace.package]")
            || (part.starts_with("[[package]]") && !part.contains("\nsource = "));
        let version = part.find("\nversion = \"").filter(|_| is_ours).map(|at| at + "\nversion = \"".len());
        match version.and_then(|from| Some(from + part[from..].find('"')?)) {
            Some(end) => {
                whole.extend([&part[..end], APART, &part[end..]]);
                is_changed = true;
            }
            None => whole.push_str(part),
        }
    }
    if is_changed { Ok(whole) } else { Err("no package of the workspace has a version".to_owned()) }
}

/// Builds the tests of the copy that the faults name, and the command and its attacks. Gives the programs by their names.
fn built(copy: &Path, bugs: &[Bug]) -> Outcome<BTreeMap<String, Program>> {
    let wanted: BTreeSet<&str> = bugs.iter().map(|bug| bug.found_by.program()).collect();
    let mut found = BTreeMap::new();
    if wanted.iter().any(|program| *program != ATTACK) {
        let mut tests = programs::cargo("test", &["--no-run"]);
        for program in wanted.iter().filter(|program| **program != ATTACK) {
            if is_lib(program) {
                tests.arg("--lib");
            } else {
                tests.args(["--test", program]);
            }
        }
        found.extend(programs::build(&mut tests, copy)?);
    }
    if wanted.contains(ATTACK) {
        found.extend(programs::build(&mut programs::all(), copy)?);
    }
    Ok(found)
}

/// Whether the tests stand in a library itself; its name is that of a crate.
fn is_lib(program: &str) -> bool {
    program.starts_with("cortensor_router")
}

impl FoundBy {
    fn program(&self) -> &str {
        match self {
            Self::Worlds(_) => "simulation",
            Self::Test(test) => test.split_once(' ').map_or(test, |(program, _)| program),
            Self::Attack(_) => ATTACK,
        }
    }

    fn test(&self) -> &str {
        match self {
            Self::Worlds(_) => "no_world_breaks_an_invariant",
            Self::Test(test) => test.split_once(' ').map_or("", |(_, path)| path),
            Self::Attack(row) => row,
        }
    }

    /// Whether the test has a PostgreSQL of its own.
    fn needs_postgres(&self) -> bool {
        self.test().contains("postgres::")
    }

    /// Runs the test or the attack, with a fault or without one.
    fn run(&self, programs: &BTreeMap<String, Program>, bug: Option<&str>) -> Outcome<Ended> {
        let named = |name| programs.get(name).ok_or_else(|| format!("no program is called {name}"));
        let program = named(self.program())?;
        let log = environment::target().join("planted.log");
        let file = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let clone = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = program.command();
        let patience = if let Self::Attack(row) = self {
            command.arg(&named(ROUTER)?.path).arg(row);
            PATIENCE_OF_ATTACKS
        } else {
            command.args(["--exact", self.test()]);
            PATIENCE
        };
        command.stdin(Stdio::null()).stdout(file).stderr(clone);
        command.env("PROPTEST_FAILURE_PERSISTENCE", "off").env_remove(VARIABLE);
        if self.needs_postgres() {
            command.env("CORTENSOR_REQUIRE_POSTGRES", "1");
        }
        if let Self::Worlds(worlds) = self {
            command.env("SIM_SEEDS", worlds.to_string());
        }
        if let Some(bug) = bug {
            command.env(VARIABLE, bug);
        }
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.path.display()))?;
        let started = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| format!("{self}: {error}"))? {
                Some(status) => break status,
                None if started.elapsed() > patience => {
                    child.kill().and_then(|()| child.wait()).map_err(|error| format!("{self}: {error}"))?;
                    return Ok(Ended::Hung);
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        if let Self::Attack(_) = self {
            return match said.lines().find(|line| line.contains(SUCCESS)) {
                Some(success) => Ok(Ended::Failed(success.to_owned())),
                None if status.success() => Ok(Ended::Passed),
                None => Err(format!("{self} is broken: {}", said.lines().last().unwrap_or_default())),
            };
        }
        if !status.success() {
            return Ok(Ended::Failed(reason(&said)));
        }
        if said.contains(" 1 passed") { Ok(Ended::Passed) } else { Err(format!("there is no test {self}")) }
    }
}

/// The first line with which a test explains its failure.
fn reason(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    let panicked = lines.next().unwrap_or("it failed");
    lines.next().unwrap_or(panicked).to_owned()
}

impl std::fmt::Display for FoundBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Worlds(worlds) => write!(f, "the simulator in {worlds} worlds"),
            Self::Test(test) => f.write_str(test),
            Self::Attack(row) => write!(f, "the attacks of the row {row}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bug(name: &str, old: &str) -> Bug {
        Bug {
            name: name.into(),
            what: String::new(),
            file: "f".into(),
            old: old.into(),
            new: format!("[{SWITCH}]"),
            found_by: FoundBy::Worlds(1),
        }
    }

    #[test]
    fn every_planted_bug_of_the_list_applies_to_the_code() {
        assert!(listed(&environment::root()).unwrap().len() >= 25);
    }

    #[test]
    fn a_replacement_that_does_not_apply_exactly_once_is_named() {
        let (one, two, far) = (bug("one", "ab"), bug("two", "b c"), bug("far", "d"));
        for (text, count) in [("x", 0), ("ab ab", 2)] {
            let error = planted(text, &[&one]).unwrap_err();
            assert!(error.contains("one") && error.contains(&format!("{count} times")), "{error}");
        }
        let both = planted("d ab!", &[&one, &far]).unwrap();
        let (first, second) = (both.find("\"far\"").unwrap(), both.find("\"one\"").unwrap());
        assert!(first < second && both.ends_with("]!"), "{both}");
        assert!(planted("ab c", &[&one, &two]).unwrap_err().contains("two replaces a part"));
    }

    #[test]
    fn the_packages_of_the_copy_have_a_version_of_their_own() {
        let manifest = "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"1.2\"\nedition = \"2024\"\n\n[d]\nversion = \"1\"\n";
        assert_eq!(set_apart(manifest).unwrap(), manifest.replace("1.2", "1.2+planted"));
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"3\"\nsource = \"r\"\n";
        assert_eq!(set_apart(lock).unwrap(), lock.replace("1.2", "1.2+planted"));
        assert!(set_apart("[workspace]\n").is_err());
        let root = environment::root();
        for file in ["Cargo.toml", "Cargo.lock"] {
            assert!(set_apart(&environment::read(&root.join(file)).unwrap()).unwrap().contains(APART), "{file}");
        }
    }

    #[test]
    fn faults_are_selected_by_name_and_by_part() {
        let all = || (0..=PARTS).map(|place| bug(&place.to_string(), "x")).collect::<Vec<_>>();
        let names = |bugs: Vec<Bug>| bugs.into_iter().map(|bug| bug.name).collect::<Vec<_>>();
        let last = PARTS.to_string();
        assert_eq!(selected(all(), &[], None).unwrap().len(), PARTS + 1);
        assert_eq!(names(selected(all(), &[], Some(0)).unwrap()), ["0", "1"]);
        assert_eq!(names(selected(all(), &["2".into()], None).unwrap()), ["2"]);
        let with_attack = || {
            let mut all = all();
            all[PARTS].found_by = FoundBy::Attack("row".into());
            all
        };
        assert_eq!(names(selected(with_attack(), &[], Some(0)).unwrap()), ["0"]);
        assert_eq!(names(selected(with_attack(), &[], Some(PART_OF_ATTACKS)).unwrap()), [&last, "1"]);
        assert!(selected(all(), &["z".into()], None).unwrap_err().contains("has no z"));
    }
}
