//! Reads one input, for `cargo xtask fuzz --sweep`, which runs this program under callgrind.
//!
//! Without arguments it lists all shapes: the target and the shape, with a tab between. With a target, a shape and a size
//! it reads the input and writes the number of its bytes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

use std::process::ExitCode;

use cortensor_router_fuzz::{read_counted, shapes};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        for (target, shape) in shapes() {
            println!("{target}\t{shape}");
        }
        return ExitCode::SUCCESS;
    }
    let [target, shape, size] = &arguments[..] else {
        eprintln!("usage: cortensor-router-steps [TARGET SHAPE SIZE]");
        return ExitCode::from(2);
    };
    let Some(bytes) = size.parse().ok().and_then(|size| read_counted(target, shape, size)) else {
        eprintln!("there is no shape {shape:?} of a target {target:?}, or {size:?} is no size");
        return ExitCode::FAILURE;
    };
    println!("{bytes}");
    ExitCode::SUCCESS
}
