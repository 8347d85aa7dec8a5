//! What agents and members had recorded of what they saw: heads that agents countersigned, and how far members' journals of
//! denials go.
//!
//! Must hold (A1): a head that an agent signed as seen is one that this log had; anything else shows that the agent was told
//! another history than the auditor is. Whose word it is, is checked here again, by the receipt key that the log enrolled. A
//! node that was revoked speaks for nobody, as in apply: its key may be in other hands.

use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::journal::JournalHead;
use sekisho_evidence::key::{Batch, Purpose};
use sekisho_evidence::merkle::Tree;
use sekisho_evidence::package::opening;
use sekisho_evidence::terms::Agreement;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::id::{MemberId, NodeId, OperatorId, PublicKey};
use std::collections::{BTreeMap, BTreeSet};

/// A node that was not decommissioned.
#[derive(Debug, Clone)]
struct Enrolled {
    receipt_key: PublicKey,
    /// Whose member it joined through, which is its site's.
    operator: OperatorId,
    revoked: bool,
}

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    nodes: BTreeMap<NodeId, Enrolled>,
    /// Countersignatures that count.
    pub countersigned: u64,
    /// Nodes that they are of.
    pub by: BTreeSet<NodeId>,
    /// Heads that this log never had: in which record, and what is wrong.
    pub elsewhere: Vec<(u64, String)>,
    /// Heads of journals, by member, in the order of the log, with the index of the record.
    pub journals: BTreeMap<MemberId, Vec<(u64, JournalHead)>>,
}

impl Heard {
    /// Takes an accepted entry, at a time when `tree` ends with its record.
    pub(super) fn entry(
        &mut self,
        index: u64,
        entry: &Entry,
        (tree, bundle): (&Tree, Option<&EndorserBundle>),
    ) {
        let command = &entry.command;
        if let Command::EnrollNode { node, receipt_key, .. } = command {
            let (receipt_key, operator) = (*receipt_key, entry.actor.operator.clone());
            let enrolled = || Enrolled { receipt_key, operator, revoked: false };
            // A repeated enrolment is the same answer once more.
            self.nodes.entry(node.clone()).or_insert_with(enrolled);
        } else if let Command::DecommissionNode { node } = command {
            self.nodes.remove(node);
        } else if let Command::RevokeNode { node: revoked } = command {
            self.revoke(|node, _| node == revoked);
        } else if let Command::RevokeSite { site } = command {
            self.revoke(|node, _| node.site == *site);
        } else if let Command::OpenIncarnation { agreement, .. } = command {
            self.withdraw(agreement);
        } else if let Command::RecordJournal(head) = command {
            self.journals.entry(head.member).or_default().push((index, *head));
        } else if let Command::Countersign { heads } = command {
            let ours = |signed: &&Countersignature| {
                let seen = &signed.seen;
                bundle
                    .is_some_and(|b| seen.cluster == b.cluster && seen.incarnation == b.incarnation)
            };
            let of_this_life: Vec<_> = heads.iter().filter(ours).collect();
            let good = self.good(&of_this_life);
            good.into_iter().for_each(|signed| self.compare(index, signed, tree));
        }
    }

    fn revoke(&mut self, is: impl Fn(&NodeId, &Enrolled) -> bool) {
        for (node, row) in &mut self.nodes {
            let revoked = is(node, row);
            row.revoked |= revoked;
        }
    }

    /// What a new incarnation takes away: what it names, and the hosts of companies that have left.
    fn withdraw(&mut self, agreement: &Agreement) {
        let Some(opening) = opening(agreement) else { return };
        let (gone, next) = (&opening.withdrawn, &agreement.signed.bundle);
        self.revoke(|node, row| {
            let left = next.keys(&row.operator).is_none();
            left || gone.nodes.contains(node) || gone.sites.contains(&node.site)
        });
    }

    /// Those whose signatures are the nodes' own; a member may put others beside them, which say nothing.
    fn good<'h>(&self, heads: &[&'h Countersignature]) -> Vec<&'h Countersignature> {
        let mut batch = Batch::default();
        let mut known = Vec::new();
        for signed in heads {
            let row = self.nodes.get(&signed.seen.node).filter(|row| !row.revoked);
            let Some(key) = row.map(|row| &row.receipt_key) else { continue };
            let Ok(bytes) = encode(&signed.seen) else { continue };
            batch.add(key, Purpose::Countersignature, &bytes, &signed.signature);
            known.push((*signed, key));
        }
        let all = known.len() > 1 && batch.verify().is_ok();
        let stands =
            |(signed, key): &(&Countersignature, &PublicKey)| all || signed.verify(key).is_ok();
        known.into_iter().filter(stands).map(|(signed, _)| signed).collect()
    }

    fn compare(&mut self, index: u64, signed: &Countersignature, tree: &Tree) {
        let seen = &signed.seen;
        // The record itself, and what follows it, nobody can have seen.
        let own = if seen.head.size <= index { tree.head_at(seen.head.size).ok() } else { None };
        self.countersigned = self.countersigned.saturating_add(1);
        self.by.insert(seen.node.clone());
        let why = match own {
            Some(own) if own == seen.head => return,
            Some(own) => format!(
                "{} was shown {} records with root {}, this log has root {} there",
                seen.node, seen.head.size, seen.head.root, own.root
            ),
            None => format!(
                "{} was shown {} records, when this log had {index}",
                seen.node, seen.head.size
            ),
        };
        self.elsewhere.push((index, why));
    }
}
