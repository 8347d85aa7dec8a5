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

/// Of one class.
#[derive(Debug, Default)]
struct OfClass {
    ends: BTreeSet<End>,
    /// By account: they are few, and whoever sums up asks for each once.
    accounts: BTreeMap<Account, BTreeMap<End, Back>>,
}

/// Of all placements of usable and other nodes.
#[derive(Debug, Default)]
pub(crate) struct Releases(BTreeMap<DeviceClass, OfClass>);

impl Releases {
    pub(crate) fn put(&mut self, class: &DeviceClass, at: End, release: &Release) {
        let of = self.0.entry(class.clone()).or_default();
        of.ends.insert(at);
        let rows = of.accounts.entry(release.account.clone()).or_default();
        rows.insert(at, release.back);
    }

    pub(crate) fn drop(&mut self, class: &DeviceClass, at: End, account: &Account) {
        let Some(of) = self.0.get_mut(class) else { return };
        of.ends.remove(&at);
        if let Some(rows) = of.accounts.get_mut(account) {
            rows.remove(&at);
            if rows.is_empty() {
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
        of.flat_map(|(_, of)| &of.accounts).filter_map(move |(account, rows)| {
            let back = rows.iter().take_while(|(row, _)| row.0 <= at).map(|(_, back)| *back);
            Some((account, back.reduce(Back::add)?))
        })
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
