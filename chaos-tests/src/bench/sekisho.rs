//! Sekisho under measurement: the shipped controllers of three operators, over mutual TLS, audit and checkpoints on.
//!
//! The write is the cheapest that an administrator has: cordon or uncordon one node, signed by the caller as every
//! widening verb is, checked and recorded by every member. The batch submits 64 jobs and the next one cancels them, so
//! that the queue stays as short as it is. `sekisho dev` makes keys and state through the API; for the
//! measurement its agents are stopped and its controllers run as our own children, so that every side is three processes.

use super::cluster::{BATCH, Cluster, Loopback, MEMBERS, Op, RequestBytes, Session, Timing};
use super::figure::OURS;
use super::process::Process;
use crate::federation::Federation;
use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message as _;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::convert::job::{NewJob, batch_request};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_proto::v1::member_service_client::MemberServiceClient;
use sekisho_proto::v1::node_service_client::NodeServiceClient;
use sekisho_proto::v1::site_service_client::SiteServiceClient;
use sekisho_proto::v1::{
    BatchCancelJobsRequest, BatchCreateJobsRequest, CordonNodeRequest, GetSiteRequest, Intent,
    ListMembersRequest, Signature, UncordonNodeRequest,
};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::signing;
use sekisho_transport::verify::Expect;
use sekisho_types::id::{ClusterId, Digest, JobId, NodeId, RequestId, TenantId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect, OverLimit, Resources};
use sekisho_types::payload::JobPayload;
use sekisho_types::principal::Principal;
use sekisho_types::rare::Rare;
use sekisho_types::revision::Incarnation;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use tonic::transport::Channel;

/// The administrator, and the node and site that the operations name.
pub(crate) const ADMIN: &str = "kanto/user/admin";
pub(crate) const ADMIN_DIR: &str = "operators/kanto/users/admin";
const NODE: &str = "tokyo-1/n-01";
/// Whoever submits jobs, and for whom.
const USER: &str = "hokuto/user/sapporo";
const USER_DIR: &str = "operators/hokuto/users/sapporo";
const TENANT: &str = "sapporo";
const CLASS: &str = "sim-h100";

/// Somebody who calls and signs.
#[derive(Debug)]
pub(crate) struct Caller {
    cluster: ClusterId,
    incarnation: Incarnation,
    principal: Principal,
    key: SigningKey,
    dialer: Dialer,
}

impl Caller {
    /// `principal` with what lies in `own`.
    pub(crate) fn open(dir: &Path, principal: &str, own: &str) -> Result<Self> {
        let genesis = SignedGenesis::open(&std::fs::read(dir.join("genesis.bin"))?)?;
        let mut roots = BTreeMap::new();
        for keys in &genesis.genesis.bundle.operators {
            let root = dir.join("operators").join(keys.operator.as_str()).join("root.pem");
            let pem = std::fs::read_to_string(root)?;
            roots.insert(keys.trust_domain.clone(), Bundle::from_pem(keys.operator.clone(), &pem)?);
        }
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&roots)?;
        let own = dir.join(own);
        let bundle = &genesis.genesis.bundle;
        Ok(Self {
            cluster: bundle.cluster,
            incarnation: bundle.incarnation,
            principal: principal.parse()?,
            key: signing::read(&own.join("sign.key"))?,
            dialer: Dialer::new(Some(Identity::load(&own)?), trust),
        })
    }

    pub(crate) fn channel(&self, port: u16) -> Result<Channel> {
        let address: Address = Loopback::port(port).socket().into();
        let route = self.dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default())?;
        Ok(route.channel())
    }

    pub(crate) fn intent(&self, command: &Command) -> Result<Intent> {
        let request = RequestId(rand::random());
        let intention = Intention {
            cluster: self.cluster,
            incarnation: self.incarnation,
            request,
            command: command.digest()?,
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
            incarnation: self.incarnation.0,
        })
    }
}

/// The callers, and the node and tenant that they call about.
#[derive(Debug)]
struct Callers {
    administrator: Caller,
    user: Caller,
    node: NodeId,
    tenant: TenantId,
}

impl Callers {
    fn open(dir: &Path) -> Result<Self> {
        Ok(Self {
            administrator: Caller::open(dir, ADMIN, ADMIN_DIR)?,
            user: Caller::open(dir, USER, USER_DIR)?,
            node: NODE.parse()?,
            tenant: TENANT.parse()?,
        })
    }

    /// The fields of a cordon and of its contrary.
    fn cordon(&self, schedulable: bool) -> Result<(String, Option<Intent>)> {
        let command = Command::SetSchedulable { node: self.node.clone(), schedulable };
        Ok((self.node.name(), Some(self.administrator.intent(&command)?)))
    }

    /// A batch of jobs that nobody has submitted before.
    fn jobs(&self) -> Result<Vec<NewJob>> {
        let payload = JobPayload { command: vec!["true".into()], ..JobPayload::default() };
        let payload = encode(&payload)?;
        let batch = rand::random::<u64>();
        let facts = |number: u64| {
            let name = format!("b-{batch:016x}-{number}");
            Ok(JobFacts {
                id: JobId { tenant: self.tenant.clone(), name: name.parse()?, task: None },
                kind: Kind::Batch,
                group: 1,
                resources: Resources::of(CLASS.parse()?, 1),
                topology: Rare::default(),
                priority: 50,
                policy: None,
                reservation: None,
                residency: Rare::default(),
                on_disconnect: OnDisconnect::Stop,
                over_limit: OverLimit::Queue,
                time_limit_s: 3600,
                after: Rare::default(),
                not_before: None,
                start_by: None,
                payload: Digest::of(&payload),
                payload_len: u32::try_from(payload.len())?,
                sealed_to: Rare::default(),
                area_only: false,
            })
        };
        let new = |facts| NewJob { facts, payload: payload.clone().into() };
        (0..BATCH).map(|number| facts(number).map(new)).collect()
    }

    fn submit(&self, jobs: &[NewJob]) -> Result<BatchCreateJobsRequest> {
        let item = |job: &NewJob| Item::SubmitJob { facts: Box::new(job.facts.clone()) };
        let intent = self.user.intent(&Command::Batch(jobs.iter().map(item).collect()))?;
        Ok(batch_request(&self.tenant, jobs, intent))
    }

    fn cancel(&self, jobs: &[JobId]) -> Result<BatchCancelJobsRequest> {
        let item = |job: &JobId| Item::CancelJob { job: job.clone() };
        let intent = self.user.intent(&Command::Batch(jobs.iter().map(item).collect()))?;
        let (parent, names) = (self.tenant.name(), jobs.iter().map(JobId::name).collect());
        Ok(BatchCancelJobsRequest { parent, names, intent: Some(intent) })
    }
}

#[derive(Debug)]
struct Connection {
    channel: Channel,
    user: Channel,
    callers: Arc<Callers>,
    /// Submitted and not cancelled yet.
    queued: Mutex<Vec<Vec<JobId>>>,
}

impl Connection {
    async fn write(&self, schedulable: bool) -> Result<u64> {
        let (name, intent) = self.callers.cordon(schedulable)?;
        let mut client = NodeServiceClient::new(self.channel.clone());
        let written = if schedulable {
            client.uncordon_node(UncordonNodeRequest { name, intent }).await?
        } else {
            client.cordon_node(CordonNodeRequest { name, intent }).await?
        };
        Ok(written.into_inner().revision)
    }

    async fn read(&self) -> Result<u64> {
        let name = self.callers.node.site.name();
        let request = GetSiteRequest { name, read: None };
        SiteServiceClient::new(self.channel.clone()).get_site(request).await?;
        Ok(0)
    }

    async fn batch(&self) -> Result<u64> {
        let mut client = JobServiceClient::new(self.user.clone());
        let queued = self.queued.lock().pop();
        if let Some(jobs) = queued {
            let request = self.callers.cancel(&jobs)?;
            return Ok(client.batch_cancel_jobs(request).await?.into_inner().revision);
        }
        let jobs = self.callers.jobs()?;
        let written = client.batch_create_jobs(self.callers.submit(&jobs)?).await?;
        self.queued.lock().push(jobs.into_iter().map(|job| job.facts.id).collect());
        Ok(written.into_inner().revision)
    }
}

impl Session for Connection {
    fn perform(&self, op: Op, sequence: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            match op {
                Op::Write => self.write(sequence.is_multiple_of(2)).await,
                Op::Read => self.read().await,
                Op::Batch => self.batch().await,
            }
        })
    }
}

/// Three controllers.
#[derive(Debug)]
pub(super) struct Sekisho {
    members: Vec<Process>,
    port_base: u16,
    callers: Arc<Callers>,
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
        let mut new = Self { members, port_base, callers: Arc::new(Callers::open(dir)?) };
        super::cluster::start_all(&mut new)?;
        Ok(new)
    }

    fn port(&self, member: usize) -> Result<u16> {
        Ok(self.port_base.saturating_add(u16::try_from(member)?))
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

impl Cluster for Sekisho {
    fn name(&self) -> &'static str {
        OURS
    }

    fn offers(&self, _op: Op) -> bool {
        true
    }

    fn members(&mut self) -> &mut [Process] {
        &mut self.members
    }

    fn session(&self, member: usize) -> BoxFuture<'_, Result<Arc<dyn Session>>> {
        Box::pin(async move {
            let callers = Arc::clone(&self.callers);
            let port = self.port(member)?;
            let (channel, user) =
                (callers.administrator.channel(port)?, callers.user.channel(port)?);
            let connection = Connection { channel, user, callers, queued: Mutex::default() };
            Ok(Arc::new(connection) as Arc<dyn Session>)
        })
    }

    fn leader(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            for member in 0..MEMBERS {
                let channel = self.callers.administrator.channel(self.port(member)?)?;
                let mut client = MemberServiceClient::new(channel);
                let Ok(answer) = client.list_members(ListMembersRequest::default()).await else {
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

    fn request_bytes(&self) -> RequestBytes {
        let write = self.callers.cordon(false);
        let write = write.map(|(name, intent)| CordonNodeRequest { name, intent }.encoded_len());
        // A batch that submits and one that cancels are sent as often.
        let batch = self.callers.jobs().and_then(|jobs| {
            let ids: Vec<JobId> = jobs.iter().map(|job| job.facts.id.clone()).collect();
            let submit = self.callers.submit(&jobs)?.encoded_len();
            Ok(submit.saturating_add(self.callers.cancel(&ids)?.encoded_len()))
        });
        let commands = usize::try_from(BATCH.saturating_mul(2)).unwrap_or(usize::MAX);
        let batch = batch.map(|bytes| bytes.checked_div(commands).unwrap_or_default());
        RequestBytes { write: write.unwrap_or_default(), batch: batch.unwrap_or_default() }
    }
}
