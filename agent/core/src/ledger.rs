//! What an agent must never forget: the stored head, the fence floor, and every grant that it has taken.
//!
//! Must hold (P2): the floor only rises; a grant at or below it starts only from an entry that is `Pending`; a set's
//! floor and entries change in one transaction, which is this value as a whole (the caller writes it before it acts
//! on it). A refused placement stays refused, because the control plane has given its capacity away.
//! Ended entries remain until the end is acknowledged and no set names them: a set in flight must not make a dead
//! placement look unknown.

use crate::reason::Reason;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::grant::{Grant, SessionId};
use sekisho_evidence::merkle::Head;
use sekisho_evidence::package::{PackageError, Trust, TrustPackage};
use sekisho_types::device::Bucket;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::{Epoch, Incarnation, PlacementId, Revision};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a placement is in this agent's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryPhase {
    /// Accepted; never started.
    Pending,
    /// Devices are chosen; it may run.
    Live,
    /// Ordered to stop; may still run.
    Stopping,
    /// Nothing of it runs.
    Ended(Ending),
}

/// One accepted grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The grant.
    pub grant: Grant,
    /// Where it is.
    pub phase: EntryPhase,
    /// Devices that it holds while `Live` or `Stopping`.
    pub devices: Vec<String>,
    /// The control plane has acknowledged the end.
    pub acknowledged: bool,
}

impl Entry {
    /// Whether a process of it may exist.
    #[must_use]
    pub fn may_run(&self) -> bool {
        matches!(self.phase, EntryPhase::Live | EntryPhase::Stopping)
    }
}

/// One refused placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// SHA-256 of the grant as received.
    pub grant: Digest,
    /// Why.
    pub reason: Reason,
    /// The control plane has the receipt.
    pub acknowledged: bool,
}

/// The agent's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    node: NodeId,
    bundle: EndorserBundle,
    head: Head,
    floor: Epoch,
    session: Option<SessionId>,
    opening: Option<SessionId>,
    desired: BTreeSet<PlacementId>,
    named: BTreeSet<PlacementId>,
    entries: BTreeMap<PlacementId, Entry>,
    refused: BTreeMap<PlacementId, Refused>,
    left: Vec<Left>,
    advertised: Vec<Bucket>,
}

/// Incarnations that an agent remembers having left: enough to show a fork of the last ones, bounded like everything.
const LEFT_MAX: usize = 4;

/// Where an agent stood in an incarnation that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Which.
    pub incarnation: Incarnation,
    /// The stored head: larger than the restored one, it shows what was lost.
    pub head: Head,
}

/// What an accepted set changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The new stored head.
    pub head: Head,
    /// The new floor.
    pub floor: Epoch,
    /// Placements that may live.
    pub desired: BTreeSet<PlacementId>,
    /// Every placement of the set, those that are refused too.
    pub named: BTreeSet<PlacementId>,
    /// Grants that are new here.
    pub adopt: Vec<Grant>,
    /// New grants that are refused.
    pub refused: BTreeMap<PlacementId, Refused>,
}

impl Ledger {
    /// The ledger of a node that has just joined.
    #[must_use]
    pub fn new(node: NodeId, bundle: EndorserBundle) -> Self {
        let floor = Epoch { incarnation: bundle.incarnation, revision: Revision(0) };
        Self {
            node,
            bundle,
            head: Head { size: 0, root: Digest::of(&[]) },
            floor,
            session: None,
            opening: None,
            desired: BTreeSet::new(),
            named: BTreeSet::new(),
            entries: BTreeMap::new(),
            refused: BTreeMap::new(),
            left: Vec::new(),
            advertised: Vec::new(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// The pinned bundle.
    #[must_use]
    pub fn bundle(&self) -> &EndorserBundle {
        &self.bundle
    }

    /// The stored audit head.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Grants at or below it start only from an open entry.
    #[must_use]
    pub fn floor(&self) -> Epoch {
        self.floor
    }

    /// The session that the control plane has confirmed.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// A session that was asked for, with unknown outcome.
    #[must_use]
    pub fn opening(&self) -> Option<SessionId> {
        self.opening
    }

    /// What may live of the newest accepted set.
    #[must_use]
    pub fn desired(&self) -> &BTreeSet<PlacementId> {
        &self.desired
    }

    /// Accepted grants.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<PlacementId, Entry> {
        &self.entries
    }

    /// Refused placements.
    #[must_use]
    pub fn refused(&self) -> &BTreeMap<PlacementId, Refused> {
        &self.refused
    }

    /// Devices of everything that may still run (P1).
    #[must_use]
    pub fn held_devices(&self) -> BTreeSet<&str> {
        let running = self.entries.values().filter(|entry| entry.may_run());
        running.flat_map(|entry| entry.devices.iter().map(String::as_str)).collect()
    }

    /// What the session in force advertises: it may not change while placements live, whoever runs the agent.
    #[must_use]
    pub fn advertised(&self) -> &[Bucket] {
        &self.advertised
    }

    /// Notes what is advertised from the next session on.
    pub fn advertise(&mut self, buckets: Vec<Bucket>) {
        self.advertised = buckets;
    }

    /// Notes that a session is about to be asked for.
    pub fn open_session(&mut self, session: SessionId) {
        self.opening = Some(session);
    }

    /// The control plane knows the session.
    pub fn session_opened(&mut self, session: SessionId) {
        self.session = Some(session);
        self.opening = None;
    }

    /// Takes a set that passed the check list. Only `verify` makes the argument; a set older than the floor or a
    /// head smaller than the stored one changes nothing, whoever made it.
    pub fn accept(&mut self, accepted: Accepted) {
        if accepted.floor < self.floor || accepted.head.size < self.head.size {
            return;
        }
        self.head = accepted.head;
        self.floor = accepted.floor;
        self.desired = accepted.desired;
        self.named = accepted.named;
        for grant in accepted.adopt {
            let fresh = Entry {
                grant,
                phase: EntryPhase::Pending,
                devices: Vec::new(),
                acknowledged: false,
            };
            self.entries.entry(fresh.grant.placement).or_insert(fresh);
        }
        for (placement, refused) in accepted.refused {
            self.refuse(placement, refused);
        }
        self.forget_settled();
    }

    /// Refuses a placement that never ran. Returns whether that is new.
    pub fn refuse(&mut self, placement: PlacementId, refused: Refused) -> bool {
        if self.refused.contains_key(&placement) {
            return false;
        }
        match self.entries.get(&placement).map(|entry| &entry.phase) {
            Some(EntryPhase::Live | EntryPhase::Stopping | EntryPhase::Ended(_)) => return false,
            Some(EntryPhase::Pending) | None => {}
        }
        self.entries.remove(&placement);
        self.desired.remove(&placement);
        self.refused.insert(placement, refused);
        true
    }

    /// Writes the intent to start on these devices. Returns whether it may: only from `Pending`.
    #[must_use]
    pub fn intend(&mut self, placement: &PlacementId, devices: Vec<String>) -> bool {
        match self.entries.get_mut(placement) {
            Some(entry) if entry.phase == EntryPhase::Pending => {
                entry.phase = EntryPhase::Live;
                entry.devices = devices;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether something is taken or begun here that `before` has not: what may wait for room on a full disk, unlike all that
    /// ends work.
    #[must_use]
    pub fn begins(&self, before: &Self) -> bool {
        self.entries.iter().any(|(placement, entry)| {
            let known = before.entries.get(placement).map(|entry| &entry.phase);
            match entry.phase {
                EntryPhase::Pending => known.is_none(),
                EntryPhase::Live => known != Some(&EntryPhase::Live),
                EntryPhase::Stopping | EntryPhase::Ended(_) => false,
            }
        })
    }

    /// The placement is ordered to stop. Returns whether that is new; one that never ran ends at once.
    pub fn stopping(&mut self, placement: &PlacementId) -> bool {
        let Some(entry) = self.entries.get_mut(placement) else { return false };
        match entry.phase {
            EntryPhase::Pending => entry.phase = EntryPhase::Ended(Ending::Stopped),
            EntryPhase::Live => entry.phase = EntryPhase::Stopping,
            EntryPhase::Stopping | EntryPhase::Ended(_) => return false,
        }
        true
    }

    /// Nothing of the placement runs. Returns whether that is new.
    pub fn ended(&mut self, placement: &PlacementId, ending: Ending) -> bool {
        let Some(entry) = self.entries.get_mut(placement) else { return false };
        if matches!(entry.phase, EntryPhase::Ended(_)) {
            return false;
        }
        entry.phase = EntryPhase::Ended(ending);
        entry.devices.clear();
        true
    }

    /// The control plane knows this phase. Returns whether the ledger changed.
    pub fn acknowledge(&mut self, placement: &PlacementId, phase: &Phase) -> bool {
        let Some(entry) = self.entries.get_mut(placement) else { return false };
        if !phase.is_ended() || !matches!(entry.phase, EntryPhase::Ended(_)) {
            return false;
        }
        entry.acknowledged = true;
        self.forget_settled();
        true
    }

    /// A session has opened without them: the control plane knows that they are lost.
    pub fn acknowledge_lost(&mut self) {
        for entry in self.entries.values_mut() {
            entry.acknowledged |= entry.phase == EntryPhase::Ended(Ending::Lost);
        }
        self.forget_settled();
    }

    /// The control plane has the receipt. Returns whether the ledger changed.
    pub fn acknowledge_refusal(&mut self, placement: &PlacementId) -> bool {
        let Some(refused) = self.refused.get_mut(placement) else { return false };
        refused.acknowledged = true;
        self.forget_settled();
        true
    }

    /// Moves on to the bundle that a package leads to. Returns where it leads, and whether that is further than before.
    ///
    /// # Errors
    /// [`PackageError`]; the pinned bundle stays.
    pub fn follow(&mut self, package: &TrustPackage) -> Result<(Trust, bool), PackageError> {
        let trust = package.walk(&self.bundle)?;
        let moved = trust.bundle != self.bundle;
        if trust.bundle.incarnation > self.bundle.incarnation {
            self.enter(&trust);
        }
        self.bundle = trust.bundle.clone();
        Ok((trust, moved))
    }

    /// Comes over to another incarnation, whose audit log begins with the head that its operators restored. What runs
    /// stays as it is; no grant of before starts any more (P2).
    fn enter(&mut self, trust: &Trust) {
        let Some(opening) = trust.opening() else { return };
        self.left.push(Left { incarnation: self.bundle.incarnation, head: self.head });
        if self.left.len() > LEFT_MAX {
            self.left.remove(0);
        }
        self.head = opening.restored.head;
        self.floor = Epoch { incarnation: trust.bundle.incarnation, revision: Revision(0) };
    }

    /// Incarnations that this agent left, oldest first.
    #[must_use]
    pub fn left(&self) -> &[Left] {
        &self.left
    }

    /// Drops what nobody asks about any more: acknowledged, in no set, and fenced by the floor.
    fn forget_settled(&mut self) {
        let (floor, named) = (self.floor, &self.named);
        let over = |placement: &PlacementId, acknowledged: bool| {
            acknowledged && placement.epoch <= floor && !named.contains(placement)
        };
        self.entries.retain(|placement, entry| !over(placement, entry.acknowledged));
        self.refused.retain(|placement, refused| !over(placement, refused.acknowledged));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Federation, epoch};
    use sekisho_types::error_code::ErrorCode;

    fn accepted(floor: u64, size: u64, adopt: Vec<Grant>) -> Accepted {
        let desired: BTreeSet<_> = adopt.iter().map(|grant| grant.placement).collect();
        let head = Head { size, root: Digest([1; 32]) };
        let (named, refused) = (desired.clone(), BTreeMap::new());
        Accepted { head, floor: epoch(floor), desired, named, adopt, refused }
    }

    fn refused() -> Refused {
        let reason = Reason::new(ErrorCode::Internal, &"test");
        Refused { grant: Digest([0; 32]), reason, acknowledged: false }
    }

    #[test]
    fn the_floor_and_the_head_only_rise() {
        let federation = Federation::new();
        let mut ledger = federation.ledger();
        ledger.accept(accepted(10, 5, vec![federation.grant(10, 0)]));
        let before = ledger.clone();
        ledger.accept(accepted(9, 6, vec![]));
        ledger.accept(accepted(11, 4, vec![]));
        assert_eq!(ledger, before);
        ledger.accept(accepted(11, 6, vec![]));
        assert_eq!((ledger.floor(), ledger.head().size), (epoch(11), 6));
    }

    #[test]
    fn what_takes_or_starts_begins_and_what_ends_does_not() {
        let federation = Federation::new();
        let mut ledger = federation.ledger();
        let (first, second) = (federation.grant(10, 0), federation.grant(10, 1));
        let id = first.placement;
        let mut before = ledger.clone();
        ledger.accept(accepted(10, 5, vec![first, second]));
        assert!(ledger.begins(&before) && !before.begins(&ledger));
        before = ledger.clone();
        assert!(!ledger.begins(&before), "it is known, and waits");
        assert!(ledger.intend(&id, vec!["GPU-1".to_owned()]));
        assert!(ledger.begins(&before));
        for ends in [Ledger::stopping, |ledger: &mut Ledger, id: &PlacementId| {
            ledger.ended(id, Ending::Stopped)
        }] {
            before = ledger.clone();
            assert!(ends(&mut ledger, &id) && !ledger.begins(&before));
        }
    }

    #[test]
    fn a_placement_starts_once_and_only_from_pending() {
        let federation = Federation::new();
        let mut ledger = federation.ledger();
        let grant = federation.grant(10, 0);
        let id = grant.placement;
        assert!(!ledger.intend(&id, vec![]), "unknown");
        ledger.accept(accepted(10, 5, vec![grant.clone()]));
        assert!(ledger.intend(&id, vec!["GPU-1".to_owned()]));
        assert!(!ledger.intend(&id, vec![]), "live");
        assert_eq!(ledger.held_devices(), ["GPU-1"].into());
        assert!(ledger.stopping(&id) && !ledger.stopping(&id));
        assert_eq!(ledger.held_devices(), ["GPU-1"].into(), "until it is dead");
        assert!(ledger.ended(&id, Ending::Stopped) && !ledger.ended(&id, Ending::Lost));
        assert!(ledger.held_devices().is_empty());
        assert!(!ledger.intend(&id, vec![]), "ended");
        ledger.accept(accepted(11, 6, vec![grant]));
        assert_eq!(ledger.entries()[&id].phase, EntryPhase::Ended(Ending::Stopped));
    }

    #[test]
    fn an_end_is_kept_until_acknowledged_and_in_no_set() {
        let federation = Federation::new();
        let mut ledger = federation.ledger();
        let grant = federation.grant(10, 0);
        let id = grant.placement;
        ledger.accept(accepted(10, 5, vec![grant]));
        assert!(ledger.ended(&id, Ending::Exited(0)));
        assert!(!ledger.acknowledge(&id, &Phase::Running), "not the end");
        let mut late = ledger.clone();
        ledger.accept(accepted(11, 6, vec![]));
        assert!(ledger.entries().contains_key(&id));
        assert!(ledger.acknowledge(&id, &Phase::Ended(Ending::Exited(0))));
        assert!(ledger.entries().is_empty());
        assert!(late.acknowledge(&id, &Phase::Ended(Ending::Exited(0))));
        assert!(late.entries().contains_key(&id), "the set still names it");
        late.accept(accepted(11, 6, vec![]));
        assert!(late.entries().is_empty());
    }

    #[test]
    fn a_refusal_releases_only_what_never_ran_and_stays() {
        let federation = Federation::new();
        let mut ledger = federation.ledger();
        let grants = [federation.grant(10, 0), federation.grant(10, 1)];
        let [waits, runs] = [grants[0].placement, grants[1].placement];
        ledger.accept(accepted(10, 5, grants.to_vec()));
        assert!(ledger.intend(&runs, vec![]));
        assert!(ledger.refuse(waits, refused()) && !ledger.refuse(waits, refused()));
        assert!(!ledger.refuse(runs, refused()));
        assert!(!ledger.intend(&waits, vec![]));
        // One that was never proved to be granted stays until the floor has passed it.
        let ahead = federation.grant(20, 0).placement;
        assert!(ledger.refuse(ahead, refused()));
        for id in [waits, ahead] {
            assert!(ledger.acknowledge_refusal(&id));
        }
        assert_eq!(ledger.refused().len(), 2, "a set names one, the other is not fenced");
        ledger.accept(accepted(11, 6, vec![]));
        assert_eq!(ledger.refused().keys().collect::<Vec<_>>(), [&ahead]);
        ledger.accept(accepted(20, 9, vec![]));
        assert!(ledger.refused().is_empty());
    }
}
