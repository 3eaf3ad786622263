//! A terminal of a test: a command in tmux, judged by what its screen shows.

use std::os::unix::fs::FileTypeExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::command::{Home, PATIENCE};

/// Runs the command, and says how it ended and whether the terminal reads lines again. Ctrl-C is for the command alone.
const THEN: &str = r#"trap : INT; "$@"; echo "status $? $(stty -a | grep -o -e '-*icanon')"; exec cat > /dev/null"#;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A terminal with one command in it.
pub(crate) struct Screen {
    socket: String,
}

impl Screen {
    /// Starts a command in a terminal of that size, with those variables; `None` where tmux is not installed.
    pub(crate) fn start(home: &Home, size: (u16, u16), variables: &[(&str, &str)], arguments: &[&str]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            #[allow(clippy::print_stderr, reason = "the log of the tests says what was left out")]
            {
                eprintln!("left out: tmux is not installed");
            }
            return None;
        }
        let socket = format!("cortensor-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = home.write("tmux.conf", "set -g status off\nset -g escape-time 0\n");
        let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
        let program = env!("CARGO_BIN_EXE_cortensor-router");
        let (width, height) = (size.0.to_string(), size.1.to_string());
        let mut command = Command::new("tmux");
        command.args(["-L", &socket, "-f", &config, "new-session", "-d", "-x", &width, "-y", &height]);
        command.args(["env", "-i", "TERM=screen-256color", "LC_ALL=C.UTF-8", &format!("HOME={}", home.path())]);
        command.args(variables).args(["PATH=/usr/bin:/bin", "sh", "-c", THEN, "sh", program]).args(arguments);
        command.env_remove("TMUX");
        let said = command.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Some(Self { socket })
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let said = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// The text on the screen.
    pub(crate) fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The text on the screen, with the sequences of its colours.
    pub(crate) fn colored(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// A fact about the terminal, in tmux's words.
    pub(crate) fn fact(&self, name: &str) -> String {
        self.tmux(&["display-message", "-p", &format!("#{{{name}}}")]).trim().to_owned()
    }

    /// Waits until the screen shows all of these.
    pub(crate) fn shows(&self, wanted: &[&str]) -> String {
        self.until(|text| wanted.iter().all(|words| text.contains(words)), &format!("{wanted:?}"))
    }

    /// Waits until the screen is as wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&str) -> bool, what: &str) -> String {
        let since = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(since.elapsed() < PATIENCE, "no {what} on the screen:\n{text}");
        }
    }

    /// Presses keys, by tmux's names of them.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a text as it is.
    pub(crate) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Sends a signal to the command, which is the shell's child.
    pub(crate) fn signal(&self, name: &str) {
        let shell = self.fact("pane_pid");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        assert!(Command::new("kill").args(["-s", name, children.trim()]).status().unwrap().success());
    }

    /// Waits until the command has ended, and gives its exit status. The terminal must be as it was before.
    pub(crate) fn ended(&self) -> i32 {
        let end = |text: &str| text.lines().find_map(|line| line.strip_prefix("status ").map(str::to_owned));
        let text = self.until(|text| end(text).is_some(), "exit status");
        assert_eq!(self.fact("alternate_on"), "0", "the other screen is still on");
        let end = end(&text).unwrap();
        let (status, mode) = end.split_once(' ').unwrap();
        assert_eq!(mode, "icanon", "the terminal does not read lines again");
        status.parse().unwrap()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let path = Command::new("tmux").args(["-L", &self.socket, "display-message", "-p", "#{socket_path}"]).output();
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
        if let Ok(path) = path {
            let path = String::from_utf8_lossy(&path.stdout).trim().to_owned();
            if std::fs::metadata(&path).is_ok_and(|file| file.file_type().is_socket()) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}
