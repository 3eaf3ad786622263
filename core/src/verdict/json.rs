//! Scores JSON texts by equality of their values, with a tolerance for numbers: 1 or 0.

use serde_json::Value;

/// The score of two JSON values at the places that `pointers` name; an empty list means the whole values. A text that
/// is not JSON, and a value without one of the places, has the score 0 with every other.
pub(super) fn score(a: Option<&Value>, b: Option<&Value>, pointers: &[String], tolerance: f64) -> f64 {
    let (Some(a), Some(b)) = (a, b) else { return 0.0 };
    let same = if pointers.is_empty() {
        alike(a, b, tolerance)
    } else {
        pointers.iter().all(|at| match (a.pointer(at), b.pointer(at)) {
            (Some(a), Some(b)) => alike(a, b, tolerance),
            _ => false,
        })
    };
    f64::from(u8::from(same))
}

fn alike(a: &Value, b: &Value, tolerance: f64) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || match (a.as_f64(), b.as_f64()) {
                    (Some(a), Some(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()),
                    _ => false,
                }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| alike(value, other, tolerance)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // scores of 0 and 1 are exact
mod tests {
    use super::*;
    use crate::model::answered;

    fn compared(a: &str, b: &str, pointers: &[&str], tolerance: f64) -> f64 {
        let pointers: Vec<String> = pointers.iter().map(|p| (*p).to_owned()).collect();
        score(answered(a).as_ref(), answered(b).as_ref(), &pointers, tolerance)
    }

    #[test]
    fn order_of_keys_and_small_differences_of_numbers_do_not_count() {
        let (a, b) = (r#"{"x":1.0000001,"y":[1,2]}"#, "```json\n{\"y\":[1,2], \"x\":1}\n```");
        assert_eq!(compared(a, b, &[], 1e-6), 1.0);
        assert_eq!(compared(a, b, &[], 0.0), 0.0);
        assert_eq!(compared(r#"{"x":1}"#, r#"{"x":1,"z":0}"#, &[], 1e-6), 0.0);
    }

    #[test]
    fn only_what_is_pointed_to_is_compared() {
        let (a, b) = (r#"{"answer":42,"why":"a"}"#, r#"{"answer":42,"why":"b"}"#);
        assert_eq!(compared(a, b, &[], 0.0), 0.0);
        assert_eq!(compared(a, b, &["/answer"], 0.0), 1.0);
        assert_eq!(compared(a, b, &["/answer", "/no"], 0.0), 0.0, "a place that is missing is no match");
        assert_eq!(compared("no json", "no json", &[], 0.0), 0.0);
    }
}
