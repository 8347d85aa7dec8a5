//! What a leader's leases are worth telling: who is silent, what is stopping, and until when that may last.
//!
//! Must hold: P3. A placement that is not confirmed dead in time is taken back with the lease of its node, which is
//! renewed no more from then on (design section 9); nothing is free before W has passed since the last renewal that
//! counted. What runs to completion is bound by no lease, so its node's is not ended for it.

use super::table::{LeaseTable, Silence};
use crate::limit::TEARDOWN_LOOK;
use sekisho_fsm::State;
use sekisho_types::id::NodeId;
use sekisho_types::job::OnDisconnect;
use sekisho_types::limit::{LEASE_NEWS_MAX, TEARDOWN_WITHIN};
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;

/// Leases out of the ordinary at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// When, boottime of this member.
    pub at_ns: u64,
    /// Nodes that missed beats, or whose lease is taken back.
    pub silent: BTreeMap<NodeId, Silence>,
    /// Placements that are stopping, and when the lease of their node frees them at the latest, nanoseconds from then.
    pub stopping: BTreeMap<PlacementId, u64>,
    /// There are no others.
    pub whole: bool,
}

/// What is stopping, and since when this leader has seen it so.
#[derive(Debug, Default)]
pub(super) struct Teardowns {
    since: BTreeMap<PlacementId, (NodeId, u64)>,
    looked_ns: Option<u64>,
}

fn within_ns() -> u64 {
    u64::try_from(TEARDOWN_WITHIN.as_nanos()).unwrap_or(u64::MAX)
}

impl Teardowns {
    /// Follows applied state, now and then, and takes back the leases of nodes whose teardown is overdue.
    pub(super) fn follow(&mut self, state: &State, table: &mut LeaseTable, now: u64) {
        let every = u64::try_from(TEARDOWN_LOOK.as_nanos()).unwrap_or(u64::MAX);
        if self.looked_ns.is_some_and(|looked| now.saturating_sub(looked) < every) {
            return;
        }
        self.looked_ns = Some(now);
        let old = std::mem::take(&mut self.since);
        for (id, node) in state.nodes().filter(|(_, node)| node.live_session().is_some()) {
            for placement in &node.placements {
                let bound = state.placement(placement).is_some_and(|row| {
                    row.phase == Phase::Stopping && row.grant.on_disconnect == OnDisconnect::Stop
                });
                if bound {
                    let since = old.get(placement).map_or(now, |(_, since)| *since);
                    self.since.insert(*placement, (id.clone(), since));
                }
            }
        }
        for (node, since) in self.since.values() {
            if now.saturating_sub(*since) >= within_ns() {
                table.take_back(node);
            }
        }
    }

    pub(super) fn news(&self, table: &LeaseTable, now: u64) -> News {
        let mut silent: Vec<(NodeId, Silence)> =
            table.silent(now).map(|(node, silence)| (node.clone(), silence)).collect();
        let whole = silent.len().max(self.since.len()) <= LEASE_NEWS_MAX;
        // Those that will be over first are asked for first.
        silent.sort_by_key(|(_, silence)| silence.left_ns);
        silent.truncate(LEASE_NEWS_MAX);
        let (silent, wait): (BTreeMap<_, _>, _) = (silent.into_iter().collect(), table.wait_ns());
        let left = |(node, since): &(NodeId, u64)| {
            let taken_back = within_ns().saturating_sub(now.saturating_sub(*since));
            match silent.get(node) {
                Some(silence) if silence.expiring => silence.left_ns,
                // It may come back, and is then renewed until its teardown is overdue.
                Some(_) => taken_back.saturating_add(wait),
                None => taken_back.saturating_add(wait),
            }
        };
        let stopping = self.since.iter().take(LEASE_NEWS_MAX);
        let stopping = stopping.map(|(id, seen)| (*id, left(seen))).collect();
        News { at_ns: now, silent, stopping, whole }
    }
}
