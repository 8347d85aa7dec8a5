//! Q1 once more: who may hold how many GPUs in the tree of tenants, from the rows that were set and from what lives.
//!
//! Of a class in an area, each tenant has
//! ```text
//! pool     its own (nominal), and what its parts lend
//! lends    of the pool, what its row lets others use
//! kept     of the pool, what it does not lend
//! used     what it holds itself, and what its parts have beyond what they keep
//! beyond   of what is used, what is more than it keeps: it counts with its parent
//! ```
//! Must hold: a charge is followed up the tree, as far as it is beyond what the tenant on its way keeps; on each step it is
//! within the pool and what may be borrowed, at the top within the pool. A tenant without a row there has nothing of its
//! own and is in nobody's way. No sum is carried along: each is made of its parts, and anew when one of them has changed.

use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::quota::{Allotment, Amount, Limit};
use std::collections::{BTreeMap, BTreeSet};

/// What a tenant without a row has.
const OPEN: Allotment =
    Allotment { nominal: Limit::None, borrowing: Limit::Unlimited, lending: Limit::Unlimited };

/// What a tenant has of a class in an area.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What was set.
    pub(super) row: Option<Allotment>,
    /// GPUs that it holds itself.
    pub(super) own: u64,
    /// The most that these were at once.
    pub(super) peak: u64,
    /// What its parent has to know of it; `None` since it, or something below it, has changed.
    share: Option<Share>,
}

/// What counts with a parent.
#[derive(Debug, Clone, Copy)]
struct Share {
    beyond: u64,
    lends: Amount,
}

/// A tenant with its parts.
#[derive(Debug)]
struct Sums {
    row: Allotment,
    pool: Amount,
    used: u64,
}

impl Sums {
    fn kept(&self) -> Amount {
        match self.row.lending {
            Limit::None => self.pool,
            Limit::Gpus(lends) => self.pool.less(lends),
            Limit::Unlimited => Amount::NONE,
        }
    }

    fn share(&self) -> Share {
        let lends = self.pool.min(self.row.lending.into());
        Share { beyond: self.kept().short_of(self.used), lends }
    }
}

type Parts = BTreeMap<TenantId, BTreeSet<TenantId>>;
type Book = BTreeMap<TenantId, Line>;

/// The tree, its rows, and what each tenant holds.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    parents: BTreeMap<TenantId, TenantId>,
    parts: Parts,
    books: BTreeMap<(DeviceClass, Area), Book>,
}

impl Ledger {
    /// A tenant and all above it.
    pub(super) fn path(&self, tenant: &TenantId) -> Vec<TenantId> {
        let above = std::iter::successors(Some(tenant), |at| self.parents.get(*at));
        above.take(TENANT_DEPTH_MAX).cloned().collect()
    }

    /// Makes a tenant a part of another, or of none.
    ///
    /// # Errors
    /// It would be a part of itself, or too far down; it stays where it is then.
    pub(super) fn join(
        &mut self,
        tenant: &TenantId,
        parent: Option<&TenantId>,
    ) -> Result<(), String> {
        if let Some(parent) = parent {
            let path = self.path(parent);
            if path.contains(tenant) {
                return Err(format!("tenant {tenant} becomes a part of itself"));
            }
            if path.len().saturating_add(self.levels(tenant)) > TENANT_DEPTH_MAX {
                return Err(format!("tenant {tenant} is more than {TENANT_DEPTH_MAX} levels down"));
            }
        }
        self.leave(tenant);
        if let Some(parent) = parent {
            self.parents.insert(tenant.clone(), parent.clone());
            self.parts.entry(parent.clone()).or_default().insert(tenant.clone());
        }
        Ok(())
    }

    /// A tenant is nobody's part any more.
    fn leave(&mut self, tenant: &TenantId) {
        if let Some(before) = self.parents.remove(tenant)
            && let Some(parts) = self.parts.get_mut(&before)
        {
            parts.remove(tenant);
        }
        // It may carry much with it, and comes seldom: whatever was summed up is summed up anew.
        let lines = self.books.values_mut().flat_map(BTreeMap::values_mut);
        lines.for_each(|line| line.share = None);
    }

    /// Levels of a tenant with its parts: there are no circles, [`Ledger::join`] makes none.
    fn levels(&self, tenant: &TenantId) -> usize {
        let parts = self.parts.get(tenant).into_iter().flatten();
        parts.map(|part| self.levels(part)).max().unwrap_or(0).saturating_add(1)
    }

    /// Whether tenants are parts of this one.
    pub(super) fn has_parts(&self, tenant: &TenantId) -> bool {
        self.parts.get(tenant).is_some_and(|parts| !parts.is_empty())
    }

    /// Whether a tenant itself holds anything.
    pub(super) fn holds(&self, tenant: &TenantId) -> bool {
        self.books.values().filter_map(|book| book.get(tenant)).any(|line| line.own > 0)
    }

    /// Sets what a tenant may hold in an area.
    pub(super) fn set(
        &mut self,
        tenant: &TenantId,
        class: &DeviceClass,
        area: Area,
        allotment: Allotment,
    ) {
        let row = (!allotment.is_none()).then_some(allotment);
        self.edit((tenant, class), area, |line| line.row = row);
    }

    /// A tenant goes, with its rows and out of the tree.
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        let lines = self.books.values_mut().filter_map(|book| book.get_mut(tenant));
        lines.for_each(|line| line.row = None);
        self.leave(tenant);
    }

    /// A tenant holds so many more at a place. They count in every area around it.
    pub(super) fn add(&mut self, whose: (&TenantId, &DeviceClass), place: Area, gpus: u64) {
        for area in place.chain() {
            self.edit(whose, area, |line| {
                line.own = line.own.saturating_add(gpus);
                line.peak = line.peak.max(line.own);
            });
        }
    }

    /// It holds so many less there.
    pub(super) fn take(&mut self, whose: (&TenantId, &DeviceClass), place: Area, gpus: u64) {
        for area in place.chain() {
            self.edit(whose, area, |line| line.own = line.own.saturating_sub(gpus));
        }
    }

    fn edit(
        &mut self,
        (tenant, class): (&TenantId, &DeviceClass),
        area: Area,
        change: impl FnOnce(&mut Line),
    ) {
        let path = self.path(tenant);
        let book = self.books.entry((class.clone(), area)).or_default();
        change(book.entry(tenant.clone()).or_default());
        for at in &path {
            if let Some(line) = book.get_mut(at) {
                line.share = None;
            }
        }
    }

    /// Whether a tenant may hold so many more at a place: every row of it around the place has room, and there is one.
    ///
    /// # Errors
    /// Who would hold too much in which area.
    pub(super) fn admits(
        &mut self,
        (tenant, class): (&TenantId, &DeviceClass),
        place: Area,
        gpus: u64,
    ) -> Result<(), String> {
        let path = self.path(tenant);
        let mut bound = false;
        for area in place.chain() {
            let Some(book) = self.books.get_mut(&(class.clone(), area)) else { continue };
            if book.get(tenant).is_none_or(|line| line.row.is_none()) {
                continue;
            }
            bound = true;
            if let Err((over, used, most)) = climb(&self.parts, book, &path, gpus) {
                return Err(format!("{over} would hold {used} {class} in {area}, of {most}"));
            }
        }
        if bound { Ok(()) } else { Err(format!("{tenant} has no quota for {class} in {place}")) }
    }

    /// Every line that was ever touched.
    pub(super) fn lines(&self) -> impl Iterator<Item = ((&TenantId, &DeviceClass), Area, &Line)> {
        self.books.iter().flat_map(|((class, area), book)| {
            book.iter().map(move |(tenant, line)| ((tenant, class), *area, line))
        })
    }
}

/// Follows a charge up the tree. The error says who would then have used how much of what.
fn climb(
    parts: &Parts,
    book: &mut Book,
    path: &[TenantId],
    gpus: u64,
) -> Result<(), (TenantId, u64, Amount)> {
    let mut more = gpus;
    let mut way = path.iter().peekable();
    while let Some(tenant) = way.next() {
        let sums = sum_up(parts, book, tenant);
        let (kept, used) = (sums.kept(), sums.used.saturating_add(more));
        let most = if way.peek().is_some() {
            if kept.covers(used) {
                return Ok(());
            }
            sums.pool.plus(sums.row.borrowing.into())
        } else {
            sums.pool
        };
        if !most.covers(used) {
            return Err((tenant.clone(), used, most));
        }
        more = kept.short_of(used).saturating_sub(kept.short_of(sums.used));
    }
    Ok(())
}

fn sum_up(parts: &Parts, book: &mut Book, tenant: &TenantId) -> Sums {
    let line = book.get(tenant);
    let (row, own) = line.map_or((None, 0), |line| (line.row, line.own));
    let (row, mut used) = row.map_or((OPEN, 0), |row| (row, own));
    let mut pool = Amount::from(row.nominal);
    for part in parts.get(tenant).into_iter().flatten() {
        let share = share(parts, book, part);
        pool = pool.plus(share.lends);
        used = used.saturating_add(share.beyond);
    }
    Sums { row, pool, used }
}

fn share(parts: &Parts, book: &mut Book, tenant: &TenantId) -> Share {
    if let Some(known) = book.get(tenant).and_then(|line| line.share) {
        return known;
    }
    let share = sum_up(parts, book, tenant).share();
    book.entry(tenant.clone()).or_default().share = Some(share);
    share
}

#[cfg(test)]
mod tests;
