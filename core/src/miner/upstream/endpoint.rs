//! The address of an upstream and the heads of all requests to it, prepared once.

use http::Uri;

use super::request::Outgoing;
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::secrecy::shown_url;
use crate::{Error, Result};

const AGENT: &str = concat!("cortensor-router/", env!("CARGO_PKG_VERSION"));

/// The version of Anthropic's API that the router speaks.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The types of the answers to most requests.
const ACCEPT: &str = "accept: application/json, text/event-stream";

/// The address of an upstream. It has no `Debug`, because the heads hold the key.
pub(super) struct Endpoint {
    /// The scheme and authority to which the connector connects.
    pub(super) origin: Uri,
    /// The heads of requests with a body, without the length of the body.
    pub(super) chat: Box<[u8]>,
    messages: Box<[u8]>,
    responses: Box<[u8]>,
    /// The route of the Messages API that counts tokens.
    #[cfg(feature = "listener")]
    pub(super) count: Box<[u8]>,
    /// The tokenizer of llama.cpp and vLLM, which is not below `/v1`.
    #[cfg(feature = "listener")]
    pub(super) tokenize: Box<[u8]>,
    pub(super) completions: Box<[u8]>,
    pub(super) embeddings: Box<[u8]>,
    pub(super) models: Uri,
    /// The path that says whether a server is ready that the router has started.
    pub(super) health: Uri,
    /// llama.cpp's own page about its settings, which is not below `/v1`.
    pub(super) props: Uri,
    /// The lines of every request.
    lines: String,
    /// The path before a route, and the query behind it.
    root: String,
    query: String,
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

        let key = config.key().map(|key| key.trim().to_owned());
        if key.as_ref().is_some_and(|key| !is_line(key)) {
            let url = shown_url(&config.url);
            return Err(Error::invalid("upstream.api_key", format!("the key of {url} holds bytes no header may hold")));
        }
        let key = match (key, config.api) {
            (key, UpstreamApi::Anthropic) => {
                let key = key.map(|key| format!("x-api-key: {key}\r\n")).unwrap_or_default();
                format!("{key}anthropic-version: {ANTHROPIC_VERSION}\r\n")
            }
            (Some(key), _) => format!("authorization: Bearer {key}\r\n"),
            (None, _) => String::new(),
        };
        // Without `accept-encoding` the upstream may choose any coding (RFC 9110, section 12.5.3), but the router
        // forwards the bytes unchanged.
        let lines = format!(
            "host: {authority}\r\nuser-agent: {AGENT}\r\n{ACCEPT}\r\n\
             accept-encoding: identity\r\n{key}"
        );
        let head = |path: &Uri| -> Box<[u8]> {
            format!("POST {path} HTTP/1.1\r\n{lines}content-type: application/json\r\n").into_bytes().into()
        };
        let post = |path: &str| -> Result<Box<[u8]>> { Ok(head(&at(path)?)) };
        let of_messages = |path: &str| -> Result<Box<[u8]>> {
            let head = post(path)?;
            let version = format!("anthropic-version: {ANTHROPIC_VERSION}\r\n");
            Ok(if config.api == UpstreamApi::Anthropic { head } else { [&head, version.as_bytes()].concat().into() })
        };
        Ok(Self {
            origin: format!("{scheme}://{authority}").parse().map_err(|e| wrong(&format!("is no URL: {e}")))?,
            chat: post("/chat/completions")?,
            messages: of_messages("/messages")?,
            #[cfg(feature = "listener")]
            count: of_messages("/messages/count_tokens")?,
            #[cfg(feature = "listener")]
            tokenize: head(&Uri::from_static("/tokenize")),
            responses: post("/responses")?,
            completions: post("/completions")?,
            embeddings: post("/embeddings")?,
            models: at("/models")?,
            health: config
                .health_path
                .parse()
                .map_err(|e| wrong(&format!("has a health_path that is no path: {e}")))?,
            props: Uri::from_static("/props"),
            root: root.to_owned(),
            query,
            lines,
        })
    }

    /// The head of a request to a route whose answer may have any type, without the type and the length of its body.
    pub(super) fn passed(&self, path: &str) -> Vec<u8> {
        let lines = self.lines.replace(ACCEPT, "accept: */*");
        format!("POST {}{path}{} HTTP/1.1\r\n{lines}", self.root, self.query).into_bytes()
    }

    /// The head of a request for a chat in the words of that API.
    pub(super) fn chat_of(&self, api: UpstreamApi) -> &[u8] {
        match api {
            UpstreamApi::OpenAi => &self.chat,
            UpstreamApi::Anthropic => &self.messages,
            UpstreamApi::Responses => &self.responses,
        }
    }

    /// A request for a page.
    pub(super) fn get(&self, path: &Uri) -> Outgoing {
        Outgoing::get(format!("GET {path} HTTP/1.1\r\n{}", self.lines).as_bytes())
    }
}

/// Whether a text may stand in one line of a head.
pub(super) fn is_line(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(config: &UpstreamConfig) -> Endpoint {
        Endpoint::new(config).unwrap_or_else(|error| panic!("{error}"))
    }

    fn chat(url: &str) -> String {
        let head = String::from_utf8(endpoint(&UpstreamConfig::new(url)).chat.into()).unwrap();
        head.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn paths_follow_the_base() {
        assert_eq!(chat("http://h:1/v1"), "/v1/chat/completions");
        assert_eq!(chat("http://h:1/v1/"), "/v1/chat/completions");
        assert_eq!(chat("http://h:1"), "/v1/chat/completions");
        assert_eq!(chat("https://h/openai/v2?api-version=3"), "/openai/v2/chat/completions?api-version=3");
    }

    #[test]
    fn a_key_stands_in_one_line_of_every_head() {
        let config = UpstreamConfig { api_key: Some(" sk-secret ".into()), ..UpstreamConfig::new("http://h:1/v1") };
        let endpoint = endpoint(&config);
        let wanted = format!(
            "GET /v1/models HTTP/1.1\r\nhost: h:1\r\nuser-agent: {AGENT}\r\n\
             accept: application/json, text/event-stream\r\naccept-encoding: identity\r\n\
             authorization: Bearer sk-secret\r\n\r\n"
        );
        assert_eq!(String::from_utf8_lossy(endpoint.get(&endpoint.models).rest()), wanted);
        for head in [&endpoint.chat, &endpoint.completions, &endpoint.embeddings] {
            let head = std::str::from_utf8(head).unwrap();
            assert!(head.starts_with("POST /v1/") && head.ends_with("\r\ncontent-type: application/json\r\n"));
            assert_eq!(head.matches("\r\nauthorization: Bearer sk-secret\r\n").count(), 1);
        }
    }

    #[test]
    fn a_key_that_would_be_more_than_a_line_is_refused() {
        for key in ["sk\r\nx: y", "sk\u{e9}", "sk\0"] {
            let config = UpstreamConfig { api_key: Some(key.into()), ..UpstreamConfig::new("http://h:1/v1") };
            let error = Endpoint::new(&config).err().unwrap();
            assert!(error.message().contains("no header may hold") && !error.message().contains(key), "{error}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused() {
        let error = Endpoint::new(&UpstreamConfig::new("http://me:pass@h/v1")).err().unwrap();
        assert!(error.message().contains("api_key"), "{error}");
    }
}
