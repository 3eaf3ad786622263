//! A running router that reads its configuration again, and upstreams that the command manages.

use rcgen::{CertificateParams, KeyPair};

use crate::command::{Home, until};
use crate::model::Model;

fn file(home: &Home, text: &str) -> String {
    home.write("router.toml", &format!("[[listen.token]]\nname='ops'\nvalue='secret-of-ops'\n{text}"))
}

#[test]
fn the_command_and_sighup_read_the_file_again() {
    let home = Home::new();
    let path = file(&home, "");
    let server = home.serve(&["--config", &path, "--set", "limits.max_sessions=7"]);
    let said = home.run(&["reload"]);
    assert_eq!((said.stdout.as_str(), said.status), ("nothing has changed\n", 0), "{}", said.stderr);
    file(
        &home,
        "[[listen.token]]\nname='app'\nvalue='secret-of-app'\n[log]\nfilter='info'\n[storage]\nreader_threads=3",
    );
    let said = home.run(&["reload"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let words: Vec<&str> = said.stdout.split_whitespace().collect();
    assert_eq!(words.join(" "), "changed listen.token, log.filter needs a restart storage.reader_threads");
    let status = |token: &str| home.command(&["status", "--url", &server.url, "--token", token]).output().status;
    assert_eq!((status("secret-of-app"), status("secret-of-ops"), status("none")), (0, 0, 3));
    // A flag wins over the file, and a wrong file changes nothing and is named with its line.
    file(&home, "[limits]\nmax_sessions=5");
    assert_eq!(home.run(&["reload", "--json"]).status, 0);
    let shown = home.run(&["audit", "--act", "config_reloaded", "--json"]).stdout;
    assert!(!shown.contains("max_sessions") && shown.contains("\"key_id\":\"command\""), "{shown}");
    for (text, words) in [
        (
            "[limits]\nmax_sesions=5",
            "router.toml:5: unknown key \"limits.max_sesions\": did you mean \"limits.max_sessions\"?",
        ),
        ("[limits]\nmax_queued_tasks='many'", "router.toml:5: limits.max_queued_tasks: "),
        ("[[upstream]]\nurl='nonsense'", "router.toml:5: "),
        ("[[upstream]]\ncommand=[]", "router.toml:4: url is missing"),
        ("[log]\nfilter='a=b=c'", "log.filter"),
        ("quota", "router.toml:4: this is no TOML"),
        ("quota={tokens_per_day=0}", "router.toml:4: listen.token[0].quota.tokens_per_day"),
        ("[[prices.model]]\nname='m'\ninput=-1\noutput=1", "prices.model[0].input"),
    ] {
        file(&home, text);
        let said = home.run(&["reload"]);
        assert!(said.status != 0 && said.stderr.contains(words), "{text}: {}", said.stderr);
        assert_eq!(status("secret-of-ops"), 0, "{text}");
    }
    file(&home, "[[listen.token]]\nname='late'\nvalue='secret-of-late'\n[log]\nfilter='info'");
    server.signal("HUP");
    until(|| status("secret-of-late").to_string(), |status| status == "0");
    file(&home, "[limits]\nnonsense=1");
    server.signal("HUP");
    // The log says why, and the router goes on.
    server.wait_for_stderr("router.toml:5");
    assert_eq!(status("secret-of-late"), 0);
}

#[test]
fn new_certificates_serve_new_connections() {
    let home = Home::new();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap().pem();
        home.write("cert.pem", &cert);
        home.write("key.pem", &key.serialize_pem());
        home.write(name, &cert)
    };
    let old = issue("old.pem");
    let (cert, key) = (old.replace("old.pem", "cert.pem"), old.replace("old.pem", "key.pem"));
    let path = file(&home, &format!("[listen.tls]\ncert={cert:?}\nkey={key:?}"));
    let server = home.serve(&["--config", &path]);
    let call = |action: &str, authority: &str| {
        let arguments = [action, "--url", &server.url, "--token", "secret-of-ops", "--ca-file", authority];
        home.command(&arguments).output().status
    };
    assert_eq!(call("status", &old), 0);
    let new = issue("new.pem");
    assert_eq!(call("reload", &old), 0);
    assert_eq!(call("status", &new), 0);
    assert_ne!(call("status", &old), 0);
    // Certificates that cannot be used leave the old ones.
    home.write("cert.pem", "nonsense");
    assert_ne!(call("reload", &new), 0);
    assert_eq!(call("status", &new), 0);
}

#[test]
fn the_command_manages_upstreams_that_outlive_the_process() {
    let home = Home::new();
    let model = Model::start();
    let url = model.url();
    let flags = ["--set", "listen.manage_upstreams=true", "--set", "listen.upstream_networks=127.0.0.1"];
    let server = home.serve(&flags);
    let key = home.run(&["key", "create", "--name", "ops", "--scope", "admin"]).stdout;
    let said = home.command(&["upstreams", "add", "gpu", &url, "--field", "weight=3", "--api-key-stdin"]);
    let said = said.with_input("the key of the upstream\n");
    assert_eq!((said.stdout.as_str(), said.status), ("upstream gpu is added\n", 0), "{}", said.stderr);
    let list = || home.run(&["upstreams", "list"]).stdout;
    until(list, |list| list.contains("gpu") && list.contains(" up "));
    model.answer(" last");
    let asked = home.command(&["submit", "hi", "--url", &server.url, "--token", key.trim()]).output();
    assert_eq!((asked.stdout.as_str(), asked.status), ("first last\n", 0), "{}", asked.stderr);
    // A shell asks for the names of those that can be changed.
    let words = ["--", "cortensor-router", "upstreams", "drain", ""];
    let tab = home.command(&words).env("CORTENSOR_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3");
    assert_eq!(tab.env("CORTENSOR_TOKEN", key.trim()).output().stdout.lines().next(), Some("gpu"));
    assert_eq!(home.run(&["upstreams", "drain", "gpu"]).stdout, "upstream gpu drains\n");
    server.signal("KILL");
    drop(server);
    let server = home.serve(&flags);
    until(list, |list| list.contains("drained"));
    assert_eq!(home.run(&["upstreams", "resume", "gpu"]).status, 0);
    assert_eq!(home.run(&["upstreams", "set", "gpu", "weight=none"]).status, 0);
    until(list, |list| list.contains(" up "));
    let shown = home.run(&["upstreams", "list", "--json"]).stdout;
    assert!(shown.contains("\"has_api_key\":true") && !shown.contains("the key of"), "{shown}");
    assert_eq!(home.run(&["upstreams", "remove", "gpu"]).status, 0);
    assert_eq!(home.run(&["upstreams", "remove", "gpu"]).status, 4);
    let refused = home.run(&["upstreams", "add", "inner", "http://10.0.0.1/v1"]);
    assert!(refused.status == 2 && refused.stderr.contains("listen.upstream_networks"), "{}", refused.stderr);
    drop(server);
    let nobody = home.run(&["reload"]);
    assert!(nobody.status == 10 && nobody.stderr.contains("no router runs here"), "{}", nobody.stderr);
}
