//! HTTPS to an identity provider: the one party outside the federation that is dialled, and only where settings name it.
//!
//! Must hold (D3): TLS 1.3 under the roots of the settings, none of the machine's own, for the host that the address names;
//! it stays a peer that has proven nothing, so that over one connection at most [`UNPROVEN_MAX`] bytes leave for it; one
//! connection is one request, bounded in size and in time (L3, L4), and no answer leads to another address: redirections
//! are answers like any other.
//!
//! Does not know what is asked: signing in is the caller's.
//!
//! [`UNPROVEN_MAX`]: sekisho_types::limit::UNPROVEN_MAX

use crate::address::Address;
use crate::clock::{SystemClock, TlsTime};
use crate::limit::{CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, HTTPS_ANSWER_MAX, HTTPS_TIMEOUT};
use crate::names::{Names, ResolveError};
use crate::settle::tune;
use crate::socket::Socket;
use crate::tls::{Protocol, provider};
use counted::Counted;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

mod counted;

/// The port of `https` where an address names none.
const PORT: u16 = 443;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The roots are no PEM certificates, or none.
    #[error("the provider's roots are not PEM certificates that can be used")]
    Roots,
    /// The TLS library refused the configuration.
    #[error("TLS configuration refused")]
    Config(#[source] rustls::Error),
    /// No address is known for the name, or nobody may be asked.
    #[error("cannot resolve {0}")]
    Resolve(Address, #[source] ResolveError),
    /// No TCP connection.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// Not who it should be, or the handshake did not finish.
    #[error("handshake with {0} failed")]
    Handshake(Url, #[source] io::Error),
    /// Not HTTP, or cut off.
    #[error("{0} did not answer in HTTP")]
    Http(Url, #[source] hyper::Error),
    /// Too long, or broken off.
    #[error("the answer of {0} broke off or has more than {HTTPS_ANSWER_MAX} bytes")]
    Body(Url),
    /// No answer in time.
    #[error("{0} did not answer in time")]
    Slow(Url),
    /// Not a request that can be written.
    #[error("a request to {0} cannot be written")]
    Request(Url, #[source] http::Error),
}

/// An address of an identity provider: `https://HOST[:PORT][/PATH]`, without user, query or fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    host: String,
    address: Address,
    path: String,
}

/// The text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not https://HOST[:PORT][/PATH]")]
pub struct UrlError(String);

impl FromStr for Url {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let bad = || UrlError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_uri| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        let plain = !authority.as_str().contains('@') && uri.query().is_none();
        if uri.scheme_str() != Some("https") || !plain || text.contains('#') {
            return Err(bad());
        }
        let host = authority.host();
        // A port that is no number of 16 bits is not as if none were named.
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => PORT,
            _ => authority.port_u16().ok_or_else(bad)?,
        };
        let address = format!("{host}:{port}").parse().map_err(|_address| bad())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Self { text: text.to_owned(), host, address, path: uri.path().to_owned() })
    }
}

impl Url {
    /// Where it is dialled.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, at most [`HTTPS_ANSWER_MAX`] bytes.
    pub body: Vec<u8>,
}

/// Asks one identity provider.
#[derive(Debug, Clone)]
pub struct Provider {
    config: Arc<ClientConfig>,
    names: Names,
}

impl Provider {
    /// Under these roots, PEM; names are asked of `names`.
    ///
    /// # Errors
    /// [`HttpsError::Roots`].
    pub fn new(roots: &str, names: Names) -> Result<Self, HttpsError> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            let root = root.map_err(|_pem| HttpsError::Roots)?;
            store.add(root).map_err(|_root| HttpsError::Roots)?;
        }
        if store.is_empty() {
            return Err(HttpsError::Roots);
        }
        let time = Arc::new(TlsTime(Arc::new(SystemClock)));
        let mut config = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(HttpsError::Config)?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.alpn_protocols = vec![Protocol::Http1.alpn().to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), names })
    }

    /// Reads what stands there.
    ///
    /// # Errors
    /// [`HttpsError`]; a status that is no success is an answer.
    pub async fn get(&self, url: &Url) -> Result<Answer, HttpsError> {
        self.ask(url, Request::builder().method(Method::GET), Bytes::new()).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// As [`Provider::get`].
    pub async fn post(&self, url: &Url, form: &[(&str, &str)]) -> Result<Answer, HttpsError> {
        let pair = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
        let body = form.iter().map(pair).collect::<Vec<_>>().join("&");
        let request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(url, request, body.into()).await
    }

    async fn ask(
        &self,
        url: &Url,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, HttpsError> {
        let host = url.text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        let request = request
            .uri(&url.path)
            .header(HOST, host.unwrap_or(&url.host))
            .header(ACCEPT, "application/json")
            .body(Full::new(body))
            .map_err(|error| HttpsError::Request(url.clone(), error))?;
        let slow = || HttpsError::Slow(url.clone());
        timeout(HTTPS_TIMEOUT, self.exchange(url, request)).await.map_err(|_elapsed| slow())?
    }

    async fn exchange(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpsError> {
        let stream = self.connect(url).await?;
        let broken = |error| HttpsError::Http(url.clone(), error);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let asking = async move {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), HTTPS_ANSWER_MAX).collect().await;
            // With the sender the connection ends, which is waited for beside this.
            drop(sender);
            Ok((status, body))
        };
        let (answer, _closed) = tokio::join!(asking, connection);
        let (status, body) = answer.map_err(broken)?;
        let body = body.map_err(|_cut| HttpsError::Body(url.clone()))?;
        Ok(Answer { status, body: body.to_bytes().to_vec() })
    }

    async fn connect(&self, url: &Url) -> Result<Counted, HttpsError> {
        let unknown = |why| HttpsError::Resolve(url.address.clone(), why);
        let resolved = self.names.resolve(&url.address).await.map_err(unknown)?;
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_name| HttpsError::Resolve(url.address.clone(), ResolveError::NoName))?;
        let mut last = unknown(ResolveError::NoAddress);
        for addr in resolved {
            match self.connect_one(url, addr, name.clone()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_one(
        &self,
        url: &Url,
        addr: SocketAddr,
        name: ServerName<'static>,
    ) -> Result<Counted, HttpsError> {
        let slow = || HttpsError::Slow(url.clone());
        #[expect(clippy::disallowed_types, reason = "this is where sockets are dialled (D3)")]
        let connecting = tokio::net::TcpStream::connect(addr);
        let tcp = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_elapsed| slow())?
            .map_err(|error| HttpsError::Connect(addr, error))?;
        tune(&tcp).map_err(|error| HttpsError::Connect(addr, error))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        // Never counted as proven: it is no part of the federation.
        let stream = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, Socket::new(tcp)))
            .await
            .map_err(|_elapsed| slow())?
            .map_err(|error| HttpsError::Handshake(url.clone(), error))?;
        Ok(Counted::new(stream))
    }
}

/// As a form writes it: everything but letters, digits and `-._~` by its bytes.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_of_a_host_and_no_more() {
        let url: Url = "https://id.kanto.example/realms/a".parse().unwrap();
        assert_eq!(url.address.to_string(), "id.kanto.example:443");
        assert_eq!((url.host.as_str(), url.path.as_str()), ("id.kanto.example", "/realms/a"));
        let url: Url = "https://127.0.0.1:8443".parse().unwrap();
        assert_eq!((url.address.to_string().as_str(), url.path.as_str()), ("127.0.0.1:8443", "/"));
        for bad in [
            "http://id.kanto.example/",
            "https:///x",
            "id.kanto.example",
            "https://user@id.kanto.example/",
            "https://id.kanto.example/?a=b",
            "https://id.kanto.example/#a",
            "https://id.kanto.example:99999/",
            "ftp://id.kanto.example/",
            "",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn forms_carry_any_text() {
        assert_eq!(encoded("urn:ietf:x y&z=é"), "urn%3Aietf%3Ax%20y%26z%3D%C3%A9");
    }

    #[test]
    fn without_roots_there_is_no_trust() {
        for pem in
            ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"]
        {
            assert!(matches!(Provider::new(pem, Names::default()), Err(HttpsError::Roots)));
        }
    }
}
