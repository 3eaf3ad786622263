//! One level of JSON: the members of an object, the elements of a list.

use std::borrow::Cow;

use super::scan::Cursor;
use super::value::Json;

/// Gives each member of an object to `take`, in its order and also where a name stands twice. Answers whether `json` is
/// an object.
pub fn members<'a>(json: &'a str, mut take: impl FnMut(Cow<'a, str>, Json<'a>)) -> bool {
    let mut cursor = Cursor::new(json);
    let read = cursor.members(|name, cursor| {
        take(name, cursor.value()?);
        Some(())
    });
    read.is_some() && cursor.is_at_end()
}

/// Gives each element of a list to `take`. Answers whether `json` is a list.
pub fn elements<'a>(json: &'a str, mut take: impl FnMut(Json<'a>)) -> bool {
    let mut cursor = Cursor::new(json);
    let read = cursor.elements(|cursor| {
        take(cursor.value()?);
        Some(())
    });
    read.is_some() && cursor.is_at_end()
}

/// The last member of that name, where `json` is an object that has it.
pub fn last<'a>(json: &'a str, name: &str) -> Option<Json<'a>> {
    let mut found = None;
    members(json, |key, value| {
        if key == name {
            found = Some(value);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(json: &str) -> Option<Vec<(String, String)>> {
        let mut out = Vec::new();
        members(json, |key, value| out.push((key.into_owned(), value.get().to_owned()))).then_some(out)
    }

    #[test]
    fn members_come_in_their_order_whatever_they_hold() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let json = format!(r#" {{"a":1.50,"\u0061":{deep},"\ud83d":"\ud83d","a": null }} "#);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs(&json).unwrap()[..2], [pair("a", "1.50"), pair("a", &deep)]);
        assert_eq!(pairs(&json).unwrap()[3], pair("a", "null"));
        assert_eq!(last(r#"{"a":1,"b":2,"a":3}"#, "a").unwrap().get(), "3");
        for wrong in ["", "[]", "null", "{", "{} {}", "{\"a\":}"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn elements_come_in_their_order() {
        let mut out = Vec::new();
        assert!(elements("[1, \"\\ud83d\", {}]", |value| out.push(value.get())));
        assert_eq!(out, ["1", "\"\\ud83d\"", "{}"]);
        assert!(!elements("{}", |_| ()));
    }
}
