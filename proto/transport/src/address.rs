//! Where to dial: `host:port`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Longest host name in bytes (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// A host name or IP address with a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

/// The text is not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT, IPv4:PORT or [IPv6]:PORT")]
pub struct AddressError(String);

impl Address {
    /// Whether it is a name, whose address somebody has to be asked for.
    #[must_use]
    pub const fn is_name(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    /// The address, or the name and the port.
    pub(crate) fn parts(&self) -> Result<SocketAddr, (&str, u16)> {
        match &self.host {
            Host::Ip(ip) => Ok(SocketAddr::new(*ip, self.port)),
            Host::Name(name) => Err((name, self.port)),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self { host: Host::Ip(addr.ip()), port: addr.port() }
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Ok(addr.into());
        }
        let bad = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || host.len() > HOST_MAX || !host.bytes().all(good) {
            return Err(bad());
        }
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let port = port.parse().map_err(|_digits| bad())?;
        Ok(Self { host: Host::Name(host.to_ascii_lowercase()), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => f.pad(&format!("{name}:{}", self.port)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_bad_ones_are_refused() {
        for good in ["127.0.0.1:7443", "[::1]:7443", "c1.tokyo-1.kanto.example:7443"] {
            assert_eq!(good.parse::<Address>().map(|a| a.to_string()).as_deref(), Ok(good));
        }
        for bad in
            ["", "host", ":1", "host:", "host:+1", "host:65536", "::1:7443x", "a b:1", "http://h:1"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_no_name() {
        for (text, name) in [("192.0.2.1:1", false), ("[::1]:1", false), ("localhost:9", true)] {
            assert_eq!(text.parse::<Address>().unwrap().is_name(), name, "{text}");
        }
    }
}
