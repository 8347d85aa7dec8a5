//! Sekisho under measurement: the shipped controllers of three operators, over mutual TLS, audit and checkpoints on.
//!
//! The write is the cheapest that an administrator has: cordon or uncordon one node, signed by the caller as every
//! widening verb is, checked and recorded by every member. `sekisho dev` makes keys and state through the API; for the
//! measurement its agents are stopped and its controllers run as our own children, so that every side is three processes.

use super::cluster::{Cluster, Loopback, MEMBERS, Op, Session, Timing};
use super::figure::OURS;
use super::process::Process;
use crate::federation::Federation;
use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::command::Command;
use sekisho_proto::v1::member_service_client::MemberServiceClient;
use sekisho_proto::v1::node_service_client::NodeServiceClient;
use sekisho_proto::v1::site_service_client::SiteServiceClient;
use sekisho_proto::v1::{
    CordonNodeRequest, GetSiteRequest, Intent, ListMembersRequest, Signature, UncordonNodeRequest,
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
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use tonic::transport::Channel;

/// The administrator, and the node and site that the operations name.
const ADMIN: &str = "kanto/user/admin";
const ADMIN_DIR: &str = "operators/kanto/users/admin";
const NODE: &str = "tokyo-1/n-01";

/// Who signs, and what.
#[derive(Debug)]
struct Administrator {
    genesis: SignedGenesis,
    principal: Principal,
    key: SigningKey,
    node: NodeId,
}

impl Administrator {
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
            incarnation: bundle.incarnation.0,
        })
    }

    /// The fields of both requests.
    fn request(&self, schedulable: bool) -> Result<(String, Option<Intent>)> {
        let command = Command::SetSchedulable { node: self.node.clone(), schedulable };
        let name = format!("sites/{}/nodes/{}", self.node.site, self.node.name);
        Ok((name, Some(self.intent(&command)?)))
    }
}

#[derive(Debug)]
struct Connection {
    channel: Channel,
    administrator: Arc<Administrator>,
}

impl Connection {
    async fn write(&self, schedulable: bool) -> Result<u64> {
        let (name, intent) = self.administrator.request(schedulable)?;
        let mut client = NodeServiceClient::new(self.channel.clone());
        let written = if schedulable {
            client.uncordon_node(UncordonNodeRequest { name, intent }).await?
        } else {
            client.cordon_node(CordonNodeRequest { name, intent }).await?
        };
        Ok(written.into_inner().revision)
    }

    async fn read(&self) -> Result<u64> {
        let name = format!("sites/{}", self.administrator.node.site);
        let request = GetSiteRequest { name, read: None };
        SiteServiceClient::new(self.channel.clone()).get_site(request).await?;
        Ok(0)
    }
}

impl Session for Connection {
    fn perform(&self, op: Op, sequence: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            match op {
                Op::Write => self.write(sequence.is_multiple_of(2)).await,
                Op::Read => self.read().await,
                // The place of the batched or streamed call, once the API has one.
                Op::Batch => bail!("the API has no call for several commands"),
            }
        })
    }
}

/// Three controllers.
#[derive(Debug)]
pub(super) struct Sekisho {
    members: Vec<Process>,
    port_base: u16,
    dialer: Dialer,
    administrator: Arc<Administrator>,
}

impl Sekisho {
    /// Makes a federation in `dir` and runs its controllers. Ports `port_base` to `port_base + 2`.
    pub(super) fn start(dir: &Path, port_base: u16, timing: Timing) -> Result<Self> {
        let federation = Federation::start(dir, port_base)?;
        federation.stop();
        // Its agents are gone with it; from here on nothing ends our members but this value.
        let program = federation.program("sekisho-controller");
        drop(federation);
        let mut members = Vec::new();
        for member in 1..=MEMBERS {
            let config = dir.join("controllers").join(member.to_string()).join("controller.toml");
            set_timing(&config, timing)?;
            let arguments: Vec<OsString> = vec!["--config".into(), config.into()];
            let log = dir.join("logs").join(format!("bench-{member}.log"));
            members.push(Process::new(&program, arguments, log));
        }
        let (dialer, administrator) = open(dir)?;
        let mut new = Self { members, port_base, dialer, administrator: Arc::new(administrator) };
        super::cluster::start_all(&mut new)?;
        Ok(new)
    }

    fn channel(&self, member: usize) -> Result<Channel> {
        let port = self.port_base.saturating_add(u16::try_from(member)?);
        let address: Address = Loopback::port(port).socket().into();
        let route = self.dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default())?;
        Ok(route.channel())
    }
}

/// At the top of the file: below the first table a key would belong to that table.
fn set_timing(config: &Path, timing: Timing) -> Result<()> {
    let text = std::fs::read_to_string(config)?;
    // The default stays unsaid, as in a real installation.
    if timing == Timing::Lan {
        std::fs::write(config, format!("timing = \"{}\"\n{text}", timing.name()))?;
    }
    Ok(())
}

fn open(dir: &Path) -> Result<(Dialer, Administrator)> {
    let genesis = SignedGenesis::open(&std::fs::read(dir.join("genesis.bin"))?)?;
    let mut roots = BTreeMap::new();
    for keys in &genesis.genesis.bundle.operators {
        let root = dir.join("operators").join(keys.operator.as_str()).join("root.pem");
        let pem = std::fs::read_to_string(root)?;
        roots.insert(keys.trust_domain.clone(), Bundle::from_pem(keys.operator.clone(), &pem)?);
    }
    let trust = TrustBundles::new(Arc::new(SystemClock));
    trust.replace(&roots)?;
    let own = dir.join(ADMIN_DIR);
    let key = signing::read(&own.join("sign.key"))?;
    let dialer = Dialer::new(Some(Identity::load(&own)?), trust);
    let (principal, node) = (ADMIN.parse()?, NODE.parse()?);
    Ok((dialer, Administrator { genesis, principal, key, node }))
}

impl Cluster for Sekisho {
    fn name(&self) -> &'static str {
        OURS
    }

    fn offers(&self, op: Op) -> bool {
        op != Op::Batch
    }

    fn members(&mut self) -> &mut [Process] {
        &mut self.members
    }

    fn session(&self, member: usize) -> BoxFuture<'_, Result<Arc<dyn Session>>> {
        Box::pin(async move {
            let administrator = Arc::clone(&self.administrator);
            let connection = Connection { channel: self.channel(member)?, administrator };
            Ok(Arc::new(connection) as Arc<dyn Session>)
        })
    }

    fn leader(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            for member in 0..MEMBERS {
                let mut client = MemberServiceClient::new(self.channel(member)?);
                let Ok(answer) = client.list_members(ListMembersRequest { read: None }).await
                else {
                    continue;
                };
                let leader = answer.into_inner().members.into_iter().find(|m| m.leader);
                let Some(leader) = leader else { continue };
                let number: usize = leader.name.trim_start_matches("members/").parse()?;
                return number.checked_sub(1).context("members are numbered from one");
            }
            bail!("no member knows a leader")
        })
    }

    fn request_bytes(&self) -> usize {
        use prost::Message as _;
        let request = self.administrator.request(false);
        request.map_or(0, |(name, intent)| CordonNodeRequest { name, intent }.encoded_len())
    }
}
