//! What is kept for jobs that cannot start yet: conservative backfill (Mu'alem and Feitelson, 2001).
//!
//! A job that finds no room claims the places where it could start first, at the time by which running jobs will have left
//! them; one that its tenant's quota keeps off claims the quota in the same way. Whoever comes behind starts only where it is
//! gone by then, or leaves enough. So a large job is passed by small ones and not held up by them.
//!
//! Must hold: time limits are upper bounds, so a claim of the next round is never later than this one's, as long as nobody of
//! higher priority comes; no claim is made on what another one has, and a group claims places on which it may stand as its
//! topology asks. Claims are made anew in each round, from the state alone.
//! Does not know: budgets, of which the books keep what is to come ([`Overlay::keep_budgets`](crate::books::Overlay::keep_budgets)),
//! offers and power, which come back with time and not with the end of a job.

use crate::choose;
use crate::fleet::{Fleet, Spot};
use crate::limit::CLAIMS_PER_PLAN_MAX;
use crate::marked::{Taken, taken_until};
use crate::pick::{Allowed, Place, stand};
use sekisho_fsm::state::Job;
use sekisho_types::id::{DeviceClass, NodeId, TenantId};
use sekisho_types::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Something that is kept from a time on.
#[derive(Debug, Clone, Copy)]
struct Kept {
    from: Timestamp,
    /// When whoever it is kept for will have ended at the latest, if it begins then.
    over: Timestamp,
    /// What is left of it then for others.
    spare: u64,
}

impl Kept {
    fn admits(&self, gpus: u64, until: Timestamp) -> bool {
        until <= self.from || gpus <= self.spare
    }

    /// What of `free` a job may have that begins at `at` and ends by `until`.
    fn leaves(&self, free: u64, (at, until): (Timestamp, Timestamp)) -> u64 {
        if at >= self.over || until <= self.from { free } else { free.min(self.spare) }
    }

    fn take(&mut self, gpus: u64, until: Timestamp) {
        if until > self.from {
            self.spare = self.spare.saturating_sub(gpus);
        }
    }
}

/// A group that claims places.
#[derive(Debug)]
pub(crate) struct Claimant<'c> {
    pub(crate) job: &'c Job,
    /// Nodes that refused it.
    pub(crate) avoid: &'c BTreeSet<NodeId>,
    /// Nodes of jobs from which it keeps apart.
    pub(crate) against: &'c [&'c Taken],
    pub(crate) now: Timestamp,
    /// How long it lasts at most, until nothing of it is left.
    pub(crate) lasts_ms: u64,
}

/// The claims of one round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    places: BTreeMap<NodeId, BTreeMap<u16, Kept>>,
    quotas: BTreeMap<(TenantId, DeviceClass), Kept>,
    made: usize,
}

impl Claims {
    fn kept(&self, node: &NodeId, bucket: u16) -> Option<&Kept> {
        self.places.get(node)?.get(&bucket)
    }

    /// Nodes of which something is kept.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.places.keys()
    }

    /// Whether a member of a job that ends by `until` may stand there.
    pub(crate) fn admits(&self, spot: &Spot, gpus: u32, until: Timestamp) -> bool {
        let kept = self.kept(&spot.1, spot.2);
        kept.is_none_or(|kept| kept.admits(u64::from(gpus), until))
    }

    /// Whether a tenant's job may take so much of its quota.
    pub(crate) fn admits_charge(
        &self,
        tenant: &TenantId,
        class: &DeviceClass,
        gpus: u64,
        until: Timestamp,
    ) -> bool {
        let kept = self.quotas.get(&(tenant.clone(), class.clone()));
        kept.is_none_or(|kept| kept.admits(gpus, until))
    }

    /// What of the `free` devices of a bucket a job may have that stands there for this time.
    pub(crate) fn leaves(
        &self,
        (node, bucket): (&NodeId, u16),
        free: u32,
        time: (Timestamp, Timestamp),
    ) -> u32 {
        let kept = self.kept(node, bucket);
        let left = kept.map_or_else(|| u64::from(free), |kept| kept.leaves(u64::from(free), time));
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Whether a tenant's job may take so much of its quota for this time.
    pub(crate) fn leaves_charge(
        &self,
        (tenant, class): (&TenantId, &DeviceClass),
        gpus: u64,
        time: (Timestamp, Timestamp),
    ) -> bool {
        let kept = self.quotas.get(&(tenant.clone(), class.clone()));
        kept.is_none_or(|kept| kept.leaves(gpus, time) >= gpus)
    }

    /// When a claim of a bucket is over, if there is one.
    pub(crate) fn over(&self, node: &NodeId, bucket: u16) -> Option<Timestamp> {
        self.kept(node, bucket).map(|kept| kept.over)
    }

    /// When the claims of a tenant's quota are over.
    pub(crate) fn charge_over(&self, tenant: &TenantId, class: &DeviceClass) -> Option<Timestamp> {
        self.quotas.get(&(tenant.clone(), class.clone())).map(|kept| kept.over)
    }

    /// From when on anything is kept.
    pub(crate) fn begins(&self) -> BTreeSet<Timestamp> {
        let places = self.places.values().flat_map(BTreeMap::values);
        places.chain(self.quotas.values()).map(|kept| kept.from).collect()
    }

    /// A group was placed.
    pub(crate) fn place(&mut self, places: &[Place], gpus: u32, until: Timestamp) {
        for (_, spot) in places {
            let kept = self.places.get_mut(&spot.1).and_then(|kept| kept.get_mut(&spot.2));
            if let Some(kept) = kept {
                kept.take(u64::from(gpus), until);
            }
        }
    }

    /// A group was charged.
    pub(crate) fn charge(
        &mut self,
        tenant: &TenantId,
        class: &DeviceClass,
        gpus: u64,
        until: Timestamp,
    ) {
        if let Some(kept) = self.quotas.get_mut(&(tenant.clone(), class.clone())) {
            kept.take(gpus, until);
        }
    }

    /// Claims the places where a group could start first; `None` if it never could, or enough is claimed.
    pub(crate) fn make(
        &mut self,
        fleet: &Fleet,
        shelves: &[Allowed<'_>],
        claimant: &Claimant<'_>,
    ) -> Option<Timestamp> {
        if self.made >= CLAIMS_PER_PLAN_MAX {
            return None;
        }
        let facts = &claimant.job.facts;
        let (gpus, now) = (facts.resources.gpus, claimant.now);
        let mut ready: Vec<Reverse<(Timestamp, &Spot, usize)>> = Vec::new();
        for (number, (_, shelf)) in shelves.iter().enumerate() {
            for (at, spot) in shelf.ready(gpus, now) {
                let taken = self.kept(&spot.1, spot.2).is_some();
                if taken || claimant.avoid.contains(&spot.1) {
                    continue;
                }
                let left = taken_until(claimant.against, &spot.1);
                ready.push(Reverse((left.map_or(at, |left| left.max(at)), spot, number)));
            }
        }
        // Only as many are put in order as are looked at.
        let (mut ready, mut looked) = (BinaryHeap::from(ready), Vec::new());
        let places = std::iter::from_fn(|| {
            let Reverse((at, spot, number)) = ready.pop()?;
            looked.push((at, spot));
            Some((&spot.1, stand(*shelves.get(number)?, spot.0.as_ref())))
        });
        let chosen = choose::first(&facts.topology, facts.group, places)?;
        let chosen: Vec<(Timestamp, &Spot)> =
            chosen.into_iter().filter_map(|at| looked.get(at).copied()).collect();
        let from = chosen.iter().map(|(at, _)| *at).fold(now, Timestamp::max);
        let over = from.plus_ms(claimant.lasts_ms);
        for (_, spot) in chosen {
            let free = fleet.free_at(spot, from);
            let spare = u64::from(free.saturating_sub(gpus));
            let kept = self.places.entry(spot.1.clone()).or_default();
            kept.insert(spot.2, Kept { from, over, spare });
        }
        self.made = self.made.saturating_add(1);
        Some(from)
    }

    /// Claims a tenant's quota for a job that lacks `short` GPUs of it now; nothing if no end of its own jobs gives enough back.
    pub(crate) fn make_charge(
        &mut self,
        fleet: &Fleet,
        (tenant, class): (&TenantId, &DeviceClass),
        short: u64,
        lasts_ms: u64,
    ) {
        let key = (tenant.clone(), class.clone());
        if self.quotas.contains_key(&key) {
            return;
        }
        let mut freed = 0u64;
        let found = fleet.ends_of(&key).find(|(_, gpus)| {
            freed = freed.saturating_add(u64::from(*gpus));
            freed >= short
        });
        if let Some((from, _)) = found {
            // What is over when it starts: the room of then without what it takes.
            let spare = freed.saturating_sub(short);
            let over = from.plus_ms(lasts_ms);
            self.quotas.insert(key, Kept { from, over, spare });
        }
    }
}
