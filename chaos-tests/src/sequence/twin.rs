//! Nodes of which there are two, and what ends that.

use super::{Operation, node, on_node, session};
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::quarantine::Twin;
use sekisho_fsm::state::Standing;
use sekisho_fsm::testing::{Federation, admin, agent, member};
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::principal::{Principal, Workload};

/// The member's word, the agent's, or the operator's on a node of which there are two.
pub(super) fn command(federation: &mut Federation, n: u8, what: u8) -> Option<Entry> {
    let node = node(n)?;
    let owner = admin(agent(&node).operator.as_str());
    match what {
        0 => {
            let mut entry = on_node(federation, &Operation::Open(n, false))?;
            if let Command::OpenSession { previous, .. } = &mut entry.command {
                *previous = Some(SessionId([9; 16]));
            }
            Some(entry)
        }
        1 => {
            let session = session(federation, &node)?;
            let (first, second) = (Instance([1; 16]), Instance([2; 16]));
            let why = Twin::Instances { session, first, second };
            Some(federation.entry(member("kanto"), &[], Command::QuarantineNode { node, why }))
        }
        _ => Some(federation.entry(owner, &[], Command::ReleaseNode { node })),
    }
}

/// Somebody who may lead: a sequence may have removed any of the fixture's members.
pub(super) fn voter(federation: &Federation) -> Option<Principal> {
    let held = federation.state.federation()?;
    let votes = |id: &MemberId| held.standings.get(id) == Some(&Standing::Voter);
    let (id, row) = held.members.iter().find(|(id, _)| votes(id))?;
    let workload = Workload::Member { site: row.site.clone(), member: id.0 };
    Some(Principal { operator: row.operator.clone(), workload })
}

/// Both hosts of each node in quarantine stop, and its operator takes one of them away.
pub(super) fn release_all(federation: &mut Federation) {
    let alone = |row: &sekisho_fsm::state::Node| row.quarantine.is_none() || row.revoked;
    let nodes = federation.state.nodes().filter(|(_, row)| !alone(row));
    let nodes: Vec<NodeId> = nodes.map(|(id, _)| id.clone()).collect();
    for node in nodes {
        if let Some(session) = session(federation, &node) {
            let expire = Command::ExpireLease { node: node.clone(), session };
            let Some(leader) = voter(federation) else { return };
            federation.run(leader, expire);
        }
        let owner = admin(agent(&node).operator.as_str());
        federation.run(owner, Command::ReleaseNode { node });
    }
}
