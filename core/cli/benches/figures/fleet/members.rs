//! The routers of a fleet: in this process, or as processes of the command.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use cortensor_router::Router;
use cortensor_router::config::Config;
use cortensor_router_testkit::Postgres;

use super::text;
use crate::process::Program;
use crate::{Context, Outcome};

/// The time within which routers find each other.
const PATIENCE: Duration = Duration::from_mins(1);

/// Opens a router of a fleet in this process.
pub(super) async fn open(
    server: &Postgres,
    schema: &str,
    name: &str,
    change: impl FnOnce(&mut Config),
) -> Outcome<Router> {
    let mut config = Config::default();
    config.name = name.to_owned();
    (config.storage.url, config.storage.schema) = (Some(server.url()), schema.to_owned());
    config.limits.max_queued_tasks = 10_000_000;
    config.limits.max_queued_per_session = 10_000_000;
    config.limits.max_queued_bytes = 64 << 30;
    config.limits.max_miners = 1_000_000;
    change(&mut config);
    Router::builder().config(config).open().await.map_err(text)
}

/// Waits until every one of these routers sees so many members and miners, and is linked to all other members.
pub(super) async fn linked(routers: &[Router], members: u64, miners: u64) -> Outcome {
    let from = Instant::now();
    for router in routers {
        loop {
            let fleet = router.status().fleet;
            if fleet.members == members && fleet.unlinked == 0 && router.miners().len() as u64 >= miners {
                break;
            }
            if from.elapsed() > PATIENCE {
                return Err(format!("the routers do not find each other: {fleet:?}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Starts a router of a fleet as a process of the command.
pub(super) fn spawn(
    context: &Context,
    server: &Postgres,
    schema: &str,
    name: &str,
    settings: &[&str],
) -> Outcome<(Program, SocketAddr)> {
    let home = context.fresh_dir(name)?;
    let mut command = Command::new(&context.router);
    command.env("HOME", home).args(["serve", "--port", "0", "--store", &server.url()]);
    command.args(["--set", &format!("name={name}"), "--set", &format!("storage.schema={schema}")]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    Program::listening(&mut command, "listens on http://127.0.0.1:")
}

/// Asks a router once. Gives its whole answer.
pub(super) fn ask(at: SocketAddr, method: &str, path: &str, body: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(at).map_err(text)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(text)?;
    Ok(said)
}

/// The number that a statement gives.
pub(super) fn count(server: &Postgres, sql: &str) -> Outcome<u64> {
    let found = server.psql(sql).ok_or_else(|| format!("{sql} failed"))?;
    found.parse().map_err(|_| format!("{sql} gave {found:?}"))
}

/// Waits until a statement gives that number. Gives the time that it took.
pub(super) async fn until(server: &Postgres, sql: &str, wanted: u64, within: Duration) -> Outcome<Duration> {
    let from = Instant::now();
    loop {
        let found = count(server, sql)?;
        if found == wanted {
            return Ok(from.elapsed());
        }
        if from.elapsed() > within {
            return Err(format!("{sql} gives {found} after {within:?}, and not {wanted}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
