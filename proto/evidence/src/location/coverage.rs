//! What landmarks could prove of a country full of points, before there are any: where to put the next one.
//!
//! A forecast, not evidence: it assumes a delay for each distance, the same everywhere. It judges by the same
//! intersection as a verdict does, so that what it calls provable is so if the delays are as assumed.

use super::geometry::{EARTH_CM, Vector, reach};
use super::intersection::{Disc, Intersection};
use super::landmark::{Landmark, LandmarkId, Row};
use super::verdict::{FIX_LANDMARKS_MAX, discs};
use sekisho_types::id::{OperatorId, PublicKey};
use sekisho_types::jurisdiction::{Area, Level, areas};
use sekisho_types::position::Position;

/// How long an honest exchange takes: twice the way over ground through fibre, longer by a factor, and a fixed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Length of the fibre by that of the way over ground, thousandths: 1500 is one and a half times as long.
    pub inflation_permille: u32,
    /// What both ends and the equipment between take, ns.
    pub fixed_ns: u64,
}

impl Delay {
    /// What ordinary networks in Japan show: half as long again, and 0.3 ms.
    pub const ORDINARY: Self = Self { inflation_permille: 1500, fixed_ns: 300_000 };

    /// The round trip over the ground between two points, ns.
    fn rtt_ns(self, from: Vector, to: Vector) -> u64 {
        // 204.2 km/ms in fibre, there and back: cm · 2 · permille / (1000 · 20.42 cm/ns).
        let way = u128::from(arc_cm(from.chord(to)));
        let ns = way.saturating_mul(self.inflation_permille.into()).div_ceil(10_210);
        u64::try_from(ns).unwrap_or(u64::MAX).saturating_add(self.fixed_ns)
    }
}

/// The way over ground of a chord: the first terms of 2R · asin(chord / 2R), to a millionth within 3,000 km.
fn arc_cm(chord_cm: u64) -> u64 {
    const ONE: u128 = 1 << 40;
    let chord = u128::from(chord_cm);
    let diameter = u128::from(EARTH_CM).saturating_mul(2);
    let ratio = chord.saturating_mul(ONE).checked_div(diameter).unwrap_or_default();
    let square = ratio.saturating_mul(ratio).div_euclid(ONE);
    let fourth = square.saturating_mul(square).div_euclid(ONE);
    let factor = ONE
        .saturating_add(square.div_euclid(6))
        .saturating_add(fourth.saturating_mul(3).div_euclid(40));
    u64::try_from(chord.saturating_mul(factor).div_euclid(ONE)).unwrap_or(u64::MAX)
}

/// A place for a landmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose it would be.
    pub operator: OperatorId,
    /// Where.
    pub position: Position,
}

/// What is asked of every point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// How long exchanges take.
    pub delay: Delay,
    /// f: how many operators may lie.
    pub threshold: u32,
}

/// How much would be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Points that were asked about.
    pub points: usize,
    /// Numbers of those that would not be proven, ascending.
    pub unproven: Vec<usize>,
}

impl Coverage {
    /// Points that would be proven.
    #[must_use]
    pub fn proven(&self) -> usize {
        self.points.saturating_sub(self.unproven.len())
    }

    /// Their share of all, thousandths, rounded down; 0 of none.
    #[must_use]
    pub fn permille(&self) -> usize {
        self.proven().saturating_mul(1000).checked_div(self.points).unwrap_or_default()
    }
}

/// Sites that were chosen, and what they leave unproven.
#[derive(Debug, Clone)]
pub struct Planner {
    model: Model,
    points: Vec<Vector>,
    chosen: Vec<Row>,
    /// By point: whether it is proven, and else a cell that is likely to be what stands in the way.
    state: Vec<(bool, usize)>,
}

impl Planner {
    /// Before any site is chosen.
    #[must_use]
    pub fn new(model: Model, points: &[Position]) -> Self {
        let points: Vec<Vector> = points.iter().copied().map(Vector::of).collect();
        let state = vec![(false, 0); points.len()];
        Self { model, points, chosen: Vec::new(), state }
    }

    /// Puts a landmark at a site.
    pub fn choose(&mut self, site: &Site) {
        self.chosen.push(row(site));
        let (model, chosen) = (self.model, &self.chosen);
        for (point, (proven, first)) in self.points.iter().zip(&mut self.state) {
            *proven = *proven || is_proven(model, *point, chosen, None, first);
        }
    }

    /// What the chosen sites prove.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let unproven = self.state.iter().enumerate().filter(|(_, (proven, _))| !proven);
        Coverage { points: self.points.len(), unproven: unproven.map(|(at, _)| at).collect() }
    }

    /// The number of the candidate that proves most in addition, the first of equals, and how many points that is;
    /// `None` if none proves any.
    #[must_use]
    pub fn next_best(&self, candidates: &[Site]) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize)> = None;
        let mut state = self.state.clone();
        for (number, site) in candidates.iter().enumerate() {
            let candidate = row(site);
            let mut gained: usize = 0;
            for (point, (proven, first)) in self.points.iter().zip(&mut state) {
                let with = Some(&candidate);
                let gains = !*proven && is_proven(self.model, *point, &self.chosen, with, first);
                gained = gained.saturating_add(gains.into());
            }
            if gained > best.map_or(0, |(_, most)| most) {
                best = Some((number, gained));
            }
        }
        best
    }
}

/// What landmarks at these sites would prove of these points.
#[must_use]
pub fn cover(model: Model, points: &[Position], sites: &[Site]) -> Coverage {
    let rows: Vec<Row> = sites.iter().map(row).collect();
    let is_open = |(_, point): &(usize, &Position)| {
        !is_proven(model, Vector::of(**point), &rows, None, &mut 0)
    };
    let unproven = points.iter().enumerate().filter(is_open).map(|(at, _)| at);
    Coverage { points: points.len(), unproven: unproven.collect() }
}

fn is_proven(
    model: Model,
    point: Vector,
    chosen: &[Row],
    candidate: Option<&Row>,
    first: &mut usize,
) -> bool {
    let sites = chosen.iter().chain(candidate);
    let mut delays: Vec<(&Row, u64)> =
        sites.map(|row| (row, model.delay.rtt_ns(row.vector, point))).collect();
    if delays.len() > FIX_LANDMARKS_MAX {
        delays.sort_by_key(|(_, ns)| *ns);
    }
    let discs: Vec<Disc> = discs(delays, reach).into_iter().map(|(_, disc)| disc).collect();
    Intersection::of(&discs).is_enough(model.threshold.saturating_add(1), first)
}

/// A landmark of that site; its name and key play no part here.
fn row(site: &Site) -> Row {
    let id = LandmarkId { operator: site.operator.clone(), name: site.operator.0.clone() };
    let key = PublicKey([0; 32]);
    Row::unchecked(Landmark { id, position: site.position, survey_m: 0, key })
}

/// Where the governments of the prefectures sit.
const CAPITALS: [u32; 47] = [
    11002, 22012, 32018, 41009, 52019, 62014, 72010, 82015, 92011, 102016, 111007, 121002, 131041,
    141003, 151009, 162019, 172014, 182010, 192015, 202011, 212016, 221007, 231002, 242012, 252018,
    261009, 271004, 281000, 292010, 302015, 312011, 322016, 331007, 341002, 352039, 362018, 372013,
    382019, 392014, 401307, 412015, 422011, 431001, 442011, 452017, 462012, 472018,
];

/// The prefectural capitals, and where their offices are: where landmarks are put first.
#[must_use]
pub fn capitals() -> Vec<(Area, Position)> {
    let office = |code| Some((Area::Code(code), Area::Code(code).info()?.office?));
    CAPITALS.into_iter().filter_map(office).collect()
}

/// Every municipality that has an office, and where that is: the points of `sekisho residency coverage`.
#[must_use]
pub fn offices() -> Vec<(Area, Position)> {
    let municipal = areas().filter(|row| row.level == Level::Municipality);
    municipal.filter_map(|row| Some((row.area, row.office?))).collect()
}

#[cfg(test)]
mod tests;
