//! The fenced blocks of a page, and what becomes of each.

/// A fenced block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) fate: Fate,
}

/// The way in which the tests of the pages treat a block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// It runs.
    Run,
    /// It becomes a file for the blocks after it.
    File(String),
    /// It is only parsed, for this reason.
    Parsed(String),
}

/// The fenced blocks of a Markdown text.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let all = text.lines().find_map(|line| mark(line.trim(), "not run on this page: ")).map_or(Fate::Run, Fate::Parsed);
    found(text, &all)
}

/// Finds the blocks of a package's README as the tests of the package treat them: a mark for the whole page does not
/// count.
pub(crate) fn blocks_of_package(text: &str) -> Vec<Block> {
    found(text, &Fate::Run)
}

/// The text of a mark with that name.
fn mark(line: &str, name: &str) -> Option<String> {
    let rest = line.strip_prefix("<!-- ")?.strip_suffix("-->")?.strip_prefix(name)?;
    Some(rest.trim().to_owned())
}

/// Finds the blocks of a page. `all` is the fate of those without a mark of their own.
fn found(text: &str, all: &Fate) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut fate = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if let Some(info) = trimmed.strip_prefix("```") {
            let fence_indent = line.len() - line.trim_start().len();
            let mut body = String::new();
            for (_, inner) in lines.by_ref() {
                if inner.trim() == "```" {
                    break;
                }
                body.push_str(inner.get(fence_indent..).unwrap_or(inner.trim_start()));
                body.push('\n');
            }
            let language = info.split([',', ' ', '{']).next().unwrap_or_default().to_owned();
            let fate = fate.take().unwrap_or_else(|| all.clone());
            blocks.push(Block { line: index + 1, language, text: body, fate });
        } else if let Some(why) = mark(trimmed, "not run: ") {
            fate = Some(Fate::Parsed(why));
        } else if let Some(name) = mark(trimmed, "file: ") {
            fate = Some(Fate::File(name));
        } else if !trimmed.is_empty() {
            fate = None;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language_line_and_fate() {
        let text = "# T\n```bash\na\n\nb\n```\n<!-- not run: needs a GPU -->\n\n  ```python\n  x\n    y\n  ```\n\n\
                    ```\nplain\n```\n<!-- file: app.py -->\n```python\nz\n```\n";
        let found = blocks(text);
        assert_eq!(
            found.iter().map(|b| (b.line, b.language.as_str())).collect::<Vec<_>>(),
            [(2, "bash"), (9, "python"), (14, ""), (18, "python")]
        );
        assert_eq!(found[0].text, "a\n\nb\n");
        assert_eq!(found[1].text, "x\n  y\n");
        assert_eq!(found[1].fate, Fate::Parsed("needs a GPU".into()));
        assert_eq!(found[2].fate, Fate::Run);
        assert_eq!(found[3].fate, Fate::File("app.py".into()));
    }

    #[test]
    fn a_mark_for_the_page_holds_for_blocks_without_their_own() {
        let found = blocks("<!-- not run on this page: slow -->\n```sh\na\n```\n<!-- file: f -->\n```sh\nb\n```\n");
        assert_eq!(found[0].fate, Fate::Parsed("slow".into()));
        assert_eq!(found[1].fate, Fate::File("f".into()));
    }

    #[test]
    fn the_tests_of_a_package_run_what_the_page_does_not() {
        let text = "<!-- not run on this page: tested -->\n```sh\na\n```\n<!-- not run: needs b -->\n```sh\nb\n```\n";
        let found = blocks_of_package(text);
        assert_eq!(found[0].fate, Fate::Run);
        assert_eq!(found[1].fate, Fate::Parsed("needs b".into()));
    }
}
