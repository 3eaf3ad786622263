//! Checks that `include/cortensor_router.h` agrees with the crate's source, byte for byte.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use cbindgen::{Builder, Config, DocumentationLength, DocumentationStyle, ItemType, Language, RenameRule, Style};

/// The files in the order of the header.
const SOURCES: &[&str] = &[
    "version",
    "status",
    "error",
    "bytes",
    "log",
    "router",
    "info",
    "session",
    "task",
    "prompt",
    "embeddings",
    "stream",
    "subscription",
    "miner",
    "job",
    "listener",
    "http",
    "keys",
    "ready",
    "miner_client",
];

/// The names of the types in C.
const NAMES: &[(&str, &str)] = &[
    ("Status", "cortensor_status"),
    ("Error", "cortensor_error"),
    ("Bytes", "cortensor_bytes"),
    ("LogCallbacks", "cortensor_log_callbacks"),
    ("Router", "cortensor_router"),
    ("Task", "cortensor_task"),
    ("Embeddings", "cortensor_embeddings"),
    ("Stream", "cortensor_stream"),
    ("EventKind", "cortensor_event_kind"),
    ("Event", "cortensor_event"),
    ("StreamCallbacks", "cortensor_stream_callbacks"),
    ("Subscription", "cortensor_subscription"),
    ("MinerCallbacks", "cortensor_miner_callbacks"),
    ("Miner", "cortensor_miner"),
    ("Job", "cortensor_job"),
    ("Listener", "cortensor_listener"),
    ("HttpHandler", "cortensor_http_handler"),
    ("HttpResponse", "cortensor_http_response"),
    ("MinerClient", "cortensor_miner_client"),
];

fn preamble() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "/** The version of this header. `cortensor_version()` is that of the library. */\n#define CORTENSOR_VERSION \"{version}\"\n"
    );
    for (name, number) in ["MAJOR", "MINOR", "PATCH"].iter().zip(version.split('.')) {
        writeln!(text, "#define CORTENSOR_VERSION_{name} {number}").unwrap();
    }
    let abi = cortensor_router_capi::cortensor_abi_version();
    write!(
        text,
        "/** The ABI that this header describes: `cortensor_abi_version()` must return this number. */\n\
         #define CORTENSOR_ABI_VERSION {abi}\n\n\
         /** Passes a text that ends with a NUL as a pointer and a length. `s` is evaluated twice. */\n\
         #define CORTENSOR_STR(s) (s), strlen(s)\n\
         /** Passes an empty text as a pointer and a length. */\n\
         #define CORTENSOR_EMPTY NULL, 0\n\
         /** The timeout that means no limit. */\n\
         #define CORTENSOR_FOREVER (-1)"
    )
    .unwrap();
    text
}

/// Makes the header from the source.
fn generated() -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        documentation_length: DocumentationLength::Full,
        include_guard: Some("CORTENSOR_ROUTER_H".into()),
        header: Some(
            "/* cortensor-router: a router for AI inference inside your program. docs/c-api.md describes the conventions.\n \
             * Generated from core/capi/src; do not edit. Apache-2.0 OR MIT. */"
                .into(),
        ),
        no_includes: true,
        usize_is_size_t: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h", "string.h"].map(String::from).into(),
        after_includes: Some(preamble()),
        line_length: 120,
        tab_width: 4,
        ..Config::default()
    };
    config.enumeration.rename_variants = RenameRule::QualifiedScreamingSnakeCase;
    config.export.rename = NAMES.iter().map(|(rust, c)| ((*rust).to_owned(), (*c).to_owned())).collect();
    config.export.item_types =
        vec![ItemType::Constants, ItemType::Enums, ItemType::Structs, ItemType::OpaqueItems, ItemType::Functions];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut builder = Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(source.join(name).with_extension("rs"));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    // A lint demands the heading "Safety", which readers of C do not need.
    String::from_utf8(bytes).unwrap().replace(" * # Safety\n", "")
}

#[test]
fn the_header_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/cortensor_router.h");
    let wanted = generated();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &wanted).unwrap();
    }
    let header = std::fs::read_to_string(&path).unwrap_or_default();
    let run = "UPDATE_DOCS=1 cargo test -p cortensor-router-capi --test header";
    assert!(header == wanted, "include/cortensor_router.h is not current: run {run}");
}

#[test]
fn every_source_with_an_entry_point_is_in_the_header() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let has = std::fs::read_to_string(&path).unwrap().contains("#[unsafe(no_mangle)]");
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(has, SOURCES.contains(&name) && name != "log", "{name}.rs");
    }
}

/// Every function of the header with the first sentence of its description.
fn functions(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    for line in header.lines() {
        if line == "/**" {
            sentence.clear();
        } else if let Some(text) = line.strip_prefix(" * ") {
            if !sentence.ends_with('\u{0}') {
                sentence.push_str(text);
                // The sentence ends at the first full stop before a blank.
                if let Some(end) = sentence.find(". ").or_else(|| sentence.strip_suffix('.').map(str::len)) {
                    sentence.truncate(end + 1);
                    sentence.push('\u{0}');
                } else {
                    sentence.push(' ');
                }
            }
        } else if let Some(name) = declared(line) {
            found.push((name.to_owned(), sentence.trim_end_matches('\u{0}').trim().to_owned()));
        }
    }
    found
}

/// The function that a line of the header declares.
fn declared(line: &str) -> Option<&str> {
    let (before, _) = line.split_once('(')?;
    let name = before.rsplit([' ', '*']).next()?;
    (name.starts_with("cortensor_") && before.len() > name.len() && !line.starts_with([' ', '#', '*'])).then_some(name)
}

#[test]
fn the_documentation_names_every_function() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/c-api.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- functions -->\n", "<!-- end of functions -->");
    let (before, rest) = page.split_once(start).unwrap();
    let after = &rest[rest.find(end).unwrap()..];
    let mut table = String::from("\n| function | what it does |\n|---|---|\n");
    for (name, sentence) in functions(&generated()) {
        writeln!(table, "| `{name}` | {} |", sentence.replace('|', "\\|")).unwrap();
    }
    let wanted = format!("{before}{start}{table}\n{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    let run = "UPDATE_DOCS=1 cargo test -p cortensor-router-capi --test header";
    assert!(page == wanted, "the table of docs/c-api.md is not current: run {run}");
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    let declared: Vec<String> = functions(&generated()).into_iter().map(|(name, _)| name).collect();
    let mut sorted = declared.clone();
    sorted.sort();
    // New names go to the end of this file. No name may be removed while the ABI number stays.
    let snapshot = include_str!("../symbols.txt");
    let released: Vec<&str> = snapshot.lines().filter(|line| !line.starts_with('#')).collect();
    for name in &released {
        assert!(sorted.iter().any(|declared| declared == name), "{name} was released and is gone");
    }
    for name in &declared {
        assert!(released.contains(&name.as_str()), "{name} is new: add it to core/capi/symbols.txt");
    }
    // The shared library lies beside this test.
    let mut library = std::env::current_exe().unwrap();
    library.set_file_name("libcortensor_router_capi.so");
    let output = Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&library).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut exported: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    assert_eq!(exported, sorted);
    let output = Command::new("readelf").arg("-d").arg(&library).output().unwrap();
    let soname = format!("[libcortensor_router.so.{}]", cortensor_router_capi::cortensor_abi_version());
    assert!(String::from_utf8_lossy(&output.stdout).contains(&soname), "the soname carries the ABI number");
}
