//! Reads a miner's claims leniently: a claim decides nothing, and no claim can break an answer.

use cortensor_router_model::Usage;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// Token counts. A count that is missing, negative, or no number counts as 0; a fraction is cut off.
pub(crate) fn usage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usage, D::Error> {
    let claim = Value::deserialize(deserializer)?;
    let count = |name: &str| claim.get(name).map_or(0, whole);
    Ok(Usage::default()
        .completion_tokens(count("completion_tokens"))
        .prompt_tokens(count("prompt_tokens"))
        .total_tokens(count("total_tokens")))
}

fn whole(count: &Value) -> u64 {
    match count {
        // The cast saturates and turns a negative number into 0.
        Value::Number(number) => number.as_u64().or_else(|| Some(number.as_f64()? as u64)).unwrap_or(0),
        Value::String(digits) => digits.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::frame::MinerFrame;

    #[test]
    fn no_claim_of_usage_breaks_an_answer() {
        for (claim, prompt, completion) in [
            (r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#, 3, 2),
            (r#"{"completion_tokens":2}"#, 0, 2),
            (r#"{"prompt_tokens":3.0,"completion_tokens":2.9}"#, 3, 2),
            (r#"{"prompt_tokens":"3","completion_tokens":" 2 "}"#, 3, 2),
            (r#"{"prompt_tokens":-3,"completion_tokens":-0.5}"#, 0, 0),
            (r#"{"prompt_tokens":1e300,"completion_tokens":18446744073709551616}"#, u64::MAX, u64::MAX),
            (r#"{"prompt_tokens":null,"completion_tokens":true,"total_tokens":{}}"#, 0, 0),
            ("null", 0, 0),
            ("5", 0, 0),
            ("[]", 0, 0),
        ] {
            let frame = format!(r#"{{"type":"done","attempt":1,"fence":1,"seq":0,"sha256":"","usage":{claim}}}"#);
            let Ok(Some(MinerFrame::Done(done))) = MinerFrame::parse(&frame) else { panic!("{claim}") };
            assert_eq!((done.usage.prompt_tokens, done.usage.completion_tokens), (prompt, completion), "{claim}");
        }
    }
}
