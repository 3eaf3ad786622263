//! The form that an answer is to have.

use serde::Serialize;
use serde_json::value::RawValue;

/// The form of an answer.
#[derive(Debug, Serialize)]
pub struct ResponseFormat<'a> {
    /// `json_object` or `json_schema`.
    pub r#type: &'a str,
    /// The schema of a `json_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchema<'a>>,
}

/// The schema that an answer follows.
#[derive(Debug, Serialize)]
pub struct JsonSchema<'a> {
    /// Its name.
    pub name: &'a str,
    /// The words that tell the model what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// The schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<&'a RawValue>,
    /// Whether the answer must follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}
