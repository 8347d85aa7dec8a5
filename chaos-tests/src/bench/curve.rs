//! Curves of costs that grow: both axes logarithmic, a curve for each fleet, as SVG written by hand.
//!
//! Must hold: a cost that does not grow is a level line, one that grows as its cause rises by a square for a square.

use super::figure::short;
use std::fmt::Write as _;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
/// Space for the scale on the left, for title and legend above, for the other scale below.
const LEFT: f64 = 64.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 48.0;
/// Half of the last number below the axis.
const RIGHT: f64 = 36.0;
/// From one name of the legend to the next.
const LEGEND: f64 = 120.0;

/// A named row of points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) name: String,
    /// Ascending; what is not above zero has no place.
    pub(super) points: Vec<(f64, f64)>,
}

/// What stands at a plot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'w> {
    pub(super) title: &'w str,
    pub(super) x: &'w str,
    pub(super) y: &'w str,
}

fn colour(at: usize) -> &'static str {
    ["#2471a3", "#c0392b", "#1e8449", "#7d6608"].get(at).copied().unwrap_or("#555555")
}

/// An axis from the power of ten below the least to the one above the greatest value.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    /// Where on the page they lie.
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let least = positive.clone().fold(f64::INFINITY, f64::min);
        let most = positive.fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() {
            return Self { low: 0.0, high: 1.0, from, to };
        }
        let (low, high) = (least.log10().floor(), most.log10().ceil());
        Self { low, high: if high > low { high } else { low + 1.0 }, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let exponent = value.max(f64::MIN_POSITIVE).log10();
        let share = (exponent - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    fn decades(&self) -> Vec<f64> {
        let next = |exponent: &f64| (*exponent < self.high).then_some(exponent + 1.0);
        std::iter::successors(Some(self.low), next).map(|e| 10_f64.powf(e)).collect()
    }
}

/// Counts up to a million in full, and small values with their digits.
fn tick(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { short(value) }
}

fn grid(out: &mut String, x: Axis, y: Axis) {
    for decade in x.decades() {
        let at = x.at(decade);
        writeln!(
            out,
            "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y.to,
            y.from,
            y.from + 16.0,
            tick(decade)
        )
        .unwrap_or_default();
    }
    for decade in y.decades() {
        let at = y.at(decade);
        writeln!(
            out,
            "<path d=\"M{:.1} {at:.1}H{:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x.from,
            x.to,
            x.from - 6.0,
            at + 4.0,
            tick(decade)
        )
        .unwrap_or_default();
    }
}

/// The plot; `None` if nothing has a place in it.
pub(super) fn plot(words: Words<'_>, curves: &[Curve]) -> Option<String> {
    let all = curves.iter().flat_map(|curve| curve.points.iter().copied());
    let all = all.filter(|(x, y)| *x > 0.0 && *y > 0.0);
    all.clone().next()?;
    let x = Axis::of(all.clone().map(|(x, _)| x), LEFT, WIDTH - RIGHT);
    let y = Axis::of(all.map(|(_, y)| y), HEIGHT - BOTTOM, TOP);
    let Words { title, x: below, y: beside } = words;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
         <text x=\"12\" y=\"20\" font-size=\"14\">{title}, {beside}</text>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{below}</text>\n",
        f64::midpoint(x.from, x.to),
        HEIGHT - 10.0
    );
    grid(&mut out, x, y);
    let mut legend = LEFT;
    for (at, Curve { name, points }) in curves.iter().enumerate() {
        let colour = colour(at);
        let places: Vec<(f64, f64)> = points
            .iter()
            .filter(|(cause, cost)| *cause > 0.0 && *cost > 0.0)
            .map(|(cause, cost)| (x.at(*cause), y.at(*cost)))
            .collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            out,
            "<circle cx=\"{legend:.1}\" cy=\"42\" r=\"4\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"46\">{name}</text>\
             <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            legend + 8.0,
            line.join(" ")
        )
        .unwrap_or_default();
        for (x, y) in places {
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>")
                .unwrap_or_default();
        }
        legend += LEGEND;
    }
    Some(out + "</svg>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_stands_inside_and_a_level_cost_is_a_level_line() {
        let words = Words { title: "Planning", x: "jobs", y: "us" };
        let level = Curve { name: "100 nodes".into(), points: vec![(1e3, 5.0), (1e6, 5.0)] };
        let rises = Curve { name: "1000 nodes".into(), points: vec![(1e3, 5.0), (1e6, 5e3)] };
        let svg = plot(words, &[level, rises]).unwrap();
        assert_eq!((svg.matches("r=\"2.5\"").count(), svg.matches("<polyline").count()), (4, 2));
        assert!(svg.contains(">1000000</text>") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let line = svg.lines().find(|line| line.contains("100 nodes")).unwrap();
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<&str> =
            points.split(' ').map(|point| point.split_once(',').unwrap().1).collect();
        assert_eq!(heights[0], heights[1]);
    }

    #[test]
    fn nothing_makes_no_plot() {
        let words = Words { title: "", x: "", y: "" };
        assert_eq!(plot(words, &[]), None);
        let none = Curve { name: String::new(), points: vec![(0.0, 1.0), (5.0, 0.0)] };
        assert_eq!(plot(words, &[none]), None);
    }
}
