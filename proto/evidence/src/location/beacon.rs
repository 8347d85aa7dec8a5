//! Beacons: landmarks that stand at a host's own site, and so near that only one prefecture is in reach (tier T3).
//!
//! Must hold (D1): a host is proven to stand in its tag's prefecture only by a landmark that bears the name of its tag's
//! site, whose disc (the same as for T2: vacuum, the shortest round trip, nothing taken off, the survey added) touches no
//! land of another prefecture and none abroad. Adding delay only makes that disc larger. It rests on one operator's word,
//! that its beacon is honest and stands where it says, and on the tag; the operator may be the host's own. What several
//! operators agree on is f, which a beacon does not change.
//! Does not say that the host is at the site: only which prefecture's ground it is on, if it is on any of Japan's.

use super::geometry::{Vector, longest_ns};
use super::intersection::Disc;
use super::landmark::{Landmark, LandmarkId, Row};
use super::prefecture;
use sekisho_types::id::SiteId;
use sekisho_types::jurisdiction::Area;
use serde::{Deserialize, Serialize};

/// Where a host's tag says that it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home<'q> {
    /// Its site.
    pub site: &'q SiteId,
    /// The prefecture in which the site lies.
    pub prefecture: Area,
}

/// What the beacon of a site measured of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Which landmark.
    pub landmark: LandmarkId,
    /// The shortest round trip that counts, ns.
    pub rtt_ns: u64,
    /// The longest one that would prove the prefecture, ns; 0 if none would, because the beacon stands outside of it or at its
    /// edge.
    pub enough_ns: u64,
}

impl Beacon {
    /// Whether it proves the prefecture.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.enough_ns > 0 && self.rtt_ns <= self.enough_ns
    }
}

impl Landmark {
    /// Whether it is a beacon of a site: it bears its name.
    #[must_use]
    pub fn is_beacon_of(&self, site: &SiteId) -> bool {
        self.id.name == site.0
    }
}

/// What the beacons of the site measured: of several the one that proves most, the first of equals.
pub(super) fn best(home: Home<'_>, measured: &[(&Row, Disc)], delays: &[u64]) -> Option<Beacon> {
    let heard = measured.iter().zip(delays);
    let beacons = heard.filter(|((row, _), _)| row.landmark.is_beacon_of(home.site));
    let measured = beacons.map(|((row, disc), rtt_ns)| Beacon {
        landmark: row.landmark.id.clone(),
        rtt_ns: *rtt_ns,
        enough_ns: enough_ns(free_cm(disc, home.prefecture), row.survey_cm),
    });
    measured.min_by_key(|beacon| beacon.rtt_ns.saturating_sub(beacon.enough_ns))
}

/// How far from the disc's centre no land abroad and none of another prefecture is, cm.
fn free_cm(disc: &Disc, prefecture: Area) -> u64 {
    disc.nearest_cm.min(prefecture::table().to_others_cm(prefecture, disc.centre))
}

/// The longest round trip of a landmark with this survey whose disc stays within.
fn enough_ns(free_cm: u64, survey_cm: u64) -> u64 {
    longest_ns(free_cm.saturating_sub(survey_cm).saturating_sub(1))
}

/// The longest round trip by which a beacon at a place, surveyed to the metre, proves a host to stand in a prefecture, ns; 0 if
/// none does. Land abroad is not asked: a forecast, as [`super::coverage`].
#[must_use]
pub fn forecast_ns(place: Vector, prefecture: Area) -> u64 {
    enough_ns(prefecture::table().to_others_cm(prefecture, place), 0)
}

#[cfg(test)]
mod tests;
