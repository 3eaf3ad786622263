//! `mcp`: speaks the Model Context Protocol on standard input and output, for desktop programs that start their servers
//! themselves.
//!
//! Each message goes to the route `/mcp` of a router, which is either a part of this process or runs elsewhere.

mod bridge;
mod door;
mod headers;
mod lines;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cortensor_router::config::{Anonymous, Loaded};
use cortensor_router::listener::Handler;
use cortensor_router::{ErrorKind, RouterBuilder};

use crate::client::Client;
use crate::exit::{Done, Exit};
use crate::logging::Logging;
use crate::serve;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::work::{self, Work};
use crate::{runtime, spans, supervise};
use door::Door;

const EXAMPLES: &str = "\
Examples, as the command line of a server in the configuration of a desktop program:
  cortensor-router mcp --upstream http://127.0.0.1:8080/v1
                                               a router of its own, in front of a model server
  cortensor-router mcp --url https://router.example --token \"$TOKEN\"
                                               a router that runs already

Standard output has nothing but messages of the protocol; logs go to standard error.
The end of standard input ends the command. CORTENSOR_URL stands for --url.";

/// The time that running tasks get to end after the client has gone.
const GRACE: Duration = Duration::from_secs(1);

/// The arguments of `mcp`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Mcp {
    /// The address of a router that runs already; where none is given, the command runs a router of its own
    #[arg(long, value_name = "URL", conflicts_with_all = ["upstreams", "durability", "store", "data_dir", "assignments"])]
    url: Option<String>,
    /// The token for that router; where none is given, the development token on this machine
    #[arg(long, value_name = "TOKEN", env = "CORTENSOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Certificates to trust (PEM) instead of the public ones
    #[arg(long, value_name = "FILE", env = "CORTENSOR_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// The most messages of the client that are on their way at a time; further requests are refused
    #[arg(long, value_name = "NUMBER", default_value = "128")]
    max_requests: NonZeroUsize,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
}

impl Mcp {
    pub(crate) fn run(&self) -> Done {
        self.logging.start()?;
        if let Some(url) = self.elsewhere() {
            let client = Client::new(&url, self.token.as_deref(), self.ca_file.as_deref())?;
            return runtime::client(bridge::run(
                Door::Remote(Box::new(client)),
                self.max_requests,
                std::future::pending(),
            ));
        }
        let mut loaded = self.settings.load(self.work.flags())?;
        work::tell(&loaded);
        work::bound_memory(&mut loaded);
        let runtime = runtime::server(None).map_err(|e| Exit::failed(format!("cannot start threads: {e}")))?;
        let done = runtime.block_on(async {
            let otel = loaded.config.otel.clone();
            Box::pin(spans::exported(&otel, async |builder| within(loaded, builder, self.max_requests).await)).await
        });
        runtime.shutdown_timeout(GRACE);
        done
    }

    /// The address of a router that runs already. Flags for a router of its own are stronger than the environment.
    fn elsewhere(&self) -> Option<String> {
        let own = !self.work.flags().is_empty() || self.settings.is_given();
        let told = || std::env::var("CORTENSOR_URL").ok().filter(|url| !own && !url.trim().is_empty());
        self.url.clone().or_else(told)
    }
}

/// Runs a router for the client alone: it has no listener, so that nobody else reaches it.
async fn within(loaded: Loaded, builder: RouterBuilder, most: NonZeroUsize) -> Done {
    let mut signals = Signals::new()?;
    let router = supervise::supervised(builder)
        .config(loaded.config.clone())
        .echo_at_first(work::nobody_is_expected(&loaded))
        .open()
        .await
        .map_err(|error| {
            let exit = serve::start(&error);
            if error.kind() == ErrorKind::Conflict {
                exit.with_hint("talk to the router that runs there with --url, or choose another --data-dir")
            } else {
                exit
            }
        })?;
    // The one client is the user who started the command, and it sends no token.
    let mut access = loaded.config.listen.clone();
    access.host = std::net::Ipv4Addr::LOCALHOST.into();
    access.anonymous = Anonymous::Loopback;
    let handler = Handler::new(router.clone(), access).map_err(|error| serve::start(&error));
    let done = match handler {
        Ok(handler) => bridge::run(Door::Within(handler), most, async { signals.next().await }).await,
        Err(exit) => Err(exit),
    };
    if router.drain(GRACE).await {
        tracing::debug!("all tasks have ended");
    }
    router.close().await;
    done
}
