//! Tests of the workflow that drafts a release.

use std::fs;
use std::process::Command;

use crate::environment;

/// The files that the steps `dist` leave on one platform, below `target/dist`.
const BUILT: &[&str] = &[
    "command/cortensor-router-0.1.0-PLATFORM.tar.gz",
    "command/cortensor-router_0.1.0_PLATFORM.deb",
    "python/cortensor_router-0.1.0-PLATFORM.whl",
    "node/cortensor-router-PLATFORM-0.1.0.tgz",
    "java/cortensor-router-java-0.1.0.jar",
    "java/jna.jar",
    "kotlin/cortensor-router-kotlin-0.1.0.jar",
    "ruby/cortensor_router.gem",
];

/// The script of a step of the workflow.
fn script(step: &str) -> String {
    let workflow = environment::read(&environment::root().join(".github/workflows/release.yml")).unwrap();
    let (_, rest) = workflow.split_once(&format!("- name: {step}\n        run: |\n")).unwrap();
    rest.lines().take_while(|line| line.starts_with("          ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_release_has_the_package_of_every_language_and_platform() {
    let place = tempfile::tempdir().unwrap();
    for platform in ["linux-x64", "linux-arm64", "darwin-arm64"] {
        for built in BUILT {
            // The packages with a library for one system are made for Linux alone.
            if platform.starts_with("darwin") && ["java", "kotlin", "ruby"].iter().any(|part| built.starts_with(part)) {
                continue;
            }
            let file = place.path().join("packages").join(platform).join(built.replace("PLATFORM", platform));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("{built} for {platform}")).unwrap();
        }
    }
    let script = script("One folder, and the sums of all that is in it");
    let ran = Command::new("bash").args(["-e", "-c", &script]).current_dir(place.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let release = place.path().join("release");
    let sums = fs::read_to_string(release.join("SHA256SUMS")).unwrap();
    for (name, content) in [
        ("cortensor-router-java-0.1.0-linux-x64.jar", "java/cortensor-router-java-0.1.0.jar for linux-x64"),
        ("cortensor-router-java-0.1.0-linux-arm64.jar", "java/cortensor-router-java-0.1.0.jar for linux-arm64"),
        ("cortensor-router-kotlin-0.1.0-linux-x64.jar", "kotlin/cortensor-router-kotlin-0.1.0.jar for linux-x64"),
        ("cortensor_router-linux-x64.gem", "ruby/cortensor_router.gem for linux-x64"),
        ("cortensor_router-linux-arm64.gem", "ruby/cortensor_router.gem for linux-arm64"),
        ("cortensor-router_0.1.0_linux-x64.deb", "command/cortensor-router_0.1.0_PLATFORM.deb for linux-x64"),
    ] {
        assert_eq!(fs::read_to_string(release.join(name)).ok().as_deref(), Some(content), "{name}");
        assert!(sums.contains(name), "{sums}");
    }
    // The packages of others are theirs to give.
    assert!(!sums.contains("jna"), "{sums}");
    assert_eq!(sums.lines().count(), 4 * 3 + 3 * 2, "{sums}");
}
