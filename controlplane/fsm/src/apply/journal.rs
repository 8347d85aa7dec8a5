//! Heads of members' journals of denials (A2).
//!
//! Must hold: a member speaks for its own journal alone; a journal only grows, and of one length it has one head. A refusal
//! here is itself a record: it tells that a member lost or changed what it had written down.

use super::change::Change;
use crate::audit::RecordedJournal;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::journal::JournalHead;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::Workload;

pub(super) fn record(change: &mut Change<'_>, head: &JournalHead) -> Outcome {
    change.member()?;
    let own = match &change.entry.actor.workload {
        Workload::Member { member, .. } => *member == head.member.0,
        Workload::Agent { .. } | Workload::User { .. } | Workload::Landmark { .. } => false,
    };
    if !own {
        let why = "a member records its own journal alone";
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    if let Some(kept) = change.state.journals.get(&head.member) {
        let kept = kept.head;
        if *head == kept {
            return Ok(Reply::Done);
        }
        if head.count <= kept.count {
            let why = format!(
                "the journal of member {} had {} entries and another head: {} now",
                head.member, kept.count, head.count
            );
            return Err(Rejection::new(ErrorCode::JournalShrunk, why));
        }
    }
    let row = RecordedJournal { head: *head, revision: change.revision, at: change.now() };
    change.state.journals.insert(head.member, row);
    Ok(Reply::Done)
}
