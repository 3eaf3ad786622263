//! Counts the steps of a target's reader for inputs of growing sizes. A step is an instruction of the processor, which
//! callgrind counts exactly, so that the result does not depend on the speed or the load of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::step::Steps;
use crate::{Outcome, environment};

/// The program that reads the inputs.
const PROGRAM: &str = "cortensor-router-steps";

/// The function that reads one input, as the symbols of the program name it.
const COUNTED: &str = "*cortensor_router_fuzz*5steps7counted*";

/// How much faster than an input its steps may grow: 2.3 times for an input of twice the size. A reader that sorts needs
/// 2.2 times as many; a quadratic one four times.
const SLACK: f64 = 1.15;

/// Targets that are quadratic on purpose, to prove that the count finds them.
const PLANTED: [&str; 2] = ["planted-scan", "planted-move"];

/// The sizes that are compared; each is twice the one before.
const SIZES: [u32; 3] = [256, 512, 1_024];

/// A kind of inputs of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    target: String,
    name: String,
}

/// The reading of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    bytes: u64,
    steps: u64,
}

/// The growth from one size to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Growth {
    from: Reading,
    to: Reading,
}

impl Growth {
    fn steps(self) -> f64 {
        self.to.steps as f64 / self.from.steps.max(1) as f64
    }

    fn is_too_fast(self) -> bool {
        self.steps() > SLACK * self.to.bytes as f64 / self.from.bytes.max(1) as f64
    }
}

impl std::fmt::Display for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to } = self;
        let times = self.steps();
        write!(f, "{} steps for {} bytes, {} for {}: {times:.2} times", from.steps, from.bytes, to.steps, to.bytes)
    }
}

/// The fastest growth from a size to the next one.
fn fastest(readings: &[Reading]) -> Option<Growth> {
    let all = readings.windows(2).map(|pair| Growth { from: pair[0], to: pair[1] });
    all.max_by(|one, other| one.steps().total_cmp(&other.steps()))
}

/// Counts the steps of these targets, and of the planted ones.
///
/// # Errors
/// When the steps of a target grow faster than its inputs, or those of a planted target do not.
pub(super) fn run(steps: &mut Steps, targets: &[String]) -> Outcome {
    if !environment::answers("valgrind", &["--version"]) {
        environment::apt_install(steps, &["valgrind"])?;
    }
    let program = environment::router(steps)?.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX));
    let home = environment::target().join("fuzz/steps");
    let shapes: Vec<Shape> = listed(&program)?
        .into_iter()
        .filter(|shape| PLANTED.contains(&shape.target.as_str()) || targets.contains(&shape.target))
        .collect();
    steps.check("fuzz: count steps", || {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let growths = counted(&program, &home, &shapes)?;
        let _ = fs::remove_dir_all(&home);
        judged(&shapes, &growths)
    })
}

/// The shapes that the program knows.
fn listed(program: &Path) -> Outcome<Vec<Shape>> {
    let output = Command::new(program).output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let shape = |line: &str| {
        let (target, name) = line.split_once('\t')?;
        Some(Shape { target: target.to_owned(), name: name.to_owned() })
    };
    Ok(text.lines().filter_map(shape).collect())
}

/// Tells the fastest growth of each target.
///
/// # Errors
/// The shapes that grow too fast, and the planted ones that do not.
fn judged(shapes: &[Shape], growths: &[Growth]) -> Outcome<String> {
    let mut fastest: BTreeMap<&str, (usize, &Shape, Growth)> = BTreeMap::new();
    let mut faults = Vec::new();
    for (shape, growth) in shapes.iter().zip(growths) {
        let of_target = fastest.entry(&shape.target).or_insert((0, shape, *growth));
        of_target.0 += 1;
        if growth.steps() > of_target.2.steps() {
            (of_target.1, of_target.2) = (shape, *growth);
        }
        let is_planted = PLANTED.contains(&shape.target.as_str());
        if growth.is_too_fast() != is_planted {
            let what = if is_planted { "is quadratic, but was not found" } else { "grows too fast" };
            faults.push(format!("{}: {} {what}: {growth}", shape.target, shape.name));
        }
    }
    if let Some(absent) = PLANTED.iter().find(|planted| !fastest.contains_key(*planted)) {
        faults.push(format!("{absent} was not counted"));
    }
    let lines = fastest.iter().map(|(target, (count, shape, growth))| {
        format!("fuzz: {target}: {count} shapes; the fastest is {}: {growth}", shape.name)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if faults.is_empty() { Ok(text) } else { Err(format!("{text}\n{}", faults.join("\n"))) }
}

/// Counts the steps of each shape, on all processors.
fn counted(program: &Path, home: &Path, shapes: &[Shape]) -> Outcome<Vec<Growth>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(shape) = shapes.get(at) else { return Outcome::Ok(done) };
            let file = home.join(at.to_string());
            let readings: Outcome<Vec<_>> = SIZES.iter().map(|size| callgrind(program, &file, shape, *size)).collect();
            let growth = fastest(&readings?).ok_or_else(|| "there is only one size".to_owned())?;
            done.push((at, growth));
        }
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a thread has ended early".to_owned())??);
        }
        Outcome::Ok(())
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, growth)| growth).collect())
}

/// Reads one input under callgrind, which writes its counts to that file.
fn callgrind(program: &Path, file: &Path, shape: &Shape, size: u32) -> Outcome<Reading> {
    let mut run = Command::new("valgrind");
    // Valgrind counts each byte of the instruction `rep movsb` as a step. glibc copies long texts by it, and short ones
    // 32 bytes at a step, so that the same work would jump at some length.
    run.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS");
    run.args(["--tool=callgrind", "--quiet", "--demangle=no", "--collect-atstart=no"]);
    run.args([format!("--toggle-collect={COUNTED}"), format!("--callgrind-out-file={}", file.display())]);
    run.arg(program).args([&shape.target, &shape.name, &size.to_string()]);
    let output = run.output().map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{shape:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let counts = environment::read(file)?;
    reading(&said, &counts).ok_or_else(|| format!("{shape:?}: no count: {said}"))
}

/// Puts together what the program wrote, which is the number of bytes, and what callgrind counted.
fn reading(said: &str, counts: &str) -> Option<Reading> {
    let steps: u64 = counts.lines().find_map(|line| line.strip_prefix("summary: "))?.trim().parse().ok()?;
    // No steps at all mean that callgrind has not met the function.
    Some(Reading { bytes: said.trim().parse().ok()?, steps }).filter(|reading| reading.steps > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(counts: &[(u64, u64)]) -> Vec<Reading> {
        counts.iter().map(|(bytes, steps)| Reading { bytes: *bytes, steps: *steps }).collect()
    }

    fn shape(target: &str, name: &str) -> Shape {
        Shape { target: target.into(), name: name.into() }
    }

    #[test]
    fn steps_that_grow_faster_than_the_bytes_are_found() {
        let good = fastest(&readings(&[(10, 1_000), (20, 2_000), (40, 4_590), (80, 9_000)])).unwrap();
        assert!(!good.is_too_fast(), "{good}");
        let fast = fastest(&readings(&[(10, 1_000), (20, 2_000), (40, 4_610)])).unwrap();
        assert!(fast.is_too_fast());
        assert_eq!(fast.to_string(), "2000 steps for 20 bytes, 4610 for 40: 2.31 times");
        let longer = fastest(&readings(&[(10, 1_000), (21, 2_400)])).unwrap();
        assert!(!longer.is_too_fast(), "the input itself has grown more");
        assert_eq!(fastest(&readings(&[(1, 1)])), None);

        let planted = fastest(&readings(&[(10, 100), (20, 400)])).unwrap();
        let shapes = [shape("a", "one"), shape("a", "two"), shape("planted-scan", "x"), shape("planted-move", "x")];
        let text = judged(&shapes, &[good, good, planted, planted]).unwrap();
        assert!(text.contains("fuzz: a: 2 shapes; the fastest is one"), "{text}");
        assert!(
            judged(&shapes, &[good, fast, planted, planted])
                .unwrap_err()
                .ends_with(&format!("a: two grows too fast: {fast}"))
        );
        assert!(judged(&shapes, &[good, good, planted, good]).unwrap_err().contains("planted-move: x is quadratic"));
        assert!(judged(&shapes[..3], &[good, good, planted]).unwrap_err().ends_with("planted-move was not counted"));
    }

    #[test]
    fn a_reading_has_what_the_program_wrote_and_what_was_counted() {
        let counts = "version: 1\nevents: Ir\nsummary: 42\n\nfn=(1) x\n0 42\ntotals: 42\n";
        assert_eq!(reading("64\n", counts), Some(Reading { bytes: 64, steps: 42 }));
        assert_eq!(reading("64\n", "events: Ir\n"), None);
        assert_eq!(reading("64\n", "summary: 0\n"), None);
        assert_eq!(reading("valgrind says\n", counts), None);
    }
}
