//! `doctor`: looks at everything that a router needs, and says how to mend what is wrong.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use cortensor_router::Config;
use cortensor_router::config::{Loaded, Source, UpstreamConfig};
use cortensor_router::store::{Durability, check_integrity, holder};
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::{Done, Exit};
use crate::keys::reachable;
use crate::output::{self, text};
use crate::runtime;
use crate::settings::Settings;

/// Less free space than this is a warning; less than a tenth of it a failure.
const SPACE: u64 = 1 << 30;

/// No machine with a right clock runs this before the program was written (2025-01-01).
const EARLIEST: u64 = 1_735_689_600;

/// How long an upstream may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was found, in the order of the checks.
#[derive(Debug, Default)]
struct Findings(Vec<(Level, &'static str, String)>);

impl Findings {
    fn ok(&mut self, what: &'static str, finding: impl Into<String>) {
        self.0.push((Level::Ok, what, finding.into()));
    }

    fn warn(&mut self, what: &'static str, finding: impl Into<String>) {
        self.0.push((Level::Warn, what, finding.into()));
    }

    fn fail(&mut self, what: &'static str, finding: impl Into<String>) {
        self.0.push((Level::Fail, what, finding.into()));
    }
}

impl Doctor {
    pub(crate) fn run(&self) -> Done {
        let mut findings = Findings::default();
        match self.settings.load(Vec::new()) {
            Err(wrong) => findings.fail("config", wrong.message()),
            Ok(loaded) => {
                let from = self
                    .settings
                    .file()
                    .map_or_else(|| "defaults and environment".to_owned(), |file| file.display().to_string());
                findings.ok("config", format!("good ({from})"));
                for remark in &loaded.remarks {
                    findings.warn("config", remark);
                }
                tokens(&loaded.config, &mut findings);
                open_secrets(&loaded, self.settings.file().as_deref(), &mut findings);
                data(&loaded.config, &mut findings);
                clock(&mut findings);
                runtime::client(async {
                    port(&loaded.config, &mut findings).await;
                    upstreams(&loaded.config, &mut findings).await;
                    Ok(())
                })?;
            }
        }
        self.report(&findings)
    }

    fn report(&self, findings: &Findings) -> Done {
        if self.json {
            let list: Vec<Value> = findings
                .0
                .iter()
                .map(|(level, what, finding)| json!({"level": level.word(), "check": what, "finding": finding}))
                .collect();
            output::json(&json!({"findings": list}))?;
        } else {
            let width = findings.0.iter().map(|(_, what, _)| what.len()).max().unwrap_or_default();
            for (level, what, finding) in &findings.0 {
                output::line(&format!("{:<4}  {what:<width$}  {finding}", level.word()))?;
            }
        }
        let failed = findings.0.iter().filter(|(level, ..)| *level == Level::Fail).count();
        if failed == 0 { Ok(()) } else { Err(Exit::silent(1)) }
    }
}

fn tokens(config: &Config, findings: &mut Findings) {
    let mut good = 0;
    for token in &config.listen.tokens {
        match token.secret() {
            Ok(secret) if secret.len() < 16 => {
                findings.warn("tokens", format!("the token {:?} has fewer than 16 characters: it can be guessed; `cortensor-router key create` makes strong ones", token.name));
            }
            Ok(_) => good += 1,
            Err(e) => findings.fail("tokens", e.message()),
        }
    }
    if good > 0 {
        findings.ok("tokens", format!("{good} from the configuration"));
    }
}

/// Secrets in a file that others can read.
fn open_secrets(loaded: &Loaded, file: Option<&Path>, findings: &mut Findings) {
    let in_file = |place: String| matches!(loaded.source(&place), Source::File(..));
    let tokens = loaded.config.listen.tokens.iter().enumerate();
    let upstreams = loaded.config.upstreams.iter().enumerate();
    let secret = tokens
        .filter(|(_, token)| !token.value.is_empty())
        .any(|(index, _)| in_file(format!("listen.token[{index}].value")))
        || upstreams
            .filter(|(_, upstream)| !upstream.api_key.is_empty())
            .any(|(index, _)| in_file(format!("upstream[{index}].api_key")));
    if let Some(file) = file.filter(|file| secret && is_open_to_others(file)) {
        findings
            .warn("config", format!("other users can read {0}, which holds secrets: chmod 600 {0}", file.display()));
    }
}

fn data(config: &Config, findings: &mut Findings) {
    let dir = match &config.storage.data_dir {
        Some(dir) if config.storage.durability != Durability::Memory => dir,
        _ => {
            return findings
                .warn("data", "tasks are kept in memory and lost with the process (storage.durability = \"memory\")");
        }
    };
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if let Err(e) = tempfile_in(if dir.is_dir() { dir } else { existing }) {
        findings.fail(
            "data",
            format!(
                "{} cannot be written: {e}: give this user the right to, or name another with --data-dir",
                dir.display()
            ),
        );
        return;
    }
    if dir.is_dir() {
        findings.ok("data", format!("{} is writable", dir.display()));
        if is_open_to_others(dir) {
            findings.warn("data", format!("other users can look into {0}: chmod 700 {0}", dir.display()));
        }
    } else {
        findings.ok("data", format!("{} will be created at the first start", dir.display()));
    }
    space(existing, findings);
    match holder(dir) {
        None => findings.ok("lock", "no process has the data directory"),
        Some(holder) => {
            let listens = holder.address.map(|address| format!(" and listens on {address}")).unwrap_or_default();
            findings.ok("lock", format!("process {} has the data directory{listens}", holder.pid));
        }
    }
    library(findings);
    match check_integrity(dir) {
        Err(e) if !dir.is_dir() || e.kind() == cortensor_router::ErrorKind::NotFound => {}
        Err(e) => findings.fail("database", e.message()),
        Ok(found) if found.is_ok() => findings.ok(
            "database",
            format!(
                "sound: {} sessions, {} tasks, {} unfinished, {}",
                found.sessions,
                found.tasks,
                found.unfinished,
                bytes(found.file_bytes + found.log_bytes)
            ),
        ),
        Ok(found) => {
            for problem in found.problems.iter().take(5) {
                findings.fail("database", format!("{}: {problem}: restore it from a back-up", found.path.display()));
            }
        }
    }
}

fn library(findings: &mut Findings) {
    let (version, number) = (rusqlite::version(), rusqlite::version_number());
    if number < 3_051_003 {
        findings.fail(
            "sqlite",
            format!("SQLite {version} can corrupt its log under load: build with the bundled one (3.51.3 or newer)"),
        );
    } else {
        findings.ok("sqlite", format!("SQLite {version}"));
    }
}

/// Writes and removes a file of its own name: what a permission bit says is not the whole truth.
fn tempfile_in(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".cortensor-doctor-{}", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).and_then(|file| file.sync_all());
    std::fs::remove_file(&path).ok();
    written
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

fn space(path: &Path, findings: &mut Findings) {
    let Ok(disks) = sysinfo::Disks::new_with_refreshed_list() else { return };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = disks.iter();
    let disk = mounts
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len());
    let Some(free) = disk.map(sysinfo::Disk::available_space) else { return };
    let finding = format!("{} free for {}", bytes(free), path.display());
    let (level, advice) = match free {
        0..SPACE if free < SPACE / 10 => (Level::Fail, ": free some, or name another --data-dir"),
        0..SPACE => (Level::Warn, ": keep less with retention.max_bytes or retention.max_age_secs"),
        _ => (Level::Ok, ""),
    };
    findings.0.push((level, "space", format!("{finding}{advice}")));
}

fn clock(findings: &mut Findings) {
    match SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()) {
        Ok(now) if now >= EARLIEST => findings.ok("clock", "plausible"),
        _ => findings
            .fail("clock", "the system's time lies in the past: set it (NTP); deadlines and expiries depend on it"),
    }
}

async fn port(config: &Config, findings: &mut Findings) {
    let address = config.listen.address();
    if !config.listen.enabled {
        return findings.ok("port", "the listener is off (listen.enabled = false)");
    }
    match TcpListener::bind(address) {
        Ok(_) => findings.ok("port", format!("{address} is free")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => match about(address).await {
            Some(about) => findings
                .ok("port", format!("{address} is served by {} {}", text(&about, "name"), text(&about, "version"))),
            None => findings.fail(
                "port",
                format!("{address} is taken by another program: stop it, or choose another with listen.port"),
            ),
        },
        Err(e) => findings
            .fail("port", format!("{address} cannot be used: {e}: choose another with listen.host and listen.port")),
    }
}

/// What a router says of itself; `None` when it is none.
async fn about(address: SocketAddr) -> Option<Value> {
    let client = Client::new(&format!("http://{}", reachable(&address.to_string())), None).ok()?;
    let about = tokio::time::timeout(PATIENCE, client.get("/api/v1/about")).await.ok()?.ok()?;
    about.get("endpoints").is_some().then_some(about)
}

async fn upstreams(config: &Config, findings: &mut Findings) {
    if config.upstreams.is_empty() {
        return findings.warn(
            "upstream",
            "none: only the built-in echo answers; attach a model with --upstream http://127.0.0.1:8080/v1",
        );
    }
    for upstream in &config.upstreams {
        match models(upstream).await {
            Ok(models) if models.is_empty() => {
                findings.warn("upstream", format!("{} answers and lists no model", upstream.miner_name()));
            }
            Ok(models) => findings.ok("upstream", format!("{} serves {}", upstream.miner_name(), models.join(", "))),
            Err(wrong) => findings.fail("upstream", format!("{}: {wrong}", upstream.miner_name())),
        }
    }
}

async fn models(upstream: &UpstreamConfig) -> Result<Vec<String>, String> {
    let key = upstream.key().unwrap_or_default();
    let client = Client::for_upstream(&with_version(&upstream.url), &key).map_err(|e| e.message().to_owned())?;
    let answer = tokio::time::timeout(PATIENCE, client.get("/models"))
        .await
        .map_err(|_| format!("does not answer within {} s: is it running?", PATIENCE.as_secs()))?
        .map_err(|e| e.message().to_owned())?;
    let list = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(list.iter().map(|model| text(model, "id")).collect())
}

/// As the router reads it: a URL without a path gets `/v1`.
fn with_version(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest).contains('/');
    if path { url.to_owned() } else { format!("{url}/v1") }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count.div_ceil(1 << 10)),
        1_048_576..1_073_741_824 => format!("{} MiB", count >> 20),
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_without_a_path_is_asked_under_v1() {
        assert_eq!(with_version("http://a:1/"), "http://a:1/v1");
        assert_eq!(with_version("http://a:1/openai/v1"), "http://a:1/openai/v1");
    }

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!([bytes(0), bytes(1), bytes(5 << 20), bytes(3 << 29)], ["0 KiB", "1 KiB", "5 MiB", "1.5 GiB"]);
    }
}
