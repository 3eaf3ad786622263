//! The description of a jar that Maven and Gradle read, and the jar of its sources, which editors show.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::step::Steps;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A jar that another one needs: its group, its name, and its version.
pub(crate) type Need = (&'static str, &'static str, &'static str);

/// Writes the description of the jar `artifact` and the jar of the sources below `sources` into `out`.
///
/// # Errors
/// When one cannot be written.
pub(crate) fn describe(steps: &mut Steps, out: &Path, artifact: &str, needs: &[Need], sources: &Path) -> Outcome {
    let stem = out.join(format!("{artifact}-{VERSION}"));
    let stem = stem.display();
    let description = format!("{stem}.pom");
    fs::write(&description, pom(artifact, needs)).map_err(|error| format!("{description}: {error}"))?;
    let mut pack = Command::new("jar");
    pack.args(["--create", "--file"]).arg(format!("{stem}-sources.jar")).arg("-C").arg(sources).arg(".");
    steps.run(&format!("pack the sources of {artifact}"), &mut pack)
}

fn pom(artifact: &str, needs: &[Need]) -> String {
    let needs: Vec<_> = needs
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "    <dependency>\n      <groupId>{group}</groupId>\n      <artifactId>{artifact}</artifactId>\n      \
                 <version>{version}</version>\n    </dependency>\n"
            )
        })
        .collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>network.cortensor</groupId>
  <artifactId>{artifact}</artifactId>
  <version>{VERSION}</version>
  <name>{artifact}</name>
  <description>A router for AI inference that lives inside your program</description>
  <licenses>
    <license><name>Apache-2.0 OR MIT</name></license>
  </licenses>
  <dependencies>
{}  </dependencies>
</project>
"#,
        needs.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_all_that_is_needed() {
        let text = pom("cortensor-router-java", &[("a", "b", "1"), ("c", "d", "2")]);
        assert_eq!(text.matches("<dependency>").count(), 2);
        assert!(text.contains("<artifactId>d</artifactId>\n      <version>2</version>"));
        let (opened, closed) = (text.matches('<').count(), text.matches("</").count());
        // Each element is closed, beside the declaration.
        assert_eq!(opened - 1, 2 * closed);
    }
}
