//! When two names mean one model.

/// The tag that a name without one stands for.
const LATEST: &str = ":latest";

/// The name with the tag `latest` where it has no tag, and without it where it has that: by Ollama's rule both are one model.
pub fn twin(name: &str) -> Option<String> {
    match name.strip_suffix(LATEST) {
        Some(base) => (!base.is_empty()).then(|| base.to_owned()),
        None => (!has_tag(name)).then(|| format!("{name}{LATEST}")),
    }
}

/// Whether one of the two is the other with the tag `latest`.
pub fn are_twins(a: &str, b: &str) -> bool {
    let is_tagged =
        |long: &str, short: &str| long.strip_suffix(LATEST) == Some(short) && !short.is_empty() && !has_tag(short);
    is_tagged(a, b) || is_tagged(b, a)
}

/// The listed name that is meant: that one itself, else its twin.
pub fn meant<'a>(listed: &'a [String], asked: &str) -> Option<&'a str> {
    let by = |is: &dyn Fn(&str) -> bool| listed.iter().map(String::as_str).find(|name| is(name));
    by(&|name| name == asked).or_else(|| by(&|name| are_twins(name, asked)))
}

/// A tag stands in the last part of the path, so that a registry's port is none.
fn has_tag(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        for (a, b, same) in [
            ("llama3", "llama3:latest", true),
            ("library/llama3", "library/llama3:latest", true),
            ("host:5000/llama3", "host:5000/llama3:latest", true),
            ("llama3:8b", "llama3:latest", false),
            ("llama3:8b", "llama3:8b:latest", false),
            ("llama3", "llama3", false),
            ("", ":latest", false),
            ("llama3", "llama3:LATEST", false),
        ] {
            assert_eq!((are_twins(a, b), are_twins(b, a)), (same, same), "{a} {b}");
            if same {
                assert_eq!((twin(a).as_deref(), twin(b).as_deref()), (Some(b), Some(a)));
            }
        }
        assert_eq!((twin("a:8b"), twin(":latest")), (None, None));
    }

    #[test]
    fn an_exact_name_comes_before_its_twin() {
        let listed = ["a:latest".to_owned(), "a".to_owned(), "b:latest".to_owned()];
        assert_eq!(meant(&listed, "a"), Some("a"));
        assert_eq!(meant(&listed, "a:latest"), Some("a:latest"));
        assert_eq!(meant(&listed, "b"), Some("b:latest"));
        assert_eq!(meant(&listed, "c"), None);
    }
}
