//! Starts the supervisor of a model server, and follows what it tells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::output::{LastLines, pass_on};
use super::told::Told;
use super::{SUPERVISE, kill_group};
use crate::config::{UPSTREAM_PORT, UpstreamConfig};

/// The time beyond the server's own within which a supervisor ends, and within which its last lines are read. It is no
/// setting: a supervisor that takes longer does not work any more.
const GRACE: Duration = Duration::from_secs(5);

/// The prefix of the router's own environment variables, some of which are secrets.
const OWN: &str = "CORTENSOR_";

/// A model server that can be started at any time.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program of the supervisor, and its arguments before the name of its sub-command.
    supervisor: Arc<[OsString]>,
    name: String,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    patience: Duration,
    most_of_a_line: usize,
    /// The last lines of its present run, or of its last one.
    last: LastLines,
}

/// A model server that runs. Dropping it asks for its end and does not wait.
#[derive(Debug)]
pub(crate) struct Running {
    /// The end of this pipe ends the server.
    lifeline: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
    supervisor: Child,
    group: u32,
    output: Option<JoinHandle<()>>,
    last: LastLines,
    patience: Duration,
    /// The port on which it should listen.
    port: u16,
}

impl Launch {
    pub(crate) fn new(config: &UpstreamConfig, supervisor: Arc<[OsString]>) -> Self {
        Self {
            supervisor,
            name: config.miner_name(),
            command: config.command.clone(),
            env: config.env.clone(),
            patience: Duration::from_millis(config.stop_timeout_ms),
            most_of_a_line: config.max_output_line_bytes as usize,
            last: LastLines::default(),
        }
    }

    /// The last lines of its present run, or of its last one, oldest first.
    #[cfg(feature = "listener")]
    pub(crate) fn output(&self) -> Vec<String> {
        self.last.all()
    }

    /// Starts the server on a free port. It is not ready yet.
    ///
    /// # Errors
    /// The reason in words.
    pub(crate) async fn start(&self) -> Result<Running, String> {
        let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
        let mut supervisor = self.supervisor(port);
        let mut supervisor = supervisor.spawn().map_err(|error| {
            let program = self.supervisor.first().map(|program| program.to_string_lossy()).unwrap_or_default();
            format!("its supervisor {program} cannot be started: {error}")
        })?;
        let (lifeline, told, output) = (supervisor.stdin.take(), supervisor.stdout.take(), supervisor.stderr.take());
        let (Some(told), Some(output)) = (told, output) else { return Err("its supervisor has no pipes".to_owned()) };
        let (last, name, most) = (self.last.clone(), self.name.clone(), self.most_of_a_line);
        last.begin();
        let lines = last.clone();
        let output = tokio::spawn(async move { pass_on(BufReader::new(output), &name, most, &lines).await });
        let mut running = Running {
            lifeline,
            told: BufReader::new(told),
            supervisor,
            group: 0,
            output: Some(output),
            last,
            patience: self.patience,
            port,
        };
        match running.hear().await {
            Some(Told::Started(group)) => {
                running.group = group;
                Ok(running)
            }
            Some(Told::Failed(why)) => Err(format!("it cannot be started: {why}")),
            _ => Err(running.last_words("its supervisor does not work").await),
        }
    }

    fn supervisor(&self, port: u16) -> Command {
        let port = port.to_string();
        let with_port = |text: &String| text.replace(UPSTREAM_PORT, &port);
        let (program, arguments) =
            self.supervisor.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
        let mut command = Command::new(program.map(OsString::as_os_str).unwrap_or_default());
        command.args(arguments).arg(SUPERVISE).arg("--stop-timeout-ms").arg(self.patience.as_millis().to_string());
        command.arg("--").args(self.command.iter().map(with_port));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN)) {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, with_port(value))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A terminal's Ctrl-C goes to the router alone, which lets running tasks end first.
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

impl Running {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of the server's process.
    pub(crate) fn process(&self) -> u32 {
        self.group
    }

    /// Waits until the server has ended by itself. Gives the words about it.
    pub(crate) async fn ended(&mut self) -> String {
        if let Some(Told::Ended(status)) = self.hear().await {
            return self.last_words(&format!("it ended by itself: {status}")).await;
        }
        // Nobody watches over the server any more.
        kill_group(self.group);
        self.last_words("its supervisor was ended").await
    }

    /// Ends the server, and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        drop(self.lifeline.take());
        if tokio::time::timeout(self.patience + GRACE, self.hear()).await.is_err() {
            kill_group(self.group);
            let _ = self.supervisor.start_kill();
        }
        self.last_words("").await;
    }

    /// The next thing that the supervisor tells; `None`: it has ended.
    async fn hear(&mut self) -> Option<Told> {
        let mut line = String::new();
        let read = self.told.read_line(&mut line).await;
        read.ok().filter(|bytes| *bytes > 0).and_then(|_| Told::read(&line))
    }

    /// The words with the last lines of the server, once its supervisor has ended and the lines are read.
    async fn last_words(&mut self, words: &str) -> String {
        if tokio::time::timeout(GRACE, self.supervisor.wait()).await.is_err() {
            let _ = self.supervisor.start_kill();
        }
        if let Some(mut output) = self.output.take()
            && tokio::time::timeout(GRACE, &mut output).await.is_err()
        {
            // A process that left the server's group still holds the pipe.
            output.abort();
        }
        self.last.behind(words)
    }
}

/// A port of the loopback address that is free now.
fn free_port() -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}
