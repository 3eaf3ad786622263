//! The commits that a server does in a second by itself, as pgbench measures them.

use std::process::Command;

use super::Postgres;

impl Postgres {
    /// The transactions a second of so many clients for that time, each of one row of 1 KB.
    ///
    /// # Errors
    /// When pgbench is not there or fails.
    pub fn commits_per_second(&self, clients: u32, seconds: u32) -> Result<f64, String> {
        self.psql("CREATE TABLE IF NOT EXISTS raw_commits(body text)").ok_or("the table cannot be made")?;
        let script = self.dir.join("commit.sql");
        std::fs::write(&script, "INSERT INTO raw_commits VALUES (repeat('x', 1024));\n")
            .map_err(|error| error.to_string())?;
        let mut pgbench = Command::new(self.bin.join("pgbench"));
        pgbench.args(["-n", "-U", "router", "-j", "2", "-f"]).arg(&script).arg("-h").arg(&self.dir);
        pgbench.args([
            "-p",
            &self.port.to_string(),
            "-c",
            &clients.to_string(),
            "-T",
            &seconds.to_string(),
            "postgres",
        ]);
        let output = pgbench.output().map_err(|error| format!("pgbench: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.ok_or_else(|| format!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)))
    }
}
