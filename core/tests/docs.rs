//! The generated pages must agree with the code.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

use std::path::Path;

#[test]
fn the_configuration_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let wanted = cortensor_router::config::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == wanted, "docs/configuration.md is not current: run UPDATE_DOCS=1 cargo test --test docs");
}

#[test]
fn the_types_of_the_configuration_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings-node/config.d.ts");
    let wanted = cortensor_router::config::typescript();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let types = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(types == wanted, "bindings-node/config.d.ts is not current: run UPDATE_DOCS=1 cargo test --test docs");
}

#[cfg(feature = "embed")]
#[test]
fn the_openapi_documents_are_current() {
    use cortensor_router::embed::packages_file;
    use cortensor_router::listener::openapi_file;
    for (name, wanted) in [("openapi.json", openapi_file()), ("packages.json", packages_file())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(page == wanted, "docs/{name} is not current: run cargo xtask gen");
    }
}

#[cfg(feature = "listener")]
#[test]
fn the_schema_of_the_miner_protocol_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/miner-protocol.schema.json");
    let wanted = cortensor_router::internals::protocol::protocol_schema();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == wanted, "docs/miner-protocol.schema.json is not current: run UPDATE_DOCS=1 cargo test --test docs");
}
