//! The lines by which a supervisor tells the router what became of a server.

use std::fmt;

/// A thing that became of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// It runs, in the process group with this number.
    Started(u32),
    /// It cannot be started, for this reason.
    Failed(String),
    /// It has ended, with these words about its status.
    Ended(String),
}

impl Told {
    /// Reads a line; `None`: it is no line of a supervisor.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "started" => rest.parse().ok().map(Self::Started),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "ended" => Some(Self::Ended(rest.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(group) => write!(f, "started {group}"),
            Self::Failed(why) => write!(f, "failed {}", on_one_line(why)),
            Self::Ended(how) => write!(f, "ended {}", on_one_line(how)),
        }
    }
}

fn on_one_line(text: &str) -> String {
    text.split(['\r', '\n']).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for told in [Told::Started(42), Told::Failed("no such file".into()), Told::Ended("exit status: 1".into())] {
            assert_eq!(Told::read(&format!("{told}\n")), Some(told));
        }
        assert_eq!(Told::Failed("a\nb".into()).to_string(), "failed a b");
        for line in ["", "started", "started x", "started -1", "hello 1"] {
            assert_eq!(Told::read(line), None, "{line}");
        }
    }
}
