//! Counts HTTP requests, with labels of few values.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::router::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: &'static str,
}

/// Counts of requests by method, route template and class of status.
pub(in crate::listener) struct Traffic {
    requests: Family<Labels, Counter>,
}

impl Traffic {
    pub(in crate::listener) fn new(metrics: &Metrics) -> Self {
        let requests = Family::default();
        let registered: Family<Labels, Counter> = requests.clone();
        metrics.registry(|r| {
            r.register("http_requests", "HTTP requests, by method, route and class of status", registered);
        });
        Self { requests }
    }

    pub(in crate::listener) fn count(&self, method: &http::Method, route: Option<&str>, status: http::StatusCode) {
        let method = method_word(method);
        let status = match status.as_u16() {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&Labels { method, route: route.unwrap_or("unknown").to_owned(), status }).inc();
    }
}

/// The method in a word; `other` for one that no route has, so that callers cannot make up words.
pub(in crate::listener) fn method_word(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::POST => "POST",
        http::Method::PATCH => "PATCH",
        http::Method::DELETE => "DELETE",
        http::Method::OPTIONS => "OPTIONS",
        http::Method::HEAD => "HEAD",
        _ => "other",
    }
}
