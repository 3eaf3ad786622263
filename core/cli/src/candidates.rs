//! The words that a running router knows, for the completions of a shell: models, sessions, tasks, keys, miners
//! and upstreams.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use cortensor_router::internals::store::holder;
use serde_json::Value;

use crate::client::{Client, DEFAULT_URL, Remote};
use crate::exit::Done;
use crate::output::text;
use crate::settings::Settings;
use crate::table::{cut, one_line};
use crate::{overview, runtime};

/// A user does not wait longer for a completion. It is no setting: nobody wants a Tab that hangs.
const PATIENCE: Duration = Duration::from_millis(200);

/// The most candidates of a kind.
const MOST: usize = 200;

/// The columns of a candidate's description.
const DESCRIPTION: usize = 50;

/// The words on the line, from the command's name on.
static WORDS: OnceLock<Vec<String>> = OnceLock::new();

/// Says what is on the line.
pub(crate) fn typed(words: &[OsString]) {
    let _ = WORDS.set(words.iter().map(|word| word.to_string_lossy().into_owned()).collect());
}

/// The models that the miners offer.
pub(crate) fn models() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        known(async |client: Client| {
            let answer = client.get("/v1/models").await?;
            Ok(named(&answer, "data", "id", "owned_by"))
        })
    })
}

/// The sessions.
pub(crate) fn sessions() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        known(async |client: Client| {
            let answer = client.get(&format!("/api/v1/sessions?limit={MOST}")).await?;
            Ok(named(&answer, "sessions", "id", "name"))
        })
    })
}

/// The newest tasks of the session that stands before them on the line.
pub(crate) fn tasks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let Some(session) = number_on_line() else { return Vec::new() };
        known(async move |client: Client| {
            let answer = client.get(&format!("/api/v1/tasks/{session}?limit={MOST}&order=desc")).await?;
            Ok(named(&answer, "tasks", "id", "prompt"))
        })
    })
}

/// The API keys.
pub(crate) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        known(async |client: Client| {
            let answer = client.get("/api/v1/keys").await?;
            Ok(named(&answer, "keys", "id", "name"))
        })
    })
}

/// The addresses of the miners.
pub(crate) fn miners() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        known(async |client: Client| {
            let miners = overview::miners(&client).await?;
            Ok(miners.iter().map(|miner| (text(miner, "address"), text(miner, "id"))).collect())
        })
    })
}

/// The upstreams that are managed over HTTP, which alone can be changed.
pub(crate) fn upstreams() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        known(async |client: Client| {
            let mut answer = client.get("/api/v1/upstreams").await?;
            if let Some(all) = answer["upstreams"].as_array_mut() {
                all.retain(|upstream| upstream["source"] == "managed");
            }
            Ok(named(&answer, "upstreams", "name", "url"))
        })
    })
}

type Names = Vec<(String, String)>;

/// The names and descriptions in a list.
fn named(answer: &Value, list: &str, name: &str, description: &str) -> Names {
    let items = answer.get(list).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| (text(item, name), text(item, description))).collect()
}

/// Asks the router, within the time that a user waits. A router that is not there has no names.
fn known(ask: impl AsyncFnOnce(Client) -> Done<Names>) -> Vec<CompletionCandidate> {
    let Ok(client) = remote().operator() else { return Vec::new() };
    let asked =
        runtime::client(async { tokio::time::timeout(PATIENCE, ask(client)).await.unwrap_or_else(|_| Ok(Vec::new())) });
    let candidate = |(name, description): (String, String)| {
        let description = cut(&one_line(&description), DESCRIPTION);
        let help = (!description.is_empty()).then(|| description.into());
        is_safe(&name).then(|| CompletionCandidate::new(name).help(help))
    };
    asked.unwrap_or_default().into_iter().filter_map(candidate).take(MOST).collect()
}

/// Whether a shell takes the name as it is. The names come from others, and a shell would obey some of them.
fn is_safe(name: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+');
    !name.is_empty() && !name.starts_with('-') && name.chars().all(safe)
}

/// The router of the flags on the line, of the environment, or else the one on the data directory.
fn remote() -> Remote {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
    let url = flag("--url").or_else(|| variable("CORTENSOR_URL")).or_else(|| {
        let dir = Settings::default().load(Vec::new()).ok()?.config.storage.data_dir?;
        holder(&dir)?.url
    });
    Remote {
        url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        token: flag("--token").or_else(|| variable("CORTENSOR_TOKEN")),
        ca_file: flag("--ca-file").or_else(|| variable("CORTENSOR_CA_FILE")).map(Into::into),
    }
}

/// The value of a flag on the line.
fn flag(name: &str) -> Option<String> {
    let words = WORDS.get()?;
    let joined = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    joined.or_else(|| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone()))
}

/// The first number on the line, which is the session of `tasks show`.
fn number_on_line() -> Option<String> {
    WORDS.get()?.iter().find(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_obey_is_never_offered() {
        for name in ["tiny", "org/model-7b:q4", "0f3c9a1b2d4e", "a@b+c_d"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "-rf", "a b", "$(id)", "`id`", "a;b", "a|b", "~", "a\nb", "*", "ü", "a'b", "a\\b"] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
