//! The name of a router that shares a database and has none of its own: that of its host.

use std::fs;

use super::{Config, NAME};
use crate::model::check_name;

/// The place at which Linux tells the name of the host.
const HOST: &str = "/proc/sys/kernel/hostname";

impl Config {
    /// Gives a router with a database the name of its host, unless it has one of its own.
    pub(crate) fn name_by_host(&mut self) {
        if self.storage.url.is_some() {
            self.name = self.name_in_a_database();
        }
    }

    /// The name of the router in a database: its own, or that of its host. Where the system does not tell the latter, the
    /// default stays.
    pub(super) fn name_in_a_database(&self) -> String {
        if self.name != NAME {
            return self.name.clone();
        }
        let told = fs::read_to_string(HOST).ok();
        let told = told.or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok()));
        let host = told.map(|host| host.trim().to_owned());
        host.filter(|host| !host.is_empty() && check_name("name", host).is_ok()).unwrap_or_else(|| self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn a_router_with_a_database_is_called_as_its_host_unless_it_has_a_name() {
        let name = |toml: &str| {
            let mut config = Config::from_toml(toml).unwrap();
            config.name_by_host();
            config.name
        };
        assert_eq!(name(""), "cortensor-router");
        #[cfg(feature = "postgres")]
        {
            let url = "[storage]\nurl = \"postgres://a@h/d\"";
            assert_eq!(name(&format!("name = \"one\"\n{url}")), "one");
            #[cfg(target_os = "linux")]
            assert_eq!(name(url), std::fs::read_to_string(super::HOST).unwrap().trim());
        }
    }
}
