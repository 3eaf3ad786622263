//! TLS: certificates of the listener and of miners, and the channel that a signature covers.

use std::num::NonZeroU16;
use std::path::PathBuf;

use cortensor_router::KeySpec;
use cortensor_router::config::{ListenConfig, TlsConfig, UpstreamConfig};
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router::model::{MinerSpec, Scope, SessionId, TaskRequest};
use cortensor_router::{Config, ErrorKind, Router, SubmitOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::rig::{config, quick};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::miners::words;
use cortensor_router_testkit::streams::whole;

/// An authority, a certificate for 127.0.0.1 and one for a miner, in files.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self { dir };
        std::fs::write(files.path("ca.pem"), authority.pem()).unwrap();
        for (name, host) in [("server", "127.0.0.1"), ("miner", "miner.example")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([host.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            std::fs::write(files.path(&format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(files.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tls(&self, client_ca: bool) -> TlsConfig {
        TlsConfig::default()
            .cert(Some(self.path("server.pem")))
            .key(Some(self.path("server.key")))
            .client_ca(client_ca.then(|| self.path("ca.pem")))
    }

    async fn server(&self, client_ca: bool) -> Server {
        let listen = ListenConfig::default().tls(self.tls(client_ca));
        Server::open_at(Config::default().miners(quick()).listen(listen), 0).await
    }

    fn client(&self, server: &Server) -> MinerClientConfig {
        let url = format!("wss://{}", server.address);
        config(&url).ca_file(Some(self.path("ca.pem")))
    }
}

#[tokio::test]
async fn a_miner_over_tls_signs_the_channel() {
    let files = Files::make();
    let server = files.server(false).await;
    let spec = KeySpec::new("gpu").scopes([Scope::Enrol]);
    let token = server.router.create_key(&spec).await.unwrap().token;
    let keyed = files.client(&server).token(token.reveal()).key_file(Some(files.path("own.pem")));
    let client = MinerClient::start(keyed.clone(), words).unwrap();
    server.miner(|miner| miner.active).await;
    assert_eq!(whole(&server.submit("over tls", true).await).await, "over tls");
    assert!(client.stats().miner_id.starts_with("mk_"));
    client.close().await;
    // The token is spent, and the key alone is enough.
    let again = MinerClient::start(keyed.token(String::new()), words).unwrap();
    server.miner(|miner| miner.active).await;
    assert_eq!(again.stats().connections, 1);
}

#[tokio::test]
async fn a_router_that_is_not_trusted_gets_no_token() {
    let files = Files::make();
    let server = files.server(false).await;
    let stranger = files.client(&server).ca_file(None);
    let client = MinerClient::start(stranger, words).unwrap();
    for _ in 0..1_000 {
        if client.stats().last_error.contains("certificate") {
            assert!(server.router.miners().is_empty());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{:?}", client.stats());
}

#[tokio::test]
async fn a_miner_needs_a_certificate_where_an_authority_is_named() {
    let files = Files::make();
    let server = files.server(true).await;
    let without = MinerClient::start(files.client(&server), words).unwrap();
    for _ in 0..1_000 {
        if without.stats().last_error.contains("listen.tls.client_ca") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(without.stats().last_error.contains("listen.tls.client_ca"), "{:?}", without.stats());
    without.close().await;
    let with =
        files.client(&server).cert_file(Some(files.path("miner.pem"))).cert_key_file(Some(files.path("miner.key")));
    let _with = MinerClient::start(with, words).unwrap();
    server.miner(|miner| miner.active).await;
}

#[tokio::test]
async fn an_upstream_may_have_an_authority_of_its_own() {
    let files = Files::make();
    let server = files.server(false).await;
    server.router.add_miner(MinerSpec::new("words", 1).models(["tiny"]), words).unwrap();
    let upstream = UpstreamConfig::default()
        .url(format!("https://{}/v1", server.address))
        .models(vec!["tiny".into()])
        .api_key(Some("default-dev-token".into()))
        .ca_file(Some(files.path("ca.pem")));
    let front = Router::builder().upstream(upstream.clone()).open().await.unwrap();
    let request = TaskRequest::completion("over tls").model("tiny");
    let task = front.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    assert_eq!(task.result().await.unwrap().answer.text, "over tls");
    let nothing = upstream.ca_file(Some(files.path("server.key")));
    let error = Router::builder().upstream(nothing).open().await.unwrap_err();
    assert!(error.message().contains("server.key"), "{error}");
    assert_eq!(error.details().param.as_deref(), Some("upstream.ca_file"));
}

#[tokio::test]
async fn certificates_are_read_again_and_bad_ones_are_refused_by_name() {
    let files = Files::make();
    let router = Router::open(Config::default()).await.unwrap();
    let listen = ListenConfig::default().port(0).tls(files.tls(false));
    let listener = cortensor_router::listener::Listener::bind(router.clone(), listen.clone()).await.unwrap();
    assert!(listener.posture()[0].ends_with("HTTPS"), "{:?}", listener.posture());
    let certificates = listener.certificates().unwrap();
    certificates.reload().unwrap();
    std::fs::write(files.path("server.pem"), "nonsense").unwrap();
    assert_eq!(certificates.reload().unwrap_err().details().param.as_deref(), Some("listen.tls.cert"));
    let error = cortensor_router::listener::Listener::bind(router, listen).await.unwrap_err();
    assert_eq!((error.kind(), error.details().param.as_deref()), (ErrorKind::InvalidArgument, Some("listen.tls.cert")));
    let half = Config::default().listen(ListenConfig::default().tls(files.tls(false).key(None)));
    assert_eq!(half.validate().unwrap_err().details().param.as_deref(), Some("listen.tls.key"));
}

#[tokio::test]
async fn the_port_for_miners_serves_nothing_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let miners = quick().port(NonZeroU16::new(free));
    let server = Server::open_at(Config::default().miners(miners), 0).await;
    let _client = MinerClient::start(config(&format!("ws://127.0.0.1:{free}")), words).unwrap();
    server.miner(|miner| miner.active).await;
    for (path, status) in [("/healthz", "200"), ("/api/v1/info", "404"), ("/v1/models", "404"), ("/metrics", "404")] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", free)).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer default-dev-token\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}
