//! The lines that a user types: messages, and commands that begin with a slash.

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Nothing,
    Message(&'a str),
    Help,
    /// Show the models, or take that one.
    Model(Option<&'a str>),
    /// Show the system message, or set it.
    System(Option<&'a str>),
    Clear,
    Save(&'a str),
    Quit,
    Unknown(&'a str),
}

/// The commands, with their arguments and what they do.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("/model [NAME]", "show the models, or take that one"),
    ("/system [TEXT]", "show or set the system message; - removes it"),
    ("/clear", "forget the conversation"),
    ("/save FILE", "write the conversation to a new file"),
    ("/help", "this list"),
    ("/quit", "end, as Ctrl-D does"),
];

impl<'a> Line<'a> {
    /// Reads a line. Two slashes begin a message with one.
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.trim();
        let Some(command) = text.strip_prefix('/') else {
            return if text.is_empty() { Self::Nothing } else { Self::Message(text) };
        };
        if command.starts_with('/') {
            return Self::Message(command);
        }
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
        match (name, argument) {
            ("help" | "?", _) => Self::Help,
            ("model", name) => Self::Model(name),
            ("system", text) => Self::System(text),
            ("clear" | "new", _) => Self::Clear,
            ("save", Some(file)) => Self::Save(file),
            ("quit" | "exit" | "q", _) => Self::Quit,
            _ => Self::Unknown(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        for (text, line) in [
            ("  ", Line::Nothing),
            (" why? ", Line::Message("why?")),
            ("//etc/hosts", Line::Message("/etc/hosts")),
            ("/model", Line::Model(None)),
            ("/model  tiny ", Line::Model(Some("tiny"))),
            ("/system Be brief.", Line::System(Some("Be brief."))),
            ("/save a file.md", Line::Save("a file.md")),
            ("/save", Line::Unknown("/save")),
            ("/bye", Line::Unknown("/bye")),
            ("/exit", Line::Quit),
        ] {
            assert_eq!(Line::of(text), line, "{text}");
        }
    }
}
