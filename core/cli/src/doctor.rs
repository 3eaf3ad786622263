//! `doctor`: checks everything that a router needs, and says how to mend each fault.

mod data;
#[cfg(feature = "postgres")]
mod database;
mod links;
mod network;

use std::path::Path;

use clap::Args;
use cortensor_router::Config;
use cortensor_router::config::{Loaded, Source};
use serde_json::{Value, json};

use crate::exit::{Done, Exit};
use crate::output;
use crate::runtime;
use crate::settings::Settings;
use cortensor_router::model::Timestamp;

/// The earliest plausible time in Unix seconds (2025-01-01). An earlier time means that the machine's clock is wrong.
const EARLIEST: u64 = 1_735_689_600;

/// The arguments of `doctor`.
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

/// The findings, in the order of the checks.
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
                data::check(&loaded.config, &mut findings);
                clock(&mut findings);
                runtime::client(async {
                    network::port(&loaded.config, &mut findings).await;
                    network::upstreams(&loaded.config, &mut findings).await;
                    links::check(&loaded.config, &mut findings).await;
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

/// Finds secrets in a file that others can read.
fn open_secrets(loaded: &Loaded, file: Option<&Path>, findings: &mut Findings) {
    let in_file = |place: String| matches!(loaded.source(&place), Source::File(..));
    let tokens = loaded.config.listen.tokens.iter().enumerate();
    let upstreams = loaded.config.upstreams.iter().enumerate();
    let secret = (loaded.config.storage.url.is_some() && in_file("storage.url".to_owned()))
        || tokens
            .filter(|(_, token)| token.value.is_some())
            .any(|(index, _)| in_file(format!("listen.token[{index}].value")))
        || upstreams
            .filter(|(_, upstream)| upstream.api_key.is_some())
            .any(|(index, _)| in_file(format!("upstream[{index}].api_key")));
    if let Some(file) = file.filter(|file| secret && is_open_to_others(file)) {
        findings
            .warn("config", format!("other users can read {0}, which holds secrets: chmod 600 {0}", file.display()));
    }
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

fn clock(findings: &mut Findings) {
    if Timestamp::wall_clock().as_secs() >= EARLIEST {
        findings.ok("clock", "plausible");
    } else {
        findings.fail("clock", "the system's time lies in the past: set it (NTP); deadlines and expiries depend on it");
    }
}
