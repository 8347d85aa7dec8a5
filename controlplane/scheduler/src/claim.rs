//! What is kept for jobs that cannot start yet: conservative backfill (Mu'alem and Feitelson, 2001).
//!
//! A job that devices, quotas, offers or power hold claims the first time at which all of them will admit it, and places that it
//! has then: running jobs will have ended by their limits. Whoever comes behind starts only where it is gone by then, or leaves
//! enough of each. So a large job is passed by small ones and not held up by them.
//!
//! Must hold: time limits are upper bounds, so a claim of the next round is never later than this one's, as long as nobody
//! comes before it; what one has claimed, and does not leave, another one claims after it; a group claims places on which it may
//! stand as its topology asks. Claims are made anew in each round, from the state alone, by those that it has called first;
//! whoever claims is called.
//! Does not know: periods of budgets that have not begun, of which the books keep what is to come
//! ([`Overlay::keep_budgets`](crate::books::Overlay::keep_budgets)).

mod fit;
mod instants;
mod promise;
mod ready;

use crate::books::Overlay;
use crate::choose;
use crate::fleet::Fleet;
use crate::limit::{CLAIM_ENDS_MAX, CLAIMS_PER_CLASS_MAX, CLAIMS_TRIED_MAX};
use crate::marked::{Taken, taken_until};
use crate::pick::{Allowed, Place};
use crate::shelf::Spot;
use sekisho_fsm::purse::Spend;
use sekisho_fsm::state::Job;
use sekisho_types::id::{DeviceClass, JobId, NodeId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::limit::CALLS_MAX;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

use fit::{Fit, fit};
use instants::Instants;
pub(crate) use promise::Later;
use promise::Promises;
use ready::{Places, candidate};

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
pub(crate) struct Claimant<'c, 's> {
    pub(crate) job: &'s Job,
    /// Its tenant and all above it.
    pub(crate) path: &'c [TenantId],
    /// Nodes that refused it.
    pub(crate) avoid: &'c BTreeSet<NodeId>,
    /// Nodes of jobs from which it keeps apart.
    pub(crate) against: &'c [&'c Taken],
    pub(crate) now: Timestamp,
    /// How long it lasts at most, until nothing of it is left.
    pub(crate) lasts_ms: u64,
    /// Its tenant's quotas hold it, and nothing that others have to leave: such jobs are many, and take no claim from the others.
    pub(crate) is_of_quota: bool,
}

/// Claims of a class, of the jobs that quotas hold or of the others.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    made: usize,
    tried: usize,
}

/// The claims of one round.
#[derive(Debug, Clone)]
pub(crate) struct Claims<'s> {
    /// Of a bucket one after the other.
    places: BTreeMap<NodeId, BTreeMap<u16, Vec<Kept>>>,
    quotas: BTreeMap<(TenantId, DeviceClass), Kept>,
    promises: Promises<'s>,
    counts: BTreeMap<(&'s DeviceClass, bool), Count>,
    /// Tenants of which a quota holds a job that has claimed: of each the others wait for that.
    of_quota: BTreeSet<(&'s TenantId, &'s DeviceClass)>,
}

impl<'s> Claims<'s> {
    /// None yet, of a state where some site has a power cap or none has.
    pub(crate) fn none(capped: bool) -> Self {
        let (places, quotas, counts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (promises, of_quota) = (Promises::none(capped), BTreeSet::new());
        Self { places, quotas, promises, counts, of_quota }
    }

    fn kept(&self, node: &NodeId, bucket: u16) -> &[Kept] {
        let kept = self.places.get(node).and_then(|kept| kept.get(&bucket));
        kept.map(Vec::as_slice).unwrap_or_default()
    }

    /// Nodes of which something is kept.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.places.keys()
    }

    /// Who has claimed, in order.
    pub(crate) fn claimants(&self) -> impl Iterator<Item = &'s JobId> {
        self.promises.claimants()
    }

    /// Whether a job may look for a claim, which counts as one look: its tenant's quotas hold it or something else does, and it was
    /// called or was not. What a called one had claimed is not given to who comes after it.
    pub(crate) fn may_look(
        &mut self,
        facts: &'s JobFacts,
        is_of_quota: bool,
        is_called: bool,
    ) -> bool {
        if self.promises.len() >= CALLS_MAX {
            return false;
        }
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let is_second = is_of_quota && self.of_quota.contains(&(tenant, class));
        let count = self.counts.entry((class, is_of_quota)).or_default();
        let is_spent = count.made >= CLAIMS_PER_CLASS_MAX || count.tried >= CLAIMS_TRIED_MAX;
        let may = is_called || !(is_second || is_spent);
        count.tried = count.tried.saturating_add(usize::from(may));
        may
    }

    /// What a group that starts now may charge when promises begin before it ends.
    pub(crate) fn later(
        &self,
        facts: &'s JobFacts,
        path: &[TenantId],
        until: Timestamp,
    ) -> Vec<Later<'_, 's>> {
        self.promises.later(facts, path, (Timestamp(0), until))
    }

    /// Whether a member of a job that ends by `until` may stand there.
    pub(crate) fn admits(&self, spot: &Spot, gpus: u32, until: Timestamp) -> bool {
        self.kept(&spot.1, spot.2).iter().all(|kept| kept.admits(u64::from(gpus), until))
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
        let kept = self.kept(node, bucket).iter();
        let left = kept.fold(u64::from(free), |free, kept| kept.leaves(free, time));
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

    /// When the claims of a bucket are over, if there are any.
    pub(crate) fn over(&self, node: &NodeId, bucket: u16) -> Option<Timestamp> {
        self.kept(node, bucket).iter().map(|kept| kept.over).max()
    }

    /// When the claims of a tenant's quota are over.
    pub(crate) fn charge_over(&self, tenant: &TenantId, class: &DeviceClass) -> Option<Timestamp> {
        self.quotas.get(&(tenant.clone(), class.clone())).map(|kept| kept.over)
    }

    /// From when on anything is kept.
    pub(crate) fn begins(&self) -> BTreeSet<Timestamp> {
        let places = self.places.values().flat_map(BTreeMap::values).flatten();
        places.chain(self.quotas.values()).map(|kept| kept.from).collect()
    }

    /// A group was placed.
    pub(crate) fn place(&mut self, places: &[Place], gpus: u32, until: Timestamp) {
        for (_, spot) in places {
            let kept = self.places.get_mut(&spot.1).and_then(|kept| kept.get_mut(&spot.2));
            for kept in kept.into_iter().flatten() {
                kept.take(u64::from(gpus), until);
            }
        }
    }

    /// A group was granted what it was admitted to.
    pub(crate) fn grant(
        &mut self,
        facts: &JobFacts,
        path: &[TenantId],
        spends: &[Spend<'s>],
        until: Timestamp,
    ) {
        let key = (facts.id.tenant.clone(), facts.resources.class.clone());
        if let Some(kept) = self.quotas.get_mut(&key) {
            kept.take(facts.gpus(), until);
        }
        self.promises.grant(facts, path, spends, until);
    }

    /// Claims the first time at which a group that may look for one ([`Self::may_look`]) could start, with the places of then; `None`
    /// if it never could. Its budgets are charged to the books.
    pub(crate) fn make(
        &mut self,
        (books, fleet): (&mut Overlay<'s>, &Fleet),
        shelves: &[Allowed<'_>],
        claimant: &Claimant<'_, 's>,
    ) -> Option<Timestamp> {
        let facts = &claimant.job.facts;
        let (gpus, now) = (facts.resources.gpus, claimant.now);
        let left = |spot: &Spot| {
            let may = !claimant.avoid.contains(&spot.1);
            let kept = self.kept(&spot.1, spot.2).iter();
            let over = kept.filter(|kept| kept.spare < u64::from(gpus)).map(|kept| kept.over);
            let left = over.chain(taken_until(claimant.against, &spot.1));
            may.then(|| left.fold(now, Timestamp::max))
        };
        let mut places = Places::of(shelves, gpus, now, left);
        let (from, fit) = self.first((books, fleet), shelves, &mut places, claimant)?;
        drop(places);
        let over = from.plus_ms(claimant.lasts_ms);
        for spot in fit.places {
            let free = fleet.free_at(spot, from);
            let mut spare = u64::from(free.saturating_sub(gpus));
            let kept = self.places.entry(spot.1.clone()).or_default().entry(spot.2).or_default();
            for beside in kept.iter_mut().filter(|beside| beside.over > from) {
                beside.take(u64::from(gpus), over);
                spare = spare.min(beside.spare);
            }
            kept.push(Kept { from, over, spare });
        }
        let key = (facts.id.tenant.clone(), facts.resources.class.clone());
        self.quotas.entry(key).or_insert(Kept { from, over, spare: fit.spare });
        self.promises.make(claimant, (from, over), (fit.spends, fit.books), books);
        let class = &facts.resources.class;
        let count = self.counts.entry((class, claimant.is_of_quota)).or_default();
        count.made = count.made.saturating_add(1);
        if claimant.is_of_quota {
            self.of_quota.insert((&facts.id.tenant, class));
        }
        Some(from)
    }

    /// The first instant at which the group fits: steps that double, then halves of the last one, as more and more comes back.
    fn first<'f>(
        &self,
        (books, fleet): (&Overlay<'s>, &Fleet),
        shelves: &[Allowed<'f>],
        places: &mut Places<'f, impl Fn(&Spot) -> Option<Timestamp>>,
        claimant: &Claimant<'_, 's>,
    ) -> Option<(Timestamp, Fit<'f, 's>)> {
        let (class, topology) = (&claimant.job.facts.resources.class, &claimant.job.facts.topology);
        let all = (0..).map_while(|number| candidate(shelves, places.get(number)?));
        let all = choose::first(topology, claimant.job.facts.group, all)?;
        let room = all.into_iter().max().and_then(|last| places.get(last));
        let room = room.map_or(claimant.now, |(at, ..)| at);
        let ends = fleet.releases().ends(class, self.promises.capped(), room);
        let mut instants = Instants::of(room, self.promises.overs(room), ends, CLAIM_ENDS_MAX);
        let mut fits = |at: Timestamp| {
            let places = (shelves, &mut *places);
            Some((at, fit(&self.promises, (books, fleet), places, claimant, at)?))
        };
        let (mut low, mut step) = (None, 0usize);
        let mut found = loop {
            let (at, instant) = instants.get(step);
            if low == Some(at) {
                return None;
            }
            if let Some(found) = fits(instant) {
                break (at, found);
            }
            low = Some(at);
            step = step.saturating_mul(2).saturating_add(1);
        };
        while let Some(least) = low
            && found.0.saturating_sub(least) > 1
        {
            let middle = least.midpoint(found.0);
            match fits(instants.get(middle).1) {
                Some(earlier) => found = (middle, earlier),
                None => low = Some(middle),
            }
        }
        Some(found.1)
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
