//! The newest lines of the log, which a running router shows.

use super::command::{Home, shell};

/// The lines at the address of a server, asked for with the token that everybody knows.
fn lines(url: &str) -> String {
    shell(&format!("curl -s {url}/api/v1/logs -H 'Authorization: Bearer default-dev-token'"))
}

/// Whatever goes to standard error, the router keeps the lines that tell how it fares, and none about single requests.
#[test]
fn a_server_shows_its_newest_lines() {
    for (level, writes) in [("off", false), ("info", true)] {
        let home = Home::new();
        let server = home.serve(&["--log", level, "--set", "log.prompts=true"]);
        assert!(server.greeting.contains(&format!("console  {}/", server.url)), "{}", server.greeting);
        let asked = server.client(&["submit", "a private prompt"]);
        assert_eq!(asked.status, 0, "{}", asked.stderr);
        let made = server.client(&["key", "create", "--name", "app"]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        let page = lines(&server.url);
        assert!(page.contains("\"recent_lines\":1000") && page.contains("a key is made"), "{page}");
        assert!(page.contains("\"message\":\"listening address="), "{page}");
        assert!(!page.contains("private") && !page.contains("access"), "{page}");
        server.signal("TERM");
        let log = server.rest();
        let written = [log.contains("a key is made"), log.contains("cortensor_router::access")];
        assert_eq!(written, [writes; 2], "{level}: {log}");
    }
}

#[test]
fn a_server_keeps_as_many_lines_as_it_is_told() {
    let home = Home::new();
    let server = home.serve(&["--set", "log.recent_lines=1", "--set", "listen.console=false"]);
    assert!(!server.greeting.contains("console"), "{}", server.greeting);
    for name in ["first", "second"] {
        assert_eq!(server.client(&["key", "create", "--name", name]).status, 0);
    }
    let page = lines(&server.url);
    assert!(page.contains("\"recent_lines\":1,") && page.contains("second") && !page.contains("first"), "{page}");
    let none = Home::new();
    let server = none.serve(&["--set", "log.recent_lines=0"]);
    assert_eq!(lines(&server.url), r#"{"recent_lines":0,"logs":[]}"#);
}
