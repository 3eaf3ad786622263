//! `reload`: lets a running router read its configuration again.

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::exit::{Done, Exit};
use crate::keys::{Holding, Place};
use crate::output;
use crate::runtime;

const EXAMPLES: &str = "\
Examples:
  cortensor-router reload                      the router of this data directory
  cortensor-router reload --url https://router.example --token \"$TOKEN\"

The router reads the file, the environment and the flags of its start again. Connections and
tasks go on. If anything is wrong, nothing changes. SIGHUP does the same.";

/// The arguments of `reload`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Reload {
    #[command(flatten)]
    place: Place,
}

impl Reload {
    pub(crate) fn run(&self) -> Done {
        let client = running(&self.place)?;
        let done = runtime::client(client.send(Method::POST, "/api/v1/reload", None))?;
        if self.place.json {
            return output::json(&done);
        }
        if done.get("unchanged") == Some(&Value::Bool(true)) {
            return output::line("nothing has changed");
        }
        let upstreams = &done["upstreams"];
        output::fields(&[
            ("changed", output::text(&done, "changed")),
            ("needs a restart", output::text(&done, "needs_restart")),
            ("upstreams added", output::text(upstreams, "added")),
            ("upstreams changed", output::text(upstreams, "changed")),
            ("upstreams removed", output::text(upstreams, "removed")),
        ])
    }
}

/// A client of the router that runs in that place.
pub(crate) fn running(place: &Place) -> Done<Box<crate::client::Client>> {
    match place.find()? {
        Holding::Router(client) => Ok(client),
        Holding::Store(_) => Err(Exit::new(
            Exit::UNREACHABLE,
            "no router runs here: start it with `serve`, or name its address with --url",
        )),
    }
}
