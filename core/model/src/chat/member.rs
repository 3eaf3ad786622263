//! Reading a body member by member, with errors that name the place within it.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::from_json;
use crate::told::told;
use crate::{Error, RequestKind, Result, TaskRequest};

/// The members of a body, in their order.
#[derive(Debug)]
pub struct Members(pub Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A chat's request with the members of a body that its own API does not know: the router acts on those that it has a
/// name for, such as `timeout` and `max_miners`, as it does for a chat. The others pass through to the miner.
///
/// # Errors
/// `InvalidArgument` names the member.
pub fn with_members(chat: TaskRequest, others: &[(String, Box<RawValue>)]) -> Result<TaskRequest> {
    let mut request = TaskRequest::default();
    if !others.is_empty() {
        let mut text = String::from("{");
        for (name, value) in others {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name).map_err(Error::internal)?);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        request = from_json("body", text.as_bytes())?;
    }
    // A chat has no other input than its messages.
    (request.prompt, request.prompt_template, request.prompt_type, request.input) = (None, None, 0, None);
    request.kind = RequestKind::Chat;
    (request.model, request.stream, request.messages) = (chat.model, chat.stream, chat.messages);
    request.max_tokens = chat.max_tokens;
    let mut extra = chat.extra;
    extra.append(&mut request.extra);
    request.extra = extra;
    Ok(request)
}

/// Reads the member with this name; `null` counts as not given.
///
/// # Errors
/// `InvalidArgument`, whose `param` is the path of the wrong field (`messages[0].content[1].type`).
pub fn member<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<Option<T>> {
    let again = || serde_json::Deserializer::from_str(value.get());
    serde_json::from_str(value.get()).map_err(|_| fault_in::<Option<T>, _>(name, &mut again()))
}

/// The error for a value of the member with this name that is no `T`. It is read again, slowly, to find out where the
/// fault lies.
pub fn fault_in<'de, T: Deserialize<'de>, D: Deserializer<'de>>(name: &str, value: D) -> Error {
    let Some(found) = serde_path_to_error::deserialize::<_, T>(value).err() else {
        return Error::invalid(name, format!("{name} cannot be read"));
    };
    let param = match found.path().to_string().as_str() {
        "" | "." | "?" => name.to_owned(),
        path if path.starts_with('[') => format!("{name}{path}"),
        path => format!("{name}.{path}"),
    };
    let words = told(found.inner());
    let names_itself = param.rsplit('.').next().is_some_and(|last| words.starts_with(&format!("{last} must be ")));
    Error::invalid(&param, if names_itself { words } else { format!("{param}: {words}") })
}
