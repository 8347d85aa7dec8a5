//! Figures: what was measured on which side in which round, and what follows from it.
//!
//! Must hold: no absolute number stands alone on a shared machine. A ratio is taken round by round, between
//! neighbours in time, and its median is reported with its spread and with how busy everybody else was.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Our side, among the sides.
pub(super) const OURS: &str = "sekisho";

/// Which way a figure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
    /// A fact to know: there is no ratio.
    Neither,
}

/// What a figure says. Equal names are one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct What {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) better: Better,
}

impl What {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self { name: name.into(), unit, better }
    }
}

/// Median, least and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of no values: none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let (high, low) = (*sorted.get(half)?, *sorted.get(half.saturating_sub(1))?);
        let median = if sorted.len().is_multiple_of(2) { low.midpoint(high) } else { high };
        Some(Self { median, min, max })
    }

    /// `median (min-max)`.
    pub(super) fn words(self) -> String {
        if self.min.total_cmp(&self.max).is_eq() {
            return short(self.median);
        }
        format!("{} ({}-{})", short(self.median), short(self.min), short(self.max))
    }
}

/// Three digits that matter.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// One figure over all rounds.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) what: What,
    /// In the order of the rounds, by side.
    values: BTreeMap<&'static str, Vec<f64>>,
    /// Why a side has none.
    absent: BTreeMap<&'static str, String>,
    /// Cores that everybody else kept busy meanwhile.
    others: Vec<f64>,
    loads: Vec<f64>,
}

impl Row {
    fn new(what: &What) -> Self {
        let what = what.clone();
        Self {
            what,
            values: BTreeMap::new(),
            absent: BTreeMap::new(),
            others: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// What was measured on one side.
    pub(super) fn values(&self, side: &str) -> &[f64] {
        self.values.get(side).map_or(&[], Vec::as_slice)
    }

    pub(super) fn spread(&self, side: &str) -> Option<Spread> {
        Spread::of(self.values(side))
    }

    /// How many times better we are than `peer`: above 1 is better, whichever way the figure is good.
    pub(super) fn ratio(&self, peer: &str) -> Option<Spread> {
        let better = self.what.better;
        let pairs = self.values(OURS).iter().zip(self.values(peer));
        let ratios: Vec<f64> = pairs
            .filter_map(|(ours, theirs)| match better {
                Better::More => Some(ours / theirs),
                Better::Less => Some(theirs / ours),
                Better::Neither => None,
            })
            // What is too small for its unit has no ratio.
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
            .collect();
        Spread::of(&ratios)
    }

    /// A count of what should not happen and did not: in the lines, not in the table.
    fn is_silent(&self) -> bool {
        let none = |values: &Vec<f64>| values.iter().all(|value| *value <= 0.0);
        self.what.better == Better::Neither && self.values.values().all(none)
    }

    fn cell(&self, side: &'static str) -> String {
        let absent = || self.absent.get(side).cloned().unwrap_or_else(|| "-".to_owned());
        self.spread(side).map_or_else(absent, Spread::words)
    }

    fn line(&self, peer: Option<&'static str>) -> Value {
        let span = |spread: Option<Spread>| spread.map(|s| [s.min, s.max]);
        let ours = self.spread(OURS);
        let theirs = peer.and_then(|peer| self.spread(peer));
        let ratio = peer.and_then(|peer| self.ratio(peer));
        json!({
            "name": self.what.name,
            "unit": self.what.unit,
            "better": match self.what.better {
                Better::More => "more",
                Better::Less => "less",
                Better::Neither => "neither",
            },
            "value": ours.map(|s| s.median),
            "spread": span(ours),
            "rounds": self.values(OURS).len(),
            "absent": self.absent.get(OURS),
            "peer": peer,
            "peer_value": theirs.map(|s| s.median),
            "peer_spread": span(theirs),
            "peer_absent": peer.and_then(|peer| self.absent.get(peer)),
            "ratio": ratio.map(|s| s.median),
            "ratio_spread": span(ratio),
            "load": Spread::of(&self.loads).map(|s| s.median),
            "others_cores": Spread::of(&self.others).map(|s| s.median),
        })
    }
}

/// All figures, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: Vec<Row>,
    peers: Vec<&'static str>,
}

impl Figures {
    fn row(&mut self, what: &What) -> Option<&mut Row> {
        let at = self.rows.iter().position(|row| row.what == *what).unwrap_or_else(|| {
            self.rows.push(Row::new(what));
            self.rows.len().saturating_sub(1)
        });
        self.rows.get_mut(at)
    }

    fn meet(&mut self, side: &'static str) {
        if side != OURS && !self.peers.contains(&side) {
            self.peers.push(side);
        }
    }

    /// Adds what a round measured on a side, and how busy everybody else was.
    pub(super) fn add(&mut self, what: &What, side: &'static str, value: f64, others: f64) {
        self.meet(side);
        let load = super::meter::load_average();
        if let Some(row) = self.row(what) {
            row.values.entry(side).or_default().push(value);
            row.others.push(others);
            row.loads.push(load);
        }
    }

    /// Notes why a side has no such figure.
    pub(super) fn absent(&mut self, what: &What, side: &'static str, why: impl Into<String>) {
        self.meet(side);
        if let Some(row) = self.row(what) {
            row.absent.insert(side, why.into());
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Sides besides ours.
    pub(super) fn peers(&self) -> &[&'static str] {
        &self.peers
    }

    /// One line of JSON for each figure and peer; one without a peer where only we were measured.
    pub(super) fn lines(&self) -> Vec<Value> {
        let lines = |row: &Row| {
            let known = |peer: &&&'static str| {
                row.values.contains_key(**peer) || row.absent.contains_key(**peer)
            };
            let found: Vec<Value> =
                self.peers.iter().filter(known).map(|peer| row.line(Some(peer))).collect();
            if found.is_empty() { vec![row.line(None)] } else { found }
        };
        self.rows.iter().flat_map(lines).collect()
    }

    /// Head and rows of a table for people.
    pub(super) fn table(&self) -> Vec<Vec<String>> {
        let mut head = vec!["what".to_owned(), "unit".to_owned(), OURS.to_owned()];
        for peer in &self.peers {
            head.extend([(*peer).to_owned(), format!("ratio to {peer}")]);
        }
        head.push("others' cores".to_owned());
        let rows = self.rows.iter().filter(|row| !row.is_silent()).map(|row| {
            let mut cells = vec![row.what.name.clone(), row.what.unit.to_owned(), row.cell(OURS)];
            for peer in &self.peers {
                let ratio = row.ratio(peer).map_or_else(|| "-".to_owned(), Spread::words);
                cells.extend([row.cell(peer), ratio]);
            }
            cells.push(Spread::of(&row.others).map_or_else(|| "-".to_owned(), |s| short(s.median)));
            cells
        });
        std::iter::once(head).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_and_of_nothing_there_is_none() {
        let spread = Spread::of(&[5.0, 1.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (3.0, 1.0, 5.0));
        assert_eq!(Spread::of(&[4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(spread.words(), "3.00 (1.00-5.00)");
        assert_eq!(short(1234.5), "1234");
    }

    #[test]
    fn ratios_are_of_neighbours_and_above_one_is_better() {
        let mut figures = Figures::default();
        let rate = What::new("writes", "1/s", Better::More);
        // The machine was ten times slower in the second round: the ratio does not see it.
        for (ours, theirs) in [(200.0, 100.0), (20.0, 10.0), (300.0, 100.0)] {
            figures.add(&rate, OURS, ours, 0.1);
            figures.add(&rate, "etcd", theirs, 0.3);
        }
        let outage = What::new("outage", "s", Better::Less);
        figures.add(&outage, OURS, 0.5, 0.0);
        figures.add(&outage, "etcd", 2.0, 0.0);
        let many = What::new("batched", "1/s", Better::More);
        figures.absent(&many, OURS, "not there yet");
        figures.add(&many, "etcd", 9.0, 0.0);
        let ratio = figures.rows()[0].ratio("etcd").unwrap();
        assert_eq!((ratio.median, ratio.max), (2.0, 3.0));
        assert_eq!(figures.rows()[1].ratio("etcd").unwrap().median, 4.0);
        let lines = figures.lines();
        assert_eq!(lines.len(), 3);
        assert_eq!((&lines[0]["peer"], &lines[0]["rounds"]), (&json!("etcd"), &json!(3)));
        assert_eq!(
            (&lines[2]["value"], &lines[2]["absent"]),
            (&Value::Null, &json!("not there yet"))
        );
        let table = figures.table();
        assert!(table.iter().all(|row| row.len() == table[0].len()));
        assert_eq!(table[3][2], "not there yet");
        let fact = What::new("failed calls", "1", Better::Neither);
        figures.add(&fact, OURS, 0.0, 0.0);
        assert_eq!((figures.table().len(), figures.lines().len()), (table.len(), 4));
        figures.add(&fact, OURS, 2.0, 0.0);
        assert_eq!(figures.table().len(), table.len() + 1);
    }
}
