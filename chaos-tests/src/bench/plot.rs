//! The plots of the page, as SVG written by hand: three kinds of marks need no library.

use super::figure::{Figures, OURS, Row, short};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
/// Space for names on the left, for the legend above, for the scale below.
const LEFT: f64 = 250.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 36.0;
const RIGHT: f64 = 24.0;
/// Height of one row of a plot that has rows.
const STEP: f64 = 24.0;

/// Name, title and picture of every plot that has something to show.
pub(super) fn all(figures: &Figures) -> Vec<(&'static str, &'static str, String)> {
    let named = |text: &str| -> Vec<&Row> {
        figures.rows().iter().filter(|row| row.what.name.starts_with(text)).collect()
    };
    let rates: Vec<&Row> = figures.rows().iter().filter(|row| row.what.unit == "1/s").collect();
    let plots = [
        ("rates", "Commands a second, median and spread (logarithmic)", rates),
        (
            "outages",
            "Leader lost to next commit, seconds, every round (logarithmic)",
            named("outage"),
        ),
        (
            "restarts",
            "All killed, all started, to first commit, seconds (logarithmic)",
            named("cold restart"),
        ),
    ];
    plots
        .into_iter()
        .filter(|(_, _, rows)| !rows.is_empty())
        .map(|(name, title, rows)| (name, title, dots(title, &rows, figures.peers())))
        .collect()
}

fn colour(side: usize) -> &'static str {
    ["#c0392b", "#2471a3", "#7d6608"].get(side).copied().unwrap_or("#555555")
}

/// Position on a logarithmic scale from the power of ten below the least to the one above the greatest value.
#[derive(Debug)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let least = positive.clone().fold(f64::INFINITY, f64::min);
        let most = positive.fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() {
            return Self { low: 0.0, high: 1.0 };
        }
        let (low, high) = (least.log10().floor(), most.log10().ceil());
        Self { low, high: if high > low { high } else { low + 1.0 } }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn decades(&self) -> Vec<f64> {
        let next = |exponent: &f64| (*exponent < self.high).then_some(exponent + 1.0);
        std::iter::successors(Some(self.low), next).map(|e| 10_f64.powf(e)).collect()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A row for each figure: every round a dot, the span a line, the median a stroke.
fn dots(title: &str, rows: &[&Row], peers: &[&'static str]) -> String {
    let sides: Vec<&str> = std::iter::once(OURS).chain(peers.iter().copied()).collect();
    let values = rows.iter().flat_map(|row| sides.iter().flat_map(|side| row.values(side)));
    let scale = Scale::of(values.copied());
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let height = TOP + f64::from(count) * STEP + BOTTOM;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
         <text x=\"12\" y=\"20\" font-size=\"14\">{}</text>\n",
        escape(title)
    );
    let mut x = 12.0;
    for (number, side) in sides.iter().enumerate() {
        let colour = colour(number);
        writeln!(out, "<circle cx=\"{x}\" cy=\"38\" r=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"42\">{side}</text>", x + 8.0)
            .unwrap_or_default();
        x += 90.0;
    }
    for decade in scale.decades() {
        let (x, low) = (scale.at(decade), height - BOTTOM);
        writeln!(
            out,
            "<path d=\"M{x:.1} {TOP}V{low}\" stroke=\"#dddddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            low + 16.0,
            short(decade)
        )
        .unwrap_or_default();
    }
    for (row, number) in rows.iter().zip(0_u32..) {
        let y = TOP + (f64::from(number) + 0.5) * STEP;
        let name = escape(&row.what.name);
        writeln!(out, "<text x=\"12\" y=\"{}\">{name}</text>", y + 4.0).unwrap_or_default();
        for (at, side) in sides.iter().enumerate() {
            mark(&mut out, row, side, (&scale, y + 5.0 * offset(at, sides.len()), colour(at)));
        }
    }
    out + "</svg>\n"
}

/// Sides of a row stand a little above each other.
fn offset(at: usize, of: usize) -> f64 {
    let real = |n: usize| f64::from(u32::try_from(n).unwrap_or(0));
    real(at) - (real(of) - 1.0) / 2.0
}

fn mark(out: &mut String, row: &Row, side: &str, (scale, y, colour): (&Scale, f64, &str)) {
    let Some(spread) = row.spread(side) else { return };
    let (low, mid, high) = (scale.at(spread.min), scale.at(spread.median), scale.at(spread.max));
    write!(
        out,
        "<path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"{colour}\"/>\
         <path d=\"M{mid:.1} {:.1}v6\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
        y - 3.0
    )
    .unwrap_or_default();
    for value in row.values(side) {
        let x = scale.at(*value);
        write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\" fill=\"{colour}\"/>")
            .unwrap_or_default();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{Better, What};

    #[test]
    fn a_plot_shows_every_round_and_stays_inside() {
        let mut figures = Figures::default();
        let what = What::new("outage <lan>, kill", "s", Better::Less);
        for value in [0.2, 0.3, 1.5] {
            figures.add(&what, OURS, value, 0.0);
            figures.add(&what, "etcd", value * 10.0, 0.0);
        }
        let plots = all(&figures);
        assert_eq!(plots.len(), 1);
        let (name, _title, svg) = &plots[0];
        assert_eq!((*name, svg.matches("r=\"1.6\"").count()), ("outages", 6));
        assert!(svg.contains("outage &lt;lan&gt;") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(all(&Figures::default()).is_empty());
    }

    #[test]
    fn the_scale_holds_what_it_is_made_of() {
        let scale = Scale::of([0.02, 7.0].into_iter());
        assert!(scale.at(0.02) >= LEFT && scale.at(7.0) <= WIDTH - RIGHT);
        assert!(scale.at(1.0) > scale.at(0.1));
        assert_eq!(scale.decades().len(), 4);
        let single = Scale::of([10.0].into_iter());
        assert!(single.high > single.low);
        assert!(Scale::of(std::iter::empty()).at(0.0).is_finite());
    }
}
