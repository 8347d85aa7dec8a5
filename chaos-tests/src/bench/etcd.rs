//! Debian's etcd as a peer: three members, mutual TLS to clients and between members, fsync as shipped.
//!
//! Clients reach it through the same dialler, with certificates of the same form and keys of the same kind as
//! Sekisho's own: what differs is behind the socket alone.

mod api;

use super::cluster::{
    BATCH, Cluster, Loopback, MEMBERS, Op, RequestBytes, Session, Timing, start_all,
};
use super::process::Process;
use anyhow::{Context as _, Result, ensure};
use futures::future::BoxFuture;
use sekisho_transport::address::Address;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::{Issued, OperatorCa, SecretPem, Validity};
use sekisho_transport::verify::Expect;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;

/// Debian's program, found on the path.
pub(super) const PROGRAM: &str = "etcd";
const DOMAIN: &str = "peer.example";
const SITE: &str = "bench-1";
/// Of the certificates: no measurement takes so long.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Bytes of a key.
const KEY: usize = 8;

/// Three members.
#[derive(Debug)]
pub(super) struct Etcd {
    members: Vec<Process>,
    port_base: u16,
    dialer: Dialer,
    request: RequestBytes,
}

/// Port of a member: clients on even, members on odd.
fn port(base: u16, member: usize, of: u16) -> Result<u16> {
    Ok(base.saturating_add(u16::try_from(member)?.saturating_mul(2)).saturating_add(of))
}

struct Files {
    chain: PathBuf,
    key: PathBuf,
    root: PathBuf,
}

fn write(dir: &Path, (issued, key): &(Issued, SecretPem), root: &str) -> Result<Files> {
    let files =
        Files { chain: dir.join("tls.pem"), key: dir.join("tls.key"), root: dir.join("root.pem") };
    std::fs::write(&files.chain, &issued.chain_pem)?;
    std::fs::write(&files.key, key.expose())?;
    std::fs::write(&files.root, root)?;
    Ok(files)
}

fn arguments(
    member: usize,
    (dir, files): (&Path, &Files),
    base: u16,
    timing: Timing,
) -> Result<Vec<OsString>> {
    let url = |member, of| {
        Ok::<_, anyhow::Error>(format!("https://127.0.0.1:{}", port(base, member, of)?))
    };
    let all: Result<Vec<String>> =
        (0..MEMBERS).map(|n| Ok(format!("n{n}={}", url(n, 1)?))).collect();
    let (client, peer) = (url(member, 0)?, url(member, 1)?);
    // Tuned, a false election at full load has not been seen; below that it has (performance.md, row 9).
    let (heartbeat, election) = match timing {
        Timing::Wan => ("100", "1000"),
        Timing::Lan => ("20", "200"),
    };
    let mut out: Vec<OsString> = vec!["--data-dir".into(), dir.join("data").into()];
    let text: [(&str, &str); 14] = [
        ("--name", &format!("n{member}")),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &all?.join(",")),
        ("--initial-cluster-state", "new"),
        ("--initial-cluster-token", "bench"),
        // The default of 2 GiB ends a long run.
        ("--quota-backend-bytes", "8589934592"),
        ("--log-level", "warn"),
        ("--heartbeat-interval", heartbeat),
        ("--election-timeout", election),
        ("--enable-v2", "false"),
        ("--logger", "zap"),
    ];
    out.extend(text.into_iter().map(|(flag, value)| format!("{flag}={value}").into()));
    for side in ["", "peer-"] {
        out.push(format!("--{side}client-cert-auth").into());
        for (flag, path) in [
            ("cert-file", &files.chain),
            ("key-file", &files.key),
            ("trusted-ca-file", &files.root),
        ] {
            out.extend([format!("--{side}{flag}").into(), path.into()]);
        }
    }
    Ok(out)
}

impl Etcd {
    /// Starts three members in `dir`, on six ports from `port_base` on. `request` is the size of key and value.
    pub(super) fn start(
        dir: &Path,
        port_base: u16,
        timing: Timing,
        request: RequestBytes,
    ) -> Result<Self> {
        let now = SystemClock.wall();
        let domain = TrustDomain::parse(DOMAIN)?;
        let ca = OperatorCa::create("peer".parse()?, domain.clone(), now)?;
        let (issuer, validity) = (ca.issuer(&[], now)?, Validity { now, lifetime: LIFETIME });
        let mut members = Vec::new();
        for member in 0..MEMBERS {
            let own = dir.join(member.to_string());
            std::fs::create_dir_all(&own)?;
            let number = u64::try_from(member)?.saturating_add(1);
            let ip = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
            let leaf = issuer.issue_member(&SITE.parse()?, number, &ip, None, validity)?;
            let files = write(&own, &leaf, &ca.root_pem())?;
            let arguments = arguments(member, (&own, &files), port_base, timing)?;
            members.push(Process::new(Path::new(PROGRAM), arguments, own.join("log")));
        }
        let (issued, key) = issuer.issue_user(&"bench".parse()?, validity)?;
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&BTreeMap::from([(domain, ca.bundle())]))?;
        let identity = Identity::from_pem(&issued.chain_pem, key.expose())?;
        let dialer = Dialer::new(Some(identity), trust);
        let mut new = Self { members, port_base, dialer, request };
        start_all(&mut new)?;
        Ok(new)
    }

    fn channel(&self, member: usize) -> Result<Channel> {
        let address: Address = Loopback::port(port(self.port_base, member, 0)?).socket().into();
        let route = self.dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default())?;
        Ok(route.channel())
    }
}

struct Connection {
    client: api::Client,
    request: RequestBytes,
}

fn key(sequence: u64) -> Vec<u8> {
    format!("{sequence:0KEY$}").into_bytes()
}

impl Connection {
    /// Of `bytes` in all.
    fn put(sequence: u64, bytes: usize) -> api::PutRequest {
        api::PutRequest { key: key(sequence), value: vec![b'v'; bytes.saturating_sub(KEY)] }
    }
}

impl Session for Connection {
    fn perform(&self, op: Op, sequence: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            match op {
                Op::Write => self.client.put(Self::put(sequence, self.request.write)).await,
                Op::Batch => {
                    let keys = sequence..sequence.saturating_add(BATCH);
                    let put = |key| Self::put(key, self.request.batch);
                    self.client.puts(keys.map(put).collect()).await
                }
                Op::Read => {
                    // Position 0, as every side's reads: only writes are positions in the log.
                    self.client.get(key(0)).await?;
                    Ok(0)
                }
            }
        })
    }
}

impl Cluster for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn offers(&self, _op: Op) -> bool {
        true
    }

    fn members(&mut self) -> &mut [Process] {
        &mut self.members
    }

    fn session(&self, member: usize) -> BoxFuture<'_, Result<Arc<dyn Session>>> {
        Box::pin(async move {
            let client = api::Client::new(self.channel(member)?);
            let connection = Connection { client, request: self.request };
            Ok(Arc::new(connection) as Arc<dyn Session>)
        })
    }

    fn leader(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            let mut ids = Vec::new();
            let mut leader = 0;
            for member in 0..MEMBERS {
                let status = api::Client::new(self.channel(member)?).status().await?;
                ids.push(status.header.unwrap_or_default().member_id);
                ensure!(status.leader != 0, "member {member} knows no leader");
                ensure!(leader == 0 || leader == status.leader, "two leaders are known");
                leader = status.leader;
            }
            ids.iter().position(|id| *id == leader).context("the leader is no member")
        })
    }

    fn request_bytes(&self) -> RequestBytes {
        self.request
    }
}
