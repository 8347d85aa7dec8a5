//! Which rows changed lately, in the order of the log: what a watch goes on from.
//!
//! Must hold: filled before the state that has the changes is published, so that whoever takes a [`View`] first finds
//! here everything up to it; what was forgotten is told, never passed over. Bounded; apply waits for no reader: a
//! reader takes a piece at a time.
//!
//! Keys, not rows: a reader takes the row from its view. Whoever falls behind sees each key once, at its newest
//! revision, and not what it was in between. Empty after a start and after an installed snapshot: what happened before
//! is in the state, but not when.
//!
//! [`View`]: crate::view::View

use crate::limit::{CHANGES_BYTES, CHANGES_KEPT, CHANGES_PIECE};
use parking_lot::Mutex;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_fsm::escrow::EscrowKey;
use sekisho_fsm::event::Event;
use sekisho_fsm::offer::VetoKey;
use sekisho_types::id::{
    ApprovalId, DeviceClass, JobId, MemberId, NodeId, PolicyId, PublicKey, SiteId, TenantId,
};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::offer::Vetoed;
use sekisho_types::principal::Principal;
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "one of the kinds of rows is a registered key")]
pub enum Key {
    /// A job.
    Job(JobId),
    /// A node.
    Node(NodeId),
    /// A site.
    Site(SiteId),
    /// A tenant.
    Tenant(TenantId),
    /// A policy.
    Policy(PolicyId),
    /// A quota.
    Quota(TenantId, DeviceClass, Area),
    /// A registered key; in a box, or it would be as large as all others together.
    Key(Box<(Principal, PublicKey)>),
    /// A landmark.
    Landmark(LandmarkId),
    /// A controller.
    Member(MemberId),
    /// An approval.
    Approval(ApprovalId),
    /// A break-glass, by the entry that opened it.
    BreakGlass(Revision),
    /// A budget.
    Budget(TenantId, Name),
    /// What a site holds of a tenant's quota; in a box, as it has three names.
    Escrow(Box<EscrowKey>),
    /// An offer.
    Offer(SiteId, Name),
    /// A veto; in a box, as it has up to three names.
    Veto(Box<VetoKey>),
    /// A reservation.
    Reservation(TenantId, Name),
}

impl Key {
    /// The row that an event is about.
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Job(id) => Some(Self::Job(id.clone())),
            Event::Node(id) | Event::NodeShown(id) => Some(Self::Node(id.clone())),
            Event::Site(id) => Some(Self::Site(id.clone())),
            Event::Tenant(id) => Some(Self::Tenant(id.clone())),
            Event::Policy(id) => Some(Self::Policy(id.clone())),
            Event::Quota(tenant, class, area) => {
                Some(Self::Quota(tenant.clone(), class.clone(), *area))
            }
            Event::Budget(tenant, name) => Some(Self::Budget(tenant.clone(), name.clone())),
            Event::Escrow(id) => Some(Self::Escrow(id.clone())),
            Event::Offer(site, name) => Some(Self::Offer(site.clone(), name.clone())),
            Event::Veto(id) => Some(Self::Veto(id.clone())),
            Event::Reservation(tenant, name) => {
                Some(Self::Reservation(tenant.clone(), name.clone()))
            }
            Event::Key(id) => Some(Self::Key(id.clone())),
            Event::Landmark(id) => Some(Self::Landmark(id.clone())),
            Event::Member(id) => Some(Self::Member(*id)),
            Event::Approval(id) => Some(Self::Approval(*id)),
            Event::BreakGlass(opened) => Some(Self::BreakGlass(*opened)),
            Event::Plannable | Event::Desired(_) | Event::Trust => None,
        }
    }

    /// Bytes that it takes, as far as it can be told.
    fn size(&self) -> usize {
        let both = |a: &str, b: &str| a.len().saturating_add(b.len());
        let names = match self {
            Self::Job(id) => both(id.tenant.as_str(), id.name.as_str()),
            Self::Node(id) => both(id.site.as_str(), id.name.as_str()),
            Self::Site(id) => id.as_str().len(),
            Self::Tenant(id) => id.as_str().len(),
            Self::Policy(id) => id.as_str().len(),
            Self::Quota(tenant, class, _) => both(tenant.as_str(), class.as_str()),
            Self::Budget(tenant, name) | Self::Reservation(tenant, name) => {
                both(tenant.as_str(), name.as_str())
            }
            Self::Offer(site, name) => both(site.as_str(), name.as_str()),
            Self::Escrow(id) => {
                let (site, tenant, class) = id.as_ref();
                let names =
                    both(site.as_str(), tenant.as_str()).saturating_add(class.as_str().len());
                names.saturating_add(size_of::<EscrowKey>())
            }
            Self::Veto(id) => {
                let (operator, of) = id.as_ref();
                let names = match of {
                    Vetoed::Tenant(tenant) => tenant.as_str().len(),
                    Vetoed::Job(job) => both(job.tenant.as_str(), job.name.as_str()),
                };
                let names = names.saturating_add(operator.as_str().len());
                names.saturating_add(size_of::<VetoKey>())
            }
            // What its names have is bounded by a certificate's.
            Self::Key(id) => size_of_val::<(Principal, PublicKey)>(id).saturating_mul(2),
            Self::Landmark(id) => both(id.operator.as_str(), id.name.as_str()),
            Self::Member(_) | Self::Approval(_) | Self::BreakGlass(_) => 0,
        };
        names.saturating_add(size_of::<Change>())
    }
}

/// A row that an entry changed, created or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry.
    pub revision: Revision,
    /// The row.
    pub key: Key,
}

/// Not everything that was asked for is still here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("changes are kept from revision {first} on")]
pub struct Compacted {
    /// The first revision whose changes are all here.
    pub first: Revision,
}

#[derive(Debug)]
struct Ring {
    most: usize,
    most_bytes: usize,
    /// Every change from this revision on is here.
    first: Revision,
    /// How many were here and are no more: the number of the oldest that is.
    forgotten: u64,
    changes: VecDeque<Change>,
    bytes: usize,
}

impl Ring {
    fn forget_oldest(&mut self) {
        let Some(change) = self.changes.pop_front() else { return };
        self.forgotten = self.forgotten.saturating_add(1);
        self.bytes = self.bytes.saturating_sub(change.key.size());
        self.first = self.first.max(Revision(change.revision.0.saturating_add(1)));
    }

    /// Holds the bounds. Of an entry of which something is forgotten, nothing that is left is of use.
    fn shrink(&mut self) {
        while self.changes.len() > self.most || self.bytes > self.most_bytes {
            self.forget_oldest();
        }
        while self.changes.front().is_some_and(|oldest| oldest.revision < self.first) {
            self.forget_oldest();
        }
    }

    /// The number of the first change after `after`.
    fn follows(&self, after: Revision) -> Result<u64, Compacted> {
        if after.0.saturating_add(1) < self.first.0 {
            return Err(Compacted { first: self.first });
        }
        let before = self.changes.partition_point(|change| change.revision <= after);
        Ok(self.forgotten.saturating_add(u64::try_from(before).unwrap_or(u64::MAX)))
    }
}

/// The ring. Clones share it.
#[derive(Debug, Clone)]
pub struct Changes(Arc<Mutex<Ring>>);

impl Default for Changes {
    fn default() -> Self {
        Self::with_bounds(CHANGES_KEPT, CHANGES_BYTES)
    }
}

impl Changes {
    /// An empty one that keeps so many changes in so many bytes.
    #[must_use]
    pub fn with_bounds(most: usize, most_bytes: usize) -> Self {
        let (first, forgotten, bytes) = (Revision(0), 0, 0);
        let changes = VecDeque::new();
        Self(Arc::new(Mutex::new(Ring { most, most_bytes, first, forgotten, changes, bytes })))
    }

    /// Enters what the entries of a batch did, each with its revision, in order.
    pub fn push(&self, batch: &[(Revision, Vec<Event>)]) {
        let mut ring = self.0.lock();
        for (revision, events) in batch {
            let keys: BTreeSet<Key> = events.iter().filter_map(Key::of).collect();
            for key in keys {
                ring.bytes = ring.bytes.saturating_add(key.size());
                ring.changes.push_back(Change { revision: *revision, key });
            }
        }
        ring.shrink();
    }

    /// The state of `revision` takes the place of everything: how it came about is not known here.
    pub fn restart(&self, revision: Revision) {
        let mut ring = self.0.lock();
        while !ring.changes.is_empty() {
            ring.forget_oldest();
        }
        ring.first = Revision(revision.0.saturating_add(1));
    }

    /// Whether everything after `after` is here.
    ///
    /// # Errors
    /// [`Compacted`] if not.
    pub fn check(&self, after: Revision) -> Result<(), Compacted> {
        self.0.lock().follows(after).map(|_number| ())
    }

    /// The rows among those that `wants` names which changed after `after` and not after `until`: each once, with its
    /// newest revision of that span, in the order of those. `until` is the revision of a view that the caller holds.
    ///
    /// # Errors
    /// [`Compacted`] if some of it is forgotten.
    pub fn between(
        &self,
        after: Revision,
        until: Revision,
        wants: impl Fn(&Key) -> bool,
    ) -> Result<Vec<Change>, Compacted> {
        let mut newest: BTreeMap<Key, Revision> = BTreeMap::new();
        let mut next = self.0.lock().follows(after)?;
        loop {
            let piece = self.piece(next, until)?;
            let taken = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let wanted = piece.into_iter().filter(|change| wants(&change.key));
            newest.extend(wanted.map(|change| (change.key, change.revision)));
            if taken == 0 {
                break;
            }
            next = next.saturating_add(taken);
        }
        let mut changes: Vec<Change> =
            newest.into_iter().map(|(key, revision)| Change { revision, key }).collect();
        changes.sort_by_key(|change| change.revision);
        Ok(changes)
    }

    /// A few changes from number `next` on and not after `until`, copied under the lock.
    fn piece(&self, next: u64, until: Revision) -> Result<Vec<Change>, Compacted> {
        let ring = self.0.lock();
        let at = next.checked_sub(ring.forgotten).and_then(|at| usize::try_from(at).ok());
        // It may have been forgotten since the piece before it.
        let at = at.ok_or(Compacted { first: ring.first })?.min(ring.changes.len());
        let rest = ring.changes.range(at..).take_while(|change| change.revision <= until);
        Ok(rest.take(CHANGES_PIECE).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
