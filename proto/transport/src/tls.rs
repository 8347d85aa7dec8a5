//! TLS configurations: 1.3 only, ring, no resumption; `h2`, and another protocol on listeners that were asked for it.
//!
//! Must hold: neither end resumes. A resumed session skips the verifier, so a peer whose bundle was removed would
//! walk back in.

use crate::bundle::TrustBundles;
use crate::clock::TlsTime;
use crate::credential::Identity;
use crate::verify::{Clients, Expect, Servers};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ServerConfig, version};
use std::sync::{Arc, OnceLock};

/// What is spoken over a listener's connections; agreed by ALPN (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// `h2`, which both ends must name: the API, and everything between members.
    #[default]
    Http2,
    /// `http/1.1`, for stock tools that only read: a client that names nothing means it.
    Http1,
    /// `sekisho-ranging/1`, which both ends must name: frames of a timed exchange between landmark and subject.
    Ranging,
}

impl Protocol {
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
            Self::Ranging => b"sekisho-ranging/1",
        }
    }

    /// Whether a handshake that agreed on `alpn` may go on.
    pub(crate) fn accepts(self, alpn: Option<&[u8]>) -> bool {
        alpn.map_or(self == Self::Http1, |agreed| agreed == self.alpn())
    }
}

/// RFC 9266, section 2.
const CHANNEL_BINDING: &[u8] = b"EXPORTER-Channel-Binding";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(provider)
}

pub(crate) fn server_config(
    identity: &Identity,
    bundles: &Arc<TrustBundles>,
    protocol: Protocol,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let time = Arc::new(TlsTime(Arc::clone(bundles.clock())));
    let mut config = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(Arc::new(Clients(Arc::clone(bundles))))
        .with_cert_resolver(Arc::new(identity.clone()));
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

pub(crate) fn client_config(
    identity: Option<&Identity>,
    bundles: &Arc<TrustBundles>,
    expect: Expect,
    protocol: Protocol,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let time = Arc::new(TlsTime(Arc::clone(bundles.clock())));
    let verifier = Arc::new(Servers { bundles: Arc::clone(bundles), expect });
    let builder = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(identity.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// Channel binding of a finished handshake.
pub(crate) fn exporter<D>(
    connection: &rustls::ConnectionCommon<D>,
) -> Result<[u8; 32], rustls::Error> {
    connection.export_keying_material([0; 32], CHANNEL_BINDING, Some(b""))
}

/// Key material of a finished handshake for another purpose than the channel binding (RFC 8446, section 7.5).
pub(crate) fn keying_material<D>(
    connection: &rustls::ConnectionCommon<D>,
    label: &[u8],
    context: &[u8],
) -> Result<[u8; 32], rustls::Error> {
    connection.export_keying_material([0; 32], label, Some(context))
}
