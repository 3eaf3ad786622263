//! Counts HTTP requests, with labels of few values.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::fast_path::FastPath;
use crate::router::{Metrics, RequestLabels};

/// Counts of requests by method, route template and class of status.
pub(in crate::listener) struct Traffic {
    requests: Family<RequestLabels, Counter>,
    /// The counts of the busy routes, by class of status. Each is looked up once.
    busy: [[OnceLock<Counter>; STATUSES.len()]; FastPath::ALL.len()],
}

/// The classes of status.
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

fn class_of(status: http::StatusCode) -> usize {
    match status.as_u16() {
        200..300 => 0,
        300..400 => 1,
        400..500 => 2,
        _ => 3,
    }
}

impl Traffic {
    pub(in crate::listener) fn new(metrics: &Metrics) -> Self {
        Self { requests: metrics.requests(), busy: Default::default() }
    }

    /// Counts a request to a busy route.
    pub(in crate::listener) fn count_busy(&self, route: FastPath, status: http::StatusCode) {
        let class = class_of(status);
        let counter = self.busy[route as usize][class].get_or_init(|| {
            let labels = RequestLabels { method: "POST", route: route.path().to_owned(), status: STATUSES[class] };
            self.requests.get_or_create(&labels).clone()
        });
        counter.inc();
    }

    pub(in crate::listener) fn count(&self, method: &http::Method, route: Option<&str>, status: http::StatusCode) {
        let method = method_word(method);
        let status = STATUSES[class_of(status)];
        self.requests
            .get_or_create(&RequestLabels { method, route: route.unwrap_or("unknown").to_owned(), status })
            .inc();
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
