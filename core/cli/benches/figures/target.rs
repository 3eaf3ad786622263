//! The targets of the load in front of the mock upstream: none, nginx, a bare proxy of the same libraries, or the
//! product.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cortensor_router_testkit::machine::free_address;

use crate::load::{connect, exchange};
use crate::mock::{Mode, chat};
use crate::process::Program;
use crate::{Context, Outcome, wire};

/// A target with its addresses.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The address for whole answers.
    pub(crate) address: SocketAddr,
    /// The address for streams.
    pub(crate) streams: SocketAddr,
    /// The program of the target; `None` for the mock itself, which runs in this process.
    pub(crate) program: Option<Program>,
}

impl Target {
    /// The mock without any proxy.
    pub(crate) fn none(mock: SocketAddr) -> Self {
        Self { name: "no proxy", address: mock, streams: mock, program: None }
    }

    /// Debian's nginx: one server with its usual buffers for whole answers, and one without buffers for streams.
    pub(crate) fn nginx(binary: &Path, scratch: &Path, mock: SocketAddr) -> Outcome<Self> {
        let dir = scratch.join("nginx");
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let free = || free_address().map_err(|error| format!("no free port: {error}"));
        let (address, streams) = (free()?, free()?);
        let root = dir.display();
        let mut config = format!(
            "worker_processes auto;\nworker_rlimit_nofile 20000;\ndaemon off;\npid {root}/pid;\nerror_log stderr emerg;\n\
             events {{ worker_connections 16384; }}\nhttp {{\naccess_log off;\nkeepalive_requests 100000000;\n"
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = writeln!(config, "{kind}_temp_path {root}/{kind};");
        }
        let _ = writeln!(config, "upstream mock {{ server {mock}; keepalive 128; keepalive_requests 100000000; }}");
        for (address, buffering) in [(address, "on"), (streams, "off")] {
            let _ = writeln!(
                config,
                "server {{ listen {address}; location / {{ proxy_pass http://mock; proxy_http_version 1.1; \
                 proxy_set_header Connection \"\"; proxy_buffering {buffering}; proxy_read_timeout 300s; }} }}"
            );
        }
        config.push_str("}\n");
        let file = dir.join("nginx.conf");
        std::fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut command = Command::new(binary);
        command.args(["-e", "stderr"]).arg("-p").arg(&dir).arg("-c").arg(&file);
        let mut program = Program::start(&mut command)?;
        program.await_port(address)?;
        Ok(Self { name: "nginx", address, streams, program: Some(program) })
    }

    /// hyper's server in front of hyper's client, see [`bare`](crate::bare).
    pub(crate) fn bare(mock: SocketAddr) -> Outcome<Self> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        command.arg("--bare-proxy").arg(mock.to_string());
        let (program, address) = Program::listening(&mut command, "port ")?;
        Ok(Self { name: "bare hyper", address, streams: address, program: Some(program) })
    }

    /// The product in front of that upstream, or with its own echo if there is none.
    pub(crate) fn router(
        context: &Context,
        name: &'static str,
        durability: &str,
        upstream: Option<SocketAddr>,
    ) -> Outcome<Self> {
        let dir = context.fresh_dir("router")?;
        let file = dir.join("config.toml");
        let mut config = "[listen]\nport = 0\n".to_owned();
        if let Some(upstream) = upstream {
            let _ = write!(config, "[[upstream]]\nurl = \"http://{upstream}/v1\"\nmax_concurrency = 20000\n");
        }
        std::fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut command = Command::new(&context.router);
        command.env_clear().args(["serve", "--durability", durability]);
        command.arg("--config").arg(&file).arg("--data-dir").arg(dir.join("data"));
        let (program, address) = Program::listening(&mut command, "listens on http://127.0.0.1:")?;
        let target = Self { name, address, streams: address, program: Some(program) };
        target.await_answer(upstream.is_some())?;
        Ok(target)
    }

    /// Waits until the target answers a chat. A router asks its upstream for models before that.
    fn await_answer(&self, upstream: bool) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let body = if upstream { chat(Mode::Mock, false) } else { crate::first_token::ECHO.to_owned() };
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let (started, request) = (Instant::now(), wire::post(self.address, &body));
            loop {
                let mut answer = Vec::new();
                let mut socket = connect(self.address).await?;
                exchange(&mut socket, &request, &mut answer).await?;
                if wire::is_ok(&answer) {
                    return Ok(());
                }
                if started.elapsed() > Duration::from_secs(20) {
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

    /// The resident memory of the target's program, in KiB.
    pub(crate) fn resident_kib(&self) -> f64 {
        self.program.as_ref().map_or(0.0, Program::resident_kib)
    }
}
