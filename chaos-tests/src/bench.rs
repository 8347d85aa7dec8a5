//! `make bench`: a federation of real processes under load from one client program, TLS, audit and checkpoints on.
//!
//! Must hold: no absolute number stands alone on a shared machine. Each round measures the disk's own durable append
//! next to the federation's, and what is reported is the ratio, as the median of the rounds with its spread.

use crate::federation::Federation;
use anyhow::{Context as _, Result, ensure};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::command::Command;
use sekisho_proto::v1::node_service_client::NodeServiceClient;
use sekisho_proto::v1::site_service_client::SiteServiceClient;
use sekisho_proto::v1::{
    CordonNodeRequest, GetSiteRequest, Intent, Signature, UncordonNodeRequest,
};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::signing;
use sekisho_transport::verify::Expect;
use sekisho_types::id::{Digest, NodeId, RequestId};
use sekisho_types::principal::Principal;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;

/// Ports of the federation under load.
const PORT_BASE: u16 = 27_300;
/// Rounds; their median is reported.
const ROUNDS: usize = 5;
/// Length of one measurement.
const ROUND: Duration = Duration::from_secs(2);
/// Bytes of one append to the disk: about what one command takes in the log.
const APPEND: usize = 4096;

/// An administrator who cordons and uncordons one node, and reads one site.
#[derive(Debug, Clone)]
struct Client {
    channel: Channel,
    genesis: Arc<SignedGenesis>,
    principal: Principal,
    key: SigningKey,
    node: NodeId,
}

impl Client {
    fn intent(&self, command: &Command) -> Result<Intent> {
        let bundle = &self.genesis.genesis.bundle;
        let request = RequestId(rand::random());
        let intention = Intention {
            cluster: bundle.cluster,
            incarnation: bundle.incarnation,
            request,
            command: Digest::of(&encode(command)?),
        };
        let signed = intention.sign(self.principal.clone(), &self.key);
        let signature = Signature {
            principal: signed.principal.to_string(),
            public_key: signed.key.0.to_vec().into(),
            signature: signed.signature.0.to_vec().into(),
        };
        Ok(Intent {
            request_id: request.to_string(),
            validate_only: false,
            signatures: vec![signature],
        })
    }

    async fn write(&self, schedulable: bool) -> Result<()> {
        let command = Command::SetSchedulable { node: self.node.clone(), schedulable };
        let (intent, name) = (
            Some(self.intent(&command)?),
            format!("sites/{}/nodes/{}", self.node.site, self.node.name),
        );
        let mut client = NodeServiceClient::new(self.channel.clone());
        if schedulable {
            client.uncordon_node(UncordonNodeRequest { name, intent }).await?;
        } else {
            client.cordon_node(CordonNodeRequest { name, intent }).await?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<()> {
        let request = GetSiteRequest { name: format!("sites/{}", self.node.site), read: None };
        SiteServiceClient::new(self.channel.clone()).get_site(request).await?;
        Ok(())
    }
}

fn client(federation: &Federation, member: u16) -> Result<Client> {
    let dir = federation.dir();
    let genesis = SignedGenesis::open(&std::fs::read(dir.join("genesis.bin"))?)?;
    let mut roots = BTreeMap::new();
    for keys in &genesis.genesis.bundle.operators {
        let pem = std::fs::read_to_string(
            dir.join("operators").join(keys.operator.as_str()).join("root.pem"),
        )?;
        roots.insert(keys.trust_domain.clone(), Bundle::from_pem(keys.operator.clone(), &pem)?);
    }
    let trust = TrustBundles::new(Arc::new(SystemClock));
    trust.replace(&roots)?;
    let own = dir.join("operators/kanto/users/admin");
    let dialer = Dialer::new(Some(Identity::load(&own)?), trust);
    let port = PORT_BASE.saturating_add(member);
    let address: Address = format!("127.0.0.1:{port}").parse()?;
    let route = dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default())?;
    Ok(Client {
        channel: route.channel(),
        genesis: Arc::new(genesis),
        principal: "kanto/user/admin".parse()?,
        key: signing::read(&own.join("sign.key"))?,
        node: "tokyo-1/n-01".parse()?,
    })
}

/// Operations of one measurement and their latencies, sorted, in microseconds.
#[derive(Debug)]
struct Measured(Vec<u64>);

impl Measured {
    fn rate(&self) -> u64 {
        let count = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        count.checked_div(ROUND.as_secs()).unwrap_or(0)
    }
    fn percentile(&self, percent: usize) -> u64 {
        let at = self.0.len().saturating_mul(percent).checked_div(100).unwrap_or(0);
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

async fn load(client: &Client, clients: usize, writes: bool) -> Result<Measured> {
    let end = Instant::now() + ROUND;
    let one = |n: usize| {
        let client = client.clone();
        async move {
            let (mut latencies, mut schedulable) = (Vec::new(), n.is_multiple_of(2));
            while Instant::now() < end {
                let begun = Instant::now();
                if writes {
                    client.write(schedulable).await?;
                } else {
                    client.read().await?;
                }
                latencies.push(micros(begun));
                schedulable = !schedulable;
            }
            Ok::<_, anyhow::Error>(latencies)
        }
    };
    let all = futures::future::try_join_all((0..clients).map(one)).await?;
    let mut latencies: Vec<u64> = all.into_iter().flatten().collect();
    latencies.sort_unstable();
    Ok(Measured(latencies))
}

/// Durable appends to one file, one after the other: what the disk itself can do.
fn disk(dir: &Path) -> Result<Measured> {
    let mut file = std::fs::File::create(dir.join("bench.append"))?;
    let (end, mut latencies) = (Instant::now() + ROUND, Vec::new());
    while Instant::now() < end {
        let begun = Instant::now();
        file.write_all(&[0x5e; APPEND])?;
        file.sync_data()?;
        latencies.push(micros(begun));
    }
    latencies.sort_unstable();
    Ok(Measured(latencies))
}

fn median(values: &mut [u64]) -> (u64, u64, u64) {
    values.sort_unstable();
    let at = |i: usize| values.get(i).copied().unwrap_or(0);
    let last = values.len().saturating_sub(1);
    (at(0), at(last.checked_div(2).unwrap_or(0)), at(last))
}

/// Runs every measurement and prints the table.
///
/// # Errors
/// The federation did not start, or a call failed: a benchmark that loses answers measures nothing.
pub fn run(dir: &Path) -> Result<()> {
    let federation = Federation::start(dir, PORT_BASE)?;
    let leader =
        u16::try_from(federation.leader()?).context("a small member id")?.saturating_sub(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = {
        // A channel belongs to the runtime that it was made in.
        let _entered = runtime.enter();
        client(&federation, leader)?
    };
    let kinds: [(&str, usize, bool); 5] = [
        ("durable write, 1 client", 1, true),
        ("durable write, 64 clients", 64, true),
        ("durable write, 256 clients", 256, true),
        ("linearizable read, 1 client", 1, false),
        ("linearizable read, 64 clients", 64, false),
    ];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "three members and four agents on this machine; TLS, audit and checkpoints on; {ROUNDS} rounds of {ROUND:?}"
    )?;
    writeln!(
        out,
        "{:<30} {:>22} {:>9} {:>9} {:>22}",
        "what", "per second min/med/max", "p50 us", "p99 us", "of the disk's appends"
    )?;
    for (what, clients, writes) in kinds {
        let (mut rates, mut p50, mut p99, mut ratios) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            // Interleaved, so that both see the same neighbours.
            let floor = disk(dir)?;
            let found = runtime.block_on(load(&client, clients, writes))?;
            ensure!(!found.0.is_empty(), "{what}: no answer in {ROUND:?}");
            ratios.push(found.rate().saturating_mul(100).checked_div(floor.rate()).unwrap_or(0));
            rates.push(found.rate());
            p50.push(found.percentile(50));
            p99.push(found.percentile(99));
        }
        let (low, mid, high) = median(&mut rates);
        let ratio = median(&mut ratios).1;
        let (p50, p99) = (median(&mut p50).1, median(&mut p99).1);
        let share = format!("{}.{:02}x", ratio / 100, ratio % 100);
        writeln!(
            out,
            "{what:<30} {:>22} {p50:>9} {p99:>9} {share:>22}",
            format!("{low}/{mid}/{high}")
        )?;
    }
    Ok(())
}
