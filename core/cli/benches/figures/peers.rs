//! Measures other routers for inference from Python's package index beside the product, in one run: whole answers and
//! streams.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use cortensor_router_testkit::machine::free_address;

use crate::compare::{Of, Shape, compare};
use crate::mock::{FRAMES, Mock, Mode};
use crate::process::Program;
use crate::report::{Gate, Row};
use crate::requests::{MEMORY, rates};
use crate::target::Target;
use crate::wire::CHAT;
use crate::{Context, Outcome};

/// A router of others.
struct Peer {
    name: &'static str,
    /// The directory of its environment.
    environment: &'static str,
    /// Starts it, from the programs of its environment, with a directory of its own, before an upstream.
    start: fn(&Path, &Path, SocketAddr) -> Outcome<Target>,
    /// The path of chats.
    path: &'static str,
    /// The beginning of its names of the mock's models.
    models: &'static str,
    /// The number of events that it makes of a stream of the mock.
    frames: usize,
    /// The least ratio of the product's whole answers a second with 32 callers to this router's.
    least: f64,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "vllm-router",
        environment: "vllm-router",
        start: vllm_router,
        path: CHAT,
        models: "",
        frames: FRAMES,
        least: 3.0,
    },
    Peer { name: "SMG", environment: "smg", start: smg, path: CHAT, models: "", frames: FRAMES, least: 5.0 },
    Peer {
        name: "TensorZero",
        environment: "tensorzero",
        start: tensorzero,
        path: "/openai/v1/chat/completions",
        models: "tensorzero::model_name::",
        // It sends the finish reason in a chunk of its own.
        frames: FRAMES + 1,
        least: 7.0,
    },
];

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "peers";
    let Some(base) = &context.peers else {
        println!("peers: left out, they are measured by `cargo xtask bench --peers`");
        return Ok(());
    };
    let mock = Mock::start(2)?;
    let mut targets = Vec::new();
    for peer in &PEERS {
        match started(context, base, peer, mock.address) {
            Ok(target) => targets.push(target),
            Err(why) => {
                eprintln!("{} is left out: {why}", peer.name);
                rows.push(Row::new(FIGURE, peer.name, 0.0, "req/s").note(format!("left out: {why}")));
            }
        }
    }
    targets.push(Target::router(context, MEMORY, "memory", Some(mock.address))?);
    for (what, unit, shape) in [
        ("whole answers", "req/s", Shape::whole(32)),
        ("streams", "streams/s", Shape::stream(Mode::Mock, 32)),
        ("200 paced streams", "streams/s", Shape::stream(Mode::Paced, 200)),
    ] {
        let round = compare(context, &targets, &shape)?;
        let is_paced = shape.connections == 200;
        if is_paced {
            for measured in &round.measured {
                let cost = measured.cost() / FRAMES as f64;
                rows.push(Row::new(FIGURE, format!("{what}, {}", measured.name), cost, "us CPU/frame"));
            }
        } else {
            rates(FIGURE, unit, 32, &round, rows);
        }
        for peer in PEERS.iter().filter(|peer| targets.iter().any(|target| target.name == peer.name)) {
            let row = Row::new(FIGURE, format!("{what}, memory beside {}", peer.name), 0.0, unit);
            let (of, gate) = match what {
                "whole answers" => (Of::Rate, Some(Gate::RatioAtLeast(peer.least))),
                _ if !is_paced => (Of::Rate, None),
                _ if peer.name == "vllm-router" => (Of::Cost, Some(Gate::RatioAtMost(0.75))),
                _ => (Of::Cost, None),
            };
            rows.push(round.against(row, of, (MEMORY, peer.name), gate));
        }
    }
    Ok(())
}

/// Starts a router of others, and waits for its first answer.
fn started(context: &Context, base: &Path, peer: &Peer, mock: SocketAddr) -> Outcome<Target> {
    let bin = base.join(peer.environment).join("bin");
    if !bin.join("python").exists() {
        return Err("it is not installed".to_owned());
    }
    let dir = context.fresh_dir("peer")?;
    let target = (peer.start)(&bin, &dir, mock)?;
    let target = Target { name: peer.name, path: peer.path, models: peer.models, frames: peer.frames, ..target };
    target.await_answer(true)?;
    Ok(target)
}

/// Starts a program of the environment that listens on the port that it is given.
fn on_port(bin: &Path, program: &str, arguments: &[&str], mock: SocketAddr) -> Outcome<Target> {
    let free = || free_address().map_err(|error| format!("no free port: {error}"));
    let (address, metrics) = (free()?, free()?);
    let mut command = Command::new(bin.join(program));
    command.args(arguments).args(["--worker-urls", &format!("http://{mock}"), "--policy", "round_robin"]);
    command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
    // The usual port of their metrics is the same for all of them.
    command.args(["--prometheus-host", "127.0.0.1", "--prometheus-port", &metrics.port().to_string()]);
    let mut program = Program::start(&mut command)?;
    program.await_port(address)?;
    Ok(Target::new("", address, Some(program)))
}

fn vllm_router(bin: &Path, _: &Path, mock: SocketAddr) -> Outcome<Target> {
    on_port(bin, "vllm-router", &["--log-level", "warning"], mock)
}

fn smg(bin: &Path, _: &Path, mock: SocketAddr) -> Outcome<Target> {
    on_port(bin, "smg", &["launch", "--log-level", "warn"], mock)
}

/// This package has its gateway as a function of its native module.
fn tensorzero(bin: &Path, dir: &Path, mock: SocketAddr) -> Outcome<Target> {
    const START: &str = "\
import sys, threading
from tensorzero import tensorzero
stores = {'clickhouse_url': None, 'postgres_url': None, 'valkey_url': None}
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], async_setup=False, **stores)
print('at ' + gateway.base_url, flush=True)
threading.Event().wait()
";
    let mut config = "[gateway]\nobservability.enabled = false\n".to_owned();
    for model in ["mock", "paced"] {
        // Writing to a string cannot fail.
        let _ = write!(
            config,
            "[models.{model}]\nrouting = [\"mock\"]\n[models.{model}.providers.mock]\ntype = \"openai\"\n\
             api_base = \"http://{mock}/v1\"\nmodel_name = \"{model}\"\napi_key_location = \"none\"\n"
        );
    }
    let file = dir.join("tensorzero.toml");
    std::fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new(bin.join("python"));
    command.args(["-c", START]).arg(&file).env("RUST_LOG", "error");
    let (program, address) = Program::listening(&mut command, "at http://127.0.0.1:")?;
    Ok(Target::new("", address, Some(program)))
}
