//! A federation of three operators in memory, for tests: keys from seeds, entries stamped and signed as a client
//! and a member would. Not compiled into the products.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "test code: a broken fixture should fail loudly"
)]

mod device;
pub mod history;
mod job;
pub mod location;
mod membership;
mod quota;
pub mod sealed;

pub use device::{bucket, instances, shares};
pub use job::{PAYLOAD, job, payload_of, rules};
pub use membership::{administrator, agreement, company, endorser, newcomer, signed_bundle};
pub use quota::{first_quota, offer, reservation};

use crate::command::{Command, Group, Slot};
use crate::entry::{Entry, FEATURE_LEVEL};
use crate::outcome::Applied;
use crate::state::State;
use sekisho_evidence::bundle::{Endorser, EndorserBundle, OperatorSignature};
use sekisho_evidence::genesis::{Genesis, GenesisMember, GenesisSite, SignedGenesis};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_evidence::operator::{BackupKey, BundleRoot, Keys, OperatorKeys};
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_types::id::{
    ClusterId, Digest, JobId, MemberId, NodeId, OperatorId, PolicyId, RequestId, TenantId,
};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::patch::Patch;
use sekisho_types::principal::{KeyRecord, Principal, Role, TrustDomain, Workload};
use sekisho_types::quota::Limit;
use sekisho_types::residency::Rules;
use sekisho_types::revision::{Incarnation, PlacementId, Revision};
use sekisho_types::time::Timestamp;

/// Operators, their sites and areas: Tokyo, Sakai, Ishikari.
pub const OPERATORS: [(&str, &str, &str); 3] = [
    ("hokuto", "ishikari-1", "012351"),
    ("kanto", "tokyo-1", "131016"),
    ("naniwa", "sakai-1", "271403"),
];

/// The device class of every bucket.
pub const CLASS: &str = "sim-h100";

/// 2026-11-22T00:00:00Z.
pub const BEGIN: Timestamp = Timestamp(1_795_305_600_000);

/// A federation and the entries applied to it.
#[derive(Debug, Clone)]
pub struct Federation {
    /// The state.
    pub state: State,
    /// Every entry applied so far, with its revision.
    pub log: Vec<(Revision, Entry)>,
    /// What each of them produced.
    pub applied: Vec<Applied>,
    /// Wall clock that entries are stamped with.
    pub now: Timestamp,
    requests: u64,
}

/// The key of an operator for a purpose.
#[must_use]
pub fn key(purpose: &str, of: &str) -> SigningKey {
    SigningKey::from_seed(&Digest::of(format!("{purpose}/{of}").as_bytes()).0)
}

/// The signing key of a user.
#[must_use]
pub fn user_key(principal: &Principal) -> SigningKey {
    key("user", &principal.to_string())
}

/// The key with which a member signs checkpoints.
#[must_use]
pub fn checkpoint_key(member: MemberId) -> SigningKey {
    key("checkpoint", &member.to_string())
}

/// The key with which a node signs receipts.
#[must_use]
pub fn receipt_key(node: &NodeId) -> SigningKey {
    key("receipt", &node.to_string())
}

/// SHA-256 that stands for a node's certificate key.
#[must_use]
pub fn node_key(node: &NodeId) -> Digest {
    Digest::of(node.to_string().as_bytes())
}

/// `OPERATOR/user/NAME`.
#[must_use]
pub fn user(operator: &str, name: &str) -> Principal {
    Principal {
        operator: operator.parse().unwrap(),
        workload: Workload::User { name: name.parse().unwrap() },
    }
}

/// The administrator of an operator, who is also a federation-admin.
#[must_use]
pub fn admin(operator: &str) -> Principal {
    user(operator, "admin")
}

/// The member of an operator (1 hokuto, 2 kanto, 3 naniwa).
#[must_use]
pub fn member(operator: &str) -> Principal {
    let (index, (operator, site, _)) =
        (1u64..).zip(OPERATORS).find(|(_, (name, _, _))| *name == operator).unwrap();
    let workload = Workload::Member { site: site.parse().unwrap(), member: index };
    Principal { operator: operator.parse().unwrap(), workload }
}

/// The agent of a node.
#[must_use]
pub fn agent(node: &NodeId) -> Principal {
    let operator = OPERATORS.iter().find(|(_, site, _)| *site == node.site.as_str()).unwrap().0;
    let workload = Workload::Agent { site: node.site.clone(), node: node.name.clone() };
    Principal { operator: operator.parse().unwrap(), workload }
}

/// The cluster of the fixture.
#[must_use]
pub fn cluster() -> ClusterId {
    ClusterId([0x5e; 16])
}

/// What stands for an operator's root certificate: apply does not read them.
#[must_use]
pub fn root(operator: &str) -> BundleRoot {
    BundleRoot { operator: operator.parse().unwrap(), der: operator.as_bytes().to_vec() }
}

/// The keys of an operator of this name.
#[must_use]
pub fn operator_keys(operator: &str) -> OperatorKeys {
    OperatorKeys {
        operator: operator.parse().unwrap(),
        trust_domain: TrustDomain::parse(&format!("{operator}.example")).unwrap(),
        issuers: Keys::one(key("issuer", operator).public()),
        site_tags: Keys::one(key("site-tag", operator).public()),
        roots: Keys::one(root(operator).hash()),
        backups: Keys::one(BackupKey(key("backup", operator).public().0)),
    }
}

/// The signed genesis of the fixture.
#[must_use]
pub fn genesis() -> SignedGenesis {
    genesis_at(|id| format!("127.0.0.1:700{id}"))
}

/// The same, with members at these addresses.
#[must_use]
pub fn genesis_at(address: impl Fn(u64) -> String) -> SignedGenesis {
    let operators = OPERATORS.map(|(operator, _, _)| operator_keys(operator));
    let members: Vec<GenesisMember> = (1u64..)
        .zip(OPERATORS)
        .map(|(id, (operator, site, _))| GenesisMember {
            member: MemberId(id),
            operator: operator.parse().unwrap(),
            site: site.parse().unwrap(),
            address: address(id),
        })
        .collect();
    let endorsers = members
        .iter()
        .map(|m| Endorser {
            operator: m.operator.clone(),
            member: m.member,
            public_key: checkpoint_key(m.member).public(),
        })
        .collect();
    let keys = OPERATORS.map(|(operator, _, _)| KeyRecord {
        principal: admin(operator),
        role: Role::FederationAdmin,
        public_key: user_key(&admin(operator)).public(),
        expires: BEGIN.plus_ms(365 * 86_400_000),
    });
    let genesis = Genesis {
        bundle: EndorserBundle {
            cluster: cluster(),
            incarnation: Incarnation(1),
            version: 1,
            terms: Digest([0; 32]),
            k: 2,
            endorsers,
            operators: operators.to_vec(),
        },
        created: BEGIN,
        table: table_hash(),
        sites: OPERATORS
            .map(|(operator, site, area)| GenesisSite {
                site: site.parse().unwrap(),
                operator: operator.parse().unwrap(),
                area: Area::resolve(area).unwrap(),
                display_name: site.to_owned(),
            })
            .to_vec(),
        members,
        keys: keys.to_vec(),
        roots: OPERATORS.map(|(operator, _, _)| root(operator)).to_vec(),
        dev: true,
    };
    let mut sites = genesis.sites.clone();
    sites.sort();
    let genesis = Genesis { sites, ..genesis };
    let bytes = genesis.bytes().unwrap();
    let signatures = OPERATORS
        .map(|(operator, _, _)| OperatorSignature {
            operator: operator.parse().unwrap(),
            signature: key("issuer", operator).sign(Purpose::Genesis, &bytes),
        })
        .to_vec();
    SignedGenesis { genesis, signatures }
}

impl Default for Federation {
    fn default() -> Self {
        Self::new()
    }
}

impl Federation {
    /// A federation that has begun: sites that offer whatever they have, and administrators; no nodes or tenants.
    #[must_use]
    pub fn new() -> Self {
        let mut federation = Self::begun();
        federation.offer_all();
        federation
    }

    /// The first entry alone: nothing is offered.
    #[must_use]
    pub fn begun() -> Self {
        let mut federation = Self {
            state: State::default(),
            log: Vec::new(),
            applied: Vec::new(),
            now: BEGIN,
            requests: 0,
        };
        federation.accept(member("kanto"), Command::Bootstrap(Box::new(genesis())));
        federation
    }

    /// A federation with one tenant `sapporo` (quota 8), its user, and two nodes of 4 GPUs at each site.
    #[must_use]
    pub fn furnished() -> Self {
        let mut federation = Self::new();
        federation.tenant("sapporo", Limit::Gpus(8));
        for (_, site, _) in OPERATORS {
            for name in ["n-01", "n-02"] {
                federation.ready_node(&format!("{site}/{name}"), 4);
            }
        }
        federation
    }

    /// Stamps a command as this actor, signed by the actor and by `cosigners`.
    pub fn entry(&mut self, actor: Principal, cosigners: &[Principal], command: Command) -> Entry {
        self.requests = self.requests.saturating_add(1);
        let mut request = [0u8; 16];
        request[..8].copy_from_slice(&self.requests.to_be_bytes());
        let mut entry = Entry {
            cluster: cluster(),
            incarnation: self.state.federation().map_or(Incarnation(1), |held| held.incarnation),
            proposed_at: self.now,
            actor,
            request: RequestId(request),
            feature_level: FEATURE_LEVEL,
            command,
            signatures: Vec::new(),
            payload: Vec::new(),
        };
        entry.payload = payload_of(&entry.command);
        let intention = entry.intention().unwrap();
        let signers: Vec<Principal> =
            std::iter::once(&entry.actor).chain(cosigners).cloned().collect();
        if matches!(entry.actor.workload, Workload::User { .. }) {
            entry.signatures =
                signers.iter().map(|p| intention.sign(p.clone(), &user_key(p))).collect();
        }
        entry
    }

    /// Applies an entry at the next revision.
    pub fn apply(&mut self, entry: Entry) -> Applied {
        let revision = Revision(self.state.revision().0.saturating_add(1));
        let applied = self.state.apply(revision, &entry);
        self.log.push((revision, entry));
        self.applied.push(applied.clone());
        applied
    }

    /// Applies a command as this actor, cosigned by the other two administrators if it is one.
    pub fn run(&mut self, actor: Principal, command: Command) -> Applied {
        let cosigners: Vec<Principal> = OPERATORS
            .iter()
            .map(|(operator, _, _)| admin(operator))
            .filter(|p| *p != actor)
            .collect();
        let by_admin = cosigners.len() < OPERATORS.len();
        let for_all = matches!(
            command,
            Command::CreateSite { .. }
                | Command::PutTenant { .. }
                | Command::PutPolicy { .. }
                | Command::SetQuota { .. }
                | Command::SetBudget { .. }
                | Command::SetVoter { .. }
                | Command::SetMemberAddress { .. }
        );
        let entry = self.entry(actor, if by_admin && for_all { &cosigners } else { &[] }, command);
        self.apply(entry)
    }

    /// As [`Self::run`], and it must be accepted.
    pub fn accept(&mut self, actor: Principal, command: Command) -> Applied {
        let applied = self.run(actor, command.clone());
        assert!(applied.outcome.is_ok(), "{command:?}: {:?}", applied.outcome);
        applied
    }

    /// A tenant with a quota and a user `OPERATOR kanto/user/TENANT`.
    pub fn tenant(&mut self, name: &str, limit: Limit) -> TenantId {
        let tenant: TenantId = name.parse().unwrap();
        let put = Command::PutTenant {
            tenant: tenant.clone(),
            display_name: Patch::Set(name.to_owned()),
            policy: Patch::Keep,
            parent: Patch::Keep,
            expected: None,
        };
        self.accept(admin("kanto"), put);
        self.quota(&tenant, limit);
        let principal = user("kanto", name);
        let record = KeyRecord {
            public_key: user_key(&principal).public(),
            principal,
            role: Role::TenantUser(tenant.clone()),
            expires: BEGIN.plus_ms(86_400_000),
        };
        self.register(record);
        tenant
    }

    /// Registers a key, vouched for by the issuer of its principal's operator.
    pub fn register(&mut self, record: KeyRecord) {
        let operator = record.principal.operator.clone();
        let issuer = key("issuer", operator.as_str())
            .sign(Purpose::KeyRecord, &crate::apply::bytes_of(&record));
        self.accept(admin(operator.as_str()), Command::RegisterKey { record, issuer });
    }

    /// A policy with these rules.
    pub fn policy(&mut self, name: &str, rules: Rules) -> PolicyId {
        let policy: PolicyId = name.parse().unwrap();
        self.accept(
            admin("kanto"),
            Command::PutPolicy { policy: policy.clone(), rules, expected: None },
        );
        policy
    }

    /// A site tag for a node, naming `area`.
    #[must_use]
    pub fn tag(&self, node: &NodeId, area: &str, serial: u64) -> SiteTag {
        let operator: OperatorId = agent(node).operator;
        SiteTag {
            cluster: cluster(),
            operator,
            node: node.clone(),
            area: TagArea::resolve(area).unwrap(),
            node_key: node_key(node),
            issued: self.now,
            expires: self.now.plus_ms(24 * 3_600_000),
            serial,
        }
    }

    /// Makes a token and returns the command that enrols the node with it, tagged at `area`.
    pub fn enrolment(&mut self, node: &NodeId, area: &str) -> Command {
        self.enrolment_with(node, area, true)
    }

    /// As [`Self::enrolment`], with a token that says whether the node needs no approval.
    pub fn enrolment_with(&mut self, node: &NodeId, area: &str, approved: bool) -> Command {
        let token = Digest::of(format!("token/{node}/{}", self.requests).as_bytes());
        let operator = agent(node).operator;
        let expires = self.now.plus_ms(3_600_000);
        self.accept(
            admin(operator.as_str()),
            Command::CreateToken { token, node: node.clone(), expires, approved },
        );
        let tag = self.tag(node, area, 1).sign(&key("site-tag", operator.as_str())).unwrap();
        Command::EnrollNode {
            token,
            node: node.clone(),
            node_key: node_key(node),
            receipt_key: receipt_key(node).public(),
            tag,
        }
    }

    /// An enrolled node with an open session and one bucket of `gpus` GPUs.
    pub fn ready_node(&mut self, node: &str, gpus: u32) -> NodeId {
        self.ready_node_in(node, gpus, None)
    }

    /// As [`Self::ready_node`], in a rack.
    pub fn ready_node_in(&mut self, node: &str, gpus: u32, rack: Option<&str>) -> NodeId {
        let node: NodeId = node.parse().unwrap();
        let area = OPERATORS.iter().find(|(_, site, _)| *site == node.site.as_str()).unwrap().2;
        let enrol = self.enrolment(&node, area);
        self.accept(member(agent(&node).operator.as_str()), enrol);
        let session = self.fresh_session(&node);
        let open = self.session_of(&node, (session, None), gpus, rack);
        self.accept(agent(&node), open);
        node
    }

    /// Opens a session on a node; `previous` as its ledger would say.
    pub fn open(&mut self, node: &NodeId, gpus: u32, previous: Option<SessionId>) -> SessionId {
        let session = self.fresh_session(node);
        let open = self.session_of(node, (session, previous), gpus, None);
        self.accept(agent(node), open);
        session
    }

    fn fresh_session(&self, node: &NodeId) -> SessionId {
        let digest = Digest::of(format!("{node}/{}", self.requests).as_bytes());
        SessionId(digest.0[..16].try_into().unwrap())
    }

    fn session_of(
        &self,
        node: &NodeId,
        (session, previous): (SessionId, Option<SessionId>),
        gpus: u32,
        rack: Option<&str>,
    ) -> Command {
        Command::OpenSession {
            node: node.clone(),
            session,
            previous,
            buckets: vec![bucket(gpus)],
            live: Vec::new(),
            table: table_hash(),
            findings: Vec::new(),
            rack: rack.map(|rack| rack.parse::<TenantId>().unwrap().0),
        }
    }

    /// Submits a job as its tenant's user.
    pub fn submit(&mut self, facts: JobFacts) -> JobId {
        let id = facts.id.clone();
        let actor = user("kanto", id.tenant.as_str());
        self.accept(actor, Command::SubmitJob { facts: Box::new(facts) });
        id
    }

    /// Commits one group on these nodes, bucket 0.
    pub fn place(&mut self, job: &JobId, nodes: &[&str]) -> Applied {
        let places = nodes.iter().map(|n| Slot { node: n.parse().unwrap(), bucket: 0 }).collect();
        let groups = vec![Group { job: job.clone(), places }];
        let basis = self.state.revision();
        self.run(member("kanto"), Command::CommitPlacement { basis, groups, calls: None })
    }

    /// Placements of a job.
    #[must_use]
    pub fn placements(&self, job: &JobId) -> Vec<PlacementId> {
        self.state.job(job).unwrap().placements.clone()
    }
}
