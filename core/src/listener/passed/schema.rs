//! The bodies of the small routes, as the OpenAPI document describes them. Nothing else uses these types.

use serde_json::Value;
use utoipa::ToSchema;

/// A query, and documents to be put in order. Members that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct RerankBody {
    /// The model, as `/v1/models` lists it.
    #[schema(min_length = 1)]
    model: String,
    /// The query.
    #[schema(min_length = 1)]
    query: String,
    /// The documents: texts, or what else the upstream takes.
    #[schema(min_items = 1)]
    documents: Vec<Value>,
    /// Passes through: how many documents are wanted.
    top_n: Option<u64>,
}

/// Speech, as a form. Fields that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct TranscriptionForm {
    /// The model, as `/v1/models` lists it.
    #[schema(min_length = 1)]
    model: String,
    /// The sound, as a file with a name. `limits.max_upload_bytes` bounds the form.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Passes through: the language that is spoken.
    language: Option<String>,
    /// Passes through: `json`, `text`, `srt`, `verbose_json` or `vtt`.
    response_format: Option<String>,
}

/// A text to be spoken. Members that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct SpeechBody {
    /// The model, as `/v1/models` lists it.
    #[schema(min_length = 1)]
    model: String,
    /// The text.
    #[schema(min_length = 1)]
    input: String,
    /// Passes through: the voice.
    voice: Option<Value>,
    /// Passes through: `mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.
    response_format: Option<String>,
}

/// A prompt for images. Members that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ImageBody {
    /// The model, as `/v1/models` lists it. Missing: the upstream's choice.
    model: Option<String>,
    /// The subject of the images.
    #[schema(min_length = 1)]
    prompt: String,
    /// Passes through: how many images are wanted.
    #[schema(minimum = 1, maximum = 128)]
    n: Option<u64>,
    /// Passes through: the size of an image, such as `1024x1024`.
    size: Option<String>,
}

/// Texts and images that are to be judged. Members that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ModerationBody {
    /// The model, as `/v1/models` lists it. Missing: the upstream's choice.
    model: Option<String>,
    /// A text, or a list of texts or parts.
    input: Value,
}
