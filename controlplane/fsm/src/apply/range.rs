//! Ranges: what landmarks measured of one another, verified and judged here on every replica (ADR 13).
//!
//! Must hold: only what both signed counts, so nobody else sets two landmarks against each other; a landmark is taken out
//! when landmarks of more other operators stand against it than may lie, and comes back by its own operator's
//! registration alone. Who hands ranges in does not matter.

use super::change::Change;
use super::landmark;
use crate::location::Convicted;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::location::range::{Pair, Question, RANGES_MAX, Range, convicted, judge};
use sekisho_evidence::location::transcript::SignedTranscript;
use sekisho_types::error_code::ErrorCode;

fn invalid(why: impl Into<String>) -> Rejection {
    Rejection::new(ErrorCode::LocationInvalid, why)
}

/// Takes ranges. Those that do not count are left out.
pub(super) fn submit(change: &mut Change<'_>, transcripts: &[SignedTranscript]) -> Outcome {
    change.member()?;
    if transcripts.len() > RANGES_MAX {
        let why = format!("{} transcripts, at most {RANGES_MAX} are taken", transcripts.len());
        return Err(invalid(why));
    }
    // While the clock catches up, what is long over would still look good.
    change.state.clock_behind(change.entry.proposed_at)?;
    for (pair, range) in judged(change, transcripts)? {
        let held = change.state.ranges.get(&pair);
        let contradicted = held.is_some_and(|held| held.conviction.is_some());
        if let Some(kept) = range.after(held) {
            let contradicts = kept.conviction.is_some();
            change.state.ranges.insert(pair.clone(), kept);
            if contradicts != contradicted {
                landmark::show(change, [pair.0, pair.1]);
            }
        }
    }
    convict(change);
    Ok(Reply::Done)
}

fn judged(
    change: &Change<'_>,
    transcripts: &[SignedTranscript],
) -> Result<Vec<(Pair, Range)>, Rejection> {
    let federation = change.federation()?;
    let question = Question {
        cluster: &federation.cluster,
        incarnation: federation.incarnation,
        landmarks: change.state.landmarks.table(),
        now: change.state.clock,
    };
    let (mut good, mut why) = (Vec::new(), None);
    for signed in transcripts {
        match judge(question, signed) {
            Ok(range) => good.push(range),
            Err(wrong) => drop(why.get_or_insert(wrong)),
        }
    }
    if good.is_empty() {
        let none = || invalid("there is no range");
        return Err(why.map_or_else(none, |why| Rejection::new(why.code(), why.to_string())));
    }
    Ok(good)
}

/// Takes out whom too many stand against. What is left of contradictions convicts nobody further: those that went took
/// theirs along.
fn convict(change: &mut Change<'_>) {
    let guilty = convicted(change.state.contradictions());
    if guilty.is_empty() {
        return;
    }
    for id in &guilty {
        let Some((landmark, reach)) = change.state.landmarks.get(id) else { continue };
        let row = Convicted {
            landmark: landmark.clone(),
            reach: reach.clone(),
            at: change.now(),
            revision: change.revision,
        };
        change.state.convicted.insert(id.clone(), row);
    }
    landmark::silence(change, |id| guilty.contains(id));
}
