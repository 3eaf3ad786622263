//! The keys that a running router cannot change, and what differs between two configurations.

use super::Config;
#[cfg(feature = "listener")]
use super::ListenConfig;
use super::kind::Kind as _;
use super::source::is_at_or_below;

/// The keys, and the sections, whose values hold from a router's start to its end.
const FIXED: &[&str] = &[
    "first_task_id",
    "storage",
    "fleet",
    "retention.max_memory_bytes",
    "retention.max_usage_rows",
    "retention.max_audit_rows",
    "listen.enabled",
    "listen.host",
    "listen.port",
    "listen.max_header_bytes",
    "listen.max_heads_bytes",
    "listen.threads",
    "listen.max_connections",
    "listen.backlog",
    "listen.max_mcp_sessions",
    "listen.mcp_idle_ms",
    "otel.endpoint",
    "otel.traces_endpoint",
    "otel.headers",
    "otel.ca_file",
    "otel.service_name",
    "otel.timeout_ms",
    "otel.interval_ms",
    "otel.max_queued_spans",
    "otel.max_batch_spans",
    "runtime",
    "miners.port",
    "miners.max_handshakes",
];

#[cfg(feature = "listener")]
const LISTEN: &str = "listen";

/// The section that stays as it is while TLS is on, or off.
const TLS: &str = "listen.tls";

/// Whether a new value of that key counts after a restart alone.
pub(crate) fn is_fixed(path: &str) -> bool {
    FIXED.iter().any(|fixed| is_at_or_below(path, fixed))
}

/// The keys whose values differ between two configurations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// The keys that a running router can change.
    pub(crate) changed: Vec<String>,
    /// The others.
    pub(crate) fixed: Vec<String>,
}

#[cfg(feature = "listener")]
impl ListenConfig {
    /// Whether these settings are the other ones, but for keys that a running listener cannot change.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        let mut found = Differences::default();
        self.clone().settle(other, LISTEN, &mut found);
        found.changed.is_empty()
    }

    /// The new settings for a listener that has these.
    pub(crate) fn followed_by(&self, new: &Self) -> Self {
        let mut next = new.clone();
        next.settle(self, LISTEN, &mut Differences::default());
        if next.tls.is_on() != self.tls.is_on() {
            next.tls = self.tls.clone();
        }
        next
    }
}

impl Config {
    /// Takes the values of the configuration in force for all keys that a running router cannot change. Gives the keys
    /// that differ.
    pub(crate) fn settled(mut self, in_force: &Self) -> (Self, Differences) {
        let mut found = Differences::default();
        // The other routers of a database know this one by the name with which it came.
        if in_force.storage.url.is_some() {
            if self.name_in_a_database() != in_force.name {
                found.fixed.push("name".to_owned());
            }
            self.name.clone_from(&in_force.name);
        }
        self.settle(in_force, "", &mut found);
        // New certificates are read while the listener runs, but a socket without TLS stays without it.
        if self.listen.tls.is_on() != in_force.listen.tls.is_on() {
            self.listen.tls = in_force.listen.tls.clone();
            found.fixed.extend(found.changed.extract_if(.., |key| is_at_or_below(key, TLS)));
        }
        (self, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn every_fixed_key_exists() {
        for fixed in FIXED.iter().chain([&TLS]) {
            assert!(keys::find(fixed).is_some(), "{fixed}");
        }
    }

    #[test]
    fn every_difference_is_named_also_that_of_a_secret() {
        let old = Config::from_toml("[[upstream]]\nurl='http://a'\napi_key='one'").unwrap();
        for (text, changed, fixed) in [
            ("[[upstream]]\nurl='http://a'\napi_key='one'", &[][..], &[][..]),
            ("[[upstream]]\nurl='http://a'\napi_key='two'", &["upstream"], &[]),
            ("", &["upstream"], &[]),
            (
                "name='x'\n[storage]\ndata_dir='/x'\nreader_threads=3\n[listen]\nport=1\npublic_metrics=true\n\
                 [listen.cors]\norigins=['*']\n[[listen.token]]\nvalue='x'\n[runtime]\nlog_level='debug'\n[[upstream]]\n\
                 url='http://a'\napi_key='one'",
                &["name", "listen.token", "listen.public_metrics", "listen.cors.origins"],
                &["storage.data_dir", "storage.reader_threads", "listen.port", "runtime.log_level"],
            ),
            (
                "[listen.tls]\ncert='c'\nkey='k'\n[[upstream]]\nurl='http://a'\napi_key='one'",
                &[],
                &["listen.tls.cert", "listen.tls.key"],
            ),
        ] {
            let (settled, found) = Config::from_toml(text).unwrap().settled(&old);
            assert_eq!((found.changed, found.fixed), (owned(changed), owned(fixed)), "{text}");
            assert!(!settled.listen.tls.is_on() && settled.storage == old.storage && settled.listen.port == 5010);
            assert_eq!(settled.settled(&old).1.fixed, [""; 0], "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_router_with_a_database_keeps_its_name() {
        let read = |name: &str| Config::from_toml(&format!("{name}[storage]\nurl='postgres://a@h/d'")).unwrap();
        let named = |name: &str| {
            let mut config = read(name);
            config.name_by_host();
            config
        };
        let (settled, found) = read("name='other'\n").settled(&named("name='own'\n"));
        assert_eq!((settled.name.as_str(), found.fixed), ("own", owned(&["name"])));
        // The name of the host, which is in no configuration, is no difference.
        assert_eq!(read("").settled(&named("")).1, Differences::default());
    }

    fn owned(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }
}
