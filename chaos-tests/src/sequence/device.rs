//! What the nodes of random sequences have, and what jobs ask for of it.

use super::{NODES, TENANTS, session};
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, bucket, instances, shares};
use sekisho_types::device::Bucket;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::job::Resources;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::name::Name;
use sekisho_types::quota::Limit;
use sekisho_types::sharing::Sharing;

/// Half of the nodes get devices of each kind, of which tenants may hold some.
pub(super) fn begin(federation: &mut Federation) {
    for class in [instances(2, 2).class, shares(3, 3).class] {
        federation.open_class(&class, &TENANTS, Limit::Gpus(4));
    }
    for node in NODES.into_iter().filter(|node| is_mixed(node)) {
        if let Ok(id) = node.parse() {
            federation.equip(&id, equipment(node));
        }
    }
}

fn is_mixed(node: &str) -> bool {
    node.ends_with("n-02")
}

/// What a node has.
pub(super) fn equipment(node: &str) -> Vec<Bucket> {
    if is_mixed(node) { vec![bucket(2), instances(2, 2), shares(3, 3)] } else { vec![bucket(4)] }
}

/// The same, and one of its devices once more.
pub(super) fn muddled(node: &str, way: u8) -> Vec<Bucket> {
    let mut told = equipment(node);
    let again = match way {
        0 => shares(1, 2),
        1 => instances(0, 2),
        _ => Bucket { island: 1, ..bucket(1) },
    };
    told.retain(|bucket| bucket.key() != again.key());
    told.push(again);
    told.sort_by(|a, b| a.key().cmp(&b.key()));
    told
}

/// The bucket of a mixed node that a job of this name is for.
pub(super) fn bucket_of(name: u8) -> u16 {
    match name {
        3 => 1,
        4 | 7 => 2,
        _ => 0,
    }
}

/// What a job of this name asks for: a few are for instances, or for a share.
pub(super) fn wanted(name: u8, whole: Resources) -> Resources {
    let sharing = if name == 4 { Sharing::Tenant } else { Sharing::Any };
    match bucket_of(name) {
        0 => whole,
        1 => Resources { class: instances(2, 2).class, ..whole },
        _ => Resources { sharing, ..Resources::of(shares(3, 3).class, 1) },
    }
}

/// A node opens a session with these, in that rack; `knows` says whether its ledger has the last one.
pub(super) fn open(
    federation: &Federation,
    node: NodeId,
    knows: bool,
    (buckets, rack): (Vec<Bucket>, Option<Name>),
) -> Option<Command> {
    let previous = if knows { session(federation, &node) } else { None };
    let size = federation.state.revision().0.to_be_bytes();
    let fresh = Digest::of(&[node.to_string().as_bytes(), &size].concat());
    let session = SessionId(fresh.0.first_chunk().copied()?);
    let (live, table, findings) = (Vec::new(), table_hash(), Vec::new());
    Some(Command::OpenSession { node, session, previous, buckets, live, table, findings, rack })
}
