//! The export of spans to a collector of OpenTelemetry.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::secrecy::shown_url;
use crate::{Error, Result};

documented! {
/// Spans for a collector of OpenTelemetry, by OTLP over HTTP (JSON). The export is off until `endpoint` or
/// `traces_endpoint` is set, and needs a command that was built with the feature `otel`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtelConfig {
    /// The base URL of the collector: `http://127.0.0.1:4318`. `/v1/traces` is added.
    #[serde(with = "crate::model::absent::text")]
    pub endpoint: Option<String>,
    /// The whole URL for spans, which is used as it is and wins over `endpoint`.
    #[serde(with = "crate::model::absent::text")]
    pub traces_endpoint: Option<String>,
    /// Headers of every export, with commas between: `name=value,name=value`. A value may be percent-encoded.
    #[serde(skip_serializing)]
    #[serde(deserialize_with = "crate::model::absent::text::deserialize")]
    pub headers: Option<String>,
    /// A file of certificates (PEM): the authorities to believe for the collector's TLS, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// The name of this router among the services that are traced. Default `cortensor-router`.
    pub service_name: String,
    /// The share of the traces that the router begins itself that are exported, 0 to 1. Default 1. For a request with a
    /// `traceparent` its sampled flag decides.
    pub sample_ratio: f64,
    /// Milliseconds that one export may take, and the last one when the router ends. Default 10000.
    pub timeout_ms: u64,
    /// Milliseconds after which spans are exported, although they fill no batch. Default 5000.
    pub interval_ms: u64,
    /// Spans that wait for their export at most; further ones are dropped and counted. Default 2048.
    pub max_queued_spans: usize,
    /// Spans of one export at most. Default 512.
    pub max_batch_spans: usize,
}
}

impl Default for OtelConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            traces_endpoint: None,
            headers: None,
            ca_file: None,
            service_name: "cortensor-router".into(),
            sample_ratio: 1.0,
            timeout_ms: 10_000,
            interval_ms: 5_000,
            max_queued_spans: 2_048,
            max_batch_spans: 512,
        }
    }
}

/// Shows no header.
impl fmt::Debug for OtelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &Option<String>| url.as_deref().map(shown_url);
        f.debug_struct("OtelConfig")
            .field("endpoint", &shown(&self.endpoint))
            .field("traces_endpoint", &shown(&self.traces_endpoint))
            .field("has_headers", &self.headers.is_some())
            .field("service_name", &self.service_name)
            .field("sample_ratio", &self.sample_ratio)
            .finish_non_exhaustive()
    }
}

impl OtelConfig {
    /// The URL to which spans are sent; `None`: the export is off.
    ///
    /// # Errors
    /// `InvalidArgument` names the key.
    pub fn target(&self) -> Result<Option<Uri>> {
        let (key, url) = match (&self.traces_endpoint, &self.endpoint) {
            (Some(whole), _) => ("otel.traces_endpoint", whole.trim().to_owned()),
            (None, Some(base)) => ("otel.endpoint", format!("{}/v1/traces", base.trim().trim_end_matches('/'))),
            (None, None) => return Ok(None),
        };
        let uri = url.parse::<Uri>().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        uri.map(Some).ok_or_else(|| {
            Error::invalid(
                key,
                format!("{key} must be a URL that begins with http:// or https://: http://127.0.0.1:4318"),
            )
        })
    }

    /// The headers of every export.
    ///
    /// # Errors
    /// `InvalidArgument` names the key, without the value, which may be a secret.
    pub fn header_list(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let wrong = || {
            Error::invalid("otel.headers", "otel.headers must be name=value pairs with commas between: api-key=secret")
        };
        let pairs = self.headers.as_deref().unwrap_or_default().split(',').map(str::trim);
        pairs
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
                let name = name.trim().parse::<HeaderName>().map_err(|_| wrong())?;
                // A percent sign without two hexadecimal digits stays.
                let value: Cow<'_, [u8]> = percent_decode_str(value.trim()).into();
                let mut value = HeaderValue::from_bytes(&value).map_err(|_| wrong())?;
                value.set_sensitive(true);
                Ok((name, value))
            })
            .collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        self.target()?;
        self.header_list()?;
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(Error::invalid("otel.sample_ratio", "otel.sample_ratio must be 0 to 1"));
        }
        if self.service_name.trim().is_empty() {
            return Err(Error::invalid("otel.service_name", "otel.service_name must not be empty"));
        }
        for (name, number) in [
            ("otel.timeout_ms", self.timeout_ms),
            ("otel.interval_ms", self.interval_ms),
            ("otel.max_queued_spans", self.max_queued_spans as u64),
            ("otel.max_batch_spans", self.max_batch_spans as u64),
        ] {
            if !(1..=1 << 24).contains(&number) {
                return Err(Error::invalid(name, format!("{name} must be 1 to {}", 1 << 24)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_spans_follows_the_standard() {
        let target = |base: Option<&str>, whole: Option<&str>| {
            let config = OtelConfig {
                endpoint: base.map(str::to_owned),
                traces_endpoint: whole.map(str::to_owned),
                ..OtelConfig::default()
            };
            config.target().map(|uri| uri.map(|uri| uri.to_string())).map_err(|error| error.details().param.clone())
        };
        let told = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(target(None, None), Ok(None));
        assert_eq!(target(Some("http://h:4318"), None), told("http://h:4318/v1/traces"));
        assert_eq!(target(Some("https://h/otlp/"), None), told("https://h/otlp/v1/traces"));
        assert_eq!(target(Some("http://h"), Some("http://g:1/spans")), told("http://g:1/spans"));
        assert_eq!(target(Some("h:4318"), None), Err(Some("otel.endpoint".to_owned())));
        assert_eq!(target(None, Some("grpc://h")), Err(Some("otel.traces_endpoint".to_owned())));
    }

    #[test]
    fn headers_are_pairs_and_an_error_keeps_them_secret() {
        let config = |headers: &str| OtelConfig { headers: Some(headers.to_owned()), ..OtelConfig::default() };
        let list = config("api-key=s3cret, x=a%20b%zz,").header_list().unwrap();
        let shown: Vec<_> = list.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(shown, [("api-key", &b"s3cret"[..]), ("x", b"a b%zz")]);
        let error = config("s3cret").header_list().unwrap_err();
        assert!(!error.message().contains("s3cret") && error.details().param.as_deref() == Some("otel.headers"));
        assert!(!format!("{:?}", config("api-key=s3cret")).contains("s3cret"));
    }

    #[test]
    fn every_value_has_its_range() {
        let fault = |config: OtelConfig| config.validate().unwrap_err().details().param.clone();
        let with = |change: fn(&mut OtelConfig)| {
            let mut config = OtelConfig::default();
            change(&mut config);
            fault(config).unwrap()
        };
        assert_eq!(with(|config| config.sample_ratio = f64::NAN), "otel.sample_ratio");
        assert_eq!(with(|config| config.service_name.clear()), "otel.service_name");
        assert_eq!(with(|config| config.timeout_ms = 0), "otel.timeout_ms");
        assert_eq!(with(|config| config.max_batch_spans = 0), "otel.max_batch_spans");
        assert!(OtelConfig::default().validate().is_ok());
    }
}
