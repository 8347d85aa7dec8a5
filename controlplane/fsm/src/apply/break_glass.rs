//! Taking the emergency right, ending it, and noting what is done by it.
//!
//! Must hold: A3. It is taken with the taker's own signature, which names its end, so that nobody opens it again with the
//! same bytes. What it allows is the table's to say (`role::by_glass`); a row is changed by ends and uses only.

use super::change::{Change, not_found};
use crate::break_glass::{BreakGlass, OPEN_MAX, REASON_MAX, ROWS_MAX, USES_NAMED};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

/// Takes the emergency right.
pub(super) fn open(change: &mut Change<'_>, reason: &str, until: Timestamp) -> Outcome {
    change.authorize(Verb::BreakGlass, Target::Federation)?;
    let empty = reason.trim().is_empty();
    if empty || reason.len() > REASON_MAX || reason.chars().any(char::is_control) {
        let why = format!("reason: one line of 1 to {REASON_MAX} bytes");
        return refuse(ErrorCode::InvalidArgument, why);
    }
    let (now, longest) = (change.now(), OPEN_MAX.as_secs());
    if until <= now || until.since_ms(now) > longest.saturating_mul(1000) {
        let why = format!("until: after {now}, within {} hours", longest / 3600);
        return refuse(ErrorCode::InvalidArgument, why);
    }
    let by = &change.entry.actor;
    if let Some((opened, _)) = change.state.open_break_glasses().find(|(_, row)| row.by == *by) {
        let why = format!("{by} has one open, of revision {opened}");
        return refuse(ErrorCode::AlreadyExists, why);
    }
    let mut gone = None;
    if change.state.break_glasses.len() >= ROWS_MAX {
        let mut over = change.state.break_glasses.iter().filter(|(_, row)| !row.is_open(now));
        let Some((oldest, _)) = over.next() else {
            return refuse(ErrorCode::AccessFull, format!("{ROWS_MAX} are open"));
        };
        gone = Some(*oldest);
    }
    if let Some(gone) = gone {
        change.state.break_glasses.remove(&gone);
        change.effects.events.insert(Event::BreakGlass(gone));
    }
    let row = BreakGlass {
        by: by.clone(),
        reason: reason.to_owned(),
        since: now,
        until,
        ended: None,
        uses: 0,
        revisions: Vec::new(),
        revision: change.revision,
    };
    change.state.break_glasses.insert(change.revision, row);
    // Under a checkpoint at once: who took it cannot have taken it later.
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::BreakGlass(change.revision));
    Ok(Reply::Done)
}

/// Ends one: its holder, or whoever may end those of others.
pub(super) fn end(change: &mut Change<'_>, opened: Revision) -> Outcome {
    let row = change.state.break_glasses.get(&opened);
    let by_holder = row.is_some_and(|row| row.by == change.entry.actor);
    if !by_holder {
        change.authorize(Verb::EndBreakGlass, Target::Federation)?;
    }
    let row = row.ok_or_else(|| not_found(format!("break-glass {opened}")))?;
    if !row.is_open(change.now()) {
        return refuse(ErrorCode::WrongPhase, format!("break-glass {opened} is over"));
    }
    let (by, now, revision) = (change.entry.actor.clone(), change.now(), change.revision);
    change.state.break_glasses.update(&opened, |row| {
        row.ended = Some((by, now));
        row.revision = revision;
    });
    change.effects.events.insert(Event::BreakGlass(opened));
    Ok(Reply::Done)
}

/// Notes that the entry at hand was allowed by nothing else.
pub(super) fn note(change: &mut Change<'_>) {
    let Some(opened) = change.glass.get() else { return };
    let revision = change.revision;
    change.state.break_glasses.update(&opened, |row| {
        row.uses = row.uses.saturating_add(1);
        if row.revisions.len() < USES_NAMED {
            row.revisions.push(revision);
        }
        row.revision = revision;
    });
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::BreakGlass(opened));
}
