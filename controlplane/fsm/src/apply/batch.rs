//! Several commands of one caller in one entry.
//!
//! Must hold: all of them take effect or none does, and each is authorized and checked as if it had come alone; before the
//! first, payloads and signatures are checked for all. The state before is kept by its roots, which costs nothing but the
//! copies that readers of it would cost anyway.

use super::change::{Change, Effects};
use super::{drain, job, node, payload};
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
    let contents = payload::split(change, items)?;
    change.check_signatures_once()?;
    let before = change.state.clone();
    let outcome = run(change, items, &contents);
    if outcome.is_err() {
        *change.state = before;
        change.effects = Effects::default();
    }
    outcome
}

fn run<'c>(change: &mut Change<'c>, items: &[Item], contents: &[&'c [u8]]) -> Outcome {
    for ((ordinal, item), content) in (0_u32..).zip(items).zip(contents) {
        (change.ordinal, change.payload) = (ordinal, content);
        let done = match item {
            Item::SubmitJob { facts } => job::submit(change, facts),
            Item::CancelJob { job } => job::cancel(change, job),
            Item::SetSchedulable { node, schedulable } => node::cordon(change, node, *schedulable),
            Item::DrainNode { node, within_s, message } => {
                drain::begin(change, node, *within_s, message)
            }
            Item::UndrainNode { node, keep_cordoned } => {
                drain::call_off(change, node, *keep_cordoned)
            }
        };
        done.map_err(|rejection| rejection.at(ordinal))?;
    }
    Ok(Reply::Done)
}
