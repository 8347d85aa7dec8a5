//! Test-only: a federation of three operators (k = 2) with one member each, and histories that it signs.
#![expect(clippy::arithmetic_side_effects, reason = "test values are small")]

mod device;
pub(crate) mod location;
mod sealed;

pub(crate) use device::devices;

use crate::desired::{Consistency, Delivery, Proved, SignedSet};
use crate::ledger::Ledger;
use crate::location::Location;
use crate::standing::Standing;
use crate::verify::Fetched;
use sekisho_evidence::batch::{Place, Tree};
use sekisho_evidence::bundle::{Endorser, EndorserBundle, OperatorSignature, SignedBundle};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine};
use sekisho_evidence::command::Intention;
use sekisho_evidence::genesis::{Genesis, GenesisMember, GenesisSite, SignedGenesis};
use sekisho_evidence::grant::{BoundRules, Grant, Instance, NodeDesired, SessionId, set_hash};
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_evidence::merkle::{Frontier, Head, prove_consistency, prove_inclusion};
use sekisho_evidence::opening::{Cause, Opening, Restored, Withdrawn};
use sekisho_evidence::operator::{BackupKey, BundleRoot, Keys, OperatorKeys};
use sekisho_evidence::package::TrustPackage;
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::snapshot_file::LastLog;
use sekisho_evidence::submission::{Submission, Under, submit_command, submit_item};
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_evidence::terms::{Agreement, Terms};
use sekisho_evidence::voucher::Voucher;
use sekisho_types::id::{ClusterId, Digest, MemberId, OperatorId, RequestId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect, OverLimit, Resources};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::principal::{KeyRecord, Role, TrustDomain};
use sekisho_types::rare::Rare;
use sekisho_types::revision::{Epoch, Incarnation, PlacementId, Revision};
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2026-11-22.
pub(crate) const NOW: Timestamp = Timestamp(1_795_305_600_000);
pub(crate) const SESSION: SessionId = SessionId([5; 16]);
pub(crate) const PAYLOAD: &[u8] = b"payload";
const OPERATORS: [&str; 3] = ["hokuto", "kanto", "naniwa"];

pub(crate) fn epoch(revision: u64) -> Epoch {
    Epoch { incarnation: Incarnation(1), revision: Revision(revision) }
}

/// Record bytes of the grant with an area of six letters in place of one of its own.
pub(crate) fn grant_bytes_abroad(grant: &Grant, area: &str) -> Vec<u8> {
    let mut grant = grant.clone();
    let mark = "012351";
    grant.rules[0].rules.areas = [mark.to_owned().try_into().unwrap()].into();
    let revision = grant.placement.epoch.revision;
    let body = Body::Grant(Box::new(grant));
    let bytes = Record { revision, time: NOW, body }.bytes().unwrap();
    let at = bytes.windows(mark.len()).position(|w| w == mark.as_bytes()).unwrap();
    let (before, after) = (&bytes[..at - 1], &bytes[at + mark.len()..]);
    [before, &[u8::try_from(area.len()).unwrap()], area.as_bytes(), after].concat()
}

/// Nothing proven, of the fixture's start of the agent.
pub(crate) fn located() -> Location {
    Location::new(INSTANCE, receipt_key().public())
}

/// The start of the agent.
pub(crate) const INSTANCE: Instance = Instance([6; 16]);

/// What the agent signs receipts and transcripts with.
pub(crate) fn receipt_key() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

#[derive(Debug, Clone)]
pub(crate) struct Federation {
    pub(crate) cluster: ClusterId,
}

impl Federation {
    pub(crate) fn new() -> Self {
        Self { cluster: ClusterId([1; 16]) }
    }

    pub(crate) fn key(&self, number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    pub(crate) fn operator(&self, member: u64) -> OperatorId {
        OPERATORS[usize::try_from(member).unwrap() - 1].parse().unwrap()
    }

    pub(crate) fn bundle(&self) -> EndorserBundle {
        let member = |n: u8| Endorser {
            operator: self.operator(u64::from(n)),
            member: MemberId(u64::from(n)),
            public_key: self.key(n).public(),
        };
        let operator = |n: u8| OperatorKeys {
            operator: self.operator(u64::from(n)),
            trust_domain: TrustDomain::parse(&format!("{}.example", self.operator(n.into())))
                .unwrap(),
            issuers: Keys::one(self.key(10 + n).public()),
            site_tags: Keys::one(self.key(20 + n).public()),
            roots: Keys::one(self.root(n).hash()),
            backups: Keys::one(BackupKey([100 + n; 32])),
        };
        let bundle = EndorserBundle {
            cluster: self.cluster,
            incarnation: Incarnation(1),
            version: 1,
            terms: Digest([0; 32]),
            k: 2,
            endorsers: (1..=3).map(member).collect(),
            operators: (1..=3).map(operator).collect(),
        };
        bundle.check().unwrap();
        bundle
    }

    fn root(&self, n: u8) -> BundleRoot {
        BundleRoot { operator: self.operator(n.into()), der: vec![n; 3] }
    }

    fn member(&self, n: u8, operator: u8) -> GenesisMember {
        GenesisMember {
            member: MemberId(n.into()),
            operator: self.operator(operator.into()),
            site: format!("site-{operator}").parse().unwrap(),
            address: format!("127.0.0.1:70{n:02}"),
        }
    }

    fn genesis(&self) -> SignedGenesis {
        let site = |n: u8| GenesisSite {
            site: format!("site-{n}").parse().unwrap(),
            operator: self.operator(n.into()),
            area: Area::Japan,
            display_name: String::new(),
        };
        let admin = KeyRecord {
            principal: "naniwa/user/admin".parse().unwrap(),
            role: Role::FederationAdmin,
            public_key: self.key(40).public(),
            expires: NOW,
        };
        let genesis = Genesis {
            bundle: self.bundle(),
            created: NOW,
            table: table_hash(),
            sites: [1, 2, 3].map(site).to_vec(),
            members: [1, 2, 3].map(|n| self.member(n, n)).to_vec(),
            keys: vec![admin],
            roots: [1, 2, 3].map(|n| self.root(n)).to_vec(),
            dev: true,
        };
        let bytes = genesis.bytes().unwrap();
        let sign = |n: u8| OperatorSignature {
            operator: self.operator(n.into()),
            signature: self.key(10 + n).sign(Purpose::Genesis, &bytes),
        };
        SignedGenesis { signatures: [1, 2, 3].map(sign).to_vec(), genesis }
    }

    /// A fourth member comes, of the first operator, and with `leaver` the third goes.
    pub(crate) fn package(&self, leaver: bool) -> TrustPackage {
        let mut held = self.bundle();
        let newcomer = self.member(4, 1);
        let mut members = [1, 2, 3].map(|n| self.member(n, n)).to_vec();
        members.push(newcomer.clone());
        let endorser = Endorser {
            operator: newcomer.operator.clone(),
            member: newcomer.member,
            public_key: self.key(4).public(),
        };
        let mut steps = Vec::new();
        let mut agree = |terms: Terms, bundle: EndorserBundle| {
            let bytes = encode(&bundle).unwrap();
            let sign = |n: u8| OperatorSignature {
                operator: self.operator(n.into()),
                signature: self.key(10 + n).sign(Purpose::Bundle, &bytes),
            };
            let signed = SignedBundle { signatures: [1, 2].map(sign).to_vec(), bundle };
            steps.push(Arc::new(Agreement { terms, signed }));
        };
        let terms = Terms::AddMember(newcomer);
        held = held.with(endorser, terms.digest());
        agree(terms, held.clone());
        if leaver {
            let terms = Terms::RemoveMember(MemberId(3));
            agree(terms.clone(), held.without(MemberId(3), terms.digest()));
            members.remove(2);
        }
        TrustPackage { genesis: Arc::new(self.genesis()), steps, members }
    }

    /// The federation begins anew with this head and two founders, signed by the issuers of these operators.
    pub(crate) fn reopened(&self, head: Head, by: &[u8]) -> TrustPackage {
        let founder = |id: u64, n: u8| GenesisMember { member: MemberId(id), ..self.member(n, n) };
        let founders = vec![founder(1001, 1), founder(1002, 2)];
        let endorser = |(founder, key): (&GenesisMember, u8)| Endorser {
            operator: founder.operator.clone(),
            member: founder.member,
            public_key: self.key(key).public(),
        };
        let endorsers = founders.iter().zip([101, 102]).map(endorser).collect();
        let last = LastLog { term: 2, leader: MemberId(1), index: 40 };
        let restored = Restored { revision: Revision(40), last, head, image: Digest([9; 32]) };
        let terms = Terms::Open(Box::new(Opening {
            cause: Cause::Recovered,
            opened: NOW,
            restored,
            highest: None,
            founders: founders.clone(),
            withdrawn: Withdrawn::default(),
            keys: Vec::new(),
            accept_quorum_in_one_hand: false,
        }));
        let bundle = self.bundle().opened(endorsers, terms.digest());
        let bytes = encode(&bundle).unwrap();
        let sign = |n: &u8| OperatorSignature {
            operator: self.operator((*n).into()),
            signature: self.key(10 + n).sign(Purpose::Bundle, &bytes),
        };
        let signed = SignedBundle { signatures: by.iter().map(sign).collect(), bundle };
        let steps = vec![Arc::new(Agreement { terms, signed })];
        TrustPackage { genesis: Arc::new(self.genesis()), steps, members: founders }
    }

    /// The ledger of a node that has joined and opened [`SESSION`].
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new("ishikari-1/n-01".parse().unwrap(), self.bundle());
        ledger.session_opened(SESSION);
        ledger
    }

    /// Operator `hokuto`'s node, tagged in `area` for an hour around [`NOW`].
    pub(crate) fn standing(&self, area: &str) -> Standing {
        let (operator, node) = (self.operator(1), "ishikari-1/n-01".parse().unwrap());
        let tag = SiteTag {
            cluster: self.cluster,
            operator: operator.clone(),
            node,
            area: TagArea::resolve(area).unwrap(),
            node_key: Digest([7; 32]),
            issued: Timestamp(NOW.0 - 1_800_000),
            expires: Timestamp(NOW.0 + 1_800_000),
            serial: 1,
        };
        let signed = tag.sign(&self.key(21)).unwrap();
        Standing::open(&self.bundle(), &operator, &tag.node, &tag.node_key, &signed).unwrap()
    }

    pub(crate) fn grant(&self, revision: u64, ordinal: u32) -> Grant {
        self.submitted(Grant {
            cluster: self.cluster,
            placement: PlacementId { epoch: epoch(revision), ordinal },
            job: "city/train".parse().unwrap(),
            rank: 0,
            group: 1,
            node: "ishikari-1/n-01".parse().unwrap(),
            node_key: Digest([7; 32]),
            session: SESSION,
            class: "h100-80g".parse().unwrap(),
            memory_mib: 81_920,
            units: 0,
            island: 1,
            gpus: 1,
            share: None,
            rules: vec![BoundRules { policy: None, rules: Rare::default() }],
            table: table_hash(),
            landmarks: Digest([0; 32]),
            submitter: "naniwa/user/alice".parse().unwrap(),
            payload: Digest::of(PAYLOAD),
            submission: Digest([0; 32]),
            on_disconnect: OnDisconnect::Stop,
            time_limit_s: 3600,
        })
    }

    /// The grant, as `naniwa/user/alice` submitted it.
    pub(crate) fn submitted(&self, grant: Grant) -> Grant {
        let submission = self.submission(&grant).digest().unwrap();
        Grant { submission, ..grant }
    }

    /// What a member gives for a grant.
    pub(crate) fn fetched(&self, grant: &Grant) -> Fetched {
        let submission = self.submission(grant).bytes().unwrap();
        Fetched { payload: PAYLOAD.to_vec(), submission, keys: Vec::new() }
    }

    /// What alice signs for a job of which this could be a grant.
    fn submission(&self, grant: &Grant) -> Submission {
        let facts = facts(grant);
        let command = Digest::of(&submit_command(&facts).unwrap());
        self.signed(facts, None, command)
    }

    /// As the grant's job, as command `index` of a batch of `size`, each of another job.
    pub(crate) fn of_batch(&self, grant: &Grant, index: u32, size: u32) -> Submission {
        let of = |at: u32| match at == index {
            true => facts(grant),
            false => JobFacts { id: format!("city/other-{at}").parse().unwrap(), ..facts(grant) },
        };
        let tree = Tree::of((0..size).map(|at| submit_item(&of(at)).unwrap()));
        self.signed(facts(grant), tree.place(index), tree.digest().unwrap())
    }

    /// Alice signs what has this digest.
    fn signed(&self, facts: JobFacts, place: Option<Place>, command: Digest) -> Submission {
        let alice = self.key(30);
        let key = KeyRecord {
            principal: "naniwa/user/alice".parse().unwrap(),
            role: Role::TenantUser("city".parse().unwrap()),
            public_key: alice.public(),
            expires: Timestamp(NOW.0 + 1),
        };
        let (request, incarnation) = (RequestId([3; 16]), Incarnation(1));
        let intention = Intention { cluster: self.cluster, incarnation, request, command };
        let signature = intention.sign(key.principal.clone(), &alice);
        let issuer = self.key(13).sign(Purpose::KeyRecord, &encode(&key).unwrap());
        let voucher = Voucher::Issuer(issuer);
        let (submitted_at, under) = (NOW, Under::Submit);
        Submission {
            facts,
            place,
            request,
            incarnation,
            submitted_at,
            signature,
            key,
            voucher,
            under,
        }
    }

    pub(crate) fn history(&self) -> History {
        let mut history = History {
            federation: self.clone(),
            frontier: Frontier::default(),
            hashes: BTreeMap::new(),
            records: Vec::new(),
        };
        for filler in 0..5 {
            history.append(vec![filler]);
        }
        history
    }
}

/// Indices of a set in a history.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    desired: u64,
    grants: Vec<u64>,
}

/// A job of which this could be a grant.
fn facts(grant: &Grant) -> JobFacts {
    JobFacts {
        id: grant.job.whole(),
        kind: grant.job.task.map_or(Kind::Batch, |_| Kind::Array { tasks: 10, at_most: 10 }),
        group: grant.group,
        resources: Resources {
            sharing: grant.sharing(),
            ..Resources::of(grant.class.clone(), grant.gpus)
        },
        topology: Rare::default(),
        priority: 50,
        policy: None,
        reservation: None,
        residency: grant.rules[0].rules.clone(),
        on_disconnect: grant.on_disconnect,
        over_limit: OverLimit::Queue,
        time_limit_s: grant.time_limit_s,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: grant.payload,
        payload_len: u32::try_from(PAYLOAD.len()).unwrap(),
        sealed_to: Rare::default(),
        area_only: false,
    }
}

/// An audit log in the making.
#[derive(Debug, Clone)]
pub(crate) struct History {
    federation: Federation,
    frontier: Frontier,
    hashes: BTreeMap<u64, Digest>,
    records: Vec<Vec<u8>>,
}

impl History {
    pub(crate) fn append(&mut self, record: Vec<u8>) -> u64 {
        let appended = self.frontier.append(&record).unwrap();
        self.hashes.extend((appended.first_hash..).zip(appended.hashes));
        self.records.push(record);
        appended.record
    }

    fn index_of(&mut self, record: Vec<u8>) -> u64 {
        match self.records.iter().position(|known| *known == record) {
            Some(at) => u64::try_from(at).unwrap(),
            None => self.append(record),
        }
    }

    /// Grants what is new of `grants` and makes them the node's set at `revision`.
    pub(crate) fn desire(&mut self, revision: u64, grants: &[Grant]) -> Set {
        let records = grants.iter().map(|grant| {
            let body = Body::Grant(Box::new(grant.clone()));
            Record { revision: grant.placement.epoch.revision, time: NOW, body }.bytes().unwrap()
        });
        let records = records.collect();
        let hash = set_hash(grants.iter().map(|grant| grant.digest().unwrap()));
        self.desire_raw(revision, records, hash)
    }

    /// As [`History::desire`], with records that may be no grants.
    pub(crate) fn desire_raw(&mut self, revision: u64, records: Vec<Vec<u8>>, hash: Digest) -> Set {
        let desired = NodeDesired {
            cluster: self.federation.cluster,
            node: "ishikari-1/n-01".parse().unwrap(),
            epoch: epoch(revision),
            count: u32::try_from(records.len()).unwrap(),
            hash,
        };
        self.desire_record(desired, records)
    }

    pub(crate) fn desire_record(&mut self, desired: NodeDesired, records: Vec<Vec<u8>>) -> Set {
        let grants = records.into_iter().map(|record| self.index_of(record)).collect();
        let revision = desired.epoch.revision;
        let record = Record { revision, time: NOW, body: Body::Desired(desired) };
        Set { desired: self.append(record.bytes().unwrap()), grants }
    }

    pub(crate) fn head(&self) -> Head {
        Head { size: self.frontier.size(), root: self.frontier.root().unwrap() }
    }

    pub(crate) fn checkpoint(&self, revision: u64) -> Checkpoint {
        Checkpoint {
            cluster: self.federation.cluster,
            incarnation: Incarnation(1),
            head: self.head(),
            revision: Revision(revision),
            time: NOW,
        }
    }

    pub(crate) fn sign(&self, revision: u64, members: &[u64]) -> (String, Vec<SignatureLine>) {
        let checkpoint = self.checkpoint(revision);
        let line = |member: &u64| {
            let key = self.federation.key(u8::try_from(*member).unwrap());
            checkpoint.sign(&self.federation.operator(*member), MemberId(*member), &key).unwrap()
        };
        (checkpoint.text().unwrap(), members.iter().map(line).collect())
    }

    fn prove(&self, index: u64) -> Proved {
        let path = prove_inclusion(self.frontier.size(), index, &self.hashes).unwrap();
        let record = self.records[usize::try_from(index).unwrap()].clone();
        Proved { record, index, path }
    }

    pub(crate) fn deliver(&self, set: &Set) -> Delivery {
        let grants = set.grants.iter().map(|index| self.prove(*index)).collect();
        Delivery { desired: self.prove(set.desired), grants }
    }

    pub(crate) fn consistency(&self, from_size: u64) -> Consistency {
        let proof = prove_consistency(self.frontier.size(), from_size, &self.hashes).unwrap();
        Consistency { from_size, proof }
    }

    /// The set under a checkpoint of the present head, signed by two operators, for an agent whose head is `from`.
    pub(crate) fn signed(&self, set: &Set, revision: u64, from: u64) -> SignedSet {
        let (text, lines) = self.sign(revision, &[1, 2]);
        let consistency = Some(self.consistency(from));
        SignedSet { text, lines, delivery: self.deliver(set), consistency }
    }
}
