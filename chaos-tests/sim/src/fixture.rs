//! The federation that members simulate: that of `sekisho_fsm::testing`, with three or five members.

use sekisho_evidence::bundle::{Endorser, OperatorSignature};
use sekisho_evidence::genesis::{GenesisMember, SignedGenesis};
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_fsm::testing::{
    BEGIN, Federation, OPERATORS, checkpoint_key, cluster, genesis, payload_of, user_key,
};
use sekisho_raft::PeerNode;
use sekisho_raft::snapshot::Origin;
use sekisho_store::Member;
use sekisho_types::id::{Digest, MemberId, RequestId};
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// Whose everything is.
pub(super) fn origin() -> Origin {
    Origin { cluster: cluster(), incarnation: Incarnation(1), begun: Digest([0xb; 32]) }
}

/// The mark of a member's disk.
pub(super) fn owner(member: u64) -> Member {
    origin().owner(MemberId(member))
}

/// Wall time at this point of the run.
pub(super) fn at(elapsed: Duration) -> Timestamp {
    BEGIN.plus_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// A federation before its first entry.
#[derive(Debug, Clone)]
pub(super) struct Fixture {
    /// Its members.
    pub(super) nodes: BTreeMap<MemberId, PeerNode>,
    /// Entries that found and furnish it, in order: genesis, tenant and quota, six nodes of four GPUs.
    pub(super) setup: Vec<Entry>,
}

impl Fixture {
    /// A federation of three or five members.
    pub(super) fn of(members: u64) -> Self {
        static FURNISHED: OnceLock<Federation> = OnceLock::new();
        let furnished = FURNISHED.get_or_init(Federation::furnished);
        let genesis = genesis_of(members);
        let nodes = genesis.genesis.members.iter();
        let nodes = nodes.map(|member| (member.member, PeerNode::from(member))).collect();
        let begin = Command::Bootstrap(Box::new(genesis));
        let first = stamped(sekisho_fsm::testing::member("kanto"), 0, Duration::ZERO, begin);
        let rest = furnished.log.iter().skip(1).map(|(_, entry)| entry.clone());
        Self { nodes, setup: std::iter::once(first).chain(rest).collect() }
    }
}

/// Three operators, the fourth and fifth member being second ones of two of them.
fn genesis_of(members: u64) -> SignedGenesis {
    let mut signed = genesis();
    let genesis = &mut signed.genesis;
    for (id, (operator, site, _)) in (1_u64..=members).zip(OPERATORS.iter().cycle()).skip(3) {
        let (Ok(operator), Ok(site)) = (operator.parse(), site.parse()) else { continue };
        let (member, address) = (MemberId(id), format!("127.0.0.1:700{id}"));
        let public_key = checkpoint_key(member).public();
        let endorser = |operator| Endorser { operator, member, public_key };
        genesis.bundle.endorsers.push(endorser(sekisho_types::id::OperatorId::clone(&operator)));
        genesis.members.push(GenesisMember { member, operator, site, address });
    }
    let bytes = genesis.bytes().unwrap_or_default();
    let sign = |(operator, _, _): &(&str, &str, &str)| {
        let key = SigningKey::from_seed(&Digest::of(format!("issuer/{operator}").as_bytes()).0);
        let signature = key.sign(Purpose::Genesis, &bytes);
        operator.parse().ok().map(|operator| OperatorSignature { operator, signature })
    };
    signed.signatures = OPERATORS.iter().filter_map(sign).collect();
    signed
}

/// An entry as admission stamps it, signed if a person asks.
pub(super) fn stamped(actor: Principal, request: u128, now: Duration, command: Command) -> Entry {
    let payload = payload_of(&command);
    let mut entry = Entry {
        cluster: cluster(),
        incarnation: Incarnation(1),
        proposed_at: at(now),
        actor,
        request: RequestId(request.to_be_bytes()),
        feature_level: FEATURE_LEVEL,
        command,
        signatures: Vec::new(),
        payload,
    };
    if matches!(entry.actor.workload, Workload::User { .. })
        && let Ok(intention) = entry.intention()
    {
        let signer = entry.actor.clone();
        let key = user_key(&signer);
        entry.signatures = vec![intention.sign(signer, &key)];
    }
    entry
}
