//! The connections between routers that share a database.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

documented! {
/// Links between the routers that share the database of `storage.url`. By its link a router reads the tasks of another
/// one as they run, and hears at once what the other has changed. Both sides show a certificate that the database
/// names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// Whether this router has links. Without them it sees of the others what stands in the database. Default `true`.
    pub links: bool,
    /// The IP address at which the links of other routers come in. Default: the address from which this router reaches
    /// the database.
    #[serde(with = "crate::model::absent::text")]
    pub host: Option<String>,
    /// The port for links; 0: any free one. Default 0.
    pub port: u16,
    /// The address under which the other routers reach this port, if they see another one: `HOST:PORT`.
    #[serde(with = "crate::model::absent::text")]
    pub address: Option<String>,
    /// Links that a router has at most. Default 128.
    pub max_links: usize,
    /// Bytes that wait to be sent over one link, before it is cut. Default 4 MiB.
    pub max_link_bytes: usize,
    /// Tasks of this router that another one reads at the same time; further ones it reads from the database. Default
    /// 4096.
    pub max_link_readers: usize,
    /// Whether other routers may use free slots of this router's miners. With `false` its miners serve its own tasks
    /// alone, and it may still use those of the others. Default `true`.
    pub lend: bool,
    /// Milliseconds within which another router must begin to use a slot that was lent to it, beside the time after which
    /// a silent link is cut, 50 to 60000. Default 250.
    pub lend_ms: u64,
    /// Milliseconds of silence after which a link is cut, 3000 to 600000. Default 6000.
    pub link_timeout_ms: u64,
}
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            links: true,
            host: None,
            port: 0,
            address: None,
            max_links: 128,
            max_link_bytes: 4 << 20,
            max_link_readers: 4_096,
            lend: true,
            lend_ms: 250,
            link_timeout_ms: 6_000,
        }
    }
}

impl FleetConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if let Some(host) = &self.host
            && host.parse::<IpAddr>().is_err()
        {
            return Err(Error::invalid("fleet.host", "fleet.host must be an IP address of this machine: 10.0.0.7"));
        }
        if let Some(address) = &self.address {
            let parts = address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
            if !matches!(parts, Some((host, Ok(1..))) if !host.is_empty()) {
                let words = "fleet.address must be HOST:PORT, as other routers reach it: router-1.example:7000";
                return Err(Error::invalid("fleet.address", words));
            }
            if self.port == 0 {
                return Err(Error::invalid("fleet.port", "fleet.address needs a fleet.port that stays the same"));
            }
        }
        for (key, value, least, most) in [
            ("max_links", self.max_links as u64, 1, 1_024),
            ("max_link_bytes", self.max_link_bytes as u64, 1 << 18, 1 << 30),
            ("max_link_readers", self.max_link_readers as u64, 1, 1 << 20),
            ("lend_ms", self.lend_ms, 50, 60_000),
            ("link_timeout_ms", self.link_timeout_ms, 3_000, 600_000),
        ] {
            if !(least..=most).contains(&value) {
                let key = format!("fleet.{key}");
                return Err(Error::invalid(key.clone(), format!("{key} must be {least} to {most}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn a_wrong_setting_is_named() {
        for (wrong, key) in [
            ("host = \"router-1\"", "fleet.host"),
            ("port = 7000\naddress = \"router-1\"", "fleet.address"),
            ("port = 7000\naddress = \":7000\"", "fleet.address"),
            ("address = \"router-1:7000\"", "fleet.port"),
            ("max_links = 0", "fleet.max_links"),
            ("max_link_bytes = 100", "fleet.max_link_bytes"),
            ("max_link_readers = 0", "fleet.max_link_readers"),
            ("lend_ms = 10", "fleet.lend_ms"),
            ("link_timeout_ms = 10", "fleet.link_timeout_ms"),
        ] {
            let error = Config::from_toml(&format!("[fleet]\n{wrong}")).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(key), "{error}");
        }
        let right = "[fleet]\nhost = \"::1\"\nport = 7000\naddress = \"[fd00::1]:7000\"\nlink_timeout_ms = 3000";
        assert_eq!(Config::from_toml(right).unwrap().fleet.port, 7_000);
    }
}
