//! `include/cortensor_router.h` is what the crate's source says, byte for byte.

use std::fmt::Write as _;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationLength, DocumentationStyle, ItemType, Language, RenameRule, Style};

/// In the order of the header.
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
    "stream",
    "subscription",
    "miner",
    "job",
    "listener",
];

/// What the types are called in C.
const NAMES: &[(&str, &str)] = &[
    ("Status", "cortensor_status"),
    ("Error", "cortensor_error"),
    ("Bytes", "cortensor_bytes"),
    ("LogCallbacks", "cortensor_log_callbacks"),
    ("Router", "cortensor_router"),
    ("Task", "cortensor_task"),
    ("Stream", "cortensor_stream"),
    ("EventKind", "cortensor_event_kind"),
    ("Event", "cortensor_event"),
    ("StreamCallbacks", "cortensor_stream_callbacks"),
    ("Subscription", "cortensor_subscription"),
    ("MinerCallbacks", "cortensor_miner_callbacks"),
    ("Miner", "cortensor_miner"),
    ("Job", "cortensor_job"),
    ("Listener", "cortensor_listener"),
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
        "/** The ABI that this header describes: `cortensor_abi_version()` must be the same. */\n\
         #define CORTENSOR_ABI_VERSION {abi}\n\n\
         /** A text that ends with a NUL, where a function wants a pointer and a length. `s` is evaluated twice. */\n\
         #define CORTENSOR_STR(s) (s), strlen(s)\n\
         /** No text, where a function wants a pointer and a length. */\n\
         #define CORTENSOR_EMPTY NULL, 0\n\
         /** No limit, where a function wants a time. */\n\
         #define CORTENSOR_FOREVER (-1)"
    )
    .unwrap();
    text
}

/// The header as the source has it.
fn generated() -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        documentation_length: DocumentationLength::Full,
        include_guard: Some("CORTENSOR_ROUTER_H".into()),
        header: Some(
            "/* cortensor-router: a router for AI inference inside your program. docs/c-api.md tells the conventions.\n \
             * Made from core/capi/src; do not edit. Apache-2.0 OR MIT. */"
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
    // The lint wants this heading; for readers of C it is a paragraph like others.
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
