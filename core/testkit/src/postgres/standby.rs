//! A standby of a server, which gets its log over a connection and takes its place when it is told to.

use std::io::Write as _;
use std::net::SocketAddr;

use super::{Postgres, as_user, directory, free_port, own, run, wait_for};

impl Postgres {
    /// Starts a standby of this server, which reads the server's log through that address. Until it is
    /// [promoted](Self::promote) it takes no writes.
    #[must_use]
    pub fn standby(&self, through: SocketAddr) -> Self {
        let access = self.dir.join("data/pg_hba.conf");
        let mut access = std::fs::OpenOptions::new().append(true).open(access).unwrap();
        access.write_all(b"host replication all 127.0.0.1/32 trust\n").unwrap();
        self.psql("SELECT pg_reload_conf()").unwrap();
        let dir = directory();
        own(&dir);
        let mut copy = as_user(&self.bin.join("pg_basebackup"));
        copy.args(["-w", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-U", "router", "-h"]);
        copy.arg(through.ip().to_string()).arg("-p").arg(through.port().to_string()).arg("-D").arg(dir.join("data"));
        run(&mut copy);
        let mut standby = Self { bin: self.bin.clone(), dir, port: free_port(), durable: self.durable, keeper: None };
        standby.restart();
        standby
    }

    /// Takes the place of the server whose log it read: from now on it takes writes.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote()").unwrap();
        wait_for("the promoted server", || self.psql("SELECT pg_is_in_recovery()").as_deref() == Some("f"));
    }
}
