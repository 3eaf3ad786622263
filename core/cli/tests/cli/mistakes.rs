//! Mistakes in addresses, certificates, variables and keys: the command says what is wrong and how to mend it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::command::Home;
use crate::echo;

#[test]
fn the_wrong_scheme_and_the_base_url_of_an_api_are_seen_through() {
    let home = Home::new();
    let plain = home.serve(&[]);
    let secured = plain.url.replace("http://", "https://");
    let said = home.run(&["status", "--url", &secured]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    assert!(said.stderr.contains("no TLS") && said.stderr.contains(&plain.url), "{}", said.stderr);
    assert!(!said.stderr.contains("serve"), "a router is there: {}", said.stderr);
    for base in ["/v1", "/v1/", "/api/v1", "/api/v2/", "/api", "/"] {
        let said = home.command(&["submit", "hi"]).env("CORTENSOR_URL", &format!("{}{base}", plain.url)).output();
        assert_eq!((said.stdout, said.status), (echo("hi"), 0), "{base}: {}", said.stderr);
    }
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) =
        (home.write("cert.pem", &own.cert.pem()), home.write("key.pem", &own.signing_key.serialize_pem()));
    let other = Home::new();
    let config = home.write("tls.toml", &format!("[listen.tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    let server = other.serve(&["--config", &config]);
    let said = home.run(&["status", "--url", &server.url.replace("https://", "http://")]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    assert!(said.stderr.contains(&server.url), "the right address: {}", said.stderr);
    let said = home.run(&["status", "--url", &server.url]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("--ca-file") && !said.stderr.contains("no server answers"), "{}", said.stderr);
    let elsewhere = server.url.replace("127.0.0.1", "localhost");
    let said = home.run(&["status", "--url", &elsewhere, "--ca-file", &cert]);
    assert!(said.status == 2 && said.stderr.contains("another name"), "{}", said.stderr);
}

#[test]
fn an_authority_that_is_used_as_a_servers_certificate_is_named() {
    let home = Home::new();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let cert = home.write("ca.pem", &authority.pem());
    let key = home.write("ca-key.pem", &authority.key().serialize_pem());
    let config = home.write("tls.toml", &format!("[listen.tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    let server = home.serve(&["--config", &config]);
    let said = server.client(&["status", "--ca-file", &cert]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    assert!(said.stderr.contains("authority") && said.stderr.contains("listen.tls.cert"), "{}", said.stderr);
    let router = server.url.replace("https://", "wss://");
    for (url, words) in [
        (router.clone(), "(CA:TRUE)".to_owned()),
        (router.replace("wss://", "ws://"), format!("write {router}/miner/v1")),
    ] {
        let miner = home.command(&["miner", "--echo", "--log", "off", "--router", &url, "--ca-file", &cert]);
        let said = miner.start().first_line();
        assert!(said.contains(&words), "{said}");
    }
    let plain = Home::new();
    let server = plain.serve(&[]);
    let router = server.url.replace("http://", "ws://");
    for (url, words) in [
        (router.replace("ws://", "wss://"), format!("speaks no TLS: without TLS its address is {router}/miner/v1")),
        (format!("{}/v1", server.url), "connected to".to_owned()),
        (format!("{router}/miner/v1/"), "connected to".to_owned()),
    ] {
        let said = home.command(&["miner", "--echo", "--log", "off", "--router", &url]).start().first_line();
        assert!(
            said.contains(&words) && said.contains("not connected") != words.starts_with("connected"),
            "{url}: {said}"
        );
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let home = Home::new();
    let names = [
        "CORTENSOR_CONFIG",
        "CORTENSOR_LOG",
        "CORTENSOR_LOG_FORMAT",
        "CORTENSOR_URL",
        "CORTENSOR_TOKEN",
        "CORTENSOR_CA_FILE",
        "CORTENSOR_MINER_ROUTER",
        "CORTENSOR_BACKEND_KEY",
        "CORTENSOR_LISTEN_PORT",
        "CORTENSOR_STORAGE_DATA_DIR",
        "CORTENSOR_NO_SUCH_KEY",
        "API_KEY",
        "API_PORT",
        "API_ENABLE",
        "LLM_HOST",
        "LLM_PORT",
        "ROUTER_REST_BIND_IP",
        "WS_PORT_ROUTER",
    ];
    for nothing in ["", "  "] {
        let with =
            |arguments: &[&str]| names.iter().fold(home.command(arguments), |command, name| command.env(name, nothing));
        let shown = with(&["config", "show"]).output();
        assert_eq!(shown.status, 0, "{}", shown.stderr);
        assert_eq!(shown.stdout, home.run(&["config", "show"]).stdout);
        let nobody = with(&["status", "--url", "http://127.0.0.1:1"]).output();
        assert_eq!(nobody.status, 10, "{}", nobody.stderr);
        let miner = with(&["miner", "--help"]).output();
        assert_eq!(miner.status, 0, "{}", miner.stderr);
    }
}

#[test]
fn an_element_of_a_list_is_set_by_its_number() {
    let home = Home::new();
    let config = home.write("c.toml", "[[upstream]]\nurl = \"http://a/v1\"\n[[upstream]]\nurl = \"http://b/v1\"\n");
    for form in ["upstream.0.max_concurrency=8", "upstream[0].max_concurrency=8", "upstreams.0.max_concurrency=8"] {
        let said = home.run(&["config", "show", "--config", &config, "--set", form]);
        assert!(
            said.status == 0 && said.stdout.contains("max_concurrency = 8"),
            "{form}: {}{}",
            said.stdout,
            said.stderr
        );
    }
    let second = home.run(&["config", "show", "--config", &config, "--set", "upstream.2.url=http://c/v1"]);
    assert!(second.stdout.contains("http://c/v1"), "the next one: {}", second.stderr);
    let by_flags = home.run(&["config", "show", "--set", "listen.token.0.name=n", "--set", "listen.token.0.value=v"]);
    assert_eq!(by_flags.status, 0, "{}", by_flags.stderr);
    for (wrong, word) in
        [("upstream.7.url=http://c/v1", "upstream[2]"), ("upstream.0.max_concurency=8", "max_concurrency")]
    {
        let said = home.run(&["config", "show", "--config", &config, "--set", wrong]);
        assert!(said.status == 2 && said.stderr.contains(word), "{wrong}: {}", said.stderr);
    }
}
