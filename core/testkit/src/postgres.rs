//! A real PostgreSQL server for the tests, from Debian's package, and a `PgBouncer` before it.
//!
//! The server's files are copied from a template that is made once for each version, and its process ends with the one
//! that started it, however that one ends.

mod commits;
mod standby;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The script that runs a server until its standard input ends, and then removes its directory, unless it is told to stop.
const KEEPER: &str = "dir=$1; shift; \"$@\" & pid=$!; read -r how; kill -QUIT $pid; kill -TERM $pid; wait $pid; [ \"$how\" = stop ] || rm -rf \"$dir\"";

/// The user that takes the place of root, as which PostgreSQL does not run.
const USER: &str = "nobody";

/// A PostgreSQL server on a socket in a directory of its own, and on a port of this machine.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    /// Whether it is set as by default, so that a commit is on the disk.
    durable: bool,
    /// The process that keeps the server; `None`: the server is stopped.
    keeper: Option<Child>,
}

impl Postgres {
    /// Starts a server. `None`, with a word on standard error, where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        Self::started(false)
    }

    /// Starts a server whose commits are on the disk, for figures. `None` as with [`start`](Self::start).
    pub fn start_durable() -> Option<Self> {
        Self::started(true)
    }

    fn started(durable: bool) -> Option<Self> {
        let Some(bin) = installed() else {
            #[expect(clippy::print_stderr, reason = "the reason of a test that is left out")]
            {
                eprintln!("left out: PostgreSQL is not installed (Debian: apt-get install postgresql)");
            }
            assert!(
                std::env::var_os("CORTENSOR_REQUIRE_POSTGRES").is_none(),
                "PostgreSQL is required and not installed"
            );
            return None;
        };
        let template = template(&bin);
        let dir = directory();
        run(Command::new("cp").arg("-r").arg(&template).arg(dir.join("data")));
        own(&dir);
        let mut server = Self { bin, dir, port: free_port(), durable, keeper: None };
        server.restart();
        Some(server)
    }

    /// Starts the server again after [`stop`](Self::stop).
    pub fn restart(&mut self) {
        let data = self.dir.join("data");
        let mut server = as_user(&self.bin.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&self.dir).arg("-p").arg(self.port.to_string());
        // A standby that was cut off for a while goes on where it was.
        let always =
            ["listen_addresses=127.0.0.1", "max_connections=120", "log_min_messages=warning", "wal_keep_size=64MB"];
        let quick = ["fsync=off", "shared_buffers=16MB", "autovacuum=off"];
        for setting in always.iter().chain(if self.durable { &[][..] } else { &quick[..] }) {
            server.arg("-c").arg(setting);
        }
        self.keeper = Some(keep(&server, &self.dir, "server.log"));
        let socket = self.dir.join(format!(".s.PGSQL.{}", self.port));
        wait_for("PostgreSQL", || self.psql("SELECT 1").is_some() && socket.exists());
    }

    /// Whether the server is started.
    pub fn runs(&self) -> bool {
        self.keeper.is_some()
    }

    /// Stops the server at once, as a crash does.
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stdin.take().unwrap().write_all(b"stop\n").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// Does statements as the owner of the server. Gives what they print; `None`: they failed.
    pub fn psql(&self, sql: &str) -> Option<String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "router", "-d", "postgres", "-c", sql]);
        psql.arg("-h").arg(&self.dir).arg("-p").arg(self.port.to_string());
        let output = psql.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Speaks TLS from now on, with this certificate and its key (PEM).
    pub fn encrypt(&self, certificate: &str, key: &str) {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            fs::write(self.dir.join("data").join(name), text).unwrap();
        }
        own(&self.dir);
        self.psql("ALTER SYSTEM SET ssl = on").unwrap();
        self.psql("SELECT pg_reload_conf()").unwrap();
        wait_for("TLS", || self.psql("SHOW ssl").as_deref() == Some("on"));
    }

    /// The URL of a database of the server, by its socket.
    pub fn url(&self) -> String {
        let path = self.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgres://router@{path}:{}/postgres", self.port)
    }

    /// Cuts every connection of a client.
    pub fn cut_connections(&self) {
        let others = "pid <> pg_backend_pid() AND backend_type = 'client backend'";
        self.psql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")).unwrap();
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        match self.keeper.take() {
            Some(keeper) => end(keeper),
            None => fs::remove_dir_all(&self.dir).unwrap(),
        }
    }
}

/// A `PgBouncer` that lends connections for one transaction.
#[derive(Debug)]
pub struct Pooler {
    /// The process that keeps the pooler; `None` only while it ends.
    keeper: Option<Child>,
    port: u16,
}

impl Pooler {
    /// Starts a pooler before a server. `None`, with a word on standard error, where `PgBouncer` is not installed.
    pub fn before(server: &Postgres) -> Option<Self> {
        let bin = Path::new("/usr/sbin/pgbouncer");
        if !bin.exists() {
            #[expect(clippy::print_stderr, reason = "the reason of a test that is left out")]
            {
                eprintln!("left out: PgBouncer is not installed (Debian: apt-get install pgbouncer)");
            }
            assert!(
                std::env::var_os("CORTENSOR_REQUIRE_POSTGRES").is_none(),
                "PgBouncer is required and not installed"
            );
            return None;
        }
        let dir = directory();
        let (port, at) = (free_port(), server.address());
        let config = format!(
            "[databases]\n* = host={} port={} user=router\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\nmax_client_conn = 40\ndefault_pool_size = 6\n",
            at.ip(),
            at.port()
        );
        let file = dir.join("pgbouncer.ini");
        fs::write(&file, config).unwrap();
        own(&dir);
        let mut pooler = as_user(bin);
        pooler.arg("-q").arg(&file);
        let keeper = Some(keep(&pooler, &dir, "pooler.log"));
        wait_for("PgBouncer", || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Some(Self { keeper, port })
    }

    /// The URL of the database behind the pooler.
    pub fn url(&self) -> String {
        format!("postgres://router@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.keeper.take().into_iter().for_each(end);
    }
}

/// The directory of the newest installed server's programs.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bins.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}

/// The directory of an empty server of that version. It is made once, beside the other temporary files.
fn template(bin: &Path) -> PathBuf {
    let version = bin.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    let template = std::env::temp_dir().join(format!("cortensor-router-postgres-{version}"));
    if template.join("PG_VERSION").exists() {
        return template;
    }
    let dir = tempfile::Builder::new().prefix("pgt").tempdir_in("/tmp").unwrap();
    own(dir.path());
    let data = dir.path().join("data");
    let mut make = as_user(&bin.join("initdb"));
    make.args(["--no-sync", "--wal-segsize=1", "-U", "router", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"])
        .arg(&data);
    run(&mut make);
    let mut access = fs::OpenOptions::new().write(true).truncate(true).open(data.join("pg_hba.conf")).unwrap();
    access
        .write_all(b"local all locked scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n")
        .unwrap();
    // Another process may have made it meanwhile; both are equal.
    if fs::rename(&data, &template).is_err() {
        assert!(template.join("PG_VERSION").exists(), "{} cannot be made", template.display());
    }
    template
}

/// A command of another user than root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", "nogroup", "--clear-groups", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Gives a directory to the user of the server.
fn own(dir: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", USER]).arg(dir));
        run(Command::new("chmod").args(["-R", "go="]).arg(dir));
    }
}

/// A new directory with a short path, because that of a socket is bounded.
fn directory() -> PathBuf {
    tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap().keep()
}

/// Ends a server, and waits until its directory is gone.
fn end(mut keeper: Child) {
    drop(keeper.stdin.take());
    keeper.wait().unwrap();
}

/// Runs a server until the process that keeps it loses its standard input, as it does when this process ends.
fn keep(server: &Command, dir: &Path, log: &str) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join(log)).unwrap();
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "sh"]).arg(dir).arg(server.get_program()).args(server.get_args());
    keeper.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn wait_for(name: &str, is_there: impl Fn() -> bool) {
    let from = Instant::now();
    while !is_there() {
        assert!(from.elapsed() < Duration::from_secs(30), "{name} does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}
