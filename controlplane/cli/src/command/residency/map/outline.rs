//! Outlines of the prefectures, in hundredths of a degree; `deploy/scripts/prefecture_outlines.py` derives them.

/// One line for each ring: the prefecture, its first point, and the step to each further one.
const TEXT: &str = include_str!("../../../../data/prefectures.txt");

/// A point: longitude and latitude, hundredths of a degree.
pub(super) type Point = (i32, i32);

fn ring(line: &str) -> Option<Vec<Point>> {
    let (_prefecture, numbers) = line.split_once(' ')?;
    let numbers: Vec<i32> = numbers.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let mut at: Option<Point> = None;
    let mut points = Vec::with_capacity(numbers.len() / 2);
    for pair in numbers.chunks(2) {
        let [x, y] = pair else { return None };
        let (from_x, from_y) = at.unwrap_or((0, 0));
        let point = (from_x.saturating_add(*x), from_y.saturating_add(*y));
        points.push(point);
        at = Some(point);
    }
    Some(points)
}

/// Every ring.
pub(super) fn rings() -> Vec<Vec<Point>> {
    TEXT.lines().filter_map(ring).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_is_a_ring_and_every_prefecture_is_there() {
        let of: BTreeSet<&str> = TEXT.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!((of.len(), rings().len(), TEXT.lines().count()), (47, 141, 141));
        for bad in ["JP-01", "JP-01 1", "JP-01 1 2 x 3", "JP-01 1 2 3"] {
            assert_eq!(ring(bad), None, "{bad}");
        }
        assert_eq!(ring("JP-01 100 200 -1 2"), Some(vec![(100, 200), (99, 202)]));
    }

    #[test]
    fn no_land_that_several_states_claim_is_in_it() {
        for (x, y) in rings().into_iter().flatten() {
            let in_box = |south, west, north, east| {
                (south..=north).contains(&y) && (west..=east).contains(&x)
            };
            // East of Nemuro and of Shiretoko, in the Sea of Japan, north of Yaeyama.
            assert!(!in_box(4300, 14584, 4600, 15000), "{x} {y}");
            assert!(!in_box(4362, 14537, 4400, 15000), "{x} {y}");
            assert!(!in_box(4400, 14545, 4600, 15000), "{x} {y}");
            assert!(!in_box(3710, 13170, 3740, 13200), "{x} {y}");
            assert!(!in_box(2550, 12330, 2610, 12480), "{x} {y}");
        }
    }
}
