//! The addresses that a caller may make the router connect to.
//!
//! A caller that names a URL must not reach what only the router can reach: services of this machine, of its network,
//! and the metadata of a cloud. The address is checked when the connection is made, and the connection goes to the
//! address that was checked, because a name may lead to another address at each look-up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(feature = "listener")]
use http::Uri;
use parking_lot::RwLock;
#[cfg(feature = "listener")]
use tokio::net::TcpStream;

use crate::config::Network;

/// The rule for one purpose.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The key of the configuration that names further networks.
    setting: &'static str,
    /// Networks that may be reached although they are not public.
    allowed: RwLock<Vec<Network>>,
}

/// An address of Azure that is public by its number, and serves the credentials of a machine.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

impl Reach {
    /// A rule with the networks of that key, which were checked.
    pub(crate) fn new(setting: &'static str, networks: &[String]) -> Self {
        let reach = Self { setting, allowed: RwLock::default() };
        reach.allow(networks);
        reach
    }

    /// Allows these networks from now on, and no others.
    pub(crate) fn allow(&self, networks: &[String]) {
        *self.allowed.write() = networks.iter().filter_map(|network| network.parse().ok()).collect();
    }

    /// Whether the address belongs to a network that was allowed by name.
    pub(crate) fn is_named(&self, address: IpAddr) -> bool {
        self.allowed.read().iter().any(|network| network.has(address))
    }

    /// Whether the router may connect to that address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        is_public(address) || self.is_named(address)
    }

    /// Finds the addresses of a host that may be reached.
    ///
    /// # Errors
    /// `PermissionDenied` if the host has addresses and none of them may be reached; that of the look-up.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let bare = bare(host);
        let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((bare, port)).await?.collect(),
        };
        let Some(first) = found.first().copied() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{bare} has no address")));
        };
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| self.has(address.ip())).collect();
        if allowed.is_empty() {
            let (address, setting) = (first.ip(), self.setting);
            let words = format!("{address} is no public address: name its network in {setting} to allow it");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        Ok(allowed)
    }

    /// Connects to a host.
    ///
    /// # Errors
    /// Those of [`addresses`](Self::addresses); that of the connection.
    #[cfg(feature = "listener")]
    pub(crate) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let addresses = self.addresses(host, port).await?;
        let stream = TcpStream::connect(&*addresses).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A host without the brackets that an address of IPv6 has in a URL.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The address by which a client counts. A client may choose the last 64 bits of an IPv6 address as it likes.
#[cfg(any(feature = "listener", feature = "postgres"))]
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The port of a URL.
#[cfg(feature = "listener")]
pub(crate) fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

/// Whether an address belongs to the public internet (RFC 6890 and the registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    // This network, private, loopback, link-local; shared by carriers, where clouds keep services.
    let is_inner = matches!((a, b), (0 | 10 | 127, _) | (169, 254) | (172, 16..=31) | (192, 168) | (100, 64..=127));
    // Protocol assignments, 6to4 relays, documentation, benchmarks; multicast and reserved.
    let is_special =
        matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113));
    !(is_inner || is_special || a >= 224 || address == AZURE_WIRE_SERVER)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is global unicast. NAT64, which stands for IPv4 addresses, lies outside.
    let is_global = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo, 6to4, and documentation.
    let is_special = matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff));
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_loopback_link_local_and_metadata_addresses_are_not_public() {
        for (text, public) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("172.15.0.1", true),
            ("172.32.0.1", true),
            ("100.63.0.1", true),
            ("192.0.1.1", true),
            ("223.255.255.255", true),
            ("2606:4700:4700::1111", true),
            ("2a00:1450::1", true),
            ("::ffff:1.1.1.1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.51.100.7", false),
            ("203.0.113.7", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
    }

    #[tokio::test]
    async fn a_host_is_reached_at_its_allowed_addresses_alone() {
        let closed = Reach::new("webhooks.networks", &[]);
        // Names and numbers in any form lead to addresses, and these count.
        for host in ["localhost", "127.0.0.1", "[::1]", "::1", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0"] {
            let error = closed.addresses(host, 80).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{host}");
            assert!(error.to_string().contains("webhooks.networks"), "{error}");
        }
        assert_eq!(closed.addresses("1.1.1.1", 80).await.unwrap(), ["1.1.1.1:80".parse().unwrap()]);
        let open = Reach::new("webhooks.networks", &["127.0.0.0/8".into()]);
        assert_eq!(open.addresses("127.0.0.1", 9).await.unwrap(), ["127.0.0.1:9".parse().unwrap()]);
        assert!(open.addresses("10.0.0.1", 9).await.is_err());
        open.allow(&[]);
        assert!(open.addresses("127.0.0.1", 9).await.is_err());
    }
}
