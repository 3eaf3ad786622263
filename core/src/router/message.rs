//! The message of a webhook: its body, its signature, and one try to send it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{WebhooksConfig, client_tls, signing_key};
use crate::miner::{chain, retry_after_ms};
use crate::model::{Task, TaskRecord, Timestamp, Webhook, WebhookDelivery};
use crate::reach::Reach;
use crate::{Error, Result};

const AGENT: &str = concat!("cortensor-router/", env!("CARGO_PKG_VERSION"));

/// The longest URL of a webhook in bytes.
const MAX_URL: usize = 2_048;

/// The members of a task's record that hold its texts.
const TEXTS: [&str; 4] = ["prompt", "text", "response", "results"];

/// A URL of a webhook, checked.
pub(super) struct Target {
    pub(super) host: String,
    port: u16,
    is_plain: bool,
    path: String,
    authority: String,
}

impl Target {
    /// The parts of a webhook's URL.
    ///
    /// # Errors
    /// `InvalidArgument` names `webhook.url`.
    pub(super) fn of(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::invalid("webhook.url", format!("webhook.url {what}"));
        if url.len() > MAX_URL {
            return Err(wrong(&format!("has more than {MAX_URL} bytes")));
        }
        let uri: Uri = url.parse().map_err(|e| wrong(&format!("is no URL ({e}): write https://host/path")))?;
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(wrong("must begin with https://")),
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err(wrong("must name a host"));
        };
        if authority.as_str().contains('@') {
            return Err(wrong("must not hold a user or password: the signature tells who sent the message"));
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 }),
            is_plain,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority: authority.as_str().to_owned(),
        })
    }

    /// The host as an address, if it is one.
    fn address(&self) -> Option<std::net::IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }
}

/// Checks a webhook that a request names.
///
/// # Errors
/// `InvalidArgument` names the field.
pub(super) fn check(webhook: &Webhook, config: &WebhooksConfig, reach: &Reach) -> Result<()> {
    let wrong = |words: String| Err(Error::invalid("webhook.url", words));
    let target = Target::of(&webhook.url)?;
    if let Some(address) = target.address()
        && !reach.has(address)
    {
        return wrong(format!(
            "webhook.url: {address} is no public address: the operator may name its network in webhooks.networks"
        ));
    }
    let is_named = target.address().map_or(!config.networks.is_empty(), |address| reach.is_named(address));
    if target.is_plain && !is_named {
        return wrong(
            "webhook.url must begin with https://: without TLS only networks of webhooks.networks are reached"
                .to_owned(),
        );
    }
    match &webhook.secret {
        Some(secret) => signing_key(secret, "webhook.secret").map(drop),
        None if config.signing_secret().is_some() => Ok(()),
        None => {
            let words = "webhook.secret is missing: give whsec_ and 24 to 64 random bytes in base64, or let the operator set webhooks.secret";
            Err(Error::invalid("webhook.secret", words))
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: String,
    data: &'a Value,
}

/// The body of a message: the end of the task as the REST API shows it. A task that is too long goes without its texts.
///
/// # Errors
/// When the record is no JSON, which never happens.
pub(super) fn body(task: &Task, most: usize) -> Result<Bytes> {
    let mut data = serde_json::to_value(TaskRecord::detail(task)).map_err(Error::internal)?;
    let timestamp = task.ended_at.unwrap_or_default().rfc3339();
    let write = |data: &Value| -> Result<Vec<u8>> {
        let message = Message { r#type: "task.ended", timestamp: timestamp.clone(), data };
        serde_json::to_vec(&message).map_err(Error::internal)
    };
    let whole = write(&data)?;
    if whole.len() <= most {
        return Ok(whole.into());
    }
    if let Some(members) = data.as_object_mut() {
        members.retain(|name, _| !TEXTS.contains(&name.as_str()));
        members.insert("truncated".to_owned(), json!(true));
    }
    let short = write(&data)?;
    if short.len() <= most {
        return Ok(short.into());
    }
    // The rest may be long, too: a verdict, or an error of an upstream.
    let ids = json!({"session_id": task.session_id.0, "task_id": task.id.0, "gid": task.gid.0, "ended": true,
        "outcome": task.outcome.map(crate::model::Outcome::as_str), "truncated": true});
    write(&ids).map(Bytes::from)
}

/// The signature of a message: `v1,` and the HMAC-SHA256 of its id, its time and its body in base64.
///
/// # Errors
/// `InvalidArgument` if the secret cannot be used.
pub(super) fn signature(secret: &str, id: &str, secs: u64, body: &[u8]) -> Result<String> {
    let key = signing_key(secret, "webhook.secret")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(Error::internal)?;
    mac.update(format!("{id}.{secs}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The receiver's answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The milliseconds after which it wants the next try.
    pub(super) retry_after_ms: Option<u64>,
}

/// Sends messages.
pub(super) struct Sender {
    pub(super) reach: Reach,
    tls: TlsConnector,
}

impl Sender {
    pub(super) fn new(config: &WebhooksConfig) -> Result<Self> {
        let tls = client_tls(None, "webhooks")?.with_no_client_auth();
        let reach = Reach::new("webhooks.networks", &config.networks);
        Ok(Self { reach, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Sends a message once. Redirects are not followed, and no more than the head of the answer is read.
    ///
    /// # Errors
    /// The reason in words, which say nothing of the URL but its host.
    pub(super) async fn send(
        &self,
        delivery: &WebhookDelivery,
        secret: &str,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Answer, String> {
        let target = Target::of(&delivery.webhook.url).map_err(|error| error.message().to_owned())?;
        let mut addresses =
            self.reach.addresses(&target.host, target.port).await.map_err(|error| told(&target, &error))?;
        if target.is_plain {
            addresses.retain(|address| self.reach.is_named(address.ip()));
        }
        if addresses.is_empty() {
            return Err(format!("{}: without TLS only networks of webhooks.networks are reached", target.host));
        }
        let socket = TcpStream::connect(&*addresses).await.map_err(|error| told(&target, &error))?;
        let signature = signature(secret, &delivery.id, now.as_secs(), &body).map_err(|e| e.message().to_owned())?;
        let request = Request::post(&target.path)
            .header(header::HOST, &target.authority)
            .header(header::USER_AGENT, AGENT)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", now.as_secs())
            .header("webhook-signature", signature)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let answer = if target.is_plain {
            ask(socket, request).await
        } else {
            let bare = target.host.trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
            let secured = self.tls.connect(name, socket).await.map_err(|error| told(&target, &error))?;
            ask(secured, request).await
        };
        let (status, headers) = answer.map_err(|error| format!("{}: {}", target.host, chain(&error)))?;
        Ok(Answer { status, retry_after_ms: retry_after_ms(&headers, SystemTime::now()) })
    }
}

fn told(target: &Target, error: &io::Error) -> String {
    format!("{}: {error}", target.host)
}

/// Sends a request over a connection of its own. Gives the head of the answer.
async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> hyper::Result<(StatusCode, HeaderMap)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // write_vectored to a closed socket raises SIGPIPE, which ends a C host that left it at its default.
    let mut builder = http1::Builder::new();
    builder.writev(false).max_buf_size(64 << 10);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let (mut connection, mut answer) = (pin!(connection), pin!(sender.send_request(request)));
    // One future drives both, so that dropping it closes the connection.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    let (head, _) = answer.into_parts();
    Ok((head.status, head.headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The signature was computed by other code.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_long_message_goes_without_its_texts() {
        let mut task = Task::default().text("x".repeat(4_000).into());
        task.ended_at = Some(Timestamp(1_700_000_000_000));
        let read = |most| serde_json::from_slice::<Value>(&body(&task, most).unwrap()).unwrap();
        let whole = read(100_000);
        assert_eq!((&whole["type"], &whole["timestamp"]), (&json!("task.ended"), &json!("2023-11-14T22:13:20Z")));
        assert!(whole["data"]["text"].as_str().unwrap().len() == 4_000 && whole["data"].get("truncated").is_none());
        let short = read(2_000);
        assert_eq!((short["data"].get("text"), &short["data"]["truncated"]), (None, &json!(true)));
        assert!(short["data"].get("usage").is_some());
        assert_eq!(read(10)["data"]["ended"], true);
    }

    #[test]
    fn a_webhook_that_cannot_be_used_is_refused_with_its_field() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let closed = WebhooksConfig::default();
        let local = WebhooksConfig { networks: vec!["127.0.0.0/8".into()], ..WebhooksConfig::default() };
        let long = format!("https://h/{}", "x".repeat(MAX_URL));
        for (config, url, secret, param) in [
            (&closed, "https://hooks.example/x", Some(secret), None),
            (&closed, "https://1.1.1.1/x", Some(secret), None),
            (&closed, "https://hooks.example/x", None, Some("webhook.secret")),
            (&closed, "https://hooks.example/x", Some("secret"), Some("webhook.secret")),
            (&closed, "http://hooks.example/x", Some(secret), Some("webhook.url")),
            (&closed, "http://127.0.0.1/x", Some(secret), Some("webhook.url")),
            (&closed, "https://127.0.0.1/x", Some(secret), Some("webhook.url")),
            (&closed, "https://[::1]/x", Some(secret), Some("webhook.url")),
            (&closed, "https://[::ffff:10.0.0.1]/x", Some(secret), Some("webhook.url")),
            (&closed, "https://169.254.169.254/latest", Some(secret), Some("webhook.url")),
            (&closed, "https://user:word@hooks.example", Some(secret), Some("webhook.url")),
            (&closed, "ftp://hooks.example", Some(secret), Some("webhook.url")),
            (&closed, "hooks.example", Some(secret), Some("webhook.url")),
            (&closed, "", Some(secret), Some("webhook.url")),
            (&closed, "https:///x", Some(secret), Some("webhook.url")),
            (&closed, &long, Some(secret), Some("webhook.url")),
            (&local, "http://127.0.0.1/x", Some(secret), None),
            (&local, "http://localhost/x", Some(secret), None),
            (&local, "http://10.0.0.1/x", Some(secret), Some("webhook.url")),
            (&local, "http://1.1.1.1/x", Some(secret), Some("webhook.url")),
        ] {
            let reach = Reach::new("webhooks.networks", &config.networks);
            let mut webhook = Webhook::default().url(url);
            webhook.secret = secret.map(str::to_owned);
            let found = check(&webhook, config, &reach).err();
            let told = found.as_ref().and_then(|error| error.details().param.as_deref());
            assert_eq!(told, param, "{url} {secret:?}: {found:?}");
        }
    }
}
