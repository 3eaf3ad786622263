//! The named fields of a request, in one table. The reader of bodies, the writer of the store's JSON, the fields that
//! every kind of miner gets, and the options that bindings know all come from it or are tested against it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::TaskRequest;
use super::prompt::Prompt;
use super::seconds::Seconds;
use super::whole::{Number, Whole};
use super::word::OrDefault;

/// The destination of a named field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// To the miner, in a place of its own: the input, the model, and how the input is read.
    Input,
    /// To the miner under the caller's own name, among the parameters of the model's server.
    Limit,
    /// Nowhere: the router itself acts on the field.
    Router,
    /// Nowhere: the router itself writes the field, and no caller may give it.
    Kept,
}

/// A named field of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Where it goes.
    pub goes: Goes,
}

/// Reads the value of a field in the form that the table names, and stores it in the request.
macro_rules! take {
    (kind $request:ident $map:ident $place:ident) => {
        $request.$place = given($map)?.unwrap_or_default()
    };
    (flag $request:ident $map:ident $place:ident) => {
        $request.$place = given($map)?.unwrap_or_default()
    };
    (number $request:ident $map:ident $place:ident) => {
        $request.$place = whole($map)?.unwrap_or_default()
    };
    (prompt $request:ident $map:ident $place:ident) => {
        match given($map)? {
            Some(Prompt::Text(text)) => $request.$place = Some(text),
            Some(Prompt::List(list)) => $request.extra.push(("prompt".into(), list)),
            None => $request.$place = None,
        }
    };
    (text $request:ident $map:ident $place:ident) => {
        $request.$place = given::<_, String>($map)?.filter(|text| !text.is_empty())
    };
    (count $request:ident $map:ident $place:ident) => {
        $request.$place = given::<_, Count>($map)?.map(|count| count.0)
    };
    (whole $request:ident $map:ident $place:ident) => {
        $request.$place = whole($map)?
    };
    (seconds $request:ident $map:ident $place:ident) => {
        $request.$place = given::<_, Seconds>($map)?.map(|seconds| seconds.0)
    };
    (rule $request:ident $map:ident $place:ident) => {
        $request.validation.get_or_insert_default().$place = given($map)?
    };
    (word $request:ident $map:ident $place:ident) => {
        $request.validation.get_or_insert_default().$place = given::<_, OrDefault<_>>($map)?.map(|word| word.0)
    };
    (value $request:ident $map:ident $place:ident) => {
        $request.$place = given($map)?
    };
}

/// Writes the value of a field in the form that the table names, if the field was given.
macro_rules! put {
    (kind $request:ident $map:ident $name:literal $place:ident) => {
        $map.serialize_entry($name, &$request.$place)?
    };
    (flag $request:ident $map:ident $name:literal $place:ident) => {
        if $request.$place {
            $map.serialize_entry($name, &true)?;
        }
    };
    (number $request:ident $map:ident $name:literal $place:ident) => {
        if $request.$place != 0 {
            $map.serialize_entry($name, &$request.$place)?;
        }
    };
    (word $request:ident $map:ident $name:literal $place:ident) => {
        put!(rule $request $map $name $place)
    };
    (rule $request:ident $map:ident $name:literal $place:ident) => {
        if let Some(value) = $request.validation.as_ref().and_then(|rules| rules.$place.as_ref()) {
            $map.serialize_entry($name, value)?;
        }
    };
    ($form:ident $request:ident $map:ident $name:literal $place:ident) => {
        if let Some(value) = &$request.$place {
            $map.serialize_entry($name, value)?;
        }
    };
}

/// The value and the name of a field that is a limit; `None` for any other field.
macro_rules! limit {
    (Limit $request:ident $name:literal $place:ident) => {
        $request.$place.map(|most| ($name, most))
    };
    ($goes:ident $request:ident $name:literal $place:ident) => {
        None
    };
}

macro_rules! fields {
    ($($goes:ident $form:ident $name:literal $(or $alias:literal)? in $place:ident;)*) => {
        /// Every named field, in the order in which they are written.
        pub const FIELDS: &[Field] = &[$(Field { name: $name, goes: Goes::$goes }),*];

        fn read_field<'de, A: MapAccess<'de>>(
            request: &mut TaskRequest,
            name: Cow<'de, str>,
            map: &mut A,
        ) -> Result<(), A::Error> {
            match name.as_ref() {
                $($name $(| $alias)? => take!($form request map $place),)*
                _ => request.extra.push((name.into_owned(), map.next_value()?)),
            }
            Ok(())
        }

        fn write_fields<M: SerializeMap>(request: &TaskRequest, map: &mut M) -> Result<(), M::Error> {
            $(put!($form request map $name $place);)*
            Ok(())
        }

        fn limits_of(request: &TaskRequest) -> [Option<(&'static str, u64)>; FIELDS.len()] {
            [$(limit!($goes request $name $place)),*]
        }
    };
}

// The order is part of the fingerprints of idempotency keys: a new field goes to the end.
fields! {
    Input  kind   "kind" in kind;
    Input  prompt "prompt" in prompt;
    Input  value  "messages" in messages;
    Input  value  "input" in input;
    Input  text   "prompt_template" in prompt_template;
    Input  text   "model" in model;
    Router seconds "timeout" in timeout;
    Router seconds "precommit_timeout" in precommit_timeout;
    Limit  count  "max_tokens" in max_tokens;
    Limit  count  "max_completion_tokens" in max_completion_tokens;
    Router value  "client_reference" or "clientReference" in client_reference;
    Router whole  "max_miners" in max_miners;
    Router whole  "priority" in priority;
    Router value  "on_failure" in on_failure;
    Router word   "validation_policy" in validation_policy;
    Router word   "match" in matching;
    Router rule   "min_score" in min_score;
    Router rule   "tie_break" in tie_break;
    Router rule   "match_tolerance" in match_tolerance;
    Router rule   "match_pointers" in match_pointers;
    Router rule   "match_model" in match_model;
    Input  number "prompt_type" in prompt_type;
    Input  flag   "stream" in stream;
    Router flag   "raw" in raw;
    Kept   value  "responses" in responses;
    Kept   value  "original" in original;
    Router value  "webhook" in webhook;
}

/// The parameters of a request for the model's server, without the input: first the limits under the names that the
/// caller used, then the fields that the router does not know, in the caller's order. Every kind of miner gets these.
pub struct Params<'a>(&'a TaskRequest);

impl<'a> Params<'a> {
    /// The limits with the names that the caller used.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        limits_of(self.0).into_iter().flatten()
    }

    /// The fields that the router does not know, in the caller's order.
    pub fn others(&self) -> impl Iterator<Item = (&'a str, &'a RawValue)> + use<'a> {
        self.0.extra.iter().map(|(key, value)| (key.as_str(), &**value))
    }
}

impl TaskRequest {
    /// The parameters that a model's server acts on.
    #[doc(hidden)]
    pub fn params(&self) -> Params<'_> {
        Params(self)
    }
}

impl<'de> Deserialize<'de> for TaskRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = TaskRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object with the fields of a request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TaskRequest, A::Error> {
                let mut request = TaskRequest::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    read_field(&mut request, name, &mut map)?;
                }
                Ok(request)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The form in which the store keeps a request: every field that was given, and `kind`.
impl Serialize for TaskRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_fields(self, &mut map)?;
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// `null` counts as not given: published clients send it for fields they leave alone.
fn given<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value::<Option<T>>()
}

/// A whole number; `null` counts as not given.
fn whole<'de, A: MapAccess<'de>, T: Number>(map: &mut A) -> Result<Option<T>, A::Error> {
    Ok(given::<_, Whole<T>>(map)?.map(|number| number.0))
}

/// A whole number of at least one. The reader of the field refuses 0, so that the error names the field.
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Whole::<u64>::deserialize(deserializer)?.0 {
            0 => Err(de::Error::invalid_value(de::Unexpected::Unsigned(0), &"a whole number of at least 1")),
            count => Ok(Self(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Matching, OnFailure, Policy, RequestKind, ValidationSpec, Webhook};

    /// Written without `..`, so that a field that is new in the record has to be set here, and stand in the table.
    fn full() -> TaskRequest {
        let raw = |text: &str| Some(RawValue::from_string(text.to_owned()).unwrap());
        TaskRequest {
            kind: RequestKind::Chat,
            prompt: Some("p".into()),
            messages: raw(r#"[{"role":"user"}]"#),
            input: raw(r#""i""#),
            prompt_type: 1,
            prompt_template: Some("<{prompt}>".into()),
            model: Some("m".into()),
            stream: true,
            timeout: Some(1.5),
            precommit_timeout: Some(2.5),
            max_tokens: Some(3),
            max_completion_tokens: Some(4),
            client_reference: Some("r".into()),
            max_miners: Some(2),
            priority: Some(5),
            validation: Some(Box::new(ValidationSpec {
                validation_policy: Some(Policy::All),
                matching: Some(Matching::Json),
                min_score: Some(0.5),
                tie_break: Some(true),
                match_tolerance: Some(0.25),
                match_pointers: Some(vec!["/a".into()]),
                match_model: Some("e".into()),
            })),
            on_failure: Some(OnFailure::Restart),
            raw: true,
            responses: raw(r#"{"input":[]}"#),
            original: raw(r#"{"messages":{}}"#),
            webhook: Some(Box::new(Webhook::default().url("https://h").secret("s"))),
            extra: Vec::new(),
        }
    }

    #[test]
    fn every_field_of_the_record_is_in_the_table_once() {
        let text = serde_json::to_string(&full()).unwrap();
        let written: Vec<(String, Box<RawValue>)> = {
            let TaskRequest { extra, .. } = serde_json::from_str(&text.replace("\":", "_\":")).unwrap();
            extra
        };
        let names: Vec<String> = FIELDS.iter().map(|field| format!("{}_", field.name)).collect();
        assert_eq!(written.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        let read: TaskRequest = serde_json::from_str(&text).unwrap();
        assert!(read.extra.is_empty(), "all of them are known");
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn limits_keep_their_names() {
        let limits: Vec<_> = full().params().limits().collect();
        assert_eq!(limits, [("max_tokens", 3), ("max_completion_tokens", 4)]);
    }
}
