//! Writes the bill of materials of a package: every crate that is in it, with version, licence and checksum, in the
//! form of `CycloneDX` 1.5. The Python wheel has its own, which maturin writes (PEP 770).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::step::Steps;
use crate::{Outcome, environment, lint};

/// The pinned version of cargo-cyclonedx.
const TOOL: &str = "cargo-cyclonedx@0.5.9";

/// The file name that a bill has beside each manifest while it is made.
const STEM: &str = "bill-of-materials";

/// The folders of the packages that have a bill, and what each bill is called.
const PACKAGES: &[(&str, &str)] = &[
    ("core/cli", "cortensor-router.cdx.json"),
    ("core/capi", "cortensor-router-c.cdx.json"),
    ("bindings-node", "cortensor-router-node.cdx.json"),
    ("bindings-python", "cortensor-router-python.cdx.json"),
    ("core/uniffi", "cortensor-router-uniffi.cdx.json"),
];

/// Writes the bills of the command and of every package into `target/dist/sbom`.
///
/// # Errors
/// When the tool cannot be had, or a bill lacks something.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    let out = environment::target().join("dist/sbom");
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (first, _) = PACKAGES[0];
    let bills = bills(steps, first)?;
    for (package, name) in PACKAGES {
        save(steps, &bills, package, &out.join(name))?;
    }
    Ok(())
}

/// Writes the bill of the package in that folder of the checkout to the file `to`.
///
/// # Errors
/// When the tool cannot be had, or the bill lacks something.
pub(crate) fn write(steps: &mut Steps, package: &str, to: &Path) -> Outcome {
    let bills = bills(steps, package)?;
    save(steps, &bills, package, to)
}

/// Makes the bills of all packages: the folder of each, and its text. The tool is started for the package in the folder
/// `package`, and writes a bill beside the manifest of every member of the workspace.
fn bills(steps: &mut Steps, package: &str) -> Outcome<Vec<(PathBuf, String)>> {
    let tool = tool(steps)?;
    let mut command = std::process::Command::new(tool);
    environment::without_cargo(&mut command);
    command.current_dir(environment::root()).args(["cyclonedx", "--quiet", "--format", "json"]);
    command.args(["--spec-version", "1.5", "--override-filename", STEM, "--target", &environment::host()?]);
    let ran = steps.run(
        "bills of materials",
        command.arg("--manifest-path").arg(environment::root().join(package).join("Cargo.toml")),
    );
    let bills = take_bills(&environment::root())?;
    ran.map(|()| bills)
}

fn save(steps: &mut Steps, bills: &[(PathBuf, String)], package: &str, to: &Path) -> Outcome {
    let wanted = environment::root().join(package);
    let (_, bill) = bills.iter().find(|(folder, _)| *folder == wanted).ok_or("cargo-cyclonedx wrote no bill")?;
    steps.check(&format!("{}", to.display()), || {
        // References to the packages of the workspace hold the path of this checkout, which is nobody's business.
        let bill = bill.replace(&environment::root().display().to_string(), "");
        let count = checked(&bill)?;
        fs::write(to, bill).map_err(|error| format!("{}: {error}", to.display()))?;
        Ok(format!("{count} components"))
    })
}

fn tool(steps: &mut Steps) -> Outcome<PathBuf> {
    let root = environment::target().join("dist/cargo-tools");
    let tool = root.join("bin/cargo-cyclonedx");
    let mut install = environment::cargo(&["install", "--quiet", "--locked", TOOL, "--root"]);
    // It does nothing if that version is there.
    steps.run("cargo-cyclonedx", install.arg(root).env_remove("CARGO_TARGET_DIR"))?;
    Ok(tool)
}

/// Takes the bills out of the checkout: the folder of each, and its text.
fn take_bills(root: &Path) -> Outcome<Vec<(PathBuf, String)>> {
    let mut files = BTreeSet::new();
    lint::list(root, Path::new(""), &mut files)?;
    let name = format!("{STEM}.json");
    let bills = files.iter().map(|file| root.join(file)).filter(|file| file.ends_with(&name));
    bills
        .map(|file| {
            let text = environment::read(&file)?;
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok((file.parent().unwrap_or(root).to_path_buf(), text))
        })
        .collect()
}

/// The number of components of a bill, each of which must say what it is and where it comes from.
fn checked(bill: &str) -> Outcome<usize> {
    let bill: Value = serde_json::from_str(bill).map_err(|error| format!("not JSON: {error}"))?;
    if bill["bomFormat"] != "CycloneDX" {
        return Err("the bill is not in the form of CycloneDX".into());
    }
    let components = bill["components"].as_array().filter(|all| !all.is_empty()).ok_or("the bill has no components")?;
    for component in components {
        let name = component["name"].as_str().unwrap_or("?");
        // The crates of this project come from no registry, and so have no checksum there.
        let is_own = name.starts_with("cortensor-router");
        let wanted: &[&str] =
            if is_own { &["version", "licenses"] } else { &["version", "licenses", "hashes", "purl"] };
        if let Some(missing) = wanted.iter().find(|member| component[**member].is_null()) {
            return Err(format!("the component {name} has no {missing}"));
        }
    }
    Ok(components.len())
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn a_component_without_a_checksum_or_a_licence_is_refused() {
        let bill = |component: &str| format!(r#"{{"bomFormat":"CycloneDX","components":[{component}]}}"#);
        let whole = r#"{"name":"a","version":"1","licenses":[1],"hashes":[1],"purl":"pkg:cargo/a@1"}"#;
        assert_eq!(checked(&bill(whole)), Ok(1));
        assert_eq!(checked(&bill(r#"{"name":"cortensor-router","version":"1","licenses":[1]}"#)), Ok(1));
        for member in ["version", "licenses", "hashes", "purl"] {
            let fault = checked(&bill(&whole.replace(&format!("\"{member}\""), "\"x\""))).unwrap_err();
            assert!(fault.contains(member), "{fault}");
        }
        for wrong in ["{}", "no", &bill("")] {
            checked(wrong).unwrap_err();
        }
    }
}
