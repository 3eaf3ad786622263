//! The quotas of callers without a token: so many requests for each address, and a bounded memory for addresses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use super::access;
use super::auth::{Caller, Trial};
use crate::config::{ListenConfig, Network, TRIAL, TrialConfig};
use crate::model::{SessionId, Timestamp};
use crate::reach::counted;
use crate::router::Meter;
use crate::{Error, ErrorKind, Result, Router};

/// The header in which proxies name the client, and each other.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The quotas of a listener's trials.
pub(in crate::listener) struct Trials {
    config: TrialConfig,
    proxies: Vec<Network>,
    /// The count of all trials together.
    meter: Option<Arc<Meter>>,
    windows: Mutex<Windows>,
}

/// The clients that count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Address(IpAddr),
    /// The networks within this one of 48 bits that do not count apart any more.
    Site(u64),
}

/// The requests of the places.
#[derive(Default)]
struct Windows {
    used: HashMap<Place, Window>,
    /// The IPv6 networks of 64 bits that count apart, by the network of 48 bits that they belong to.
    subnets: HashMap<u64, u32>,
    /// No window ends before this moment.
    first_end: u64,
}

/// The requests of one place since its first one.
struct Window {
    requests: u32,
    ends: u64,
}

impl Trials {
    pub(in crate::listener) fn new(router: &Router, config: &ListenConfig) -> Self {
        let quota = config.trial.quota();
        Self {
            config: config.trial.clone(),
            // The configuration has checked them.
            proxies: config.trusted_proxies.iter().filter_map(|proxy| proxy.parse().ok()).collect(),
            meter: if quota.is_none() { None } else { router.key_ring().meter(TRIAL, &quota) },
            windows: Mutex::default(),
        }
    }

    /// The caller at the other end of a connection, whose request is taken from its quota.
    ///
    /// # Errors
    /// `NotFound` if there are no trials; `Overloaded` with the time after which to come back.
    pub(in crate::listener) fn caller(&self, peer: IpAddr, headers: &HeaderMap, now: Timestamp) -> Result<Caller> {
        if !self.config.enabled {
            let words = "there are no trials here: send a token to the route without /trial (listen.trial.enabled)";
            return Err(Error::not_found(words).with_code("trials_off"));
        }
        let visitor = counted(self.client(peer, headers));
        let place = self.take(visitor, now)?;
        if let Some(meter) = &self.meter
            && let Err(error) = meter.request().1
        {
            // The visitor got nothing, and keeps its own share.
            self.give_back(place);
            return Err(error);
        }
        let trial = Trial { visitor: visitor.to_string(), max_tokens: self.config.max_tokens };
        let caller = Caller::on_trial(SessionId(self.config.session), self.meter.clone(), trial);
        access::by(&caller);
        Ok(caller)
    }

    /// The address of the client: that of the connection, unless it is a trusted proxy's, which names the client.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_proxy = |address: IpAddr| self.proxies.iter().any(|network| network.has(address));
        let mut client = peer;
        // Each proxy adds the address of its own peer at the end. All before the first that is no trusted proxy may be
        // invented by the client.
        for value in headers.get_all(&FORWARDED_FOR).iter().rev() {
            for hop in value.to_str().unwrap_or_default().rsplit(',') {
                if !is_proxy(client) {
                    return client;
                }
                // Some proxies add the port of the client.
                let hop = hop.trim();
                match hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|place| place.ip())) {
                    Ok(address) => client = address,
                    Err(_) => return client,
                }
            }
        }
        client
    }

    /// Takes nothing of that place after all.
    fn give_back(&self, place: Place) {
        if let Some(window) = self.windows.lock().used.get_mut(&place) {
            window.requests = window.requests.saturating_sub(1);
        }
    }

    /// Takes one request of the place that the address counts for.
    fn take(&self, visitor: IpAddr, now: Timestamp) -> Result<Place> {
        let mut windows = self.windows.lock();
        let place = windows.place_of(visitor, &self.config, now);
        if windows.used.len() >= self.config.max_addresses && !windows.used.contains_key(&place) {
            windows.forget(now);
            if windows.used.len() >= self.config.max_addresses {
                return Err(refused("too many addresses try the router", windows.first_end, now));
            }
        }
        let ends = now.plus(self.config.window_secs.saturating_mul(1_000)).0;
        let window = windows.window(place, ends);
        if window.ends <= now.0 {
            *window = Window { requests: 0, ends };
        }
        if window.requests >= self.config.requests {
            let words = format!("this address has used its {} trials", self.config.requests);
            return Err(refused(&words, window.ends, now));
        }
        window.requests += 1;
        Ok(place)
    }
}

impl Windows {
    /// The place that an address counts for.
    fn place_of(&mut self, visitor: IpAddr, config: &TrialConfig, now: Timestamp) -> Place {
        let own = Place::Address(visitor);
        let Some(site) = own.site().filter(|_| !self.used.contains_key(&own)) else { return own };
        let is_full = |windows: &Self| windows.subnets.get(&site).is_some_and(|count| *count >= config.max_subnets);
        if is_full(self) {
            self.forget(now);
        }
        if is_full(self) { Place::Site(site) } else { own }
    }

    /// The window of a place. A new one ends at that moment.
    fn window(&mut self, place: Place, ends: u64) -> &mut Window {
        match self.used.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                if let Some(site) = place.site() {
                    *self.subnets.entry(site).or_default() += 1;
                }
                new.insert(Window { requests: 0, ends })
            }
        }
    }

    /// Forgets the windows that have ended. It looks through all of them only if one of them can have ended.
    fn forget(&mut self, now: Timestamp) {
        if now.0 < self.first_end {
            return;
        }
        self.used.retain(|_, window| window.ends > now.0);
        self.first_end = self.used.values().map(|window| window.ends).min().unwrap_or_default();
        self.subnets.clear();
        for site in self.used.keys().filter_map(|place| place.site()) {
            *self.subnets.entry(site).or_default() += 1;
        }
    }
}

impl Place {
    /// The network of 48 bits that an IPv6 network belongs to, if it counts apart.
    fn site(self) -> Option<u64> {
        match self {
            Self::Address(IpAddr::V6(address)) => Some((address.to_bits() >> 80) as u64),
            Self::Address(IpAddr::V4(_)) | Self::Site(_) => None,
        }
    }
}

fn refused(words: &str, until: u64, now: Timestamp) -> Error {
    let words = format!("{words}: come back later, or get a token");
    Error::new(ErrorKind::Overloaded, words)
        .with_code("trial_quota_exceeded")
        .with_retry_after_ms(until.saturating_sub(now.0).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    async fn trials(config: TrialConfig, proxies: &[&str]) -> Trials {
        let router = Router::open(Config::default()).await.unwrap();
        let trusted = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
        Trials::new(&router, &ListenConfig::default().trial(config.enabled(true)).trusted_proxies(trusted))
    }

    fn at(trials: &Trials, address: &str, now: u64) -> Result<(), (String, u64)> {
        let caller = trials.caller(address.parse().unwrap(), &HeaderMap::new(), Timestamp(now));
        caller.map(drop).map_err(|error| (error.code().to_owned(), error.details().retry_after_ms.unwrap()))
    }

    #[tokio::test]
    async fn an_address_has_so_many_requests_in_its_window() {
        let trials = trials(TrialConfig::default().requests(2).window_secs(10), &[]).await;
        let refused = |ms| Err(("trial_quota_exceeded".to_owned(), ms));
        assert_eq!((at(&trials, "192.0.2.1", 1_000), at(&trials, "192.0.2.1", 2_000)), (Ok(()), Ok(())));
        assert_eq!(at(&trials, "192.0.2.1", 3_000), refused(8_000));
        assert_eq!(at(&trials, "::ffff:192.0.2.1", 3_000), refused(8_000));
        assert_eq!(at(&trials, "192.0.2.2", 3_000), Ok(()));
        assert_eq!((at(&trials, "192.0.2.1", 11_000), at(&trials, "192.0.2.1", 11_000)), (Ok(()), Ok(())));
        assert_eq!(at(&trials, "192.0.2.1", 11_000), refused(10_000));
        // One network of IPv6 is one client.
        assert_eq!((at(&trials, "2001:db8::1", 0), at(&trials, "2001:db8::ffff:1", 0)), (Ok(()), Ok(())));
        assert_eq!(at(&trials, "2001:db8::2", 0), refused(10_000));
        assert_eq!(at(&trials, "2001:db8:0:1::1", 0), Ok(()));
    }

    #[tokio::test]
    async fn the_memory_for_addresses_is_bounded_and_none_is_forgotten_early() {
        let trials = trials(TrialConfig::default().requests(1).window_secs(10).max_addresses(2), &[]).await;
        assert_eq!((at(&trials, "192.0.2.1", 1_000), at(&trials, "192.0.2.2", 5_000)), (Ok(()), Ok(())));
        for now in [6_000, 10_000] {
            let (code, after) = at(&trials, "192.0.2.3", now).unwrap_err();
            assert_eq!((code.as_str(), after), ("trial_quota_exceeded", 11_000 - now));
            assert!(at(&trials, "192.0.2.1", now).is_err(), "its requests are used up");
        }
        assert_eq!(at(&trials, "192.0.2.3", 11_000), Ok(()));
        assert_eq!(trials.windows.lock().used.len(), 2);
    }

    #[tokio::test]
    async fn the_networks_of_one_site_cannot_fill_the_memory() {
        let config = TrialConfig::default().requests(2).window_secs(10).max_subnets(3).max_addresses(6);
        let trials = trials(config, &[]).await;
        let subnet = |site: u32, number: u32| format!("2001:db8:{site:x}:{number:x}::1");
        for number in 0..3 {
            assert_eq!(at(&trials, &subnet(1, number), 1_000), Ok(()));
        }
        // All further networks of the site share one quota, and those that count apart keep their own.
        assert_eq!((at(&trials, &subnet(1, 3), 1_000), at(&trials, &subnet(1, 4), 1_000)), (Ok(()), Ok(())));
        for number in 5..1_000 {
            assert_eq!(at(&trials, &subnet(1, number), 1_000).unwrap_err().1, 10_000);
        }
        assert_eq!(at(&trials, &subnet(1, 2), 1_000), Ok(()));
        assert_eq!(trials.windows.lock().used.len(), 4);
        assert_eq!((at(&trials, &subnet(2, 0), 1_000), at(&trials, "192.0.2.1", 1_000)), (Ok(()), Ok(())));
        assert!(at(&trials, "192.0.2.2", 1_000).is_err(), "the memory is full");
        // Once the windows have ended, other networks of the site count apart.
        for number in 10..13 {
            assert_eq!(at(&trials, &subnet(1, number), 11_000), Ok(()));
        }
        let windows = trials.windows.lock();
        assert_eq!(windows.subnets.values().sum::<u32>(), windows.used.len() as u32);
    }

    #[tokio::test]
    async fn only_trusted_proxies_name_the_client() {
        let trials = trials(TrialConfig::default(), &["10.0.0.0/8", "fd00::/8"]).await;
        for (peer, forwarded, client) in [
            ("192.0.2.9", &["203.0.113.1"][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.1, 10.9.9.9"], "203.0.113.1"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.1", "fd00::7"], "203.0.113.1"),
            ("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, x, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.1:51234"], "203.0.113.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(&FORWARDED_FOR, value.parse().unwrap());
            }
            assert_eq!(trials.client(peer.parse().unwrap(), &headers).to_string(), client, "{peer} {forwarded:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_by_the_bound_of_all_takes_nothing_from_the_address() {
        let all = std::num::NonZeroU64::new(1);
        let trials = trials(TrialConfig::default().requests(2).all_requests_per_minute(all), &[]).await;
        let (none, one, other) = (HeaderMap::new(), "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(trials.caller(one, &none, Timestamp(1)).is_ok());
        assert!(trials.caller(other, &none, Timestamp(1)).is_err());
        let used = |visitor| trials.windows.lock().used.get(&Place::Address(visitor)).map(|window| window.requests);
        assert_eq!((used(one), used(other)), (Some(1), Some(0)));
    }

    #[tokio::test]
    async fn a_caller_on_trial_may_do_little() {
        let trials = trials(TrialConfig::default().max_tokens(9).session(1), &[]).await;
        let caller = trials.caller("192.0.2.1".parse().unwrap(), &HeaderMap::new(), Timestamp(1)).unwrap();
        let request = caller.tamed(crate::model::TaskRequest::completion("x").priority(9).max_tokens(99));
        assert_eq!((request.priority, request.token_limit()), (None, Some(9)));
        assert_eq!(caller.tamed(crate::model::TaskRequest::completion("x").max_tokens(4)).token_limit(), Some(4));
        let body = r#"{"prompt":"x","n":128,"best_of":9,"n_predict":99999,"temperature":0.5,"stop":["a"]}"#;
        let request = caller.tamed(serde_json::from_str(body).unwrap());
        let passed: Vec<&str> = request.extra.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((passed, request.choices().unwrap()), (vec!["temperature", "stop"], 1));
        assert!(caller.sees(SessionId(0)).is_err() && caller.may(crate::model::Scope::Read).is_err());
        assert_eq!(caller.name_space(), "trial 192.0.2.1");
    }
}
