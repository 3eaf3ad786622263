//! Reads a form of several parts (`multipart/form-data`, RFC 7578) that is in memory as a whole.

use http::{HeaderMap, header};
use memchr::memmem;

use crate::model::{FormPart, Raw};
use crate::{Error, Result};

/// The longest boundary (RFC 2046, 5.1.1).
const MOST_BOUNDARY: usize = 70;

/// The boundary that the headers of a request name.
///
/// # Errors
/// `InvalidArgument` if the body is no form, or the boundary is missing.
pub(in crate::listener) fn boundary(headers: &HeaderMap) -> Result<String> {
    let wrong = |words: &str| Error::invalid("Content-Type", format!("the body must be multipart/form-data{words}"));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(wrong(if kind.is_empty() { "" } else { ", with the file in a part named \"file\"" }));
    }
    let boundary = parameter(parameters, "boundary").filter(|text| (1..=MOST_BOUNDARY).contains(&text.len()));
    boundary.ok_or_else(|| wrong(" with a boundary of 1 to 70 characters"))
}

/// The most parts of a form. Each costs memory beside its bytes.
const MOST_PARTS: usize = 256;

/// The parts of a form with that boundary, in their order.
///
/// # Errors
/// `InvalidArgument` names the part at fault, or the body.
pub(in crate::listener) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<FormPart<Raw<'a>>>> {
    let broken = |words: &str| Error::invalid("body", format!("the body is no multipart/form-data: {words}"));
    let delimiter = format!("\r\n--{boundary}");
    let first = &delimiter.as_bytes()[2..];
    // The first delimiter has no line before it, unless there is a preamble.
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => match memmem::find(body, delimiter.as_bytes()) {
            Some(at) => &body[at + delimiter.len()..],
            None => return Err(broken("it has no line with its boundary")),
        },
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let line = memmem::find(rest, b"\r\n").filter(|at| rest[..*at].iter().all(|byte| b" \t".contains(byte)));
        let part = &rest[line.ok_or_else(|| broken("a line with the boundary holds more than that"))?..];
        let end = memmem::find(part, delimiter.as_bytes()).ok_or_else(|| broken("it ends within a part"))?;
        if parts.len() == MOST_PARTS {
            return Err(broken(&format!("it has more than {MOST_PARTS} parts")));
        }
        parts.push(read_part(&part[..end]).map_err(|words| broken(&words))??);
        rest = &part[end + delimiter.len()..];
    }
    Ok(parts)
}

/// Reads a part, which begins with the end of the line of its delimiter.
fn read_part(part: &[u8]) -> std::result::Result<Result<FormPart<Raw<'_>>>, String> {
    let at = memmem::find(part, b"\r\n\r\n").ok_or("a part has no end of its headers")?;
    let (head, data) = (&part[..at], &part[at + 4..]);
    let head = std::str::from_utf8(head).map_err(|_| "the headers of a part are not UTF-8")?;
    let (mut name, mut filename, mut kind) = (None, None, None);
    for line in head.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else { continue };
        match header.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let (_, parameters) = value.split_once(';').unwrap_or_default();
                (name, filename) = (parameter(parameters, "name"), parameter(parameters, "filename"));
            }
            "content-type" => kind = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let name = name.ok_or("a part has no name in its Content-Disposition")?;
    Ok(match (filename, std::str::from_utf8(data)) {
        (Some(filename), _) => Ok(FormPart::file(&name, filename, kind, Raw(data))),
        (None, Ok(text)) => Ok(FormPart::text(&name, text.to_owned())),
        (None, Err(_)) => Err(Error::invalid(&name, format!("{name} must be UTF-8 text, or a file with a filename"))),
    })
}

/// The value of a parameter of a header: a token, or a text between quotes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = if let Some(quoted) = after.strip_prefix('"') {
            quoted_text(quoted)?
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim_end().to_owned(), &after[end..])
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left.trim_start().trim_start_matches(';').trim_start();
    }
    None
}

/// The text before the next quote, and all that follows the quote; `None`: there is no quote.
fn quoted_text(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            // Browsers write %22 for a quote, so that a backslash before any other letter is itself.
            (_, '\\') if letters.as_str().starts_with(['"', '\\']) => value.push(letters.next()?.1),
            (_, letter) => value.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())])
    }

    #[test]
    fn a_boundary_is_found() {
        for (kind, wanted) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data; boundary=abc ; x=y", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"abc", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/json", None),
        ] {
            assert_eq!(boundary(&headers(kind)).ok().as_deref(), wanted, "{kind}");
        }
        assert!(boundary(&HeaderMap::new()).is_err());
    }

    #[test]
    fn parts_are_read() {
        let body = b"preamble\r\n--b \r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".mp3\"\r\n\
            Content-Type: audio/mpeg\r\n\r\n\
            \x00\xff\r\n--\r\n--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b--\r\nepilogue";
        let wanted = [
            FormPart::text("model", "m".into()),
            FormPart::file("file", "a \"b\".mp3".into(), Some("audio/mpeg".into()), Raw(b"\x00\xff\r\n--")),
            FormPart::text("empty", String::new()),
        ];
        assert_eq!(parts(body, "b").unwrap(), wanted);
        assert_eq!(parts(b"--b--\r\n", "b").unwrap(), []);
    }

    #[test]
    fn a_broken_form_is_refused() {
        for (body, param) in [
            (&b""[..], "body"),
            (b"{}", "body"),
            (b"--b", "body"),
            (b"--bc\r\n", "body"),
            (b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", "body"),
            (b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nx\r\n--b--", "body"),
            (b"--b\r\n\r\nx\r\n--b--", "body"),
            (b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--b--", "a"),
        ] {
            let error = parts(body, "b").unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(param), "{}", body.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let _ = parts(&body, "b");
            let form = b"--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\\\"\"\r\n\r\nx\r\n--b--";
            let _ = parts(&form[..cut.index(form.len())], "b");
        }

        /// Whatever bytes a file has, they are the file's again.
        #[test]
        fn any_file_survives(data in prop::collection::vec(prop::sample::select(b"\r\n-b\x00x".to_vec()), 0..40)) {
            prop_assume!(memmem::find(&[b"\r\n", &data[..]].concat(), b"\r\n--bound").is_none());
            let head = b"--bound\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n\r\n";
            let body = [&head[..], &data, b"\r\n--bound--\r\n"].concat();
            prop_assert_eq!(parts(&body, "bound").unwrap()[0].data, Some(Raw(&data)));
        }
    }
}
