//! Passes requests on to routes that only some servers have, and their answers back as bytes.
//!
//! A server that answers such a route with 404, 405 or 501 has it not. The router remembers that for
//! [`LACKED_FOR`], and then asks again.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use memchr::memmem;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use super::assembly::too_large;
use super::call::{Reading, Served, coded, context, refused, unanswered, whole};
use super::request::Outgoing;
use super::{Shared, ask, upstream_name};
use crate::miner::{FailClass, Failure, Job};
use crate::model::shape::Reply;
use crate::model::{Answer, FinishReason, FormPart, RequestKind};

/// The time for which a server that lacks a route is not asked for it again.
pub(super) const LACKED_FOR: Duration = Duration::from_mins(1);

/// The code of the error for a route that no upstream has.
pub(crate) const ROUTE_NOT_SERVED: &str = "route_not_served";

/// The path of a kind of requests, below the root of the API.
pub(super) const fn path_of(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Chat => "/chat/completions",
        RequestKind::Completion => "/completions",
        RequestKind::Embedding => "/embeddings",
        RequestKind::Rerank => "/rerank",
        RequestKind::Transcription => "/audio/transcriptions",
        RequestKind::Speech => "/audio/speech",
        RequestKind::Image => "/images/generations",
        RequestKind::Moderation => "/moderations",
        RequestKind::Compaction => "/responses/compact",
    }
}

/// The routes that an upstream lacks, each with the time from which it is asked again.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<Vec<(RequestKind, Instant)>>);

impl Lacking {
    fn has(&self, kind: RequestKind) -> bool {
        let mut lacking = self.0.lock();
        lacking.retain(|(_, until)| *until > Instant::now());
        lacking.iter().any(|(known, _)| *known == kind)
    }

    fn add(&self, kind: RequestKind) {
        let mut lacking = self.0.lock();
        lacking.retain(|(known, _)| *known != kind);
        lacking.push((kind, Instant::now() + LACKED_FOR));
    }
}

/// Works on such a job.
pub(super) async fn answer(shared: &Shared, job: &Job) -> Result<Served, Failure> {
    let kind = job.request().kind;
    if shared.lacking.has(kind) {
        return Err(lacked(shared, kind));
    }
    let sent = shared.pool.send(asked_for(shared, job), &|| job.may_try_again()).await;
    let (link, head) = sent.map_err(|error| unanswered(shared, error))?;
    job.alive();
    let status = head.status;
    if !status.is_success() {
        let (failure, words) = refused(shared, link, head).await;
        if is_lacked(status, &words) {
            shared.lacking.add(kind);
            return Err(lacked(shared, kind));
        }
        return Err(failure);
    }
    if let Some(coding) = &head.coding {
        return Err(Failure::new(FailClass::Internal, coded(shared, coding)));
    }
    let content_type = head.content_type();
    let (body, complete) = whole(shared, Reading::new(link), shared.max_output(), Some(job)).await?;
    if !complete {
        return Err(too_large(&shared.name, shared.max_output()));
    }
    let reply = std::str::from_utf8(&body).ok().and_then(Reply::of);
    let usage = reply.and_then(|reply| reply.usage()).unwrap_or_default();
    let answer = Answer::default().finish_reason(FinishReason::Stop).usage(usage);
    Ok((answer.raw(Some(body)).content_type(Some(content_type)), None))
}

/// Whether an answer with that status and body says that the server has not the route. Servers say with the same status
/// that they have not the model.
pub(super) fn is_lacked(status: StatusCode, words: &[u8]) -> bool {
    let about_model = || memmem::find(&words.to_ascii_lowercase(), b"model").is_some();
    match status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::NOT_FOUND => !about_model(),
        _ => false,
    }
}

fn lacked(shared: &Shared, kind: RequestKind) -> Failure {
    let message = format!("the upstream {} has no route {}", shared.name, path_of(kind));
    let said = json!({"error": {"message": message, "code": ROUTE_NOT_SERVED}});
    Failure::new(FailClass::Model, message).with_raw(said.to_string())
}

/// The request of a job. It names a model only if the caller or its session does, because the model that serves
/// requests without one is a model for chats.
fn asked_for(shared: &Shared, job: &Job) -> Outgoing {
    let request = job.request();
    let model = job.info().model.as_deref().map(|model| upstream_name(&shared.config, model));
    let head = shared.pool.endpoint().passed(path_of(request.kind));
    let parts = request.form();
    let form = (!parts.is_empty()).then(|| Form::of(parts, model));
    let kind = form.as_ref().map_or_else(|| "application/json".to_owned(), Form::content_type);
    let mut lines = context(job.info());
    lines.push(("content-type", &kind));
    match &form {
        Some(form) => Outgoing::post(&head, &lines, form.size(), |bytes| form.write(bytes)),
        None => Outgoing::post(&head, &lines, ask::size(request), |bytes| ask::write_passed(bytes, request, model)),
    }
}

/// The beginning of every boundary; eight digits follow.
const BOUNDARY: &str = "cortensor-router-";

/// The base64 of the beginning of a boundary at each of its three places in a group of three bytes, as far as the bytes
/// around it have no part in that.
static ENCODED: LazyLock<[String; 3]> = LazyLock::new(|| {
    [0, 1, 2].map(|skipped| {
        let whole = (BOUNDARY.len() - skipped) / 3 * 3;
        BASE64_STANDARD.encode(&BOUNDARY[skipped..skipped + whole])
    })
});

/// A form as it goes out.
struct Form<'a> {
    parts: Vec<FormPart<&'a str>>,
    /// The server's name of the model, for the part `model`.
    model: Option<&'a str>,
    boundary: String,
}

impl<'a> Form<'a> {
    /// The form of these parts, in which the part `model` has that text.
    fn of(parts: Vec<FormPart<&'a str>>, model: Option<&'a str>) -> Self {
        let mut form = Self { parts, model, boundary: String::new() };
        // A file is decoded only where its base64 shows that it may have a boundary in it, which no usual file has.
        let doubtful = form.parts.iter().filter(|part| may_hold_boundary(part));
        let doubtful: Vec<Vec<u8>> = doubtful.map(|part| form.bytes_of(part, Vec::new())).collect();
        // The first boundary that stands in no part.
        let mut number = 0_u32;
        loop {
            form.boundary = format!("{BOUNDARY}{number:08x}");
            if doubtful.iter().all(|bytes| memmem::find(bytes, form.boundary.as_bytes()).is_none()) {
                return form;
            }
            number = number.wrapping_add(1);
        }
    }

    fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// About the bytes of the form.
    fn size(&self) -> usize {
        let size = |part: &FormPart<&str>| {
            let text = part.text.as_ref().map_or(0, String::len);
            part.name.len() + text + part.data.map_or(0, |data| data.len() / 4 * 3) + 256
        };
        self.parts.iter().map(size).sum()
    }

    /// Adds the bytes of a part to those that are there.
    fn bytes_of(&self, part: &FormPart<&str>, mut out: Vec<u8>) -> Vec<u8> {
        match self.model.filter(|_| part.name == "model" && part.text.is_some()) {
            Some(model) => out.extend_from_slice(model.as_bytes()),
            None => part.write(&mut out),
        }
        out
    }

    fn write(&self, mut out: Vec<u8>) -> Vec<u8> {
        for part in &self.parts {
            let filename = part.filename.as_ref().map(|name| format!("; filename=\"{}\"", quoted(name)));
            let kind = part.r#type.as_ref().map(|kind| kind.replace(['\r', '\n'], " "));
            let kind = kind.map(|kind| format!("\r\nContent-Type: {kind}"));
            let head = format!(
                "--{}\r\nContent-Disposition: form-data; name=\"{}\"{}{}\r\n\r\n",
                self.boundary,
                quoted(&part.name),
                filename.unwrap_or_default(),
                kind.unwrap_or_default()
            );
            out.extend_from_slice(head.as_bytes());
            out = self.bytes_of(part, out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out
    }
}

/// Whether the bytes of a part may have the beginning of a boundary in them.
fn may_hold_boundary(part: &FormPart<&str>) -> bool {
    match (&part.text, part.data) {
        // The name of the model, which may stand in the place of the text, is short.
        (Some(text), _) => part.name == "model" || memmem::find(text.as_bytes(), BOUNDARY.as_bytes()).is_some(),
        (None, Some(data)) => ENCODED.iter().any(|words| memmem::find(data.as_bytes(), words.as_bytes()).is_some()),
        (None, None) => false,
    }
}

/// A name between quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Wherever a boundary stands in a file, the form has another one, and the file goes on as it is.
        #[test]
        fn no_boundary_of_a_form_stands_in_its_files(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..9),
                    (0..3_u32).prop_map(|number| format!("cortensor-router-{number:08x}").into_bytes()),
                ],
                0..6,
            ),
        ) {
            let file = pieces.concat();
            let data = BASE64_STANDARD.encode(&file);
            let form = Form::of(vec![FormPart::file("file", "a".into(), None, data.as_str())], None);
            prop_assert_eq!(memmem::find(&file, form.boundary.as_bytes()), None);
            let written = form.write(Vec::new());
            let (_, rest) = written.split_at(memmem::find(&written, b"\r\n\r\n").unwrap() + 4);
            prop_assert_eq!(&rest[..file.len()], &file[..]);
            let free = |number: u32| memmem::find(&file, format!("cortensor-router-{number:08x}").as_bytes()).is_none();
            let first = (0..9).find(|number| free(*number)).unwrap();
            prop_assert_eq!(form.boundary.clone(), format!("cortensor-router-{first:08x}"));
        }
    }

    #[test]
    fn a_form_goes_on_with_the_name_that_the_server_has_for_the_model() {
        let data = BASE64_STANDARD.encode(b"cortensor-router-00000000\r\n");
        let parts = vec![
            FormPart::text("model", "alias".into()),
            FormPart::file("file", "a \"b\".mp3".into(), Some("audio/mpeg".into()), data.as_str()),
            FormPart::text("language", "en".into()),
        ];
        let form = Form::of(parts, Some("real"));
        let wanted = "--cortensor-router-00000001\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nreal\r\n\
                      --cortensor-router-00000001\r\nContent-Disposition: form-data; name=\"file\"; \
                      filename=\"a %22b%22.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\ncortensor-router-00000000\r\n\r\n\
                      --cortensor-router-00000001\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n\
                      --cortensor-router-00000001--\r\n";
        assert_eq!(String::from_utf8(form.write(Vec::new())).unwrap(), wanted);
    }

    #[test]
    fn a_refusal_of_the_model_is_not_one_of_the_route() {
        for (status, words, lacked) in [
            (404, r#"{"detail":"Not Found"}"#, true),
            (404, "404 page not found", true),
            (404, r#"{"error":{"message":"The model `m` does not exist"}}"#, false),
            (405, r#"{"detail":"Method Not Allowed"}"#, true),
            (501, r#"{"error":{"message":"This server does not support reranking"}}"#, true),
            (400, "no", false),
            (503, "loading model", false),
        ] {
            assert_eq!(is_lacked(StatusCode::from_u16(status).unwrap(), words.as_bytes()), lacked, "{status} {words}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_is_asked_for_again_after_a_while() {
        let lacking = Lacking::default();
        assert!(!lacking.has(RequestKind::Rerank));
        lacking.add(RequestKind::Rerank);
        assert!(lacking.has(RequestKind::Rerank) && !lacking.has(RequestKind::Speech));
        tokio::time::advance(LACKED_FOR).await;
        assert!(!lacking.has(RequestKind::Rerank));
    }
}
