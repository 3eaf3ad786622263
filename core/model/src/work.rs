//! The work that a body asks for, apart from how long its caller waits and how it reads the answer.

use std::borrow::Cow;

use crate::shape::members;

/// The members of every API that say how long the caller waits and how it reads the answer.
const OF_THE_CALLER: &[&str] = &["stream", "timeout", "precommit_timeout"];

/// Further ones, which the router does not know by name.
pub(crate) const READING: &[&str] = &["stream_options", "async", "detach", "idempotent", "idempotency_key"];

/// The members of a body that say which work is wanted, as they came, in the order of their names. Two bodies ask for
/// equal work if these are equal. Those of `execution` stand beside the others, because they have the same names.
pub fn work_of(body: &[u8]) -> Vec<(Cow<'_, str>, &str)> {
    let body = std::str::from_utf8(body).unwrap_or_default().trim_start_matches('\u{feff}');
    let mut work = Vec::new();
    let says = |name: &str| !OF_THE_CALLER.contains(&name) && !READING.contains(&name);
    members(body, |name, value| {
        let (name, value): (Cow<'_, str>, _) = (name, value.get());
        if name == "execution" && value.starts_with('{') {
            members(value, |inner, value| {
                if says(&inner) {
                    work.push((format!("execution.{inner}").into(), value.get()));
                }
            });
        } else if says(&name) {
            work.push((name, value));
        }
    });
    work.sort_by(|one, other| one.0.cmp(&other.0));
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_for_the_reader_are_no_work() {
        let of = |body: &'static str| {
            let text = work_of(body.as_bytes());
            text.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        for (body, wanted) in [
            (r#"{"b":[1, 2],"a":"x"}"#, r#"a="x" b=[1, 2]"#),
            ("\u{feff} {\"a\":1,\"stream\":true,\"timeout\":2,\"detach\":true}", "a=1"),
            (r#"{"execution":{"timeout":1,"model":"m"},"a":1,"a":2}"#, r#"a=1 a=2 execution.model="m""#),
            (r#"{"execution":"x"}"#, r#"execution="x""#),
            ("[]", ""),
        ] {
            assert_eq!(of(body), wanted, "{body}");
        }
    }
}
