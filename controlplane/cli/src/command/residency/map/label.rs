//! Labels that do not lie on each other, in the order in which they come: the same picture each time.

use unicode_width::UnicodeWidthStr as _;

/// Height of a line.
const LINE: f64 = 14.0;

/// Width of a column of text.
const COLUMN: f64 = 6.6;

/// How often a label is moved before it may lie on another one.
const MOVES: u32 = 40;

/// Labels that have their place.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<[f64; 4]>);

impl Labels {
    /// The left end of the base line of `text` beside a mark at `at`: right of it, and below what is there already.
    pub(super) fn beside(&mut self, at: (f64, f64), text: &str, right: f64) -> (f64, f64) {
        let columns = u32::try_from(text.width()).unwrap_or(u32::MAX);
        let width = f64::from(columns) * COLUMN;
        // Over the edge it would be cut: then it ends left of the mark.
        let left = if at.0 + 9.0 + width > right { at.0 - 9.0 - width } else { at.0 + 9.0 };
        let mut base = at.1 + 4.0;
        for _ in 0..MOVES {
            let place = [left, base - LINE + 3.0, left + width, base + 3.0];
            if !self.0.iter().any(|other| overlap(other, &place)) {
                break;
            }
            base += LINE;
        }
        self.0.push([left, base - LINE + 3.0, left + width, base + 3.0]);
        (left, base)
    }
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> bool {
    let ([a_left, a_top, a_right, a_bottom], [b_left, b_top, b_right, b_bottom]) = (*a, *b);
    a_left < b_right && b_left < a_right && a_top < b_bottom && b_top < a_bottom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_label_at_one_place_goes_below_and_at_the_edge_to_the_left() {
        let mut labels = Labels::default();
        let first = labels.beside((100.0, 50.0), "tokyo-1", 1000.0);
        let second = labels.beside((100.0, 50.0), "東京第二", 1000.0);
        assert_eq!((first.0, first.1 + LINE), second);
        let edge = labels.beside((990.0, 50.0), "nemuro-1", 1000.0);
        assert!(edge.0 < 990.0);
        // Far from both.
        assert_eq!(labels.beside((300.0, 50.0), "x", 1000.0).1, first.1);
    }
}
