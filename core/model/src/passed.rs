//! The requests that pass to a model's server as they came, and whose answers are bytes: reranking, audio, images,
//! moderation.

use std::borrow::Cow;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::chat::into_raw;
use crate::{Error, RequestKind, Result, TaskRequest};

/// The extra field that holds the parts of a form.
const FORM: &str = "form";

/// A part of a form. A file may be large, so that its bytes are never copied as a whole: they are [`Raw`] where a form
/// comes in, and base64 in the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormPart<D> {
    /// The name of the part.
    pub name: String,
    /// The text of a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The name of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The type of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The bytes of a file; `None`: they are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
}

/// The bytes of a file, which are written as base64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &BASE64_STANDARD))
    }
}

impl<D: Default> FormPart<D> {
    /// A field.
    pub fn text(name: &str, text: String) -> Self {
        Self { name: name.to_owned(), text: Some(text), ..Self::default() }
    }

    /// A file.
    pub fn file(name: &str, filename: String, kind: Option<String>, data: D) -> Self {
        Self { name: name.to_owned(), text: None, filename: Some(filename), r#type: kind, data: Some(data) }
    }
}

impl FormPart<&str> {
    /// Appends the bytes of the part, as far as they are kept.
    pub fn write(&self, out: &mut Vec<u8>) {
        match (&self.text, self.data) {
            (Some(text), _) => out.extend_from_slice(text.as_bytes()),
            (None, Some(data)) => {
                let start = out.len();
                if BASE64_STANDARD.decode_vec(data, out).is_err() {
                    // The router has written them itself.
                    out.truncate(start);
                }
            }
            (None, None) => {}
        }
    }
}

impl TaskRequest {
    /// Adds the parts of a form, all of them in one extra field.
    ///
    /// # Errors
    /// `Internal`, which no part causes.
    #[doc(hidden)]
    pub fn with_form<D: Serialize>(mut self, parts: &[FormPart<D>]) -> Result<Self> {
        self.extra.push((FORM.to_owned(), into_raw(&parts)?));
        Ok(self)
    }

    /// The parts of the form that the request came as; empty: it came as JSON.
    #[doc(hidden)]
    pub fn form(&self) -> Vec<FormPart<&str>> {
        let form = self.extra(FORM).filter(|_| self.kind == RequestKind::Transcription);
        form.and_then(|form| serde_json::from_str(form.get()).ok()).unwrap_or_default()
    }

    /// Whether the form has a file of the name `file`. The bytes of files are not read for that.
    fn has_file(&self) -> bool {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow, default)]
            name: Cow<'a, str>,
            filename: Option<IgnoredAny>,
        }
        let parts = self.extra(FORM).and_then(|form| serde_json::from_str::<Vec<Named<'_>>>(form.get()).ok());
        parts.unwrap_or_default().iter().any(|part| part.name == "file" && part.filename.is_some())
    }

    /// The request without the bytes of its files, which nobody needs when the task has ended; `None`: it has no files.
    #[doc(hidden)]
    pub fn without_files(&self) -> Option<Self> {
        let mut parts = self.form();
        if parts.iter().all(|part| part.data.is_none()) {
            return None;
        }
        for part in &mut parts {
            part.data = None;
        }
        let mut request = self.clone();
        request.take(FORM);
        request.with_form(&parts).ok()
    }

    /// Checks that a request that passes as it came has what its kind needs.
    pub(crate) fn check_passed(&self) -> Result<()> {
        let text = |name: &str, value: Option<&str>| match value {
            Some(text) if !text.is_empty() => Ok(()),
            _ => Err(Error::invalid(name, format!("{name} is missing: give a text"))),
        };
        let extra = |name: &str| self.extra(name).and_then(text_of);
        let input = || self.input.as_deref().filter(|input| !matches!(input.get(), "null" | "\"\"" | "[]"));
        match self.kind {
            RequestKind::Rerank => {
                text("model", self.model.as_deref())?;
                text("query", extra("query").as_deref())?;
                let documents = self.extra("documents").map_or("", RawValue::get);
                if !documents.starts_with('[') || documents[1..].trim_start() == "]" {
                    return Err(Error::invalid("documents", "documents is missing: give a list of at least one text"));
                }
                Ok(())
            }
            RequestKind::Transcription => {
                text("model", self.model.as_deref())?;
                if !self.has_file() {
                    return Err(Error::invalid("file", "file is missing: give the audio as a file of the form"));
                }
                Ok(())
            }
            RequestKind::Speech => {
                text("model", self.model.as_deref())?;
                text("input", input().and_then(text_of).as_deref())
            }
            RequestKind::Image => text("prompt", self.prompt.as_deref()),
            RequestKind::Moderation if input().is_none() => {
                Err(Error::invalid("input", "input is missing: give a text, or a list of texts or parts"))
            }
            RequestKind::Compaction => {
                text("model", self.model.as_deref())?;
                if self.extra("previous_response_id").is_some_and(|id| id.get() != "null") {
                    let words = "previous_response_id: the server that compacts does not know the router's responses: \
                                 send the items of the conversation in input";
                    return Err(Error::invalid("previous_response_id", words));
                }
                if input().is_none() {
                    return Err(Error::invalid("input", "input is missing: give a text or a list of items"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The text that a JSON value is.
fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: RequestKind, body: &str) -> Option<String> {
        let request: TaskRequest = crate::json::from_json("body", body.as_bytes()).unwrap();
        let checked = request.kind(kind).with_checked_input();
        checked.err().map(|error| {
            let param = error.details().param.clone().unwrap();
            assert!(error.message().contains(&param), "{error}");
            param
        })
    }

    #[test]
    fn what_a_kind_needs_must_be_there() {
        for (kind, body, wanted) in [
            (RequestKind::Rerank, r#"{"model":"m","query":"q","documents":["a"]}"#, None),
            (RequestKind::Rerank, r#"{"model":"m","query":"q","documents":[{"text":"a"}],"top_n":1}"#, None),
            (RequestKind::Rerank, r#"{"query":"q","documents":["a"]}"#, Some("model")),
            (RequestKind::Rerank, r#"{"model":"m","documents":["a"]}"#, Some("query")),
            (RequestKind::Rerank, r#"{"model":"m","query":5,"documents":["a"]}"#, Some("query")),
            (RequestKind::Rerank, r#"{"model":"m","query":"q"}"#, Some("documents")),
            (RequestKind::Rerank, r#"{"model":"m","query":"q","documents":[ ]}"#, Some("documents")),
            (RequestKind::Rerank, r#"{"model":"m","query":"q","documents":"a"}"#, Some("documents")),
            (RequestKind::Speech, r#"{"model":"m","input":"a","voice":"v"}"#, None),
            (RequestKind::Speech, r#"{"input":"a"}"#, Some("model")),
            (RequestKind::Speech, r#"{"model":"m"}"#, Some("input")),
            (RequestKind::Speech, r#"{"model":"m","input":["a"]}"#, Some("input")),
            (RequestKind::Image, r#"{"prompt":"a cat","n":2}"#, None),
            (RequestKind::Image, r#"{"model":"m"}"#, Some("prompt")),
            (RequestKind::Image, r#"{"prompt":""}"#, Some("prompt")),
            (RequestKind::Image, r#"{"prompt":"a","n":0}"#, Some("n")),
            (RequestKind::Moderation, r#"{"input":"a"}"#, None),
            (RequestKind::Moderation, r#"{"input":[{"type":"text","text":"a"}]}"#, None),
            (RequestKind::Moderation, r#"{"model":"m"}"#, Some("input")),
            (RequestKind::Moderation, r#"{"input":[]}"#, Some("input")),
            (RequestKind::Compaction, r#"{"model":"m","input":[{"role":"user","content":"a"}]}"#, None),
            (RequestKind::Compaction, r#"{"model":"m","input":"a","previous_response_id":null}"#, None),
            (RequestKind::Compaction, r#"{"input":"a"}"#, Some("model")),
            (RequestKind::Compaction, r#"{"model":"m"}"#, Some("input")),
            (
                RequestKind::Compaction,
                r#"{"model":"m","input":"a","previous_response_id":"r"}"#,
                Some("previous_response_id"),
            ),
            (RequestKind::Transcription, r#"{"model":"m"}"#, Some("file")),
            (RequestKind::Transcription, r#"{"form":[]}"#, Some("model")),
        ] {
            assert_eq!(fault(kind, body).as_deref(), wanted, "{kind} {body}");
        }
    }

    #[test]
    fn a_form_survives_the_store_and_its_files_do_not_survive_the_task() {
        let parts = [
            FormPart::text("prompt", "p".into()),
            FormPart::text("stream", "true".into()),
            FormPart::file("file", "a.mp3".into(), Some("audio/mpeg".into()), Raw(&[0, 255, 10])),
        ];
        let request = TaskRequest::default().kind(RequestKind::Transcription).model("m").with_form(&parts).unwrap();
        let again: TaskRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        let form = again.form();
        let bytes = |part: &FormPart<&str>| {
            let mut bytes = Vec::new();
            part.write(&mut bytes);
            bytes
        };
        assert_eq!(form.iter().map(bytes).collect::<Vec<_>>(), [&b"p"[..], b"true", &[0, 255, 10]]);
        for (part, wanted) in form.iter().zip(&parts) {
            assert_eq!((&part.name, &part.filename, &part.r#type), (&wanted.name, &wanted.filename, &wanted.r#type));
        }
        assert_eq!((again.prompt.is_none(), again.stream), (true, false));
        let kept = again.without_files().unwrap();
        assert_eq!((kept.form()[2].filename.as_deref(), kept.form()[2].data), (Some("a.mp3"), None));
        assert!(kept.without_files().is_none());
    }
}
