//! Shows Markdown on a terminal while it comes: emphasis, code, headings, lists and quotes.
//!
//! Text is shown as soon as what follows cannot change its look: up to the last blank outside of emphasis and code. No
//! control character of the text reaches the terminal, whether it is written plainly or as an entity.

use anstyle::{AnsiColor, Style};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::colors::{QUIET, styled};
use crate::printable::printable;

/// The longest text in bytes that waits for its look to be known. Longer text is shown as it is.
const UNDECIDED: usize = 1_024;

const CODE: Style = AnsiColor::Cyan.on_default();
const HEADING: Style = Style::new().bold().underline();
const MARKER: Style = AnsiColor::Yellow.on_default();

/// A text that is shown piece by piece.
#[derive(Debug)]
pub(super) struct Markdown {
    /// Without styles, the text is shown as it is written.
    colored: bool,
    /// The text whose look is not decided yet: the rest of one line.
    undecided: String,
    /// Whether that text is at the start of its line.
    at_start: bool,
    /// The style of the whole line.
    line: Style,
    /// The fence that ends the block of code, if the line is inside of one.
    fence: Option<String>,
}

impl Markdown {
    pub(super) fn new(colored: bool) -> Self {
        Self { colored, undecided: String::new(), at_start: true, line: Style::new(), fence: None }
    }

    /// Adds a piece, and gives what can be shown now.
    pub(super) fn add(&mut self, piece: &str) -> String {
        let piece = printable(piece);
        if !self.colored {
            return piece;
        }
        let mut out = String::new();
        for part in piece.split_inclusive('\n') {
            if let Some(part) = part.strip_suffix('\n') {
                self.undecided.push_str(part);
                out.push_str(&self.rest_of_line());
                out.push('\n');
                (self.at_start, self.line) = (true, Style::new());
            } else {
                self.undecided.push_str(part);
                out.push_str(&self.decided());
            }
        }
        out
    }

    /// Gives what is left at the end of the text.
    pub(super) fn end(&mut self) -> String {
        if self.undecided.is_empty() { String::new() } else { self.rest_of_line() }
    }

    fn rest_of_line(&mut self) -> String {
        let text = std::mem::take(&mut self.undecided);
        if self.at_start
            && let Some(fence) = fence(&text)
        {
            let ends = self.fence.as_ref().is_some_and(|open| fence == text.trim() && fence.starts_with(open.as_str()));
            match &self.fence {
                None => self.fence = Some(fence.to_owned()),
                Some(_) if ends => self.fence = None,
                Some(_) => return styled(&text, CODE, true),
            }
            return styled(&text, QUIET, true);
        }
        if self.fence.is_some() {
            return styled(&text, CODE, true);
        }
        let (marker, rest) = self.block(&text);
        marker + &inline(rest, self.line)
    }

    /// The part of the undecided text whose look is known.
    fn decided(&mut self) -> String {
        let too_long = self.undecided.len() >= UNDECIDED;
        if self.at_start && undecided_start(&self.undecided) && !too_long {
            return String::new();
        }
        if self.fence.is_some() {
            self.at_start = false;
            return styled(&std::mem::take(&mut self.undecided), CODE, true);
        }
        let text = std::mem::take(&mut self.undecided);
        let (marker, rest) = self.block(&text);
        self.at_start = false;
        let (text, rest) = rest.split_at(if too_long { rest.len() } else { settled(rest) });
        rest.clone_into(&mut self.undecided);
        marker + &inline(text, self.line)
    }

    /// Takes the mark of a heading, a list or a quote off the start of a line, and gives the mark as it is shown.
    fn block<'t>(&mut self, text: &'t str) -> (String, &'t str) {
        if !self.at_start {
            return (String::new(), text);
        }
        let start = text.trim_start();
        let indent = &text[..text.len() - start.len()];
        let Some((mark, rest)) = start.split_once(' ') else { return (String::new(), text) };
        let number = mark.trim_end_matches(['.', ')']);
        let ordered = number.len() + 1 == mark.len() && number.len() <= 9 && number.bytes().all(|b| b.is_ascii_digit());
        if mark.len() <= 6 && mark.bytes().all(|byte| byte == b'#') {
            self.line = HEADING;
            return (indent.to_owned(), rest);
        }
        let shown = match mark {
            "-" | "*" | "+" => "\u{2022}",
            ">" => "\u{2502}",
            _ if ordered && !number.is_empty() => mark,
            _ => return (String::new(), text),
        };
        (format!("{indent}{} ", styled(shown, MARKER, true)), rest)
    }
}

/// The fence at the start of a line, if there is one: three or more backticks or tildes.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    let is_fence = length >= 3 && !(mark == '`' && line[length..].contains('`'));
    is_fence.then(|| &line[..length])
}

/// Whether the start of a line may still become the mark of a block.
fn undecided_start(text: &str) -> bool {
    let text = text.trim_start();
    match text.chars().next() {
        None | Some('`' | '~') => text.len() < 3 || text.starts_with("``") || text.starts_with("~~"),
        Some('#' | '-' | '*' | '+' | '>' | '0'..='9') => !text.contains(' '),
        Some(_) => false,
    }
}

/// The length of the text up to the last blank at which no emphasis, no code and no link is open.
fn settled(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut end, mut at, mut code, mut links) = (0, 0, false, 0_u32);
    // The runs of each mark that are open: the lowest bit for one, the next for two.
    let mut open = [0_usize; 3];
    let place = |mark: u8| usize::from(mark == b'_') + 2 * usize::from(mark == b'~');
    while let Some(&byte) = bytes.get(at) {
        let run = bytes[at..].iter().take_while(|next| **next == byte).count();
        let (before, after) = (at.checked_sub(1).map(|before| bytes[before]), bytes.get(at + run).copied());
        let mut step = run;
        match byte {
            b'\\' if !code => step = 2,
            b'`' => code = !code,
            b'*' | b'_' | b'~' if !code && !is_literal(byte, before, after) => open[place(byte)] ^= run & 3,
            b'[' if !code => links += 1,
            b']' if !code && bytes.get(at + 1) != Some(&b'(') => links = links.saturating_sub(1),
            b')' if !code => links = links.saturating_sub(1),
            b' ' | b'\t' if !code && links == 0 && open == [0; 3] => end = at + run,
            _ => {}
        }
        at += if matches!(byte, b'[' | b']' | b')') { 1 } else { step };
    }
    end
}

/// Whether a mark between those characters stands for itself: between blanks, or an underscore inside of a word.
fn is_literal(mark: u8, before: Option<u8>, after: Option<u8>) -> bool {
    let blank = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_whitespace());
    let word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    (blank(before) && blank(after)) || (mark == b'_' && word(before) && word(after))
}

/// Shows a text with emphasis, code and links.
fn inline(text: &str, base: Style) -> String {
    let body = text.trim();
    if body.is_empty() {
        return text.to_owned();
    }
    let lead = &text[..text.len() - text.trim_start().len()];
    let tail = &text[text.trim_end().len()..];
    // A word before the text keeps its first characters from being the mark of a block.
    let guarded = format!("x {body}");
    let mut guard = 2;
    let mut out = lead.to_owned();
    let (mut bold, mut italic, mut struck, mut link) = (0_u32, 0_u32, 0_u32, Vec::new());
    let style = |bold: u32, italic: u32, struck: u32| {
        let mut style = base;
        for (depth, with) in
            [(bold, Style::new().bold()), (italic, Style::new().italic()), (struck, Style::new().strikethrough())]
        {
            if depth > 0 {
                style = style.effects(style.get_effects() | with.get_effects());
            }
        }
        style
    };
    for event in Parser::new_ext(&guarded, Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Text(words) | Event::Html(words) | Event::InlineHtml(words) => {
                let words = words.chars().skip(std::mem::take(&mut guard)).collect::<String>();
                // An entity may stand for any character.
                out.push_str(&styled(&printable(&words), style(bold, italic, struck), true));
            }
            Event::Code(words) => out.push_str(&styled(&printable(&words), CODE, true)),
            Event::Start(Tag::Strong) => bold += 1,
            Event::End(TagEnd::Strong) => bold = bold.saturating_sub(1),
            Event::Start(Tag::Emphasis) => italic += 1,
            Event::End(TagEnd::Emphasis) => italic = italic.saturating_sub(1),
            Event::Start(Tag::Strikethrough) => struck += 1,
            Event::End(TagEnd::Strikethrough) => struck = struck.saturating_sub(1),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => link.push((out.len(), dest_url)),
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some((from, url)) = link.pop()
                    && out[from..] != *url
                {
                    out.push_str(&styled(&printable(&format!(" ({url})")), QUIET, true));
                }
            }
            _ => {}
        }
    }
    out.push_str(tail);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, piece: usize) -> String {
        let mut markdown = Markdown::new(true);
        let chars: Vec<char> = text.chars().collect();
        let mut out: String =
            chars.chunks(piece).map(|piece| markdown.add(&piece.iter().collect::<String>())).collect();
        out += &markdown.end();
        out
    }

    /// The text without styles.
    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    const TEXT: &str = "# A head\n\nSome **bold words** and `code * here`, 2 * 3 * 4 = 24, snake_case_name.\n\
        - one *item*\n  - [inner](http://x)\n1. first\n> a quote\n```rust\nlet a = **b;\n# no head\n```\nThe ~~end~~ **open\n";

    #[test]
    fn the_look_does_not_depend_on_the_pieces() {
        let whole = shown(TEXT, usize::MAX);
        for piece in 1..40 {
            assert_eq!(plain(&shown(TEXT, piece)), plain(&whole), "{piece}");
        }
        let text = plain(&whole);
        for line in [
            "A head",
            "Some bold words and code * here, 2 * 3 * 4 = 24, snake_case_name.",
            "\u{2022} one item",
            "  \u{2022} inner (http://x)",
            "1. first",
            "\u{2502} a quote",
            "```rust",
            "let a = **b;",
            "# no head",
            "The end **open",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
        }
        assert!(
            whole.contains("\u{1b}[1mbold words\u{1b}[0m") && whole.contains("\u{1b}[36mcode * here\u{1b}[0m"),
            "{whole:?}"
        );
    }

    #[test]
    fn words_are_shown_before_their_line_ends() {
        let mut markdown = Markdown::new(true);
        assert_eq!(markdown.add("Hello wor"), "Hello ");
        assert_eq!(markdown.add("ld, **very "), "world, ");
        assert_eq!(plain(&markdown.add("bold** now ")), "very bold now ");
        assert_eq!(markdown.add("then"), "");
        assert_eq!(markdown.end(), "then");
    }

    #[test]
    fn no_control_character_of_the_text_comes_through() {
        let hostile =
            "a\u{1b}]0;title\u{7} b\u{9b}31m &#27;[2J &#x1b;c `\u{1b}[H` [l](http://\u{1b}x)\n```\n\u{1b}[2J\n```\n";
        for piece in [1, 3, usize::MAX] {
            for colored in [true, false] {
                let mut markdown = Markdown::new(colored);
                let chars: Vec<char> = hostile.chars().collect();
                let mut out = String::new();
                for piece in chars.chunks(piece) {
                    out += &markdown.add(&piece.iter().collect::<String>());
                }
                out += &markdown.end();
                let foreign = if colored { out.replace("\u{1b}[0m", "") } else { out };
                let foreign = ["1", "2", "36", "33"]
                    .iter()
                    .fold(foreign, |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
                assert!(!foreign.chars().any(|c| c.is_control() && c != '\n'), "{foreign:?}");
            }
        }
    }

    #[test]
    fn what_is_never_closed_is_shown_in_the_end() {
        let mut markdown = Markdown::new(true);
        let shown = markdown.add(&format!("**{}", "word ".repeat(UNDECIDED)));
        assert!(shown.len() > UNDECIDED, "it is not held back for ever");
        assert_eq!(Markdown::new(false).add("**as it is** "), "**as it is** ");
    }
}
