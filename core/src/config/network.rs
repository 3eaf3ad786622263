//! A network of addresses, as the configuration names it.

use std::net::IpAddr;
use std::str::FromStr;

use crate::{Error, Result};

/// An address, or all addresses that share its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Checks the networks of a key.
    ///
    /// # Errors
    /// `InvalidArgument` names the key.
    pub(super) fn check(key: &str, networks: &[String]) -> Result<()> {
        let wrong = networks.iter().find_map(|network| network.parse::<Self>().err());
        wrong.map_or(Ok(()), |error| Err(Error::invalid(key, format!("{key}: {}", error.message()))))
    }

    /// Whether that address belongs to the network.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address, address.to_canonical());
        let shared = match (own, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= self.bits
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let words = format!("{text:?} is no address and no network: write 10.0.0.7 or 10.0.0.0/8");
            Error::invalid("network", words)
        };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most {
            return Err(wrong());
        }
        // An IPv4 address may be written as one of IPv6, with 96 bits before it.
        match address.to_canonical() {
            inner @ IpAddr::V4(_) if address.is_ipv6() => {
                Ok(Self { address: inner, bits: bits.checked_sub(96).ok_or_else(wrong)? })
            }
            _ => Ok(Self { address, bits }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        for (network, address, has) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.7", "10.0.0.7", true),
            ("::ffff:10.0.0.0/104", "10.200.3.4", true),
            ("::ffff:10.0.0.0/104", "11.0.0.0", false),
            ("fd00::/8", "fd12::1", true),
            ("::1", "::1", true),
        ] {
            let found = network.parse::<Network>().unwrap().has(address.parse().unwrap());
            assert_eq!(found, has, "{network} {address}");
        }
        for wrong in
            ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "::1/129", "10.0.0.0/", "10.0.0.0/8/8", "::ffff:10.0.0.0/64"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
