//! Looks for model servers at the ports of this machine at which they usually listen.

use std::time::Duration;

use cortensor_router::config::{LimitsConfig, UpstreamConfig};
use cortensor_router::miner::UpstreamMiner;

/// The usual ports, with the programs that have them.
pub(crate) const USUAL: [(u16, &str); 4] =
    [(8080, "llama.cpp"), (8000, "vLLM"), (11_434, "Ollama"), (1_234, "LM Studio")];

/// The milliseconds that a server may take to answer. A port on which nobody listens answers at once.
const PATIENCE_MS: u64 = 300;

/// A model server that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) url: String,
    /// The program that usually has the port.
    pub(crate) usual: &'static str,
    /// Its models; at least one.
    pub(crate) models: Vec<String>,
}

/// The model servers at those ports, but for that of the router itself. All are asked at the same time.
pub(crate) async fn found(ports: &[(u16, &'static str)], own: u16) -> Vec<Neighbour> {
    let asked: Vec<_> =
        ports.iter().filter(|(port, _)| *port != own).map(|(port, usual)| tokio::spawn(at(*port, usual))).collect();
    let mut found = Vec::new();
    for answer in asked {
        found.extend(answer.await.ok().flatten());
    }
    found
}

/// The model server at that port. A server that lists no models may be any web server.
async fn at(port: u16, usual: &'static str) -> Option<Neighbour> {
    let url = format!("http://127.0.0.1:{port}/v1");
    let mut config = UpstreamConfig::new(url.clone());
    (config.connect_timeout_ms, config.max_model_pages) = (PATIENCE_MS, 0);
    let miner = UpstreamMiner::new(config, &LimitsConfig::default()).ok()?;
    let report = tokio::time::timeout(Duration::from_millis(2 * PATIENCE_MS), miner.probe().ask()).await.ok()?.ok()?;
    (!report.models.is_empty()).then_some(Neighbour { url, usual, models: report.models })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each request with that body.
    fn server(status: &'static str, body: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let _ = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
                let length = body.len();
                let _ =
                    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            }
        });
        port
    }

    #[tokio::test]
    async fn model_servers_are_found_and_others_are_not() {
        let models = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#;
        let (model, own) = (server("200 OK", models), server("200 OK", models));
        let (web, none) = (server("404 Not Found", "no such page"), server("200 OK", r#"{"data":[]}"#));
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let silent_port = silent.local_addr().unwrap().port();
        let ports = [web, model, silent_port, own, none, closed].map(|port| (port, "llama.cpp"));
        let wanted = Neighbour {
            url: format!("http://127.0.0.1:{model}/v1"),
            usual: "llama.cpp",
            models: vec!["a".into(), "b".into()],
        };
        assert_eq!(found(&ports, own).await, [wanted]);
    }
}
