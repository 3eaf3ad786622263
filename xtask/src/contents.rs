//! Checks that a package has in it all that its users must find: the licences, its page, and the library.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The licences that every package has.
pub(crate) const LICENSES: [&str; 3] = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];
/// The page of every package.
pub(crate) const README: &str = "README.md";
/// The bill of materials that every package for users has.
pub(crate) const BILL: &str = "sbom.cdx.json";

/// Copies the licences of the project, the page in the directory `package`, and the bill, if there is one, to a place.
///
/// # Errors
/// When one cannot be read or written.
pub(crate) fn papers(package: &Path, bill: Option<&Path>, to: &Path) -> Outcome {
    let page = package.join(README);
    let all = LICENSES.map(|name| environment::root().join(name)).into_iter().chain([page]);
    for from in all.chain(bill.map(Path::to_path_buf)) {
        let name = from.file_name().unwrap_or_default();
        environment::install(&from, &to.join(name))?;
    }
    Ok(())
}

/// Checks that a jar has `files`, and the papers in `META-INF`; and the bill, if it is for users.
///
/// # Errors
/// When the jar cannot be read, or lacks one.
pub(crate) fn jar(steps: &mut Steps, jar: &Path, is_for_users: bool, files: &[String]) -> Outcome {
    let bill = is_for_users.then_some(BILL);
    let papers = LICENSES.into_iter().chain([README]).chain(bill).map(|name| format!("META-INF/{name}"));
    let wanted: Vec<_> = papers.chain(files.iter().cloned()).collect();
    steps.check(&format!("what {} has in it", name(jar)), || {
        let output = Command::new("jar").arg("--list").arg("--file").arg(jar).output();
        let output = output.map_err(|error| format!("jar: {error}"))?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        check(&listed.lines().map(str::to_owned).collect(), &wanted)
    })
}

/// Checks that a directory, as a package leaves it where it is installed, has `files`, and the papers beside them; and
/// the bill, if the package is for users.
///
/// # Errors
/// When the directory lacks one.
pub(crate) fn directory(steps: &mut Steps, directory: &Path, is_for_users: bool, files: &[String]) -> Outcome {
    let bill = is_for_users.then_some(BILL);
    let papers = LICENSES.into_iter().chain([README]).chain(bill).map(str::to_owned);
    let wanted: Vec<_> = papers.chain(files.iter().cloned()).collect();
    steps.check(&format!("what {} has in it", name(directory)), || {
        let there = wanted.iter().filter(|file| directory.join(file).is_file()).cloned().collect();
        check(&there, &wanted)
    })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn check(there: &BTreeSet<String>, wanted: &[String]) -> Outcome<String> {
    let absent: Vec<_> = wanted.iter().filter(|file| !there.contains(*file)).collect();
    if absent.is_empty() { Ok(wanted.join(", ")) } else { Err(format!("absent: {absent:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_file_is_named() {
        let there = ["LICENSE".to_owned()].into();
        assert!(check(&there, &["LICENSE".to_owned()]).is_ok());
        let error = check(&there, &["LICENSE".to_owned(), "README.md".to_owned()]).unwrap_err();
        assert_eq!(error, "absent: [\"README.md\"]");
    }
}
