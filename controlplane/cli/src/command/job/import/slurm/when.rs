//! `--begin` and `--deadline`: an instant goes into the spec, as one of Japan.
//!
//! Must hold: what is counted from the call, or has no date, is told and never guessed: a spec says the same whenever it is
//! submitted (R3).

use super::super::draft::{At, Told, Why};
use super::Asked;
use super::option::{Field, Set};
use crate::command::when::instant;
use crate::failure::Failure;

/// The earliest start and the latest end.
pub(super) fn read(
    asked: &Asked,
    time_limit_s: u64,
    told: &mut Vec<Told>,
) -> Result<(Option<At>, Option<At>), Failure> {
    let mut of = |field: Field, name: &str| {
        let set = asked.get(&field)?;
        let found = absolute(set);
        if found.is_none() {
            told.push(set.told(relative(name)));
        }
        found
    };
    let (begin, end) = (of(Field::Begin, "not_before"), of(Field::Deadline, "end_by"));
    if let (Some(end), Some(set)) = (&end, asked.get(&Field::Deadline)) {
        let least = begin.as_ref().map_or(0, |begin| begin.at.0.saturating_add(1));
        let start = end.at.0.checked_sub(time_limit_s.saturating_mul(1000));
        if start.is_none_or(|start| start < least) {
            return Err(set.at.refuse("leaves less than the time limit"));
        }
    }
    Ok((begin, end))
}

/// `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM` or `YYYY-MM-DDTHH:MM:SS`.
fn absolute(set: &Set) -> Option<At> {
    let zone = if set.value.contains('T') { "+09:00" } else { "" };
    let text = format!("{}{zone}", set.value);
    let at = instant(&text).ok()?;
    Some(At { text, at })
}

fn relative(field: &str) -> Why {
    Why::new(
        format!("has no date of its own: write one, `{field}: 2027-04-01T02:00+09:00`"),
        format!("日付がありません。`{field}: 2027-04-01T02:00+09:00` のように日時を書いてください"),
    )
}
