//! Shell blocks: which of their commands start a router, and which set names for later blocks.

/// A part of a shell block.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// The arguments after `serve`: the router is started and keeps running.
    Serve(Vec<String>),
    /// Commands that end.
    Script(String),
}

/// Divides a shell block at the commands that start the router.
pub(super) fn pieces(text: &str, console: bool) -> Vec<Piece> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| if console { line.strip_prefix("$ ") } else { Some(line) });
    let (mut pieces, mut script) = (Vec::new(), String::new());
    let flush = |script: &mut String, pieces: &mut Vec<Piece>| {
        if script.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            pieces.push(Piece::Script(std::mem::take(script)));
        }
        script.clear();
    };
    for line in lines {
        if let Some(arguments) = serve_arguments(line) {
            flush(&mut script, &mut pieces);
            pieces.push(Piece::Serve(arguments));
        } else if !builds(line) {
            script.push_str(line);
            script.push('\n');
        }
    }
    flush(&mut script, &mut pieces);
    pieces
}

/// Whether a command builds or installs what this run has built already, or runs the tests, as this run does.
fn builds(line: &str) -> bool {
    const COMMANDS: &[&str] = &[
        "cargo build",
        "cargo xtask",
        "cargo install --path",
        "pip install ./bindings-python",
        "npm install ./bindings-node",
    ];
    COMMANDS.iter().any(|command| line.trim_start().starts_with(command))
}

/// Whether a script only gives names their values. Later blocks of its page need them, as they do in a reader's shell.
pub(super) fn is_assignments(script: &str) -> bool {
    let assigns = |line: &str| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            && !line.contains("; ")
            && !has_command(line)
    };
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).all(assigns)
}

/// Whether a command follows the assignments of a line, as in `NAME=value command`.
fn has_command(line: &str) -> bool {
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ' ') => return true,
            _ => {}
        }
    }
    false
}

/// The arguments after `serve`, if the line starts the router. One whose output goes to a file runs like any command.
fn serve_arguments(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line).trim().trim_end_matches('&').trim_end();
    if line.contains('>') {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "serve")?;
    let before = &words[..at];
    let is_router = before.last().is_some_and(|word| word.ends_with("cortensor-router"));
    let is_cargo = before.starts_with(&["cargo", "run"]) && before.last() == Some(&"--");
    (is_router || is_cargo).then(|| words[at + 1..].iter().map(|word| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_block_is_cut_where_the_router_starts() {
        let text = "cargo build --release\ncargo run --release -- serve --upstream \\\n  http://h/v1 & # it stays\n# then\ncurl x\n";
        let serve = vec!["--upstream".to_owned(), "http://h/v1".to_owned()];
        assert_eq!(pieces(text, false), [Piece::Serve(serve), Piece::Script("# then\ncurl x\n".into())]);
        assert_eq!(
            pieces("$ ./target/release/cortensor-router serve\nlistening\n$ curl y\n{}\n", true),
            [Piece::Serve(vec![]), Piece::Script("curl y\n".into())]
        );
        assert_eq!(pieces("cargo run -- serve # a router\ncargo xtask test # this\n", false), [Piece::Serve(vec![])]);
        for command in ["docker run image serve\n", "cortensor-router serve > log &\n"] {
            assert_eq!(pieces(command, false), [Piece::Script(command.into())]);
        }
    }

    #[test]
    fn names_are_kept_and_commands_are_not() {
        assert!(is_assignments("R=http://127.0.0.1:5010\nT='Authorization: Bearer x'\nexport A=1\n# why\n"));
        assert!(!is_assignments("A=1 command\n"));
        assert!(!is_assignments("curl -s $R?a=b\n"));
    }
}
