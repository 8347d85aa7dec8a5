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

/// Before all others.
const FIRST: PlacementId =
    PlacementId { epoch: Epoch { incarnation: Incarnation(0), revision: Revision(0) }, ordinal: 0 };

/// What one placement gives back.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) tenant: TenantId,
    pub(crate) site: SiteId,
    pub(crate) place: Area,
    pub(crate) offer: Option<Name>,
    pub(crate) gpus: u64,
    pub(crate) watts: u64,
}

impl Release {
    /// Of a placement on a node.
    pub(crate) fn of(row: &Placement, node: &Node) -> Self {
        Self {
            tenant: row.grant.job.tenant.clone(),
            site: row.grant.node.site.clone(),
            place: row.charge.place,
            offer: row.charge.offer.clone(),
            gpus: u64::from(row.grant.gpus),
            watts: node.watts(row.bucket, row.grant.gpus),
        }
    }
}

/// Of all placements of usable and other nodes.
#[derive(Debug, Default)]
pub(crate) struct Releases(BTreeMap<DeviceClass, BTreeMap<(Timestamp, PlacementId), Release>>);

impl Releases {
    pub(crate) fn put(
        &mut self,
        class: &DeviceClass,
        at: (Timestamp, PlacementId),
        release: Release,
    ) {
        self.0.entry(class.clone()).or_default().insert(at, release);
    }

    pub(crate) fn drop(&mut self, class: &DeviceClass, at: (Timestamp, PlacementId)) {
        if let Some(rows) = self.0.get_mut(class) {
            rows.remove(&at);
            if rows.is_empty() {
                self.0.remove(class);
            }
        }
    }

    /// What has come back by then of a class; or of all others.
    pub(crate) fn by(
        &self,
        class: &DeviceClass,
        other: bool,
        at: Timestamp,
    ) -> impl Iterator<Item = &Release> {
        let of = self.0.iter().filter(move |(of, _)| (*of == class) != other);
        let rows =
            of.flat_map(move |(_, rows)| rows.iter().take_while(move |(row, _)| row.0 <= at));
        rows.map(|(_, release)| release)
    }

    /// Instants from `from` on at which something comes back, the first so many, and the last of all.
    pub(crate) fn instants(
        &self,
        class: &DeviceClass,
        all: bool,
        (from, most): (Timestamp, usize),
    ) -> BTreeSet<Timestamp> {
        let mut found = BTreeSet::new();
        for (_, rows) in self.0.iter().filter(|(of, _)| all || *of == class) {
            let first = (from, FIRST);
            found.extend(rows.range(first..).take(most).map(|((at, _), _)| *at));
            found.extend(rows.last_key_value().map(|((at, _), _)| *at).filter(|at| *at >= from));
        }
        found
    }
}
