//! Who may hold how many GPUs: a tree of tenants, by class and area, whose members lend to one another (Q1).
//!
//! ```text
//!                    ministry  JP  nominal 10                pool = 10 + what its parts lend
//!                    /        \
//!   bureau  nominal 8, lends 8   lab  nominal 0, borrows 12  room = what is left of its own + of the pool, up to 12
//! ```
//! The sums are those of Kueue's cohorts (`pkg/cache/scheduler/resource_node.go`): a tenant keeps what it does not lend,
//! what it uses beyond that its parent carries, and so on up.
//!
//! Must hold: rows of different areas bind independently: a placement counts in every row of its tenant whose area
//! contains its place, and each of them has to have room; where there is none, nothing is granted (unknown = denied).
//! What is charged counts in all areas around its place, row or none, so that a row which is set later knows what runs.
//! Does not know: who asks, what it costs (`budget`) and whose devices it is on (`offer`).

use crate::state::State;
use crate::table::Table;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::quota::{Allotment, Amount, Limit};
use sekisho_types::revision::Revision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a tenant may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The numbers; never [`Allotment::is_none`]: that has no row.
    pub allotment: Allotment,
    /// Last change.
    pub revision: Revision,
}

/// What a tenant holds of one class in one area, and its parts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Line {
    /// What was set, if anything.
    pub quota: Option<Quota>,
    /// GPUs charged to the tenant itself.
    pub own: u64,
    /// GPUs of its parts that they cannot keep to themselves.
    pub below: u64,
    /// What its parts lend, together.
    pub lent: u64,
    /// How many of them lend without bound.
    pub lent_all: u32,
}

/// Of a line without a row: it is in nobody's way.
const OPEN: Allotment =
    Allotment { nominal: Limit::None, borrowing: Limit::Unlimited, lending: Limit::Unlimited };

impl Line {
    fn allotment(&self) -> Allotment {
        self.quota.map_or(OPEN, |quota| quota.allotment)
    }

    /// GPUs that count here. What the tenant holds itself in an area where it has no row is nobody's business there.
    #[must_use]
    pub fn used(&self) -> u64 {
        if self.quota.is_some() { self.own.saturating_add(self.below) } else { self.below }
    }

    /// Its own and what its parts lend.
    #[must_use]
    pub fn pool(&self) -> Amount {
        let lent = if self.lent_all > 0 { Amount::Unbounded } else { Amount::Gpus(self.lent) };
        Amount::from(self.allotment().nominal).plus(lent)
    }

    /// What of the pool nobody else may use.
    fn kept(&self) -> Amount {
        match Amount::from(self.allotment().lending) {
            Amount::Unbounded => Amount::NONE,
            Amount::Gpus(lends) => self.pool().less(lends),
        }
    }

    /// What the parent carries.
    fn overflow(&self) -> u64 {
        self.kept().short_of(self.used())
    }

    /// What the parent's pool has of it.
    fn lends(&self) -> Amount {
        self.pool().min(self.allotment().lending.into())
    }

    /// GPUs beyond its pool: of others.
    #[must_use]
    pub fn borrowed(&self) -> u64 {
        self.pool().short_of(self.used())
    }

    /// Room here, where the parent has `above`; `None` = there is no parent.
    fn room(&self, above: Option<Amount>) -> Amount {
        let (pool, used) = (self.pool(), self.used());
        let Some(above) = above else { return pool.less(used) };
        let kept = self.kept();
        let shared = match (pool, kept) {
            (Amount::Gpus(pool), Amount::Gpus(kept)) => Amount::Gpus(pool.saturating_sub(kept)),
            (Amount::Unbounded, _) => Amount::Unbounded,
            (Amount::Gpus(_), Amount::Unbounded) => Amount::NONE,
        };
        let most = shared.plus(self.allotment().borrowing.into()).less(self.overflow());
        kept.less(used).plus(above.min(most))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What changed of a line that its parent has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    overflow: u64,
    lends: Amount,
}

impl Share {
    fn of(line: &Line) -> Self {
        Self { overflow: line.overflow(), lends: line.lends() }
    }

    fn put(self, line: &mut Line) {
        line.below = line.below.saturating_add(self.overflow);
        match self.lends {
            Amount::Gpus(gpus) => line.lent = line.lent.saturating_add(gpus),
            Amount::Unbounded => line.lent_all = line.lent_all.saturating_add(1),
        }
    }

    fn take(self, line: &mut Line) {
        line.below = line.below.saturating_sub(self.overflow);
        match self.lends {
            Amount::Gpus(gpus) => line.lent = line.lent.saturating_sub(gpus),
            Amount::Unbounded => line.lent_all = line.lent_all.saturating_sub(1),
        }
    }
}

/// What a tenant holds of one class, by area.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holding {
    /// Areas in which it has a row, or it or a part of it holds something.
    pub lines: BTreeMap<Area, Line>,
}

impl Holding {
    fn shares(&self) -> impl Iterator<Item = (Area, Share)> {
        self.lines.iter().map(|(area, line)| (*area, Share::of(line)))
    }

    /// GPUs charged to the tenant itself, wherever they are.
    #[must_use]
    pub fn own(&self) -> u64 {
        self.lines.get(&Area::Japan).map_or(0, |line| line.own)
    }
}

/// The key of a holding.
pub type HoldingKey = (TenantId, DeviceClass);

/// Where holdings are found: in the state, or in a plan beside it.
pub trait Holdings {
    /// What a tenant holds of a class.
    fn holding(&self, key: &HoldingKey) -> Option<&Holding>;
}

/// Where they are kept.
pub trait Keep: Holdings {
    /// Keeps one; an empty one goes.
    fn keep(&mut self, key: HoldingKey, holding: Holding);
}

impl Holdings for Table<HoldingKey, Holding> {
    fn holding(&self, key: &HoldingKey) -> Option<&Holding> {
        self.get(key)
    }
}

impl Keep for Table<HoldingKey, Holding> {
    fn keep(&mut self, key: HoldingKey, holding: Holding) {
        if holding.lines.is_empty() {
            self.remove(&key);
        } else {
            self.insert(key, holding);
        }
    }
}

/// A tenant's lines while they change, with what its parent had of each that did.
#[derive(Debug)]
pub struct Lines<'h> {
    lines: &'h mut BTreeMap<Area, Line>,
    before: Vec<(Area, Share)>,
}

impl<'h> Lines<'h> {
    fn new(lines: &'h mut BTreeMap<Area, Line>) -> Self {
        Self { lines, before: Vec::new() }
    }

    /// The line of an area, to be changed.
    pub fn of(&mut self, area: Area) -> &mut Line {
        let line = self.lines.entry(area).or_default();
        if self.before.iter().all(|(of, _)| *of != area) {
            self.before.push((area, Share::of(line)));
        }
        line
    }

    /// What the parent has to know of those that changed. Empty ones go.
    fn moved(self) -> Vec<(Area, Share, Share)> {
        let mut moved = Vec::new();
        for (area, old) in self.before {
            let Some(line) = self.lines.get(&area) else { continue };
            let new = Share::of(line);
            if line.is_empty() {
                self.lines.remove(&area);
            }
            if old != new {
                moved.push((area, old, new));
            }
        }
        moved
    }
}

/// Changes a tenant's lines of a class, and those of each tenant above it (`path`, the tenant first) as far as it matters
/// there. Costs what changes, however many lines there are: each placement does this, and each plan.
pub fn edit(
    holdings: &mut impl Keep,
    path: &[TenantId],
    class: &DeviceClass,
    change: impl FnOnce(&mut Lines<'_>),
) {
    let mut change = Some(change);
    let mut moved: Vec<(Area, Share, Share)> = Vec::new();
    for tenant in path {
        let key = (tenant.clone(), class.clone());
        let mut holding = holdings.holding(&key).cloned().unwrap_or_default();
        let mut lines = Lines::new(&mut holding.lines);
        if let Some(change) = change.take() {
            change(&mut lines);
        }
        for (area, old, new) in moved {
            let line = lines.of(area);
            old.take(line);
            new.put(line);
        }
        moved = lines.moved();
        holdings.keep(key, holding);
        if moved.is_empty() {
            return;
        }
    }
}

/// Adds what a part uses and lends to the first of `path`, which becomes its parent.
pub(crate) fn graft(
    holdings: &mut impl Keep,
    path: &[TenantId],
    class: &DeviceClass,
    part: &Holding,
) {
    edit(holdings, path, class, |lines| {
        for (area, share) in part.shares() {
            share.put(lines.of(area));
        }
    });
}

/// The reverse of [`graft`].
pub(crate) fn prune(
    holdings: &mut impl Keep,
    path: &[TenantId],
    class: &DeviceClass,
    part: &Holding,
) {
    edit(holdings, path, class, |lines| {
        for (area, share) in part.shares() {
            share.take(lines.of(area));
        }
    });
}

/// Charges GPUs at a place to the first of `path`.
pub fn charge(
    holdings: &mut impl Keep,
    path: &[TenantId],
    class: &DeviceClass,
    place: Area,
    gpus: u64,
) {
    edit(holdings, path, class, |lines| {
        for area in place.chain() {
            let line = lines.of(area);
            line.own = line.own.saturating_add(gpus);
        }
    });
}

/// Gives GPUs at a place back (Q2).
pub fn refund(
    holdings: &mut impl Keep,
    path: &[TenantId],
    class: &DeviceClass,
    place: Area,
    gpus: u64,
) {
    edit(holdings, path, class, |lines| {
        for area in place.chain() {
            let line = lines.of(area);
            line.own = line.own.saturating_sub(gpus);
        }
    });
}

/// What a tenant and those above it hold of a class, the tenant first: looked up once for all its rows.
#[derive(Debug)]
pub struct Held<'h>(Vec<Option<&'h Holding>>);

impl<'h> Held<'h> {
    /// Of `path`.
    pub fn of(holdings: &'h impl Holdings, path: &[TenantId], class: &DeviceClass) -> Self {
        let holding = |tenant: &TenantId| holdings.holding(&(tenant.clone(), class.clone()));
        Self(path.iter().map(holding).collect())
    }

    /// Areas in which the tenant itself has a row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Area> {
        let lines = self.0.first().copied().flatten().map(|holding| &holding.lines);
        let rows = lines.into_iter().flatten().filter(|(_, line)| line.quota.is_some());
        rows.map(|(area, _)| *area)
    }

    fn fold(&self, area: Area, of: impl Fn(Line) -> Line) -> Amount {
        let line = |holding: &Option<&Holding>| {
            holding.and_then(|holding| holding.lines.get(&area)).copied().unwrap_or_default()
        };
        let above =
            self.0.iter().rev().fold(None, |above, holding| Some(of(line(holding)).room(above)));
        above.unwrap_or(Amount::NONE)
    }

    /// Room in the tenant's row for an area.
    #[must_use]
    pub fn room(&self, area: Area) -> Amount {
        self.fold(area, |line| line)
    }

    /// The room that there would be if nobody held anything: what can ever be charged.
    #[must_use]
    pub fn ceiling(&self, area: Area) -> Amount {
        self.fold(area, |line| Line { own: 0, below: 0, ..line })
    }
}

/// What a tenant may hold of a class in all its rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// If nobody held anything.
    pub ever: Amount,
    /// Beside what is held.
    pub now: Amount,
}

impl State {
    /// A tenant and all above it, itself first. At most [`TENANT_DEPTH_MAX`]; apply lets no deeper tree come.
    #[must_use]
    pub fn path(&self, tenant: &TenantId) -> Vec<TenantId> {
        let mut path = vec![tenant.clone()];
        while let Some(parent) =
            path.last().and_then(|last| self.tenants.get(last)).and_then(|row| row.parent.as_ref())
        {
            if path.len() >= TENANT_DEPTH_MAX {
                break;
            }
            path.push(parent.clone());
        }
        path
    }

    /// Tenants whose parent this is.
    pub fn parts_of<'s>(&'s self, tenant: &'s TenantId) -> impl Iterator<Item = &'s TenantId> {
        let of = move |row: &crate::state::Tenant| row.parent.as_ref() == Some(tenant);
        self.tenants.iter().filter(move |(_, row)| of(row)).map(|(id, _)| id)
    }

    /// What a tenant holds of a class.
    #[must_use]
    pub fn holding(&self, tenant: &TenantId, class: &DeviceClass) -> Option<&Holding> {
        self.quotas.get(&(tenant.clone(), class.clone()))
    }

    /// What every tenant holds, by tenant and class.
    pub fn holdings(&self) -> impl DoubleEndedIterator<Item = (&HoldingKey, &Holding)> {
        self.quotas.iter()
    }

    /// A tenant's line of a class in an area.
    #[must_use]
    pub fn line(&self, tenant: &TenantId, class: &DeviceClass, area: Area) -> Line {
        let holding = self.holding(tenant, class);
        holding.and_then(|holding| holding.lines.get(&area)).copied().unwrap_or_default()
    }

    /// What was set for a tenant; unset = none.
    #[must_use]
    pub fn quota(&self, tenant: &TenantId, class: &DeviceClass, area: Area) -> Allotment {
        self.line(tenant, class, area).quota.map_or(Allotment::NONE, |quota| quota.allotment)
    }

    /// The revision of its last change; 0 where it is none.
    #[must_use]
    pub fn quota_revision(&self, tenant: &TenantId, class: &DeviceClass, area: Area) -> Revision {
        self.line(tenant, class, area).quota.map_or(Revision(0), |quota| quota.revision)
    }

    /// Room that a tenant has in its row for an area.
    #[must_use]
    pub fn room(&self, tenant: &TenantId, class: &DeviceClass, area: Area) -> Amount {
        Held::of(&self.quotas, &self.path(tenant), class).room(area)
    }

    /// What a tenant may hold more of a class in all its rows together; rows inside others bind besides.
    #[must_use]
    pub fn most(&self, tenant: &TenantId, class: &DeviceClass) -> Most {
        let held = Held::of(&self.quotas, &self.path(tenant), class);
        let widest = |area: &Area| held.rows().all(|of| of == *area || !of.contains(*area));
        let none = Most { ever: Amount::NONE, now: Amount::NONE };
        held.rows().filter(widest).fold(none, |most, area| Most {
            ever: most.ever.plus(held.ceiling(area)),
            now: most.now.plus(held.room(area)),
        })
    }

    /// GPUs that a tenant itself is charged for, wherever they are.
    #[must_use]
    pub fn usage(&self, tenant: &TenantId, class: &DeviceClass) -> u64 {
        self.holding(tenant, class).map_or(0, Holding::own)
    }

    /// All such charges above zero.
    pub fn usages(&self) -> impl Iterator<Item = (&HoldingKey, u64)> {
        let used = self.quotas.iter().map(|(key, holding)| (key, holding.own()));
        used.filter(|(_, gpus)| *gpus > 0)
    }

    /// All rows, by tenant, class and area.
    pub fn quotas(&self) -> impl Iterator<Item = (&HoldingKey, Area, &Line)> {
        let all = self.quotas.iter().flat_map(|(key, holding)| {
            holding.lines.iter().map(move |(area, line)| (key, *area, line))
        });
        all.filter(|(_, _, line)| line.quota.is_some())
    }
}

#[cfg(test)]
mod tests;
