//! The targets.

mod answer;
mod config;
mod frame;
mod handshake;
mod head;
mod http;
mod query;
mod request;
mod returned;
mod stream;
mod translated;
mod work;

use std::fmt::Display;

use cortensor_router_testkit::random::Random;

use crate::growth::Growth;
use crate::mutation::changed;
use crate::shape::Shape;

/// A reader under test, with the rules for what it reads.
#[derive(Debug)]
pub struct Target {
    /// The name of the target, and of its directories.
    pub name: &'static str,
    /// Reads the bytes, and panics if a rule is broken.
    pub read: fn(&[u8]),
    /// The memory that reading may use.
    pub growth: Growth,
    /// Words by which inputs are changed.
    pub words: &'static [&'static str],
    /// Inputs that are hard to read.
    pub shapes: &'static [Shape],
}

impl Target {
    /// Reads the bytes.
    ///
    /// # Panics
    /// If a rule is broken.
    pub fn check(&self, data: &[u8]) {
        let peak = allocation_counter::measure(|| (self.read)(data)).bytes_max;
        let most = self.growth.most(data.len());
        assert!(peak <= most, "{} bytes were read with {} bytes, and {most} are allowed", data.len(), peak);
    }

    /// Makes another input of this one, as the seed decides.
    pub fn changed(&self, data: &[u8], seed: u64) -> Vec<u8> {
        changed(&mut Random::new(seed), &[data.to_vec()], self.words)
    }
}

/// Writes what was read and reads it again. From then on it must stay the same. Gives what was read again.
fn stable<T, E: Display>(record: &T, write: impl Fn(&T) -> String, read: impl Fn(&str) -> Result<T, E>) -> T {
    let text = write(record);
    let again = read(&text).unwrap_or_else(|error| panic!("what was written cannot be read: {error}: {text}"));
    assert_eq!(write(&again), text, "what was written reads otherwise");
    again
}

/// All targets.
pub static TARGETS: [Target; 12] = [
    http::TARGET,
    stream::TARGET,
    answer::TARGET,
    request::TARGET,
    translated::TARGET,
    returned::TARGET,
    work::TARGET,
    frame::TARGET,
    handshake::TARGET,
    config::TARGET,
    query::TARGET,
    head::TARGET,
];

/// The target of that name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> &'static Target {
    let known = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}: the targets are {}", known()))
}
