//! Names of hosts, and who is asked for their addresses. The only place that asks a resolver (D3).
//!
//! Must hold: a program of the federation asks the resolvers of its settings and nobody else: what the host is set up with
//! (`resolv.conf`, `hosts`, search domains) is never read for it, and without resolvers a name is refused. An answer is
//! bounded in time, in addresses and in how long it is kept. `localhost` is this host and nobody is asked (RFC 6761).
//!
//! An answer is not believed for who is there: the handshake shows that. A resolver that lies can keep a program from its
//! peers, and learns which it looks for; it can hand it to nobody else.

use crate::address::Address;
use crate::limit::{
    ADDRESSES_MAX, NAME_KEPT_MAX, NAME_MISSED_MAX, NAMES_KEPT, RESOLVE_TIMEOUT, RESOLVER_RETRIES,
    RESOLVER_TIMEOUT, RESOLVERS_MAX,
};
use futures::future::select_ok;
use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RecordType};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use wire::Wire;

mod wire;

/// Who is asked for the addresses of names: nobody, unless it is said.
#[derive(Clone, Default)]
pub struct Names(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    Nobody,
    /// Never empty.
    Configured(Arc<[Resolver<Wire>]>),
    Host,
}

/// Why resolvers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResolversError {
    /// Too many.
    #[error("resolvers: at most {RESOLVERS_MAX}, not {0}")]
    Count(usize),
    /// Nobody can be asked there.
    #[error("resolvers: `{0}` is no address of a host with a port")]
    Address(SocketAddr),
    /// The library refused them.
    #[error("resolvers: not usable")]
    Library(#[source] Box<NetError>),
}

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nobody is asked.
    #[error(
        "it is a name, and the settings name no resolvers: write an address, or set `resolvers`"
    )]
    NoResolvers,
    /// Not a name that a resolver could know.
    #[error("it is no name of the DNS")]
    NoName,
    /// No answer in time.
    #[error("no resolver answered in time")]
    Slow,
    /// There is no such name, or it has no address.
    #[error("the name has no address")]
    NoAddress,
    /// An answer that is none.
    #[error("the resolver's answer is of no use")]
    Answer(#[source] Box<NetError>),
    /// What the host's own resolvers say.
    #[error("the host's resolvers")]
    Host(#[source] io::Error),
}

impl From<NetError> for ResolveError {
    fn from(error: NetError) -> Self {
        if matches!(error, NetError::Timeout) {
            Self::Slow
        } else if matches!(error, NetError::Dns(DnsError::NoRecordsFound(_))) {
            Self::NoAddress
        } else {
            Self::Answer(Box::new(error))
        }
    }
}

impl Names {
    /// Of the resolvers in the settings. They are asked at once, and the first that knows an address is believed: one that
    /// is silent or wrong costs nothing while another answers. Without any, names are refused.
    ///
    /// # Errors
    /// [`ResolversError`].
    pub fn configured(resolvers: &[SocketAddr]) -> Result<Self, ResolversError> {
        if resolvers.len() > RESOLVERS_MAX {
            return Err(ResolversError::Count(resolvers.len()));
        }
        let each = resolvers.iter().copied().map(resolver).collect::<Result<Arc<[_]>, _>>()?;
        Ok(Self(if each.is_empty() { Source::Nobody } else { Source::Configured(each) }))
    }

    /// Of the resolvers that the host is set up with: for a person's own machine, and no program of the federation.
    #[must_use]
    pub const fn of_host() -> Self {
        Self(Source::Host)
    }

    /// The first of these that could not be dialled: a name, where nobody is asked for names.
    #[must_use]
    pub fn unknown<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Address>,
    ) -> Option<&'a Address> {
        addresses.into_iter().find(|address| address.is_name() && self.is_nobody())
    }

    /// Whether a name would be refused.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self.0, Source::Nobody)
    }

    /// Addresses to try, at most [`ADDRESSES_MAX`], never none.
    pub(crate) async fn resolve(&self, address: &Address) -> Result<Vec<SocketAddr>, ResolveError> {
        let (name, port) = match address.parts() {
            Ok(addr) => return Ok(vec![addr]),
            Err(name) => name,
        };
        let found = async {
            match &self.0 {
                Source::Nobody => Err(ResolveError::NoResolvers),
                Source::Configured(resolvers) => ask(resolvers, name, port).await,
                Source::Host => ask_host(name, port).await,
            }
        };
        let found = timeout(RESOLVE_TIMEOUT, found).await.unwrap_or(Err(ResolveError::Slow))?;
        if found.is_empty() { Err(ResolveError::NoAddress) } else { Ok(found) }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, count) = match &self.0 {
            Source::Nobody => ("nobody", 0),
            Source::Configured(resolvers) => ("configured", resolvers.len()),
            Source::Host => ("host", 0),
        };
        f.debug_tuple("Names").field(&who).field(&count).finish()
    }
}

/// The library, bound to one resolver and to our sockets.
fn resolver(addr: SocketAddr) -> Result<Resolver<Wire>, ResolversError> {
    let ip = addr.ip();
    if ip.is_unspecified() || ip.is_multicast() || addr.port() == 0 {
        return Err(ResolversError::Address(addr));
    }
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = addr.port();
        connection
    };
    let ways = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    let server = NameServerConfig::new(ip, true, ways);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, Wire::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = RESOLVER_TIMEOUT;
    options.attempts = RESOLVER_RETRIES;
    options.cache_size = NAMES_KEPT;
    options.positive_max_ttl = Some(NAME_KEPT_MAX);
    options.negative_max_ttl = Some(NAME_MISSED_MAX);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.case_randomization = true;
    // The library would draw any port above 1023, and so one day that of a service which is about to begin.
    options.os_port_selection = true;
    builder.build().map_err(|error| ResolversError::Library(Box::new(error)))
}

async fn ask(
    resolvers: &[Resolver<Wire>],
    name: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut name = Name::from_ascii(name).map_err(|_unfit| ResolveError::NoName)?;
    // As it stands: no search domains.
    name.set_fqdn(true);
    let one = |resolver: &Resolver<Wire>| {
        let (resolver, name) = (resolver.clone(), name.clone());
        Box::pin(async move {
            let found = resolver.lookup_ip(name).await?;
            let found = found.iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, port));
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(ResolveError::NoAddress) } else { Ok(found) }
        })
    };
    select_ok(resolvers.iter().map(one)).await.map(|(found, _others)| found)
}

async fn ask_host(name: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    #[expect(clippy::disallowed_methods, reason = "this is the place that resolves names (D3)")]
    let found = tokio::net::lookup_host((name, port)).await.map_err(ResolveError::Host)?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

/// Asks one resolver about the root of all names, and tells how long its answer took. A refusal is an answer: who serves
/// the names of one company may know no others.
///
/// # Errors
/// [`ResolveError`] if none came that is one.
pub async fn probe(addr: SocketAddr) -> Result<Duration, ResolveError> {
    let resolver = resolver(addr).map_err(|_unfit| ResolveError::NoResolvers)?;
    let begun = Instant::now();
    let asked = timeout(RESOLVE_TIMEOUT, resolver.lookup(Name::root(), RecordType::NS)).await;
    match asked.map_err(|_elapsed| ResolveError::Slow)? {
        Ok(_) | Err(NetError::Dns(_)) => Ok(begun.elapsed()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
