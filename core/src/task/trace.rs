//! The W3C trace context of a task (<https://www.w3.org/TR/trace-context-2/>): the values of the headers `traceparent`
//! and `tracestate`. The router reads them from the request that submits the task and passes them on to the miners.

use std::sync::Arc;

/// The maximum number of members of a `tracestate`. The specification names this number.
const MAX_MEMBERS: usize = 32;
/// The maximum bytes of a key and of a value in a `tracestate`. The specification names this number.
const MAX_WORD: usize = 256;
/// The bytes of `tracestate` that the router passes on. The specification asks for at least this number.
const MAX_STATE: usize = 512;
/// A member of a longer `tracestate` that exceeds this number of bytes is left out first, as the specification asks.
const LONG_MEMBER: usize = 128;

/// The length of a `traceparent` of version 00.
const PARENT: usize = 55;

/// A valid trace context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: Arc<str>,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads the values of the headers `traceparent` and `tracestate`; `None`: the first one is malformed, and the
    /// specification says to ignore both. A malformed `tracestate` alone is left out.
    ///
    /// A `traceparent` of a later version is read as one of version 00, which is the version that the router knows.
    pub(crate) fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        Some(Self { parent: parent_of(parent)?.into(), state: state.and_then(state_of).map(Arc::from) })
    }

    /// The value of the header `traceparent`.
    pub(crate) fn parent(&self) -> &Arc<str> {
        &self.parent
    }

    /// The value of the header `tracestate`.
    pub(crate) fn state(&self) -> Option<&Arc<str>> {
        self.state.as_ref()
    }

    /// The bytes that the context takes in memory.
    pub(crate) fn weight(&self) -> u64 {
        (size_of::<Self>() + self.parent.len() + self.state.as_deref().map_or(0, str::len)) as u64
    }
}

/// The `traceparent` of version 00 that a valid header stands for.
fn parent_of(text: &str) -> Option<String> {
    let (head, rest) = text.split_at_checked(PARENT)?;
    let fits = head.bytes().enumerate().all(|(at, byte)| match at {
        2 | 35 | 52 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let (version, ids) = head.split_at_checked(2)?;
    let is_whole = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        // Later versions may add fields.
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let all_zero = |from: usize, to: usize| head.as_bytes()[from..to].iter().all(|byte| *byte == b'0');
    if !fits || !is_whole || all_zero(3, 35) || all_zero(36, 52) {
        return None;
    }
    Some(format!("00{ids}"))
}

/// The `tracestate` that is passed on; `None`: the header is malformed or has no members.
fn state_of(text: &str) -> Option<String> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=')?;
        if !is_key(key) || !is_value(value) || members.iter().any(|(other, _)| *other == key) {
            return None;
        }
        members.push((key, value));
    }
    if members.is_empty() || members.len() > MAX_MEMBERS {
        return None;
    }
    let size = |(key, value): &(&str, &str)| key.len() + 1 + value.len();
    let total = |members: &[(&str, &str)]| members.iter().map(size).sum::<usize>() + members.len().saturating_sub(1);
    // The newest member stands first.
    while total(&members) > MAX_STATE {
        match members.iter().rposition(|member| size(member) > LONG_MEMBER) {
            Some(long) => drop(members.remove(long)),
            None => drop(members.pop()),
        }
    }
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!members.is_empty()).then(|| members.join(","))
}

fn is_key(key: &str) -> bool {
    let first = key.bytes().next();
    key.len() <= MAX_WORD
        && first.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'))
}

fn is_value(value: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    !value.is_empty() && value.len() <= MAX_WORD && value.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parent(text: &str) -> Option<String> {
        TraceContext::read(text, None).map(|trace| trace.parent().to_string())
    }

    fn state(text: &str) -> Option<String> {
        TraceContext::read(PARENT, Some(text)).unwrap().state().map(ToString::to_string)
    }

    #[test]
    fn a_valid_parent_is_kept_and_a_later_version_is_read_as_the_first() {
        assert_eq!(parent(PARENT).as_deref(), Some(PARENT));
        for later in [PARENT.replacen("00", "cc", 1), format!("{}-what-follows", PARENT.replacen("00", "cc", 1))] {
            assert_eq!(parent(&later).as_deref(), Some(PARENT), "{later}");
        }
    }

    #[test]
    fn a_malformed_parent_is_ignored() {
        let wrong = [
            String::new(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-"),
            format!("{PARENT}0"),
            PARENT.replacen("00", "ff", 1),
            format!("{}.", PARENT.replacen("00", "cc", 1)),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT.replace("-01", "-0x"),
            format!("{}é", &PARENT[..54]),
        ];
        for text in wrong {
            assert_eq!(TraceContext::read(&text, Some("a=1")), None, "{text}");
        }
    }

    #[test]
    fn a_state_keeps_its_members_in_their_order() {
        assert_eq!(
            state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").as_deref(),
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        );
        assert_eq!(state(" a=1 ,,\tt@v=x y").as_deref(), Some("a=1,t@v=x y"));
    }

    #[test]
    fn a_malformed_state_is_left_out_alone() {
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
        for text in ["", ",", "a", "=1", "a=", "A=1", "a=1,a=2", "a=b=c", "a=\u{e9}", "a=1\u{7}b", &many.join(",")] {
            assert_eq!(state(text), None, "{text}");
        }
        assert!(state(&many[..32].join(",")).is_some());
        assert_eq!(state(&format!("a={}", "x".repeat(257))), None);
    }

    #[test]
    fn a_long_state_loses_its_long_members_and_then_its_last_ones() {
        let (long, short) = (format!("l={}", "x".repeat(200)), format!("={}", "y".repeat(97)));
        let text = format!("{long},a{short},b{short},c{short},d{short},e{short},f{short}");
        assert_eq!(state(&text), Some(format!("a{short},b{short},c{short},d{short},e{short}")));
        assert_eq!(state(&format!("{long},a=1")), Some(format!("{long},a=1")));
    }
}
