//! The files of the console.

use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

use crate::model::hex;

/// A file of the console.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) bytes: &'static [u8],
}

/// The path of a file.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    /// The version of all files, as the page names it.
    pub(super) version: String,
    /// The name of the file.
    pub(super) file: String,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// The page, in which `{version}` and `{sign_in}` stand for what [`answer`](super::answer) puts there.
pub(super) const PAGE: &str = include_str!("assets/index.html");

macro_rules! files {
    ($($name:literal $content_type:ident),+ $(,)?) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $name)),
        }),+]
    };
}

/// All files but the page.
pub(super) const FILES: &[File] = files! {
    "api.js" SCRIPT,
    "chart.js" SCRIPT,
    "chat.css" STYLE,
    "chat.js" SCRIPT,
    "configuration.js" SCRIPT,
    "controls.css" STYLE,
    "dialog.js" SCRIPT,
    "dom.js" SCRIPT,
    "figures.css" STYLE,
    "icon.svg" IMAGE,
    "keys.js" SCRIPT,
    "layout.css" STYLE,
    "live.js" SCRIPT,
    "logs.js" SCRIPT,
    "main.js" SCRIPT,
    "markdown.js" SCRIPT,
    "miners.js" SCRIPT,
    "overview.js" SCRIPT,
    "parts.css" STYLE,
    "renewal.js" SCRIPT,
    "sessions.js" SCRIPT,
    "sign_in.js" SCRIPT,
    "start.js" SCRIPT,
    "table.js" SCRIPT,
    "tables.css" STYLE,
    "task.js" SCRIPT,
    "tasks.js" SCRIPT,
    "text.js" SCRIPT,
    "theme.js" SCRIPT,
    "tokens.css" STYLE,
    "upstream_card.js" SCRIPT,
    "upstream_form.js" SCRIPT,
    "upstreams.js" SCRIPT,
    "usage.js" SCRIPT,
    "webhook.js" SCRIPT,
    "webhooks.js" SCRIPT,
};

/// A name for the content of all files. It stands in their addresses, so that a browser never mixes two versions.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(PAGE);
    for file in FILES {
        hash.update(file.name);
        hash.update(file.bytes);
    }
    hex(&hash.finalize()[..8])
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_directory_is_served() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/listener/console/assets");
        let there: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn the_files_fetch_nothing_from_elsewhere() {
        for (name, text) in FILES.iter().map(|file| (file.name, file.bytes)).chain([("index.html", PAGE.as_bytes())]) {
            let text = std::str::from_utf8(text).unwrap();
            for word in ["//cdn", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(word), "{name} has {word}");
            }
            // This machine, the name of a namespace, and the example of an address in a form.
            let own = ["127.0.0.1:", "www.w3.org/2000/svg", "gpu-2.example/"];
            let foreign = text.split("://").skip(1).find(|rest| !own.iter().any(|own| rest.starts_with(own)));
            assert_eq!(foreign.map(|rest| &rest[..rest.len().min(40)]), None, "{name}");
        }
    }
}
