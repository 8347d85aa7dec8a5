//! Many hosts join: a token for each, signed by their operator's administrator, and a certificate for each from its issuer.
//!
//! Must hold: nothing is left out of what a host does; only the connections are shared, because a thousand handshakes
//! more would measure nothing that is of interest here.

use super::host::{Devices, Door, Host};
use crate::bench::cluster::Loopback;
use crate::bench::sekisho::{ADMIN, ADMIN_DIR, Caller};
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sekisho_evidence::genesis::{GenesisMember, SignedGenesis};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::internal::v1::JoinRequest;
use sekisho_proto::internal::v1::join_service_client::JoinServiceClient;
use sekisho_proto::v1::node_service_client::NodeServiceClient;
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::{Key, certificate_pem};
use sekisho_transport::verify::Expect;
use sekisho_types::device::Bucket;
use sekisho_types::id::{Digest, MemberId, NodeId};
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tonic::transport::Channel;

/// Joins of one worker that are under way at once: a member takes 64 hosts without a certificate, and workers enrol together.
const AT_ONCE: usize = 24;
/// Where the hosts stand: the operator of [`ADMIN`] has this site, and the ward that it lies in.
const OPERATOR: &str = "kanto";
const SITE: &str = "tokyo-1";
const AREA: &str = "131016";
/// Class of a host's one GPU where nobody says what it has.
const CLASS: &str = "sim-h100";
const MEMORY_MIB: u64 = 81_920;
/// Life of a token: longer than any enrolment takes.
const TOKEN_MS: u64 = 3_600_000;

/// Who enrols, and how agents reach the members.
#[derive(Debug)]
pub(super) struct Registry {
    administrator: Caller,
    /// For commands of the administrator.
    own: Channel,
    /// For hosts that have no certificate yet: a connection each, since one carries the answer to one join (D3).
    anonymous: (Dialer, Address, Expect),
    trust: Arc<TrustBundles>,
    members: Vec<GenesisMember>,
    k: u32,
    /// What each host has, by number; one GPU where nothing is said.
    devices: Vec<Devices>,
}

impl Registry {
    /// Of the federation in `dir`, whose controllers are found on three ports from `port_base` on.
    pub(super) fn open(dir: &Path, port_base: u16) -> Result<Self> {
        let administrator = Caller::open(dir, ADMIN, ADMIN_DIR)?;
        let genesis = SignedGenesis::open(&std::fs::read(dir.join("genesis.bin"))?)?.genesis;
        let (mut roots, mut pinned) = (BTreeMap::new(), None);
        for keys in &genesis.bundle.operators {
            let root = dir.join("operators").join(keys.operator.as_str()).join("root.pem");
            let bundle = Bundle::from_pem(keys.operator.clone(), &std::fs::read_to_string(root)?)?;
            if keys.operator.as_str() == OPERATOR {
                pinned = Some(Expect::CaHash(keys.roots.current));
            }
            roots.insert(keys.trust_domain.clone(), bundle);
        }
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&roots)?;
        let anonymous = Dialer::new(None, TrustBundles::new(Arc::new(SystemClock)));
        let address: Address = Loopback::port(port_base).socket().into();
        let pinned = pinned.context("the operator is in the bundle")?;
        Ok(Self {
            own: administrator.channel(port_base)?,
            administrator,
            anonymous: (anonymous, address, pinned),
            trust,
            members: genesis.members,
            k: genesis.bundle.k,
            devices: Vec::new(),
        })
    }

    /// Hosts have this, by number.
    pub(super) fn having(self, devices: Vec<Devices>) -> Self {
        Self { devices, ..self }
    }

    /// Hosts keep to one member, and take its word alone for their lease: what a lease costs the leader and no more.
    pub(super) fn only(mut self, member: MemberId) -> Self {
        self.members.retain(|known| known.member == member);
        Self { k: 1, ..self }
    }

    fn devices(&self, number: u32) -> Result<Devices> {
        if let Some(devices) = self.devices.get(usize::try_from(number)?) {
            return Ok(devices.clone());
        }
        let bucket = Bucket::whole(CLASS.parse()?, MEMORY_MIB, 0, [Digest::of(b"GPU-0")]);
        Ok(Devices { bucket, rack: None })
    }

    /// Enrols hosts by number.
    pub(super) async fn enrol(
        &self,
        numbers: impl Iterator<Item = u32>,
    ) -> Result<BTreeMap<NodeId, Arc<Host>>> {
        let hosts = stream::iter(numbers).map(|number| self.join(number));
        hosts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn join(&self, number: u32) -> Result<(NodeId, Arc<Host>)> {
        let node: NodeId = format!("{SITE}/a-{number:05}").parse()?;
        let secret: [u8; 32] = rand::random();
        let (token, expires) = (Digest::of(&secret), SystemClock.wall().plus_ms(TOKEN_MS));
        let command = Command::CreateToken { token, node: node.clone(), expires, approved: true };
        let request = NewToken { token, node: node.clone(), expires, approved: true }
            .request(self.administrator.intent(&command)?);
        NodeServiceClient::new(self.own.clone()).create_join_token(request).await?;
        let key = Key::generate()?;
        let request = JoinRequest {
            secret: secret.to_vec().into(),
            site: SITE.to_owned(),
            node: node.name.to_string(),
            area: AREA.to_owned(),
            csr: key.csr()?.into(),
            receipt_key: rand::random::<[u8; 32]>().to_vec().into(),
        };
        let (dialer, address, pinned) = &self.anonymous;
        // Each host comes from an address of its own, as hosts do: of one source a member takes few without a certificate.
        let [.., high, low] = number.to_be_bytes();
        let dialer = dialer.clone().leaving([127, 2, high, low].into());
        let route = dialer.channel(address, pinned, ChannelOptions::default())?;
        let answer = JoinServiceClient::new(route.channel()).join(request).await?;
        let chain = answer.into_inner().certificate_chain;
        let chain: String = chain.iter().map(|der| certificate_pem(&der.as_ref().into())).collect();
        let identity = Identity::from_pem(&chain, key.pem().expose())?;
        Ok((node, Host::new(self.k, self.doors(identity)?, self.devices(number)?)))
    }

    fn doors(&self, identity: Identity) -> Result<Vec<Door>> {
        let dialer = Dialer::new(Some(identity), Arc::clone(&self.trust));
        let door = |member: &GenesisMember| {
            let workload = Workload::Member { site: member.site.clone(), member: member.member.0 };
            let principal = Principal { operator: member.operator.clone(), workload };
            let route = dialer.channel(
                &member.address.parse()?,
                &Expect::Principal(principal),
                ChannelOptions::default(),
            )?;
            let (member, operator) = (member.member, member.operator.clone());
            Ok(Door { member, operator, channel: route.channel() })
        };
        self.members.iter().map(door).collect()
    }
}
