//! A listener that other machines reach must refuse to start without a token of the operator's own.

use std::time::Duration;

use crate::Outcome;
use crate::report::{Tally, control};
use crate::target::Command;

/// The time within which a router that will refuse has refused.
const LIMIT: Duration = Duration::from_secs(8);

/// Arguments and variables of the command.
type Opening = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// Ways to open the listener to all.
const OPENINGS: &[Opening] = &[
    (&["--host", "0.0.0.0"], &[]),
    (&["--host", "::"], &[]),
    (&["--host", "::ffff:0.0.0.0"], &[]),
    (&["--host", "0.0.0.0", "--token", "default-dev-token"], &[]),
    (&["--host", "0.0.0.0", "--token", ""], &[]),
    (&["--host", "0.0.0.0", "--set", "listen.dev_token=true"], &[]),
    (&["--host", "0.0.0.0", "--set", "listen.anonymous=loopback"], &[]),
    (&["--set", "listen.host=0.0.0.0"], &[]),
    (&[], &[("CORTENSOR_LISTEN_HOST", "0.0.0.0")]),
    (&[], &[("ROUTER_REST_BIND_IP", "0.0.0.0")]),
    (&["--host", "0.0.0.0"], &[("API_KEY", "default-dev-token")]),
    (&["--host", "0.0.0.0"], &[("API_KEY", "")]),
    (&["--host", "0.0.0.0"], &[("CORTENSOR_LISTEN_TOKEN", "default-dev-token")]),
];

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut tally = Tally::default();
    for (arguments, variables) in OPENINGS {
        let all = [&["serve", "--port", "0"], *arguments].concat();
        let ended = command.run(&all, variables, LIMIT)?;
        tally.must(ended.status.is_some_and(|status| status != 0), || {
            format!("{arguments:?} {variables:?} serves: {}", ended.output)
        });
        tally.must(["token", "listen.host"].iter().any(|fix| ended.output.contains(fix)), || {
            format!("{arguments:?} {variables:?}: the refusal names no fix: {}", ended.output)
        });
    }
    let all = ["serve", "--port", "0", "--token", "a-token-of-the-operators-own"];
    let ended = command.run(&all, &[], Duration::from_secs(1))?;
    control(ended.status.is_none(), || format!("a router with a token does not serve: {}", ended.output))?;
    Ok(tally)
}
