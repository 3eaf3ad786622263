//! The database that `storage.url` names, and the protection of its connections.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::link::Link;
use super::tls::Tls;
use super::unusable;
use crate::secrecy::shown_url;
use crate::{Error, Result};

/// The setting that the errors of this file name.
const URL: &str = "storage.url";

/// The time after which a silent peer counts as gone, unless the URL says otherwise.
const SILENT: Duration = Duration::from_secs(10);

/// A database, ready to be connected to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    config: tokio_postgres::Config,
    /// The protection; `None`: the connections are in clear.
    tls: Option<Tls>,
    /// The URL without its secrets.
    shown: String,
    /// The longest time to connect, with all that TLS and the server's checks take.
    patience: Duration,
}

impl Target {
    /// Reads the URL. `patience` bounds the time to connect to one host, unless the URL says otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` names the setting, and never shows the URL.
    pub(super) fn of(url: &str, ca_file: Option<&Path>, patience: Duration) -> Result<Self> {
        let (url_without_mode, mode) = split_mode(url)?;
        // The parser's own words may repeat a part of a password that is not encoded.
        let mut config: tokio_postgres::Config = url_without_mode.parse().map_err(|_| {
            Error::invalid(
                URL,
                "storage.url is no URL of a PostgreSQL database: write postgres://USER:PASSWORD@HOST:5432/DATABASE, \
                 with special characters of the password percent-encoded, and leave out options that only libpq knows \
                 (storage.ca_file takes the place of sslrootcert)",
            )
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::invalid(URL, "storage.url names no host: write postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let encrypted = match mode {
            Mode::Encrypted => true,
            Mode::Clear => false,
            Mode::Unsaid => ca_file.is_some() || !is_local(&config),
        };
        if !encrypted && ca_file.is_some() {
            let words =
                "storage.ca_file needs TLS, and storage.url turns it off: remove sslmode=disable, or storage.ca_file";
            return Err(Error::invalid("storage.ca_file", words));
        }
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_application_name().is_none() {
            config.application_name("cortensor-router");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(patience);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENT);
        }
        config.keepalives_idle(SILENT);
        let tls = encrypted.then(|| Tls::of(ca_file)).transpose()?;
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1) as u32;
        let patience = config.get_connect_timeout().copied().unwrap_or(patience).max(patience) * hosts;
        Ok(Self { config, tls, shown: shown_url(url), patience })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Words for the operator, without the URL's secrets.
    pub(super) async fn connect(&self) -> Result<Link> {
        let connecting = async {
            if let Some(tls) = &self.tls {
                self.config.connect(tls.clone()).await.map(|(client, driver)| Link::of(client, driver))
            } else {
                self.config.connect(tokio_postgres::NoTls).await.map(|(client, driver)| Link::of(client, driver))
            }
        };
        // A pooler without a server, or a server that is stopped, takes the connection and says nothing.
        match tokio::time::timeout(self.patience, connecting).await {
            Ok(connected) => connected.map_err(|error| unusable::unconnected(&error, self)),
            Err(_) => Err(self.silent()),
        }
    }

    /// The error for a database that does not answer.
    pub(super) fn silent(&self) -> Error {
        Error::store(format!(
            "the database of storage.url ({}) takes the connection and does not answer: check PostgreSQL and what stands \
             before it",
            self.shown
        ))
    }

    /// The URL without its secrets.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the connections are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}

/// The address of this machine from which the database of a URL is reached; `None`: it cannot be told.
pub(crate) fn way_to(url: &str) -> Option<IpAddr> {
    let config: tokio_postgres::Config = split_mode(url).ok()?.0.parse().ok()?;
    if is_local(&config) {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    let ports = config.get_ports();
    let port = ports.first().copied().unwrap_or(5_432);
    let names = config.get_hosts().iter().filter_map(|host| match host {
        Host::Tcp(name) => Some(name.clone()),
        #[cfg(unix)]
        Host::Unix(_) => None,
    });
    let hosts = config.get_hostaddrs().iter().map(IpAddr::to_string).chain(names);
    // No packet is sent: the system only chooses the way.
    hosts.into_iter().find_map(|host| {
        let socket = |own: &str| std::net::UdpSocket::bind((own, 0)).ok();
        let to = |socket: std::net::UdpSocket| {
            socket.connect((host.as_str(), port)).ok()?;
            socket.local_addr().ok()
        };
        socket("0.0.0.0").and_then(to).or_else(|| socket("::").and_then(to)).map(|address| address.ip())
    })
}

/// The mode of TLS that a URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Encrypted,
    Clear,
    Unsaid,
}

/// Takes `sslmode` out of a URL, because each mode that encrypts also verifies here.
fn split_mode(url: &str) -> Result<(String, Mode)> {
    let mut mode = Mode::Unsaid;
    // A password may contain a question mark.
    let options = url.find('@').unwrap_or_default();
    let Some(query) = url[options..].find('?').map(|at| options + at) else { return Ok((url.to_owned(), mode)) };
    let mut kept = Vec::new();
    for pair in url[query + 1..].split('&') {
        match pair.strip_prefix("sslmode=") {
            None => kept.push(pair),
            Some("disable") => mode = Mode::Clear,
            Some("require" | "verify-ca" | "verify-full") => mode = Mode::Encrypted,
            Some(_) => {
                return Err(Error::invalid(
                    URL,
                    "sslmode in storage.url must be require (encrypted and verified) or disable: a mode between them \
                     would send the password in clear to whoever answers",
                ));
            }
        }
    }
    let rest = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{}{rest}", &url[..query]), mode))
}

/// Whether all hosts are this machine.
fn is_local(config: &tokio_postgres::Config) -> bool {
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_on_this_machine_is_reached_from_loopback() {
        for url in
            ["postgres://u:p@localhost/d", "postgres://u@127.0.0.1:5433/d?sslmode=require", "postgres:///d?host=/tmp"]
        {
            assert_eq!(way_to(url), Some(IpAddr::from([127, 0, 0, 1])), "{url}");
        }
        assert_eq!(way_to("not a url"), None);
    }

    fn target(url: &str) -> Result<Target> {
        Target::of(url, None, Duration::from_secs(1))
    }

    #[test]
    fn only_this_machine_and_a_spelt_out_wish_are_in_clear() {
        for (url, encrypted) in [
            ("postgres://u:p@localhost/d", false),
            ("postgres://u:p@127.0.0.1:5433/d", false),
            ("postgresql://u@%2Frun%2Fpostgresql/d", false),
            ("postgres://u:p@[::1]/d", false),
            ("postgres://u:p@db.example/d", true),
            ("postgres://u:p@localhost,db.example/d", true),
            ("postgres://u:p@db.example/d?sslmode=disable", false),
            ("postgres://u:p@localhost/d?sslmode=verify-full&connect_timeout=3", true),
            ("postgres://u:p?x@db.example/d?application_name=a&sslmode=require", true),
        ] {
            assert_eq!(target(url).unwrap().is_encrypted(), encrypted, "{url}");
        }
        let all = target("postgres://u:p@a,b/d?connect_timeout=3&sslmode=disable&application_name=x").unwrap();
        assert_eq!(all.config.get_application_name(), Some("x"));
        assert_eq!(all.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
    }

    #[test]
    fn a_wrong_url_is_refused_and_never_shown() {
        for url in [
            "postgres://u:s3cret@h/d?sslmode=prefer",
            "postgres://u:s3cret@h/d?sslrootcert=/s3cret",
            "postgres://u:s3cret@h:port/d",
            "postgres:///d?user=u&password=s3cret",
            "s3cret",
        ] {
            let error = target(url).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(URL), "{url}");
            assert!(!error.message().contains("s3cret"), "{error}");
        }
        let shown = format!("{:?}", target("postgres://u:s3cret@h/d?password=s3cret").unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
