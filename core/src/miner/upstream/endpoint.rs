//! The address of an upstream and the headers of every request to it, prepared once.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::config::UpstreamConfig;
use crate::secrecy::shown_url;
use crate::{Error, Result};

const AGENT: &str = concat!("cortensor-router/", env!("CARGO_PKG_VERSION"));

/// The address of an upstream.
pub(super) struct Endpoint {
    /// The scheme and authority to which the connector connects.
    pub(super) origin: Uri,
    pub(super) chat: Uri,
    pub(super) completions: Uri,
    pub(super) embeddings: Uri,
    pub(super) models: Uri,
    /// llama.cpp's own page about its settings, which is not below `/v1`.
    pub(super) props: Uri,
    headers: HeaderMap,
}

impl Endpoint {
    /// The endpoint of a configuration. A URL without a path gets `/v1`. A query is added to every request.
    pub(super) fn new(config: &UpstreamConfig) -> Result<Self> {
        let wrong = |what: &str| Error::invalid("upstream.url", format!("{:?} {what}", shown_url(&config.url)));
        let base: Uri = config.url.parse().map_err(|e| wrong(&format!("is no URL: {e}")))?;
        let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
            return Err(wrong("must name a scheme and a host, like http://127.0.0.1:8080/v1"));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(wrong("must start with http:// or https://"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("must not hold a user or password: set api_key or api_key_env"));
        }
        let root = match base.path().trim_end_matches('/') {
            "" => "/v1",
            path => path,
        };
        let query = base.query().map(|query| format!("?{query}")).unwrap_or_default();
        let at = |path: &str| -> Result<Uri> {
            format!("{root}{path}{query}").parse().map_err(|e| wrong(&format!("makes no path: {e}")))
        };

        let mut headers = HeaderMap::with_capacity(8);
        let host =
            HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("has a host that is no header value"))?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        // Without this header the upstream may choose any coding (RFC 9110, section 12.5.3), but the router forwards
        // the bytes unchanged.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(key) = config.key() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| {
                let url = shown_url(&config.url);
                Error::invalid("upstream.api_key", format!("the key of {url} holds bytes no header may hold"))
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}").parse().map_err(|e| wrong(&format!("is no URL: {e}")))?,
            chat: at("/chat/completions")?,
            completions: at("/completions")?,
            embeddings: at("/embeddings")?,
            models: at("/models")?,
            props: Uri::from_static("/props"),
            headers,
        })
    }

    /// A POST request with a JSON body.
    pub(super) fn post(&self, path: &Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.request(Method::POST, path, body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// A GET request.
    pub(super) fn get(&self, path: &Uri) -> Request<Full<Bytes>> {
        self.request(Method::GET, path, Bytes::new())
    }

    fn request(&self, method: Method, path: &Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(url: &str) -> String {
        Endpoint::new(&UpstreamConfig::new(url)).unwrap().chat.to_string()
    }

    #[test]
    fn paths_follow_the_base() {
        assert_eq!(chat("http://h:1/v1"), "/v1/chat/completions");
        assert_eq!(chat("http://h:1/v1/"), "/v1/chat/completions");
        assert_eq!(chat("http://h:1"), "/v1/chat/completions");
        assert_eq!(chat("https://h/openai/v2?api-version=3"), "/openai/v2/chat/completions?api-version=3");
    }

    #[test]
    fn a_key_goes_into_the_header_and_nowhere_else() {
        let config = UpstreamConfig { api_key: Some("sk-secret".into()), ..UpstreamConfig::new("http://h:1/v1") };
        let endpoint = Endpoint::new(&config).unwrap();
        let request = endpoint.post(&endpoint.chat, Bytes::new());
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer sk-secret");
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn a_url_with_a_password_is_refused() {
        let error = Endpoint::new(&UpstreamConfig::new("http://me:pass@h/v1")).err().unwrap();
        assert!(error.message().contains("api_key"), "{error}");
    }
}
