//! The targets of the load in front of the mock upstream: none, the product, or another proxy, see
//! [`proxies`](crate::proxies) and [`peers`](crate::peers).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::load::{connect, exchange};
use crate::mock::{FRAMES, Mode, PROMPT, chat_of};
use crate::process::Program;
use crate::{Context, Outcome, wire};

/// The time within which a target must answer its first chat.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A target with its addresses.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The path of chats.
    pub(crate) path: &'static str,
    /// Makes the body of a chat, as [`chat_of`] does, in the words of the API at that path.
    pub(crate) say: fn(&str, Mode, bool, &str) -> String,
    /// The number of events in a stream.
    pub(crate) frames: usize,
    /// The beginning of the target's names of the mock's models, if the target has names of its own.
    pub(crate) models: &'static str,
    /// The address for whole answers.
    pub(crate) address: SocketAddr,
    /// The address for streams.
    pub(crate) streams: SocketAddr,
    /// The program of the target; `None` for the mock itself, which runs in this process.
    pub(crate) program: Option<Program>,
}

impl Target {
    /// A target whose routes and models have the usual names.
    pub(crate) fn new(name: &'static str, address: SocketAddr, program: Option<Program>) -> Self {
        Self { name, path: wire::CHAT, say: chat_of, frames: FRAMES, models: "", address, streams: address, program }
    }

    /// The target's name of the model that answers in this form. A target with names of its own may pass no other field
    /// on by which the mock knows the form.
    pub(crate) fn model(&self, mode: Mode) -> String {
        if self.models.is_empty() { "mock".to_owned() } else { format!("{}{}", self.models, mode.user()) }
    }

    /// The mock without any proxy.
    pub(crate) fn none(mock: SocketAddr) -> Self {
        Self::new("no proxy", mock, None)
    }

    /// The product in front of that upstream, or with its own echo if there is none.
    pub(crate) fn router(
        context: &Context,
        name: &'static str,
        durability: &str,
        upstream: Option<SocketAddr>,
    ) -> Outcome<Self> {
        let upstreams: Vec<_> = upstream.into_iter().collect();
        Self::router_before(context, name, durability, &upstreams)
    }

    /// The product in front of these upstreams. An address may come more than once.
    pub(crate) fn router_before(
        context: &Context,
        name: &'static str,
        durability: &str,
        upstreams: &[SocketAddr],
    ) -> Outcome<Self> {
        let dir = context.fresh_dir("router")?;
        let file = dir.join("config.toml");
        let mut config = "[listen]\nport = 0\n".to_owned();
        for (number, upstream) in upstreams.iter().enumerate() {
            let _ = write!(
                config,
                "[[upstream]]\nname = \"mock-{number}\"\nurl = \"http://{upstream}/v1\"\nmax_concurrency = 20000\n"
            );
        }
        std::fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut command = Command::new(&context.router);
        command.env_clear().args(["serve", "--durability", durability]);
        command.arg("--config").arg(&file).arg("--data-dir").arg(dir.join("data"));
        let (program, address) = Program::listening(&mut command, "listens on http://127.0.0.1:")?;
        let target = Self::new(name, address, Some(program));
        target.await_answer(!upstreams.is_empty())?;
        Ok(target)
    }

    /// Waits until the target answers a chat. A router asks its upstream for models before that.
    pub(crate) fn await_answer(&self, upstream: bool) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let usual = || chat_of(&self.model(Mode::Mock), Mode::Mock, false, PROMPT);
        let body = if upstream { usual() } else { crate::first_token::ECHO.to_owned() };
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let (started, request) = (Instant::now(), wire::post_to(self.address, self.path, &body));
            loop {
                let mut answer = Vec::new();
                let asked = async {
                    let mut socket = connect(self.address).await?;
                    exchange(&mut socket, &request, &mut answer).await
                };
                let asked = asked.await;
                if asked.is_ok() && wire::is_ok(&answer) {
                    return Ok(());
                }
                if started.elapsed() > READY_WITHIN {
                    asked?;
                    let answer = String::from_utf8_lossy(&answer).into_owned();
                    return Err(format!("{} does not answer: {answer}", self.name));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// The processor time of the target's program so far.
    pub(crate) fn processor_time(&self) -> Duration {
        self.program.as_ref().map_or(Duration::ZERO, Program::processor_time)
    }

    /// Like [`processor_time`](Self::processor_time), for programs without children, and exact.
    pub(crate) fn exact_time(&self) -> Duration {
        self.program.as_ref().map_or(Duration::ZERO, Program::exact_time)
    }

    /// The resident memory of the target's program, in KiB.
    pub(crate) fn resident_kib(&self) -> f64 {
        self.program.as_ref().map_or(0.0, Program::resident_kib)
    }
}
