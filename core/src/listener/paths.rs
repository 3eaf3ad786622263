//! Maps other spellings of a path to the documented one. Clients and their base URLs write one route in several ways.

use http::Uri;

/// The path as the client wrote it, if it differs from the route's.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Asked(pub(in crate::listener) String);

/// The first parts of OpenAI's paths. Compatible servers answer these paths without `/v1` too.
const WITHOUT_VERSION: &[&str] = &[
    "chat/completions",
    "completions",
    "embeddings",
    "models",
    "rerank",
    "audio/transcriptions",
    "audio/speech",
    "images/generations",
    "moderations",
];

/// Later versions of Cortensor's API, which answer as the first one does.
const LIKE_V1: &[&str] = &["/api/v2", "/api/v3"];

/// The routes of later versions that differ from those of the first one.
const OF_THEIR_OWN: &[&str] = &[
    "/api/v2/delegate",
    "/api/v2/validate",
    "/api/v3/delegate",
    "/api/v3/validate",
    "/api/v2/trial/delegate",
    "/api/v2/trial/validate",
];

/// The documented URI of the route that a client means, without doubled and trailing slashes and without needless
/// percent-encoding. `None` if the URI is that already.
pub(in crate::listener) fn meant(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path == "/" {
        return None;
    }
    let plain = plain(path);
    let path = plain.as_deref().unwrap_or(path);
    let tidy = (path.contains("//") || path.ends_with('/')).then(|| tidied(path));
    let path = tidy.as_deref().unwrap_or(path);
    let mut route = match renamed(path) {
        Some(route) => route,
        None => tidy.or(plain)?,
    };
    if let Some(query) = uri.query() {
        route.push('?');
        route.push_str(query);
    }
    route.parse().ok()
}

/// The path with its unreserved characters decoded, which are equal to their encoded form (RFC 3986, 6.2.2.2). `None`
/// if none is encoded. It decodes once, so `%2541` stays `%2541`; reserved characters such as `%2F` stay encoded.
fn plain(path: &str) -> Option<String> {
    if !path.contains('%') {
        return None;
    }
    let mut parts = path.split('%');
    let mut out = parts.next()?.to_owned();
    let mut changed = false;
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            out.push(char::from(byte));
            out.push_str(&part[2..]);
            changed = true;
        } else {
            out.push('%');
            out.push_str(part);
        }
    }
    changed.then_some(out)
}

fn tidied(path: &str) -> String {
    let tidy = path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |mut out, part| {
        out.push('/');
        out.push_str(part);
        out
    });
    if tidy.is_empty() { "/".to_owned() } else { tidy }
}

fn renamed(path: &str) -> Option<String> {
    // Nearly all paths begin like this.
    if path.starts_with("/v1/") || path.starts_with("/api/v1/") {
        return None;
    }
    let below = |base: &str| path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if OF_THEIR_OWN.contains(&path) {
        return None;
    }
    if let Some(rest) = LIKE_V1.iter().find_map(|base| below(base)) {
        return Some(format!("/api/v1{rest}"));
    }
    let bare = path.strip_prefix('/')?;
    WITHOUT_VERSION
        .iter()
        .any(|name| bare.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        .then(|| format!("/v1{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_lead_to_the_documented_path() {
        for (asked, wanted) in [
            ("/", None),
            ("/api/v1/tasks/0", None),
            ("/v1/chat/completions", None),
            ("//api//v1/tasks/0/?limit=1", Some("/api/v1/tasks/0?limit=1")),
            ("///", Some("/")),
            ("/v1/chat/completions/", Some("/v1/chat/completions")),
            ("/api/v2/chat/completions", Some("/api/v1/chat/completions")),
            ("/api/v3/tasks/0?limit=1", Some("/api/v1/tasks/0?limit=1")),
            ("/api/v3//sessions/", Some("/api/v1/sessions")),
            ("/api/v2", Some("/api/v1")),
            ("/api/v2/delegate", None),
            ("/api/v3/validate", None),
            ("/api/v3/validate/", Some("/api/v3/validate")),
            ("/api/v2//trial/%64elegate", Some("/api/v2/trial/delegate")),
            ("/api/v3/factcheck", Some("/api/v1/factcheck")),
            ("/api/v3/trial/delegate", Some("/api/v1/trial/delegate")),
            ("/api/v20/tasks/0", None),
            ("/chat/completions", Some("/v1/chat/completions")),
            ("/completions/", Some("/v1/completions")),
            ("/embeddings?x=1", Some("/v1/embeddings?x=1")),
            ("/models", Some("/v1/models")),
            ("/models/a/b%20c", Some("/v1/models/a/b%20c")),
            ("/rerank", Some("/v1/rerank")),
            ("/audio/speech", Some("/v1/audio/speech")),
            ("/audio", None),
            ("/modelsx", None),
            ("/chat", None),
            ("/v1/v1/chat/completions", None),
            ("/v1/%63hat/completions", Some("/v1/chat/completions")),
            ("/%63hat/completion%73/", Some("/v1/chat/completions")),
            ("/%61pi/v2/%7Efoo?x=%61", Some("/api/v1/~foo?x=%61")),
            ("/v1/models/a%2Fb%00%25", None),
            ("/v1%2Fmodels", None),
            ("/v1/%256Dodels", None),
            ("/v1/models/%2e%2E", Some("/v1/models/..")),
            ("/v1/models/%+1%4", None),
        ] {
            let route = meant(&asked.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(route.as_deref(), wanted, "{asked}");
        }
    }
}
