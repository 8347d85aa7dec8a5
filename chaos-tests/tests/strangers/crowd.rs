//! A thousand clients whose certificates are another authority's, each from an address of its own, and one that may.

use super::{PORT_BASE, user};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sekisho_chaos::federation::Federation;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;

/// Clients with certificates that nobody knows.
const CROWD: u16 = 1000;
/// Calls of the one that may, each on a connection of its own.
const CALLS: u32 = 60;
/// Pause of a client between two attempts: five thousand a second come in all.
const PAUSE: Duration = Duration::from_millis(200);

/// Strangers look at nobody's certificate.
#[derive(Debug)]
struct Blind;

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384]
    }
}

/// What a client of another authority shows that claims to be kanto.
fn config() -> ClientConfig {
    let now = SystemClock.wall();
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let ca = OperatorCa::create("kanto".parse().unwrap(), domain, now).unwrap();
    let validity = Validity { now, lifetime: Duration::from_secs(3600) };
    let issuer = ca.issuer(&[], now).unwrap();
    let (issued, key) = issuer.issue_user(&"admin".parse().unwrap(), validity).unwrap();
    let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes());
    let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Blind))
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Default)]
struct Count {
    attempts: AtomicU64,
    /// The member did its part of the handshake.
    looked_at: AtomicU64,
    over: AtomicBool,
}

/// One of the crowd, until it is over.
async fn stranger(number: u16, config: Arc<ClientConfig>, count: Arc<Count>) {
    let [high, low] = number.to_be_bytes();
    let to = SocketAddr::from(([127, 0, 0, 1], PORT_BASE));
    let connector = tokio_rustls::TlsConnector::from(config);
    while !count.over.load(Ordering::Relaxed) {
        count.attempts.fetch_add(1, Ordering::Relaxed);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 2, high, low], 0))).unwrap();
        if let Ok(socket) = socket.connect(to).await {
            let name = ServerName::try_from("c1.kanto.example").unwrap();
            if let Ok(mut stream) = connector.connect(name, socket).await {
                count.looked_at.fetch_add(1, Ordering::Relaxed);
                assert!(stream.read_u8().await.is_err(), "a stranger was answered");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Calls of somebody who may; their times, shortest first.
async fn calls(federation: &Federation, admin: &Identity) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let began = Instant::now();
        for answer in super::ask(federation, Some(admin.clone())).await {
            answer.unwrap();
        }
        times.push(began.elapsed());
    }
    times.sort();
    times
}

pub(crate) async fn slows_nobody(federation: &Federation) {
    let admin = Identity::load(&federation.dir().join("operators/kanto/users/admin")).unwrap();
    let quiet = calls(federation, &admin).await;
    let (config, count) = (Arc::new(config()), Arc::new(Count::default()));
    let crowd: Vec<_> = (0..CROWD)
        .map(|number| tokio::spawn(stranger(number, Arc::clone(&config), Arc::clone(&count))))
        .collect();
    while count.attempts.load(Ordering::Relaxed) < u64::from(CROWD) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = count.attempts.load(Ordering::Relaxed);
    let crowded = calls(federation, &admin).await;
    let during = count.attempts.load(Ordering::Relaxed).saturating_sub(began);
    count.over.store(true, Ordering::Relaxed);
    for stranger in crowd {
        stranger.await.unwrap();
    }
    let looked_at = count.looked_at.load(Ordering::Relaxed);
    for (what, times) in [("quiet", &quiet), ("crowd", &crowded)] {
        let (p50, most) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{what}: a connection and two calls, p50 and most: {p50:?} {most:?}");
    }
    let attempts = count.attempts.load(Ordering::Relaxed);
    println!(
        "{attempts} attempts of strangers, {during} of them meanwhile; looked at: {looked_at}"
    );
    assert!(looked_at > 0 && looked_at < attempts / 2, "{looked_at} of {attempts}");
    // And whoever is one of a kind with them is let in when they are gone.
    let issuer = sekisho_transport::pki::Issuer::load(&federation.dir().join("operators/hokuto"));
    for answer in super::ask(federation, Some(user(&issuer.unwrap(), "mallory"))).await {
        answer.unwrap_err();
    }
}
