//! The `cortensor-router` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cortensor_router::cli::run(std::env::args_os()))
}
