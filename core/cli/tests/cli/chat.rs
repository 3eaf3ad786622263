//! `chat`: a conversation on a terminal, and one answer where there is none.

use std::os::unix::fs::PermissionsExt as _;

use crate::command::Home;
use crate::echo;
use crate::model::Model;
use crate::screen::Screen;

#[test]
fn chat_streams_is_cancelled_and_keeps_hostile_characters_from_the_terminal() {
    let home = Home::new();
    let model = Model::start();
    let server = home.serve(&["--upstream", &model.url()]);
    let url = [("CORTENSOR_URL", server.url.as_str())];
    let Some(screen) = Screen::start(&home, (80, 24), &url, &["chat"]) else { return };
    screen.shows(&["mock-model; /help lists", "\n>"]);
    screen.types("/help");
    screen.press(&["Enter"]);
    screen.shows(&["/save FILE"]);

    screen.types("one question");
    screen.press(&["Enter"]);
    model.wait_for_request();
    // The first word is shown once it is clear that it is a whole one, so the answer is given up in its middle.
    screen.press(&["C-c"]);
    model.wait_for_hang_up();
    screen.shows(&["cancelled, "]);

    screen.types("another question");
    screen.press(&["Enter"]);
    model.wait_for_request();
    model.answer(r" then \u001b]0;owned\u0007\u001b[2Jx **strong** `code`\n- item &#27;[2J\n");
    screen.shows(&["]0;owned[2Jx strong code", "\u{2022} item [2J", "one question"]);
    assert_ne!(screen.fact("pane_title"), "owned");
    assert!(screen.colored().contains("\u{1b}[1mstrong"), "{:?}", screen.colored());

    let file = format!("{}/talk.md", home.path());
    screen.types(&format!("/save {file}"));
    screen.press(&["Enter"]);
    screen.shows(&["saved as"]);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.contains("## user\n\nanother question") && saved.contains("## assistant"), "{saved}");
    screen.types("/bye");
    screen.press(&["Enter"]);
    screen.shows(&["is no command"]);
    screen.press(&["C-d"]);
    assert_eq!(screen.ended(), 0);
    let history = std::fs::metadata(format!("{}/.local/state/cortensor-router/chat_history", home.path())).unwrap();
    assert_eq!(history.permissions().mode() & 0o777, 0o600);
}

#[test]
fn chat_tells_what_an_answer_waits_for_and_goes_on_after_a_failure() {
    let home = Home::new();
    let model = Model::start();
    let config = home.write("r.toml", &format!("[[upstream]]\nurl = \"{}\"\nmax_concurrency = 1\n", model.url()));
    let server = home.serve(&["--config", &config]);
    let first = home.command(&["submit", "first", "--url", &server.url]).start();
    model.wait_for_request();
    let url = [("CORTENSOR_URL", server.url.as_str())];
    let Some(screen) = Screen::start(&home, (80, 24), &url, &["chat", "--no-history", "hello"]) else { return };
    screen.shows(&["next in the queue"]);
    model.answer(" done");
    model.wait_for_request();
    model.answer(" second");
    screen.until(|text| text.contains("first second") && !text.contains("next in the queue"), "answer");
    assert_eq!(first.output().status, 0);
    screen.types("/model none");
    screen.press(&["Enter"]);
    screen.shows(&["no miner offers the model"]);
    screen.signal("TERM");
    assert_eq!(screen.ended(), 130);
    assert!(!std::path::Path::new(&format!("{}/.local/state", home.path())).exists());
}

#[test]
fn without_a_terminal_there_is_one_plain_answer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let piped = home.command(&["chat", "--url", &server.url]).with_input("**from** a pipe");
    assert_eq!((piped.stdout, piped.status), (echo("**from** a pipe"), 0), "{}", piped.stderr);
    assert_eq!(piped.stderr, "");
    let once = server.client(&["chat", "--once", "--system", "Be brief.", "hi"]);
    assert!(once.stdout.contains("hi") && once.status == 0, "{}{}", once.stdout, once.stderr);
    assert_eq!(server.client(&["chat", "--once", "--session", "77", "hi"]).status, 4);
    assert_eq!(server.client(&["chat", "--once", "--token", "wrong", "hi"]).status, 3);
    let empty = server.client(&["chat", "--once", " "]);
    assert_eq!((empty.status, empty.stderr.as_str()), (2, "error: the message is empty\n"));
    assert_eq!(home.run(&["chat", "--once", "hi", "--url", "http://127.0.0.1:1"]).status, 10);
}
