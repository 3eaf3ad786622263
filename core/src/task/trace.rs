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
    recorded: Option<Recorded>,
}

/// The ids of a trace whose spans the router exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The trace.
    pub(crate) trace_id: u128,
    /// The router's own span for the request.
    pub(crate) root: u64,
    /// The caller's span.
    pub(crate) remote: Option<u64>,
    /// The route by which the request came; `None`: the host program made it.
    pub(crate) route: Option<&'static str>,
}

impl Recorded {
    /// The `traceparent` under this span.
    pub(crate) fn parent_text(&self, span: u64) -> String {
        parent_text(self.trace_id, span, true)
    }
}

fn parent_text(trace_id: u128, span: u64, sampled: bool) -> String {
    format!("00-{trace_id:032x}-{span:016x}-{:02x}", u8::from(sampled))
}

impl TraceContext {
    /// Reads the values of the headers `traceparent` and `tracestate`; `None`: the first one is malformed, and the
    /// specification says to ignore both. A malformed `tracestate` alone is left out.
    ///
    /// A `traceparent` of a later version is read as one of version 00, which is the version that the router knows.
    pub(crate) fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        Some(Self { parent: parent_of(parent)?.into(), state: state.and_then(state_of).map(Arc::from), recorded: None })
    }

    /// The context of a task whose spans the router may export. A caller's trace is recorded if its sampled flag is set.
    /// Without one the router begins a trace, of which the share `ratio` is recorded.
    pub(crate) fn begun(caller: Option<Arc<Self>>, ratio: f64, route: Option<&'static str>) -> Option<Arc<Self>> {
        let mut random = [0; 24];
        if getrandom::fill(&mut random).is_err() {
            return caller;
        }
        let (own_id, root) = random.split_at(16);
        let root = u64::from_le_bytes(root.try_into().ok()?).max(1);
        let Some(caller) = caller else {
            let trace_id = u128::from_le_bytes(own_id.try_into().ok()?).max(1);
            // The lower half of the id decides, as in the sampler `traceidratio`.
            let sampled = ((trace_id as u64) >> 1) as f64 / ((1_u64 << 63) as f64) < ratio;
            let recorded = sampled.then_some(Recorded { trace_id, root, remote: None, route });
            let parent = parent_text(trace_id, root, sampled).into();
            return Some(Arc::new(Self { parent, state: None, recorded }));
        };
        match caller.ids() {
            Some((trace_id, remote)) => {
                let recorded = Some(Recorded { trace_id, root, remote: Some(remote), route });
                Some(Arc::new(Self { parent: caller.parent.clone(), state: caller.state.clone(), recorded }))
            }
            None => Some(caller),
        }
    }

    /// The ids of the trace and of the caller's span, if the sampled flag is set.
    fn ids(&self) -> Option<(u128, u64)> {
        let flags = u8::from_str_radix(self.parent.get(53..55)?, 16).ok()?;
        let trace_id = u128::from_str_radix(self.parent.get(3..35)?, 16).ok()?;
        let span = u64::from_str_radix(self.parent.get(36..52)?, 16).ok()?;
        (flags & 1 == 1).then_some((trace_id, span))
    }

    /// The ids under which the spans of the task are exported; `None`: they are not.
    pub(crate) fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
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
    fn the_sampled_flag_of_the_caller_decides_and_else_the_ratio() {
        let of = |parent: &str, ratio| {
            let caller = Arc::new(TraceContext::read(parent, None).unwrap());
            TraceContext::begun(Some(caller), ratio, Some("/r")).unwrap()
        };
        let sampled = of(PARENT, 0.0);
        let recorded = sampled.recorded().unwrap();
        assert_eq!(recorded.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((recorded.remote, recorded.route), (Some(0x00f0_67aa_0ba9_02b7), Some("/r")));
        assert_eq!(recorded.parent_text(7), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
        let unsampled = of(&PARENT.replace("-01", "-00"), 1.0);
        assert_eq!((unsampled.recorded(), &**unsampled.parent()), (None, &*PARENT.replace("-01", "-00")));
        let own = |ratio| TraceContext::begun(None, ratio, None).unwrap();
        assert!(
            own(1.0).recorded().is_some_and(|recorded| recorded.remote.is_none()) && own(1.0).parent().ends_with("-01")
        );
        assert!(own(0.0).recorded().is_none() && own(0.0).parent().ends_with("-00"));
        assert_ne!(own(1.0).parent(), own(1.0).parent());
        let half = (0..1_000).filter(|_| own(0.5).recorded().is_some()).count();
        assert!((300..700).contains(&half), "{half}");
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
