//! Test-only: certificates with every fault that the verifiers must notice, a clock that stands still, and a
//! one-method gRPC service.

use crate::bundle::{Bundle, TrustBundles};
use crate::conn::Conn;
use crate::credential::Identity;
use crate::identity::Peer;
use crate::listen::ConnStream;
use crate::task::{TaskGroup, TaskKind};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sekisho_types::principal::{TrustDomain, Workload};
use sekisho_types::time::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::Status;
use tonic::codegen::BoxFuture;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// Stands at [`NOW`] until moved.
#[derive(Debug)]
pub(crate) struct StandingClock(AtomicU64);

impl StandingClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for StandingClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
    fn boottime_ns(&self) -> u64 {
        0
    }
}

pub(crate) fn clock() -> Arc<StandingClock> {
    Arc::new(StandingClock(AtomicU64::new(NOW.0)))
}

pub(crate) fn domain(text: &str) -> TrustDomain {
    TrustDomain::parse(text).unwrap()
}

/// A root and an intermediate of one operator, with the trust domain `OPERATOR.example`.
pub(crate) struct Authority {
    pub(crate) operator: String,
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    signer: rcgen::Issuer<'static, KeyPair>,
}

/// What the intermediate is constrained to.
pub(crate) enum Constraint {
    Dns(String),
    Directory,
    Uri(String),
    CriticalExtension,
}

fn ca(name: &str, operator: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("{operator} {name}"));
    params.distinguished_name.push(DnType::OrganizationName, operator);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn constraints(subtree: GeneralSubtree) -> NameConstraints {
    NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: vec![] }
}

impl Authority {
    pub(crate) fn new(operator: &str) -> Self {
        Self::constrained(operator, &Constraint::Dns(format!("{operator}.example")))
    }

    pub(crate) fn constrained(operator: &str, constraint: &Constraint) -> Self {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = ca("root", operator);
        let root_der = root.self_signed(&root_key).unwrap().der().clone();
        let mut params = ca("issuer", operator);
        match constraint {
            Constraint::Dns(name) => {
                params.name_constraints = Some(constraints(GeneralSubtree::DnsName(name.clone())));
            }
            Constraint::Directory => {
                let mut japan = rcgen::DistinguishedName::new();
                japan.push(DnType::CountryName, "JP");
                params.name_constraints = Some(constraints(GeneralSubtree::DirectoryName(japan)));
            }
            Constraint::Uri(host) => params.custom_extensions = vec![uri_constraint(host)],
            Constraint::CriticalExtension => params.custom_extensions = vec![location(true)],
        }
        let signer = rcgen::Issuer::new(root, root_key);
        let intermediate = params.signed_by(&key, &signer).unwrap().der().clone();
        let signer = rcgen::Issuer::new(params, key);
        Self { operator: operator.to_owned(), root: root_der, intermediate, signer }
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    pub(crate) fn intermediate(&self) -> CertificateDer<'static> {
        self.intermediate.clone()
    }

    pub(crate) fn domain(&self) -> TrustDomain {
        domain(&format!("{}.example", self.operator))
    }

    pub(crate) fn bundle(&self) -> (TrustDomain, Bundle) {
        let operator = self.operator.parse().unwrap();
        (self.domain(), Bundle { operator, roots: vec![self.root()] })
    }

    /// A good leaf for a SPIFFE path, to be spoiled.
    pub(crate) fn leaf(&self, path: &str) -> LeafBuilder<'_> {
        let dns = crate::spiffe::dns_name(&Workload::parse(path).unwrap(), &self.domain());
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let uris = vec![format!("spiffe://{}{path}", self.domain())];
        LeafBuilder { authority: self, params, uris, dns: vec![dns], other: vec![] }.days(0, 1)
    }

    pub(crate) fn identity(&self, path: &str) -> Identity {
        self.leaf(path).issue().identity()
    }
}

pub(crate) struct LeafBuilder<'a> {
    authority: &'a Authority,
    params: CertificateParams,
    uris: Vec<String>,
    dns: Vec<String>,
    other: Vec<SanType>,
}

pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: Vec<CertificateDer<'static>>,
}

impl Leaf {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.chain, &self.key).unwrap()
    }
}

impl LeafBuilder<'_> {
    pub(crate) fn uris(mut self, uris: &[&str]) -> Self {
        self.uris = uris.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn dns(mut self, dns: &[&str]) -> Self {
        self.dns = dns.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn email(mut self) -> Self {
        self.other.push(SanType::Rfc822Name("a@kanto.example".try_into().unwrap()));
        self
    }

    /// Valid from and until this many days after [`NOW`].
    pub(crate) fn days(mut self, from: i64, until: i64) -> Self {
        let now = rcgen::date_time_ymd(2026, 1, 1);
        let at = |days: i64| {
            let span = Duration::from_secs(days.unsigned_abs() * 86_400);
            if days < 0 { now - span } else { now + span }
        };
        (self.params.not_before, self.params.not_after) = (at(from), at(until));
        self
    }

    pub(crate) fn usage(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.params.extended_key_usages = usages.to_vec();
        self
    }

    pub(crate) fn authority(mut self) -> Self {
        self.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    pub(crate) fn subject_in_japan(mut self) -> Self {
        self.params.distinguished_name.push(DnType::CountryName, "JP");
        self
    }

    pub(crate) fn extension(mut self, extension: CustomExtension) -> Self {
        self.params.custom_extensions.push(extension);
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = self.params.clone();
        let uri = |uri: &String| SanType::URI(uri.as_str().try_into().unwrap());
        let dns = |dns: &String| SanType::DnsName(dns.as_str().try_into().unwrap());
        params.subject_alt_names =
            self.uris.iter().map(uri).chain(self.dns.iter().map(dns)).collect();
        params.subject_alt_names.extend(self.other.iter().cloned());
        params
    }

    pub(crate) fn issue(&self) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let leaf = self.params().signed_by(&key, &self.authority.signer).unwrap();
        self.finish(&key, leaf.der().clone())
    }

    pub(crate) fn self_signed(&self) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let leaf = self.params().self_signed(&key).unwrap();
        self.finish(&key, leaf.der().clone())
    }

    fn finish(&self, key: &KeyPair, leaf: CertificateDer<'static>) -> Leaf {
        let der = vec![leaf, self.authority.intermediate(), self.authority.root()];
        let chain = der.iter().map(|der| crate::pki::certificate_pem(der)).collect();
        Leaf { chain, key: key.serialize_pem(), der }
    }
}

/// NameConstraints with one permitted URI subtree, which the certificate library cannot write.
fn uri_constraint(host: &str) -> CustomExtension {
    let wrap = |tag: u8, der: &[u8]| [&[tag, u8::try_from(der.len()).unwrap()], der].concat();
    let subtree = wrap(0x30, &wrap(0x86, host.as_bytes()));
    let der = wrap(0x30, &wrap(0xa0, &subtree));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], der);
    extension.set_criticality(true);
    extension
}

/// Some other product's location extension.
pub(crate) fn location(critical: bool) -> CustomExtension {
    let oid = [1, 3, 6, 1, 4, 1, 99999, 1];
    let mut extension = CustomExtension::from_oid_content(&oid, b"\x0c\x02JP".to_vec());
    extension.set_criticality(critical);
    extension
}

/// Our residency extension with any text.
pub(crate) fn residency(text: &str, critical: bool) -> CustomExtension {
    let der = [&[0x0c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let mut extension = CustomExtension::from_oid_content(crate::spiffe::RESIDENCY_OID, der);
    extension.set_criticality(critical);
    extension
}

pub(crate) fn trust(authorities: &[&Authority]) -> Arc<TrustBundles> {
    trust_at(clock(), authorities)
}

pub(crate) fn trust_at(clock: Arc<dyn Clock>, authorities: &[&Authority]) -> Arc<TrustBundles> {
    let bundles = TrustBundles::new(clock);
    bundles.replace(&authorities.iter().map(|authority| authority.bundle()).collect()).unwrap();
    bundles
}

/// Answers with what was said and who said it.
#[derive(Clone)]
pub(crate) struct Echo {
    answer: Arc<dyn Fn(String, Peer) -> Result<String, Status> + Send + Sync>,
}

impl Echo {
    pub(crate) fn new(
        answer: impl Fn(String, Peer) -> Result<String, Status> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Arc::new(answer) }
    }

    pub(crate) fn serve(self, tasks: &TaskGroup, incoming: ConnStream) {
        let server = tonic::transport::Server::builder().add_service(self);
        tasks.spawn(TaskKind::Ordinary, "echo", async move {
            server.serve_with_incoming(incoming).await.unwrap();
        });
    }
}

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl tonic::server::UnaryService<String> for Echo {
    type Response = String;
    type Future = BoxFuture<tonic::Response<String>, Status>;
    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().cloned().unwrap();
        let answer = (self.answer)(request.into_inner(), peer).map(tonic::Response::new);
        Box::pin(std::future::ready(answer))
    }
}

impl tower::Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<String, String>::default();
            Ok(tonic::server::Grpc::new(codec).unary(service, request).await)
        })
    }
}

/// One call of [`Echo`].
pub(crate) async fn say(channel: tonic::transport::Channel, text: &str) -> Result<String, Status> {
    say_to(tonic::client::Grpc::new(channel), text).await
}

/// The same through any channel.
pub(crate) async fn say_to<T>(
    mut client: tonic::client::Grpc<T>,
    text: &str,
) -> Result<String, Status>
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: std::fmt::Display + Into<tonic::codegen::StdError>,
    T::ResponseBody: tonic::codegen::Body + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
{
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<String, String>::default();
    let path = http::uri::PathAndQuery::from_static("/test.Echo/Say");
    let request = tonic::Request::new(text.to_owned());
    client.unary(request, path, codec).await.map(tonic::Response::into_inner)
}

/// Takes the next connection of a stream.
pub(crate) async fn next(stream: &mut ConnStream) -> Conn {
    use futures::StreamExt as _;
    tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap()
}

/// The certificates of a PEM chain.
pub(crate) fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// A socket without TLS.
#[expect(clippy::disallowed_types, reason = "a peer that misbehaves below TLS")]
pub(crate) async fn raw(addr: std::net::SocketAddr) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(addr).await.unwrap()
}
