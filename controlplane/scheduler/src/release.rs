//! What comes back of each class, and by when at the latest: whose, where, of which offer, and what it draws.
//!
//! Must hold: it follows the nodes, as the fleet does, and holds what each placement that stands there is charged for.

use sekisho_fsm::state::{Node, Placement};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::revision::{Epoch, Incarnation, PlacementId, Revision};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::from_fn;
use std::sync::OnceLock;

/// Before all others.
const FIRST: PlacementId =
    PlacementId { epoch: Epoch { incarnation: Incarnation(0), revision: Revision(0) }, ordinal: 0 };

/// To whom something is charged, where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account {
    pub(crate) tenant: TenantId,
    pub(crate) site: SiteId,
    pub(crate) place: Area,
    pub(crate) offer: Option<Name>,
}

/// What comes back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Back {
    pub(crate) gpus: u64,
    pub(crate) watts: u64,
}

impl Back {
    fn add(self, other: Self) -> Self {
        Self {
            gpus: self.gpus.saturating_add(other.gpus),
            watts: self.watts.saturating_add(other.watts),
        }
    }
}

/// What one placement gives back.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) account: Account,
    pub(crate) back: Back,
}

impl Release {
    /// Of a placement on a node.
    pub(crate) fn of(row: &Placement, node: &Node) -> Self {
        let account = Account {
            tenant: row.grant.job.tenant.clone(),
            site: row.grant.node.site.clone(),
            place: row.charge.place,
            offer: row.charge.offer.clone(),
        };
        let (gpus, watts) = (u64::from(row.grant.gpus), node.watts(row.bucket, row.grant.gpus));
        Self { account, back: Back { gpus, watts } }
    }
}

/// When, and which placement.
type End = (Timestamp, PlacementId);

/// What comes back to one account.
#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<End, Back>,
    /// By when how much in all, from the first question after a change on.
    sums: OnceLock<Vec<(Timestamp, Back)>>,
}

impl Rows {
    fn by(&self, at: Timestamp) -> Option<Back> {
        let sums = self.sums.get_or_init(|| {
            let sum = |sum: &mut Back, (end, back): (&End, &Back)| {
                *sum = sum.add(*back);
                Some((end.0, *sum))
            };
            self.rows.iter().scan(Back::default(), sum).collect()
        });
        let count = sums.partition_point(|(end, _)| *end <= at);
        sums.get(count.checked_sub(1)?).map(|(_, sum)| *sum)
    }
}

/// Of one class.
#[derive(Debug, Default)]
struct OfClass {
    ends: BTreeSet<End>,
    /// By account: they are few, and whoever sums up asks for each once.
    accounts: BTreeMap<Account, Rows>,
}

/// Of all placements of usable and other nodes.
#[derive(Debug, Default)]
pub(crate) struct Releases(BTreeMap<DeviceClass, OfClass>);

impl Releases {
    pub(crate) fn put(&mut self, class: &DeviceClass, at: End, release: &Release) {
        let of = self.0.entry(class.clone()).or_default();
        of.ends.insert(at);
        let account = of.accounts.entry(release.account.clone()).or_default();
        account.rows.insert(at, release.back);
        account.sums.take();
    }

    pub(crate) fn drop(&mut self, class: &DeviceClass, at: End, account: &Account) {
        let Some(of) = self.0.get_mut(class) else { return };
        of.ends.remove(&at);
        if let Some(found) = of.accounts.get_mut(account) {
            found.rows.remove(&at);
            found.sums.take();
            if found.rows.is_empty() {
                of.accounts.remove(account);
            }
        }
        if of.ends.is_empty() {
            self.0.remove(class);
        }
    }

    /// What has come back by then of a class, by account; or of all others.
    pub(crate) fn by(
        &self,
        class: &DeviceClass,
        other: bool,
        at: Timestamp,
    ) -> impl Iterator<Item = (&Account, Back)> {
        let of = self.0.iter().filter(move |(of, _)| (*of == class) != other);
        let accounts = of.flat_map(|(_, of)| &of.accounts);
        accounts.filter_map(move |(account, rows)| Some((account, rows.by(at)?)))
    }

    /// Instants from `from` on at which something comes back of a class or of all, in order; and the last one of them.
    pub(crate) fn ends(
        &self,
        class: &DeviceClass,
        all: bool,
        from: Timestamp,
    ) -> (impl Iterator<Item = Timestamp>, Option<Timestamp>) {
        let of = self.0.iter().filter(|(of, _)| all || *of == class).map(|(_, of)| &of.ends);
        let mut rests: Vec<_> = of.map(|ends| ends.range((from, FIRST)..)).collect();
        let last =
            rests.iter().filter_map(|rest| rest.clone().next_back()).map(|(at, _)| *at).max();
        let next = move || {
            let heads = rests.iter_mut().filter_map(|rest| Some((*rest.clone().next()?, rest)));
            heads.min_by_key(|(head, _)| *head)?.1.next().map(|(at, _)| *at)
        };
        (from_fn(next), last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(at: u64, ordinal: u32) -> End {
        (Timestamp(at), PlacementId { ordinal, ..FIRST })
    }

    fn release(tenant: &str, gpus: u64) -> Release {
        let (site, place) = ("tokyo-1".parse().unwrap(), Area::Japan);
        let account = Account { tenant: tenant.parse().unwrap(), site, place, offer: None };
        Release { account, back: Back { gpus, watts: gpus.saturating_mul(10) } }
    }

    #[test]
    fn what_came_or_went_after_a_question_is_in_the_next_answer() {
        let (class, other) = ("h100".parse().unwrap(), "a100".parse().unwrap());
        let mut all = Releases::default();
        let gpus = |all: &Releases, class: &DeviceClass, at: u64| {
            let found = all.by(class, false, Timestamp(at));
            let found = found.map(|(account, back)| {
                assert_eq!(back.watts, back.gpus.saturating_mul(10));
                (account.tenant.to_string(), back.gpus)
            });
            found.collect::<Vec<_>>()
        };
        let row = |tenant: &str, gpus| (tenant.to_owned(), gpus);
        let (one, two) = (release("one", 1), release("two", 8));
        all.put(&class, end(5, 0), &one);
        all.put(&class, end(5, 1), &one);
        all.put(&class, end(9, 0), &two);
        assert_eq!(gpus(&all, &class, 4), []);
        assert_eq!(gpus(&all, &class, 5), [row("one", 2)]);
        assert_eq!(gpus(&all, &class, 9), [row("one", 2), row("two", 8)]);
        all.put(&class, end(3, 2), &two);
        all.drop(&class, end(5, 1), &one.account);
        assert_eq!(gpus(&all, &class, 5), [row("one", 1), row("two", 8)]);
        assert_eq!(gpus(&all, &class, 9), [row("one", 1), row("two", 16)]);
        assert_eq!(all.by(&other, true, Timestamp(9)).count(), 2);

        all.put(&other, end(7, 0), &one);
        let ends = |every, from| {
            let (ends, last) = all.ends(&class, every, Timestamp(from));
            (ends.map(|at| at.0).collect::<Vec<_>>(), last.map(|at| at.0))
        };
        assert_eq!(ends(false, 4), (vec![5, 9], Some(9)));
        assert_eq!(ends(true, 4), (vec![5, 7, 9], Some(9)));
        assert_eq!(ends(true, 10), (vec![], None));
    }
}
