//! What a tick does with jobs: what others left over, what is due by time, and what is kept no longer.
//!
//! Must hold: judged by the state clock alone, whoever proposes the tick. Ticks leave no record (A2) but those that did
//! something: of them an auditor learns what they did by doing it again, and of the others that nothing was due.

use super::change::Change;
use super::{Source, forget, held};
use sekisho_types::id::JobId;
use sekisho_types::limit::TIMERS_PER_TICK_MAX;
use sekisho_types::time::Timestamp;

/// Does what is due.
pub(super) fn run(change: &mut Change<'_>) {
    if change.source == Source::Idle {
        return;
    }
    let done = [held::go_on(change), take_due(change), forget::run(change)];
    change.effects.acted = done.contains(&true);
}

/// Takes the timers that are due, the earliest first; the rest at the next tick. Whether there was any.
fn take_due(change: &mut Change<'_>) -> bool {
    let now = change.now();
    let rows = change.state.timers.iter().map(|(key, ())| key);
    let due = rows.take_while(|(at, _)| *at <= now).take(TIMERS_PER_TICK_MAX);
    let due: Vec<(Timestamp, JobId)> = due.cloned().collect();
    for row in &due {
        // An earlier one may have ended the job.
        if change.state.timers.remove(row).is_some() {
            held::due(change, &row.1);
        }
    }
    !due.is_empty()
}
