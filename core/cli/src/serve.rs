//! `serve`: runs a router with its listener, until a signal ends it.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use cortensor_router::Token;
use cortensor_router::config::{Durability, Loaded, LogConfig, Override, Source};
use cortensor_router::internals::store::COMMAND;
use cortensor_router::internals::{Follow, LogRing};
use cortensor_router::listener::Listener;
use cortensor_router::{Error, ErrorKind, Router, RouterBuilder};
use tokio::sync::oneshot;

use crate::command_token::CommandToken;
use crate::exit::{Done, Exit};
use crate::greeting::Greeting;
use crate::logging::{LogFilter, LogFormat, Logging};
use crate::settings::Settings;
use crate::signals::{Hangups, Signals};
use crate::work::{self, Work};
use crate::{demo, output, runtime, spans, supervise};

const EXAMPLES: &str = "\
Examples:
  cortensor-router serve                       127.0.0.1:5010, answers with an echo
  cortensor-router serve --demo                ... and shows a prompt being answered
  cortensor-router serve --upstream http://127.0.0.1:8080/v1
                                               in front of a model server
  cortensor-router serve --run 'llama-server -m model.gguf --port {port}'
                                               starts the model server, and ends it with itself
  cortensor-router serve --host 0.0.0.0 --token \"$TOKEN\"
                                               reachable from other machines
  cortensor-router serve --config /etc/cortensor-router.toml --log info --log-format json

SIGTERM and Ctrl-C stop intake, let running tasks end (listen.drain_timeout_ms), then
exit; a second one exits at once.";

/// The time that clients get to read the rest of their answers after all tasks have ended.
const GRACE_AFTER_DRAIN: Duration = Duration::from_secs(5);

/// The arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// The address to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for all machines (requires a token)
    #[arg(long, value_parser = host)]
    host: Option<IpAddr>,
    /// The port; 0 takes a free one and prints it
    #[arg(long, short)]
    port: Option<u16>,
    #[command(flatten)]
    work: Work,
    /// A token that clients must send, in place of the development token (repeatable); better: `key create`
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<String>,
    /// Submit a prompt and show its tokens as they come
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
}

impl Serve {
    pub(crate) fn run(&self) -> Done {
        // The size follows once the configuration is read.
        let ring = Arc::new(LogRing::new(LogConfig::default().recent_lines));
        let log = Arc::new(self.logging.start_with(ring.clone())?);
        let loaded = prepared(self.settings.load(self.flags())?);
        log.apply(&loaded.config.log)?;
        work::tell(&loaded);
        if !loaded.config.listen.enabled {
            return Err(Exit::usage(format!(
                "the listener is off (listen.enabled = false, from {}): there is nothing to serve",
                loaded.source("listen.enabled")
            )));
        }
        let runtime = runtime::server(loaded.config.listen.threads)
            .map_err(|e| Exit::failed(format!("cannot start threads: {e}")))?;
        let done = runtime.block_on(async {
            let otel = loaded.config.otel.clone();
            let serving =
                async |builder: RouterBuilder| Box::pin(self.serve(loaded, builder.log_ring(ring), log)).await;
            Box::pin(spans::exported(&otel, serving)).await
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    }

    async fn serve(&self, loaded: Loaded, builder: RouterBuilder, log: Arc<LogFilter>) -> Done {
        let mut signals = Signals::new()?;
        let hangups = Hangups::new()?;
        let router = supervise::supervised(builder)
            .config(loaded.config.clone())
            .echo_at_first(work::nobody_is_expected(&loaded))
            .open()
            .await
            .map_err(|e| start(&e))?;
        let listener = match Listener::bind(router.clone(), loaded.config.listen.clone()).await {
            Ok(listener) => listener,
            Err(e) => {
                router.close().await;
                return Err(start(&e));
            }
        };
        let address = listener.local_addr();
        let follower: Arc<dyn Follow> = log;
        router.follow(&follower);
        let (settings, flags) = (self.settings.clone(), self.flags());
        router.reload_from(move || settings.read(flags.clone()).map(|loaded| prepared(loaded).config));
        tokio::spawn(reload(hangups, router.clone()));
        // The token must live until the end, because dropping it removes its file.
        let storage = &loaded.config.storage;
        let _command = match &storage.data_dir {
            Some(dir) if storage.effective_durability() != Durability::Memory => {
                let token = Token::mint()?;
                listener.accept_admin(&token);
                // The token is written before the address is announced, because readers of the address look for the
                // token.
                let written = CommandToken::write(dir, &token);
                router.announce(&listener.url())?;
                written
                    .inspect_err(|error| tracing::warn!(%error, "key commands need a token: it cannot be written"))
                    .ok()
            }
            _ => None,
        };
        let mut greeting = Greeting::new(&loaded.config, &router, &listener);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = tokio::spawn(listener.run(async {
            let _ = stopped.await;
        }));
        greeting.hear(&router).await;
        greeting.look_around(&router, address.port()).await;
        // The router must serve even if the greeting cannot be written.
        let _ = greeting.print(self.logging.log_format);
        tracing::info!(%address, "listening");
        let json = self.logging.log_format == LogFormat::Json;
        let demo = self.demo.then(|| tokio::spawn(demo::run(greeting.url().to_owned(), greeting.token(), json)));
        tokio::select! {
            () = signals.next() => {}
            broken = &mut serving => {
                router.close().await;
                return match broken {
                    Ok(Err(e)) => Err(Exit::from(e)),
                    _ => Err(Exit::failed("the listener ended by itself")),
                };
            }
        }
        if let Some(demo) = demo {
            demo.abort();
        }
        let patience = Duration::from_millis(router.config().listen.drain_timeout_ms);
        output::remark(&format!(
            "stopping: running tasks have {} s to end; a second signal stops at once",
            patience.as_secs()
        ));
        let drain = async {
            // The listener goes on answering meanwhile: /readyz says 503, and tasks can be polled.
            let ended = router.drain(patience).await;
            let ending = async {
                let _ = stop.send(());
                if tokio::time::timeout(GRACE_AFTER_DRAIN, serving).await.is_err() {
                    tracing::warn!("some clients did not read their answers to the end");
                }
            };
            if ended {
                ending.await;
                router.close().await;
            } else {
                // Closing the router ends every waiting call, so the connections end too.
                tokio::join!(router.close(), ending);
            }
        };
        tokio::select! {
            biased;
            () = signals.again() => {
                // Acknowledged tasks are in the store already, and the next start resumes them.
                Exit::at_once()
            }
            () = drain => Ok(()),
        }
    }

    fn flags(&self) -> Vec<Override> {
        let mut flags = self.work.flags();
        if let Some(host) = self.host {
            flags.push(Override::new("listen.host", host.to_string(), "--host"));
        }
        if let Some(port) = self.port {
            flags.push(Override::new("listen.port", i64::from(port), "--port"));
        }
        if !self.tokens.is_empty() {
            flags.push(Override::new("listen.token", work::tables("value", &self.tokens, Some("--token")), "--token"));
        }
        flags
    }
}

/// The configuration with the defaults that only a server has.
fn prepared(mut loaded: Loaded) -> Loaded {
    work::bound_memory(&mut loaded);
    if loaded.source("listen.threads") == Source::Default {
        loaded.config.listen.threads = Some(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    loaded
}

/// Reads the configuration and the files that it names again at every SIGHUP.
async fn reload(mut hangups: Hangups, router: Router) {
    loop {
        hangups.next().await;
        tracing::info!("SIGHUP: the configuration is read again");
        // The router logs what follows.
        let _ = Box::pin(router.read_again(COMMAND)).await;
    }
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok([127, 0, 0, 1].into());
    }
    text.parse().map_err(|_| "write an address: 127.0.0.1, 0.0.0.0, ::1 ...".to_owned())
}

/// The exit of a server that does not start, with advice in the command's own words. Its status differs from that of a
/// wrong setting.
pub(crate) fn start(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::InvalidArgument => Exit::usage(error.message()),
        ErrorKind::Conflict if error.details().param.as_deref() == Some("listen.port") => Exit::failed(format!(
            "{}: stop what listens there, or take another port with --port (0: a free one)",
            error.message()
        )),
        _ => Exit::failed(error.message()),
    }
}
