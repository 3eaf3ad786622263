//! The content of a message: a text, or parts of several kinds.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::TextOr;

/// The content of a message: one text, or texts, images and files, in their order.
pub type Content = TextOr<Part>;

/// One part of a content. `type` says which of the other members counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Part {
    /// `text`, `image_url`, `file`, `input_audio` or `refusal`.
    #[serde(default)]
    pub r#type: String,
    /// The text of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The place of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// A file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// Sound, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<Box<RawValue>>,
    /// The text of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// The place of an image.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImageUrl {
    /// A URL; `data:` has the image itself.
    #[serde(default)]
    pub url: String,
    /// How closely the model looks at it: `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct File {
    /// The name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The file itself, as a `data:` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// The id of a file that the model's server keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { r#type: "text".to_owned(), text: Some(text.into()), ..Self::default() }
    }

    /// An image at that URL.
    pub fn image(url: impl Into<String>, detail: Option<String>) -> Self {
        let image_url = Some(ImageUrl { url: url.into(), detail });
        Self { r#type: "image_url".to_owned(), image_url, ..Self::default() }
    }

    /// A file.
    pub fn file(file: File) -> Self {
        Self { r#type: "file".to_owned(), file: Some(file), ..Self::default() }
    }
}

impl Content {
    /// The content of these parts: nothing of no part, and a text of one part that is a text, because every chat
    /// template takes texts and not every one takes parts.
    pub fn of(mut parts: Vec<Part>) -> Option<Self> {
        match parts.as_mut_slice() {
            [] => None,
            [Part { text: Some(text), r#type, .. }] if r#type == "text" => Some(Self::Text(std::mem::take(text))),
            _ => Some(Self::List(parts)),
        }
    }

    /// The texts of these parts, joined, and the other parts. The answer of a tool is a text alone.
    pub fn split(parts: Vec<Part>) -> (String, Vec<Part>) {
        let (mut text, mut others) = (String::new(), Vec::new());
        for part in parts {
            match part.text {
                Some(said) => text.push_str(&said),
                None => others.push(part),
            }
        }
        (text, others)
    }
}
