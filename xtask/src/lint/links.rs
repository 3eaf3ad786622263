//! The links of the Markdown pages: the files and headings that they lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::pages::unfenced;
use crate::environment;

/// The headings of the pages below a root, read when a link asks for them.
pub(super) struct Headings<'a> {
    root: &'a Path,
    read: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl<'a> Headings<'a> {
    /// No page is read yet.
    pub(super) fn of(root: &'a Path) -> Self {
        Self { root, read: BTreeMap::new() }
    }

    /// The reason why a link on that page leads nowhere; `None`: it leads to a file, a heading or another site.
    pub(super) fn fault(&mut self, page: &str, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
        let file = if path.is_empty() { PathBuf::from(page) } else { beside(page, path) };
        if !self.root.join(&file).exists() {
            return Some(format!("the link to {target} leads nowhere"));
        }
        if self.root.join(&file).is_dir() {
            return Some(format!("the link to {target} leads to a directory, which a book does not show: name a file"));
        }
        let anchor = anchor.filter(|_| file.extension().is_some_and(|end| end == "md"))?;
        let headings = self.read.entry(file.clone()).or_insert_with(|| {
            environment::read(&self.root.join(&file)).map(|text| anchors(&text)).unwrap_or_default()
        });
        (!headings.contains(anchor))
            .then(|| format!("the link to {target} leads nowhere: {} has no such heading", file.display()))
    }
}

/// The path of a file that a page names, from the root.
pub(crate) fn beside(page: &str, path: &str) -> PathBuf {
    let mut file = Path::new(page).parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(file.pop()),
            Component::Normal(name) => file.push(name),
            _ => {}
        }
    }
    file
}

/// The targets of the links and pictures of a line: those of Markdown, and the attributes `src`, `srcset` and `href` of
/// HTML.
pub(super) fn targets(line: &str) -> impl Iterator<Item = &str> {
    let markdown = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let html = ["src=\"", "srcset=\"", "href=\""]
        .into_iter()
        .flat_map(|name| line.split(name).skip(1).filter_map(|rest| rest.split_once('"')));
    markdown.chain(html).map(|(target, _)| target)
}

/// The anchors of a page's headings. Code hosts and mdBook make them by one rule.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, line) in unfenced(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor = anchor(heading.trim());
        let earlier = seen.entry(anchor.clone()).or_default();
        found.insert(if *earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
        *earlier += 1;
    }
    found
}

/// The anchor of a heading: small letters, digits, `-` and `_`, with `-` for each blank.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_anchors_of_code_hosts() {
        let text = "# The `GET /v1/x` route\n\n## A.B: c_d\n\n```sh\n# no heading\n```\n\n## A.B: c_d\n#no heading\n";
        let wanted = ["the-get-v1x-route", "ab-c_d", "ab-c_d-1"].map(str::to_owned);
        assert_eq!(anchors(text), BTreeSet::from(wanted));
    }

    #[test]
    fn links_are_found_in_markdown_and_in_html() {
        let line = r#"[a](b.md#c) ![d](e.svg) <source srcset="f.svg"> <img alt="" src="g.svg"> <a href="h.md">"#;
        assert_eq!(targets(line).collect::<Vec<_>>(), ["b.md#c", "e.svg", "g.svg", "f.svg", "h.md"]);
    }
}
