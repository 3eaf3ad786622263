//! Reads one input of a shape, so that callgrind can count the steps of the reading.

use std::hint::black_box;

use crate::growth::Growth;
use crate::shape::Shape;
use crate::targets::{TARGETS, Target};

/// Targets that are quadratic on purpose, and allocate nothing, or once. A count that does not see them proves nothing
/// about the others.
static PLANTED: [Target; 2] = [
    planted("planted-scan", scan, &[Shape { name: "many bytes", make: |n| "a".repeat(n) }]),
    // Moving a byte takes less than one step.
    planted("planted-move", remove, &[Shape { name: "very many bytes", make: |n| "a".repeat(n * 64) }]),
];

const fn planted(name: &'static str, read: fn(&[u8]), shapes: &'static [Shape]) -> Target {
    Target { name, read, growth: Growth { fixed: 0, times: 1 }, words: &[], shapes }
}

/// Compares every byte with all bytes before it.
fn scan(data: &[u8]) {
    let equal = |at: usize| data[..at].iter().map(|other| usize::from(*other == data[at])).sum::<usize>();
    black_box((0..data.len()).map(equal).sum::<usize>());
}

/// Removes the first byte again and again, which moves all bytes behind it.
fn remove(data: &[u8]) {
    let mut data = data.to_vec();
    while !data.is_empty() {
        black_box(data.remove(0));
    }
}

/// All shapes, each with the name of its target. The targets are those of [`TARGETS`], and two that are quadratic on
/// purpose, whose names begin with `planted-`.
pub fn shapes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = TARGETS.iter().chain(&PLANTED);
    all.flat_map(|target| target.shapes.iter().map(|shape| (target.name, shape.name)))
}

/// Reads an input of that shape and size. Gives its length in bytes; `None`: there is no such target or shape.
pub fn read_counted(target: &str, shape: &str, size: usize) -> Option<usize> {
    let target = TARGETS.iter().chain(&PLANTED).find(|known| known.name == target)?;
    let shape = target.shapes.iter().find(|known| known.name == shape)?;
    // Tables that are made at the first reading are no work of an input.
    (target.read)((shape.make)(1).as_bytes());
    let data = (shape.make)(size).into_bytes();
    counted(target.read, &data);
    Some(data.len())
}

/// The function whose steps callgrind counts; `cargo xtask fuzz --sweep` knows it by its path.
#[inline(never)]
fn counted(read: fn(&[u8]), data: &[u8]) {
    read(black_box(data));
    // Without this the call above could become a jump, which is no call to callgrind.
    black_box(());
}
