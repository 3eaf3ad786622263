//! The client of a running router's REST API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use cortensor_router::config::DEFAULT_DEV_TOKEN;
use cortensor_router::internals::client_tls;
use cortensor_router::internals::store::holder;
use cortensor_router::model::{SessionId, TaskId};
use cortensor_router::{Error, ErrorKind, KINDS};
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::command_token::CommandToken;
use crate::exit::{Done, Exit};
use crate::settings::Settings;
use crate::unreached;

/// The greatest answer in bytes that is read. Pages of lists are far smaller.
const MAX_ANSWER: usize = 64 << 20;

/// The time limit of every call that does not wait for a model.
const PATIENCE: Duration = Duration::from_secs(30);

/// The router that is called where none is named.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:5010";

/// The router to call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Router")]
pub(crate) struct Remote {
    /// The router's address
    #[arg(long, value_name = "URL", env = "CORTENSOR_URL", default_value = DEFAULT_URL)]
    pub(crate) url: String,
    /// The token; where none is given, the development token on this machine
    #[arg(long, value_name = "TOKEN", env = "CORTENSOR_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Certificates to trust (PEM) instead of the public ones
    #[arg(long, value_name = "FILE", env = "CORTENSOR_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Remote {
    /// Makes a client for the router.
    pub(crate) fn client(&self) -> Done<Client> {
        // A variable with an empty value counts as not set.
        let url = if self.url.trim().is_empty() { DEFAULT_URL } else { &self.url };
        Client::new(url, self.token.as_deref(), self.ca_file.as_deref())
    }

    /// Makes a client for those who operate the router. If no token is given, and the router that runs on the data
    /// directory of this command listens at the address, then the token that it keeps there is used, which is valid
    /// after the development token has ended too.
    pub(crate) fn operator(&self) -> Done<Client> {
        let given = self.token.as_deref().is_some_and(|token| !token.trim().is_empty());
        let kept = || {
            let config = Settings::default().load(Vec::new()).ok()?.config;
            let dir = config.storage.data_dir?;
            let url = holder(&dir)?.url?;
            let own = without_api(&self.url);
            (without_api(&url) == own || url.strip_prefix("http://") == Some(own)).then_some(dir)
        };
        let mut client = self.client()?;
        client.kept = if given { None } else { kept() };
        Ok(client)
    }
}

/// The advice for a token that the router refuses.
const REFUSED: &str = "give a valid token with --token or CORTENSOR_TOKEN";

/// A client of one router.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<header::HeaderValue>,
    /// The data directory that has the token. Each start of its router makes a new one, so it is read for each call.
    kept: Option<PathBuf>,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// Makes a client for that address. Its token is the given one or, on this machine, the development token. The
    /// client trusts the authorities of that file, or the public ones.
    pub(crate) fn new(url: &str, token: Option<&str>, ca_file: Option<&Path>) -> Done<Self> {
        let url = without_api(url);
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = url
            .parse()
            .map_err(|e| Exit::usage(format!("{url:?} is no URL ({e}): write it like http://127.0.0.1:5010")))?;
        let Some(host) = uri.host().filter(|_| matches!(uri.scheme_str(), Some("http" | "https"))) else {
            return Err(Exit::usage(format!("{url:?} must start with http:// or https:// and name a host")));
        };
        let given = token.map(str::trim).filter(|token| !token.is_empty());
        let token = given.or_else(|| is_loopback(host).then_some(DEFAULT_DEV_TOKEN)).map(bearer).transpose()?;
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            token,
            kept: None,
            http: legacy::Client::builder(TokioExecutor::new()).build(connector(ca_file)?),
        })
    }

    /// The address of the router.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a `GET` that is answered with JSON.
    pub(crate) async fn get(&self, path: &str) -> Done<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a `GET` that is answered with text.
    #[cfg(feature = "terminal")]
    pub(crate) async fn text(&self, path: &str) -> Done<String> {
        let work = async {
            let response = self.open(path).await?;
            Ok(String::from_utf8_lossy(&self.body(response).await?).into_owned())
        };
        self.in_time(work).await
    }

    /// Sends a `GET` whose answer is read piece by piece. A refusal becomes an error.
    #[cfg(feature = "terminal")]
    pub(crate) async fn open(&self, path: &str) -> Done<Response<Incoming>> {
        self.accepted(self.request(Method::GET, path, None, &[]).await?).await
    }

    /// Sends a `POST` or another method with a JSON body. The answer is JSON.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Done<Value> {
        self.in_time(async { self.answer(self.request(method, path, body, &[]).await?).await }).await
    }

    /// Sends a request with a JSON body, and waits for its answer without a time limit.
    pub(crate) async fn wait_for(&self, path: &str, body: &Value, headers: &[(&'static str, String)]) -> Done<Value> {
        let response = self.request(Method::POST, path, Some(body), headers).await?;
        self.answer(response).await
    }

    /// Sends a `POST` whose answer is read piece by piece. A refusal becomes an error.
    pub(crate) async fn stream(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&'static str, String)],
    ) -> Done<Response<Incoming>> {
        self.accepted(self.request(Method::POST, path, Some(body), headers).await?).await
    }

    async fn accepted(&self, response: Response<Incoming>) -> Done<Response<Incoming>> {
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Done<T>>) -> Done<T> {
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            Err(Exit::new(7, format!("{} did not answer within {} s", self.base, PATIENCE.as_secs())))
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, String)],
    ) -> Done<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.forward(request.body(bytes).map_err(unsendable)?).await
    }

    /// Sends a request to its path at the router, with the router's token. Gives the answer, also if it is a refusal.
    pub(crate) async fn forward(&self, request: Request<Bytes>) -> Done<Response<Incoming>> {
        let mut request = request.map(Full::new);
        *request.uri_mut() = format!("{}{}", self.base, request.uri()).parse().map_err(unsendable)?;
        let kept = self.kept.as_deref().and_then(CommandToken::read).and_then(|token| bearer(&token).ok());
        if let Some(token) = kept.or_else(|| self.token.clone()) {
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        self.http.request(request).await.map_err(|e| unreached::exit(&self.base, &e, e.is_connect()))
    }

    async fn answer(&self, response: Response<Incoming>) -> Done<Value> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = self.body(response).await?;
        serde_json::from_slice(&bytes).map_err(|_| {
            Exit::failed(format!("{} does not answer like a cortensor-router: is the address right?", self.base))
        })
    }

    async fn body(&self, response: Response<Incoming>) -> Done<Bytes> {
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|e| {
            if e.is::<LengthLimitError>() {
                Exit::failed(format!("the answer is longer than {MAX_ANSWER} bytes: ask for less with --limit"))
            } else {
                Exit::new(6, format!("the connection to {} broke: {e}", self.base))
            }
        })?;
        Ok(body.to_bytes())
    }

    async fn refusal(&self, response: Response<Incoming>) -> Exit {
        let status = response.status();
        let bytes = match self.body(response).await {
            Ok(bytes) => bytes,
            Err(exit) => return exit,
        };
        let exit = Exit::from(refused(status, &bytes)).with_code(code(&bytes));
        if status == StatusCode::UNAUTHORIZED { exit.with_hint(REFUSED) } else { exit }
    }
}

/// The header of a token.
fn bearer(token: &str) -> Done<header::HeaderValue> {
    let mut value = header::HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Exit::usage("the token has characters that no token can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsendable(error: impl std::fmt::Display) -> Exit {
    Exit::usage(format!("this cannot be sent: {error}"))
}

/// The finest code of a refusal, as the router gave it.
fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    error_of(&body).get("code")?.as_str().map(str::to_owned)
}

/// The object with the members of an error. Under `/v1` the member `error` is that object, under `/api` it is a text.
fn error_of(body: &Value) -> &Value {
    body.get("error").filter(|error| error.is_object()).unwrap_or(body)
}

/// The error that a refusal means.
fn refused(status: StatusCode, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let inner = error_of(&body);
    let message = ["message", "error", "detail"].iter().find_map(|name| inner.get(*name)?.as_str());
    let by_status = || KINDS.iter().find(|row| row.http_status == status.as_u16()).map(|row| row.kind);
    let by_code = inner.get("code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let kind = by_code.or_else(by_status).unwrap_or(ErrorKind::Internal);
    let error = Error::new(kind, message.map_or_else(|| format!("the router answered {status}"), str::to_owned));
    match inner.get("session_id").and_then(Value::as_u64) {
        Some(session) => error.with_ids(SessionId(session), inner.get("task_id").and_then(Value::as_u64).map(TaskId)),
        None => error,
    }
}

fn connector(ca_file: Option<&Path>) -> Done<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(5)));
    http.enforce_http(false);
    let tls = client_tls(ca_file, "ca_file").map_err(|e| Exit::usage(format!("--ca-file: {}", e.message())))?;
    let https = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    Ok(https.https_or_http().enable_http1().wrap_connector(http))
}

/// The router's own address in a URL that clients call the base URL of an API.
pub(crate) fn without_api(url: &str) -> &str {
    let url = url.trim().trim_end_matches('/');
    ["/api/v1", "/api/v2", "/api/v3", "/api", "/v1"]
        .iter()
        .find_map(|base| url.strip_suffix(base))
        // `http://v1` names a host, and `/miner/v1` is the path for miners.
        .filter(|rest| !rest.ends_with('/') && !rest.ends_with("/miner") && !rest.is_empty())
        .unwrap_or(url)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_both_families_become_errors() {
        let cortensor =
            refused(StatusCode::GATEWAY_TIMEOUT, br#"{"error":"late","code":"timeout","session_id":3,"task_id":4}"#);
        assert_eq!((cortensor.kind(), cortensor.message()), (ErrorKind::Timeout, "late"));
        assert_eq!(
            (cortensor.details().session_id, cortensor.details().task_id),
            (Some(SessionId(3)), Some(TaskId(4)))
        );
        let openai = refused(
            StatusCode::BAD_REQUEST,
            br#"{"error":{"message":"bad","type":"invalid_request_error","code":null}}"#,
        );
        assert_eq!((openai.kind(), openai.message()), (ErrorKind::InvalidArgument, "bad"));
        let foreign = refused(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(foreign.kind(), ErrorKind::MinerFailed);
        let fine = refused(StatusCode::SERVICE_UNAVAILABLE, br#"{"error":"no miner","code":"no_miner"}"#);
        assert_eq!(fine.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn only_this_machine_gets_the_development_token() {
        for (url, with_token) in [
            ("http://127.0.0.1:5010", true),
            ("localhost:5010", true),
            ("http://[::1]:5010/", true),
            ("http://192.0.2.1:5010", false),
            ("https://localhost.example", false),
        ] {
            assert_eq!(Client::new(url, None, None).unwrap().token.is_some(), with_token, "{url}");
        }
        assert!(Client::new("ftp://x", None, None).is_err());
        assert!(Client::new("http://x", Some("a\nb"), None).is_err());
    }
}
