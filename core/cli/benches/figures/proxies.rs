//! The proxies that know nothing of inference, as references: nginx, haproxy, and bare ones of the product's libraries.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use cortensor_router_testkit::machine::free_address;

use crate::process::Program;
use crate::target::Target;
use crate::{Context, Outcome};

/// The name of the bare proxy with a thread for each processor, which is the product's own make.
pub(crate) const BARE: &str = "bare hyper";
/// The name of the bare proxy whose threads share their work.
pub(crate) const BARE_POOL: &str = "hyper, shared threads";
/// The name of nginx.
pub(crate) const NGINX: &str = "nginx";

/// All of them that are installed. Those that are not are named with the reason.
pub(crate) fn all(context: &Context, mock: SocketAddr) -> Outcome<Vec<Target>> {
    let mut targets = Vec::new();
    match &context.nginx {
        Ok(binary) => targets.push(nginx(binary, context.scratch(), mock)?),
        Err(why) => eprintln!("nginx is left out: {why}"),
    }
    match &context.haproxy {
        Ok(binary) => targets.push(haproxy(binary, context.scratch(), mock)?),
        Err(why) => eprintln!("haproxy is left out: {why}"),
    }
    targets.push(bare(mock, true)?);
    targets.push(bare(mock, false)?);
    Ok(targets)
}

fn free() -> Outcome<SocketAddr> {
    free_address().map_err(|error| format!("no free port: {error}"))
}

/// Writes a configuration into a directory of its own.
fn configured(scratch: &Path, name: &str, config: &str) -> Outcome<PathBuf> {
    let dir = scratch.join(name);
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let file = dir.join("config");
    std::fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

/// Debian's nginx: one server with its usual buffers for whole answers, and one without buffers for streams.
fn nginx(binary: &Path, scratch: &Path, mock: SocketAddr) -> Outcome<Target> {
    let (address, streams) = (free()?, free()?);
    let dir = scratch.join(NGINX);
    let root = dir.display();
    let mut config = format!(
        "worker_processes auto;\nworker_rlimit_nofile 20000;\ndaemon off;\npid {root}/pid;\nerror_log stderr emerg;\n\
         events {{ worker_connections 16384; }}\nhttp {{\naccess_log off;\nkeepalive_requests 100000000;\n\
         client_max_body_size 64m;\nclient_body_buffer_size 16m;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(config, "{kind}_temp_path {root}/{kind};");
    }
    let _ = writeln!(config, "upstream mock {{ server {mock}; keepalive 128; keepalive_requests 100000000; }}");
    for (address, buffering) in [(address, "on"), (streams, "off")] {
        let _ = writeln!(
            config,
            "server {{ listen {address}; location / {{ proxy_pass http://mock; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; proxy_buffering {buffering}; proxy_read_timeout 300s; }} }}"
        );
    }
    config.push_str("}\n");
    let file = configured(scratch, NGINX, &config)?;
    let mut command = Command::new(binary);
    command.args(["-e", "stderr"]).arg("-p").arg(&dir).arg("-c").arg(&file);
    let mut program = Program::start(&mut command)?;
    program.await_port(address)?;
    Ok(Target { streams, ..Target::new(NGINX, address, Some(program)) })
}

/// Debian's haproxy, with a thread for each processor and idle connections that all threads may use.
fn haproxy(binary: &Path, scratch: &Path, mock: SocketAddr) -> Outcome<Target> {
    let address = free()?;
    let config = format!(
        "global\n  maxconn 8000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 300s\n  \
         timeout server 300s\n  http-reuse always\nfrontend load\n  bind {address}\n  default_backend mock\n\
         backend mock\n  server mock {mock} pool-max-conn 256\n"
    );
    let file = configured(scratch, "haproxy", &config)?;
    let mut command = Command::new(binary);
    command.arg("-db").arg("-f").arg(&file);
    let mut program = Program::start(&mut command)?;
    program.await_port(address)?;
    Ok(Target::new("haproxy", address, Some(program)))
}

/// hyper's server in front of hyper's client, see [`bare`](mod@crate::bare).
pub(crate) fn bare(mock: SocketAddr, per_processor: bool) -> Outcome<Target> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.arg("--bare-proxy").arg(mock.to_string());
    if !per_processor {
        command.arg("--shared-threads");
    }
    let (program, address) = Program::listening(&mut command, "port ")?;
    let name = if per_processor { BARE } else { BARE_POOL };
    Ok(Target::new(name, address, Some(program)))
}
