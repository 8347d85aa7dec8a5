//! Several commands of one caller in one entry.
//!
//! Must hold: all of them take effect or none does, and each is authorized and checked as if it had come alone. The
//! state before is kept by its roots, which costs nothing but the copies that readers of it would cost anyway.

use super::Source;
use super::change::{Change, Effects};
use super::{job, node};
use crate::command::Item;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::batch::ITEMS_MAX;
use sekisho_types::error_code::ErrorCode;

/// Applies the commands in order; each sees what those before it did.
pub(super) fn apply(change: &mut Change<'_>, items: &[Item]) -> Outcome {
    if items.is_empty() || items.len() > ITEMS_MAX {
        let why = format!("a batch has 1 to {ITEMS_MAX} commands, this one {}", items.len());
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    change.check_signatures_once()?;
    let before = change.state.clone();
    let outcome = run(change, items);
    if outcome.is_err() {
        *change.state = before;
        change.effects = Effects::default();
    }
    outcome
}

fn run(change: &mut Change<'_>, items: &[Item]) -> Outcome {
    let mut left = change.entry.payload.as_slice();
    // An auditor's record leaves the payload out.
    let told = change.source != Source::Record || !left.is_empty();
    for (ordinal, item) in (0_u32..).zip(items) {
        change.ordinal = ordinal;
        change.payload = &[];
        let done = match item {
            Item::SubmitJob { facts } => {
                let len = if told { facts.payload_len } else { 0 };
                // Shorter than the facts say: the job's own check tells it.
                let len = usize::try_from(len).unwrap_or(usize::MAX).min(left.len());
                (change.payload, left) = left.split_at(len);
                job::submit(change, facts)
            }
            Item::CancelJob { job } => job::cancel(change, job),
            Item::SetSchedulable { node, schedulable } => {
                node::set_schedulable(change, node, *schedulable)
            }
        };
        done.map_err(|rejection| rejection.at(ordinal))?;
    }
    if left.is_empty() {
        return Ok(Reply::Done);
    }
    let why = format!("{} bytes belong to no job of the batch", left.len());
    Err(Rejection::new(ErrorCode::PayloadMismatch, why))
}
