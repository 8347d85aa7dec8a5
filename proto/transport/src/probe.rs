//! Asking a member whether it is there: the handshake of a dialler, one question, and no more. For `doctor`.
//!
//! Must hold: as with every dial no byte of application data leaves before the peer is whom it should be (D3), and the
//! question carries none: it names a method of no service. What counts is that the peer answers over this connection: in
//! TLS 1.3 a refusal of the own certificate shows only then.

use crate::address::Address;
use crate::conn::Conn;
use crate::dial::{DialError, Dialer};
use crate::explain::{certificate_refused, explain};
use crate::identity::PeerIdentity;
use crate::verify::Expect;
use arc_swap::ArcSwapOption;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sekisho_types::time::Timestamp;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::body::Body;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What nobody serves: the answer says "unimplemented", which is one.
const METHOD: &str = "/sekisho.doctor/Answer";

/// A member that answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Where it did.
    pub addr: SocketAddr,
    /// Who it is, by its certificate.
    pub identity: Option<Arc<PeerIdentity>>,
    /// From the question to the answer, on the connection that stood already.
    pub rtt: Duration,
    /// Its wall clock while it answered, to the second below; `None` if it did not say.
    pub date: Option<Timestamp>,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or nobody who speaks our protocol at its end.
    Unreachable(String),
    /// Who answers is not whom it should be, or cannot prove it.
    Stranger(String),
    /// It refused the own certificate.
    Refused(String),
}

impl Trouble {
    fn of(error: &DialError) -> Self {
        let text = explain(error);
        match error {
            DialError::Handshake(_, cause) => match certificate_refused(cause) {
                Some(why) => Self::Refused(why.to_owned()),
                None if is_verdict(cause) => Self::Stranger(text),
                None => Self::Unreachable(text),
            },
            DialError::Settle(..) => Self::Stranger(text),
            DialError::Resolve(..)
            | DialError::Config(_)
            | DialError::Connect(..)
            | DialError::Slow(_)
            | DialError::Forbidden(_)
            | DialError::Http2(..)
            | DialError::Uri(_) => Self::Unreachable(text),
        }
    }
}

/// Whether a handshake ended because of what the peer showed, and not because it broke off.
fn is_verdict(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        tls,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}

impl Dialer {
    /// Asks whoever is at `address` and is whom `expect` names.
    ///
    /// # Errors
    /// [`Trouble`]. Bounded by the dialler's own times, save for the answer: the caller's deadline is that.
    pub async fn probe(&self, address: &Address, expect: &Expect) -> Result<Answer, Trouble> {
        let conn = self.connect(address, expect).await.map_err(|error| Trouble::of(&error))?;
        ask(conn, address).await
    }
}

async fn ask(conn: Conn, address: &Address) -> Result<Answer, Trouble> {
    let peer = conn.peer().clone();
    // The library keeps to itself what breaks a connection; the connection notes a refusal.
    let refused = Arc::<ArcSwapOption<String>>::default();
    let conn = TokioIo::new(conn.noting(Arc::clone(&refused)));
    let answered = question(conn, address).await;
    let (rtt, date) = answered.map_err(|error| match refused.load_full() {
        Some(why) => Trouble::Refused((*why).clone()),
        None => Trouble::Unreachable(error),
    })?;
    Ok(Answer { addr: peer.addr, identity: peer.identity, rtt, date })
}

/// Time to the answer, and the date in it.
async fn question(
    conn: TokioIo<Conn>,
    address: &Address,
) -> Result<(Duration, Option<Timestamp>), String> {
    let said = |error: hyper::Error| explain(&error);
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut send, driver) = builder.handshake(conn).await.map_err(said)?;
    let request = http::Request::post(format!("http://{address}{METHOD}"))
        .header(http::header::CONTENT_TYPE, "application/grpc")
        .header(http::header::TE, "trailers")
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let mut begun = Instant::now();
    let answer = async {
        send.ready().await?;
        begun = Instant::now();
        send.send_request(request).await
    };
    let answered = tokio::select! {
        answered = answer => answered.map_err(said)?,
        ended = driver => {
            ended.map_err(said)?;
            return Err("it closed the connection without an answer".to_owned());
        }
    };
    let date = answered.headers().get(http::header::DATE);
    Ok((begun.elapsed(), date.and_then(|date| date.to_str().ok()).and_then(http_date)))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is sent (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let (_, text) = text.split_once(", ")?;
    let mut words = text.strip_suffix(" GMT")?.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month =
        u64::try_from(MONTHS.iter().position(|known| *known == month)?).ok()?.checked_add(1)?;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<u64>);
    let (h, m, s) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    // Days since 1970 of a civil date (H. Hinnant); every term is small by the bounds above.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (year / 400, year % 400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(Timestamp((days * 86_400 + h * 3600 + m * 60 + s) * 1000))
}

/// Whether this host could listen at an address.
#[derive(Debug)]
pub enum Port {
    /// Nobody listens there.
    Free,
    /// Somebody does.
    Taken,
    /// It is no address of this host, or not allowed.
    Refused(io::Error),
}

/// Looks whether this host could listen at `addr`. Nothing listens there for it, not for a moment.
#[must_use]
pub fn port(addr: SocketAddr) -> Port {
    #[expect(
        clippy::disallowed_types,
        reason = "sockets are made in this crate (D3); this one hears nothing"
    )]
    let socket = if addr.is_ipv4() {
        tokio::net::TcpSocket::new_v4()
    } else {
        tokio::net::TcpSocket::new_v6()
    };
    // As a listener does: what is left of old connections does not hold a port.
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(addr)
    });
    match bound {
        Ok(()) => Port::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Port::Taken,
        Err(error) => Port::Refused(error),
    }
}

/// First and last instant of a certificate, whatever else it says.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    let validity = certificate.validity();
    Some((
        Timestamp(ms(validity.not_before.timestamp())),
        Timestamp(ms(validity.not_after.timestamp())),
    ))
}

#[cfg(test)]
mod tests;
