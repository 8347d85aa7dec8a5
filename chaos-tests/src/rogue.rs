//! A rogue quorum: two controllers with copies of two operators' keys, and a throw-away agent that believes them.
//!
//! Must hold: this is the strongest case that the design has an answer for (D4): everything is signed as it should
//! be, by k distinct operators, and only the agent's own judgement stands between the grant and a process. It never
//! touches a running federation: keys are read, ports are its own, the agent is its own.

mod history;
mod log;
mod replay;
mod service;
mod submission;

use crate::federation::PATIENCE;
use anyhow::{Context as _, Result, ensure};
use history::History;
use sekisho_agent::enrolment::{Enrolment, Member, Root, Secrets};
use sekisho_agent::ledger::LedgerFile;
use sekisho_agent_core::ledger::Ledger;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::receipt::{Receipt, Refusal};
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_proto::internal::v1::agent_service_server::AgentServiceServer;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{Issuer, Key, Validity, signing};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::id::{NodeId, OperatorId};
use sekisho_types::time::Clock as _;
use service::Rogue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Operators whose keys the attacker has: two of three, a quorum.
pub const TURNED: [&str; 2] = ["kanto", "naniwa"];
/// Longer than the drill takes, shorter than a certificate may live.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What the rogues try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// A grant whose rules name a foreign area, to a node in Tokyo.
    ForeignArea,
    /// A grant that would be good, to a node that its operator's tag puts in Busan.
    TaggedAbroad,
    /// A flawless grant to a node in Tokyo, for a job that nobody submitted.
    Unsubmitted,
    /// A signed set, of which the record of the grant was altered on its way.
    AlteredRecord,
    /// A set from before the one that the agent accepted, and then its grant in a newer one.
    OldGrant,
    /// A newer set under a head of fewer records than the accepted one.
    ShorterLog,
}

/// What the rogues need of the victim's federation.
#[derive(Debug)]
pub struct Stolen {
    genesis: SignedGenesis,
    dir: PathBuf,
}

impl Stolen {
    /// Copies of the keys under a directory that `sekisho dev` made.
    ///
    /// # Errors
    /// There is none.
    pub fn from(dev: &Path) -> Result<Self> {
        let bytes = std::fs::read(dev.join("genesis.bin")).context("genesis.bin")?;
        Ok(Self { genesis: SignedGenesis::open(&bytes)?, dir: dev.join("operators") })
    }

    /// What the agent of an attempt that was played in `dir` has kept.
    ///
    /// # Errors
    /// No whole ledger of that node is there.
    pub fn ledger(&self, dir: &Path, node: &NodeId) -> Result<Ledger> {
        Ok(LedgerFile::of(&dir.join("data")).load(node, &self.genesis.genesis.bundle)?)
    }

    fn roots(&self) -> Result<BTreeMap<OperatorId, Bundle>> {
        let mut roots = BTreeMap::new();
        for keys in &self.genesis.genesis.bundle.operators {
            let pem =
                std::fs::read_to_string(self.dir.join(keys.operator.as_str()).join("root.pem"))?;
            roots.insert(keys.operator.clone(), Bundle::from_pem(keys.operator.clone(), &pem)?);
        }
        Ok(roots)
    }

    fn trust(&self) -> Result<Arc<TrustBundles>> {
        let roots = self.roots()?;
        let by_domain = self.genesis.genesis.bundle.operators.iter();
        let by_domain = by_domain
            .filter_map(|k| Some((k.trust_domain.clone(), roots.get(&k.operator)?.clone())));
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&by_domain.collect())?;
        Ok(trust)
    }

    /// A certificate and a site tag for a node of the first turned operator, as its issuer would make them.
    fn enrolment(&self, node: &NodeId, area: &str, members: Vec<Member>) -> Result<Enrolment> {
        let bundle = self.genesis.genesis.bundle.clone();
        let operator: OperatorId = TURNED[0].parse()?;
        let own = self.dir.join(operator.as_str());
        let issuer = Issuer::load(&own.join("sites").join(node.site.as_str()))?;
        let (now, key) = (SystemClock.wall(), Key::generate()?);
        let validity = Validity { now, lifetime: LIFETIME };
        let issued = issuer.issue_agent_from_csr(&key.csr()?, node, None, validity)?;
        let tag = SiteTag {
            cluster: bundle.cluster,
            operator: operator.clone(),
            node: node.clone(),
            area: TagArea::resolve(area)?,
            node_key: key.spki_sha256(),
            issued: now,
            expires: now.plus_ms(3_600_000),
            serial: 1,
        };
        let roots = self.roots()?;
        let root = |k: &sekisho_evidence::operator::OperatorKeys| {
            let der = roots.get(&k.operator)?.roots.first()?.to_vec();
            Some(Root { operator: k.operator.clone(), trust_domain: k.trust_domain.clone(), der })
        };
        Ok(Enrolment {
            node: node.clone(),
            operator,
            secrets: Secrets { key_pem: key.pem().expose().to_owned(), receipt_seed: [0x2f; 32] },
            chain_pem: issued.chain_pem,
            tag: tag.sign(&signing::read(&own.join("site-tag.key"))?)?,
            members,
            roots: bundle.operators.iter().filter_map(root).collect(),
            bundle,
        })
    }
}

/// An agent process; killed when dropped.
#[derive(Debug)]
struct Throwaway(Child);

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Gone already is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_agent(program: &Path, dir: &Path, node: &NodeId, area: &str) -> Result<Throwaway> {
    let config = dir.join("agent.toml");
    let text = format!(
        "node = \"{node}\"\narea = \"{area}\"\ndata_dir = \"{data}\"\nlog = \"info\"\n\n[devices]\n\
         kind = \"simulated\"\ndir = \"{devices}\"\n\n[[devices.groups]]\nclass = \"sim-h100\"\n\
         memory_mib = 81920\nislands = 1\ndevices = 2\n",
        data = dir.join("data").display(),
        devices = dir.join("devices").display(),
    );
    std::fs::write(&config, text)?;
    let log = std::fs::File::create(dir.join("agent.log"))?;
    let child = Command::new(program)
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("sekisho-agent")?;
    Ok(Throwaway(child))
}

/// Plays the attempt in `dir` with the agent program at `agent`, and gives the receipt that the agent signed.
///
/// # Errors
/// No receipt came, or one that does not verify: then the agent did not refuse as it must.
pub fn play(stolen: &Stolen, attempt: Attempt, agent: &Path, dir: &Path) -> Result<Refusal> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(perform(stolen, attempt, agent, dir))
}

async fn perform(stolen: &Stolen, attempt: Attempt, agent: &Path, dir: &Path) -> Result<Refusal> {
    std::fs::create_dir_all(dir.join("data"))?;
    let (node, area): (NodeId, &str) = match attempt {
        Attempt::ForeignArea => ("tokyo-1/rogue-1".parse()?, "131016"),
        Attempt::TaggedAbroad => ("tokyo-1/rogue-2".parse()?, "KR-26"),
        Attempt::Unsubmitted => ("tokyo-1/rogue-3".parse()?, "131016"),
        Attempt::AlteredRecord => ("tokyo-1/rogue-4".parse()?, "131016"),
        Attempt::OldGrant => ("tokyo-1/rogue-5".parse()?, "131016"),
        Attempt::ShorterLog => ("tokyo-1/rogue-6".parse()?, "131016"),
    };
    let tasks = TaskGroup::new();
    let (receipts, mut received) = mpsc::channel(4);
    let bundle = &stolen.genesis.genesis.bundle;
    let history = Arc::new(History::new(bundle.clone(), node.clone(), attempt));
    let members = serve(stolen, &history, &receipts, &tasks).await?;
    ensure!(members.len() == TURNED.len(), "the rogues lack a member");
    let enrolment = stolen.enrolment(&node, area, members)?;
    history.made_out_to(enrolment.standing(bundle)?.node_key());
    let ledger = Ledger::new(node.clone(), enrolment.bundle.clone());
    LedgerFile::of(&dir.join("data")).store(&ledger)?;
    enrolment.store(&dir.join("data"))?;
    let process = start_agent(agent, dir, &node, area)?;
    let log = dir.join("agent.log");
    let receipt: Receipt =
        tokio::time::timeout(PATIENCE, received.recv()).await.ok().flatten().with_context(
            || {
                format!(
                    "the agent sent no receipt: {}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                )
            },
        )?;
    drop(process);
    tasks.shutdown(Duration::from_secs(2)).await;
    Ok(receipt.verify(&enrolment.receipt_key().public())?)
}

/// Starts a rogue controller for each turned operator's member, on a port of its own.
async fn serve(
    stolen: &Stolen,
    history: &Arc<History>,
    receipts: &mpsc::Sender<Receipt>,
    tasks: &TaskGroup,
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for turned in
        stolen.genesis.genesis.members.iter().filter(|m| TURNED.contains(&m.operator.as_str()))
    {
        let own = stolen
            .dir
            .join(turned.operator.as_str())
            .join("members")
            .join(turned.member.to_string());
        let key: SigningKey = signing::read(&own.join("checkpoint.key"))?;
        let identity = Identity::load(&own)?;
        let listener = Listener::bind(
            "127.0.0.1:0".parse()?,
            &identity,
            &stolen.trust()?,
            tasks,
            Limits::default(),
        )
        .await?;
        members.push(Member {
            member: turned.member,
            operator: turned.operator.clone(),
            site: turned.site.clone(),
            address: listener.addr.to_string(),
        });
        let rogue = Rogue {
            operator: turned.operator.clone(),
            member: turned.member,
            key,
            leads: turned.operator.as_str() == TURNED[0],
            history: Arc::clone(history),
            receipts: receipts.clone(),
        };
        let server =
            tonic::transport::Server::builder().add_service(AgentServiceServer::new(rogue));
        let cancelled = tasks.cancelled();
        tasks.spawn_finishing(TaskKind::Ordinary, "rogue", async move {
            server.serve_with_incoming_shutdown(listener.authenticated, cancelled).await.ok();
        });
    }
    Ok(members)
}
