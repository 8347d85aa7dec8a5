//! What agents fetch for a job: its payload, and the submission that its submitter signed.
//!
//! Must hold: the bytes are kept in a table beside the state exactly while an open job refers to them; the state
//! itself holds digest, length and count (a queue of many jobs has to fit in memory). Bytes that stay in their job's area
//! are in no entry and no table: an entry that carries them is refused, by members and auditors alike.

use super::change::Change;
use super::{Source, bytes_of};
use crate::command::{Command, Item};
use crate::event::Event;
use crate::outcome::{Outcome, PayloadEffect, Rejection, Reply};
use crate::state::{AreaOnly, PayloadUse};
use sekisho_evidence::sealed::SealedPayload;
use sekisho_evidence::submission::{Submission, Under};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::job::JobFacts;
use sekisho_types::principal::{KeyRecord, Workload};

/// Whether the entry comes from an audit record, which leaves the payload out.
fn left_out(change: &Change<'_>) -> bool {
    change.source == Source::Record && change.entry.payload.is_empty()
}

/// Whether the facts name these bytes, and the sites that can read them. To whom bytes are sealed, they say themselves; that
/// the facts say it too is for those who have no payload, or may not look into it.
fn is_named(facts: &JobFacts, bytes: &[u8]) -> bool {
    let same_length =
        u64::try_from(bytes.len()).is_ok_and(|len| len == u64::from(facts.payload_len));
    if !same_length || Digest::of(bytes) != facts.payload {
        return false;
    }
    !facts.is_sealed()
        || SealedPayload::parse(bytes).is_ok_and(|sealed| {
            sealed.sites().eq(facts.sealed_to.iter().map(|(site, epoch)| (site, *epoch)))
        })
}

/// The contents of a batch's jobs, in its order: each is what its facts name, and there is no more. The refusal is the same
/// wherever the fault lies, because an auditor, who has no payload, has to come to the same.
pub(super) fn split<'c>(change: &Change<'c>, items: &[Item]) -> Result<Vec<&'c [u8]>, Rejection> {
    let bad = || {
        let why = "the payload is not that of the batch's jobs, one behind the other";
        Rejection::new(ErrorCode::PayloadMismatch, why)
    };
    let (mut left, mut split) = (change.entry.payload.as_slice(), Vec::with_capacity(items.len()));
    for item in items {
        let Item::SubmitJob { facts } = item else {
            split.push(&[][..]);
            continue;
        };
        if facts.area_only {
            split.push(&[][..]);
            continue;
        }
        if left_out(change) {
            split.push(left);
            continue;
        }
        let len = usize::try_from(facts.payload_len).unwrap_or(usize::MAX);
        let (own, behind) = left.split_at_checked(len).ok_or_else(bad)?;
        if !is_named(facts, own) {
            return Err(bad());
        }
        split.push(own);
        left = behind;
    }
    if left.is_empty() { Ok(split) } else { Err(bad()) }
}

/// The payload at hand is the one that the facts name, unless the entry comes from a record that leaves it out.
pub(super) fn check(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let payload = change.payload;
    if facts.area_only {
        let why = "the payload stays in the job's area: no entry carries it";
        let absent = payload.is_empty().then_some(());
        return absent.ok_or_else(|| Rejection::new(ErrorCode::PayloadMismatch, why));
    }
    if left_out(change) {
        return Ok(());
    }
    if !is_named(facts, payload) {
        return Err(Rejection::new(
            ErrorCode::PayloadMismatch,
            "the payload is not the one that the facts name",
        ));
    }
    Ok(())
}

/// What stays in its area is sealed, some member may keep it there, and it is of this job alone: whose rules would hold
/// otherwise, and where would its bytes come from.
pub(super) fn check_area(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let refuse = |code, why: &str| Err(Rejection::new(code, why));
    let known = change.state.payloads.contains(&facts.payload);
    if !facts.area_only {
        if change.state.area_only.contains(&facts.payload) {
            return refuse(
                ErrorCode::AlreadyExists,
                "the payload is another job's, and stays apart",
            );
        }
        return Ok(());
    }
    if !facts.is_sealed() || facts.payload_len == 0 {
        return refuse(ErrorCode::InvalidArgument, "what stays in the job's area is sealed");
    }
    if known {
        return refuse(ErrorCode::AlreadyExists, "another open job has the same payload");
    }
    if change.state.keepers(facts).is_empty() {
        let why = "no member stands inside the job's area at a site that the payload is sealed to";
        return refuse(ErrorCode::PayloadOutside, why);
    }
    Ok(())
}

/// A member inside says that it keeps what a host had found nowhere.
pub(super) fn found(change: &mut Change<'_>, payload: &Digest) -> Outcome {
    change.member()?;
    if !change.state.is_missing(payload) {
        return Ok(Reply::Done);
    }
    let inside = |facts: &JobFacts| {
        let Workload::Member { member, .. } = &change.entry.actor.workload else { return false };
        let members = change.state.federation().map(|federation| &federation.members);
        let own = members.and_then(|members| members.get(&MemberId(*member)));
        own.is_some_and(|own| change.state.may_keep(facts, own))
    };
    if !change.state.area_only(payload).is_some_and(inside) {
        let why = "only a member that may keep the payload says that it does";
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    change.state.area_only.update(payload, |row| row.missing = false);
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// A host found no member that keeps what it was to run.
pub(super) fn missing(change: &mut Change<'_>, payload: &Digest) {
    change.state.area_only.update(payload, |row| row.missing = true);
}

/// Bytes of the submission that this entry makes; the entry is authorized already. A key that came with the genesis
/// bears no issuer's signature of its own, so no agent could believe what it signs.
pub(super) fn submission(change: &Change<'_>, facts: &JobFacts) -> Result<Vec<u8>, Rejection> {
    let entry = change.entry;
    let vouched_for = entry.signatures.iter().find_map(|signature| {
        let key = change.state.key(&entry.actor, &signature.key)?;
        Some((signature, key, key.voucher.clone()?)).filter(|_| signature.principal == entry.actor)
    });
    let Some((signature, key, voucher)) = vouched_for else {
        let why = format!("no signature of its operator vouches for the key of {}", entry.actor);
        return Err(Rejection::new(ErrorCode::KeyUnknown, why));
    };
    Ok(bytes_of(&Submission {
        facts: facts.clone(),
        place: change.place(),
        request: entry.request,
        incarnation: entry.incarnation,
        submitted_at: change.now(),
        signature: signature.clone(),
        key: KeyRecord {
            principal: entry.actor.clone(),
            role: key.role.clone(),
            public_key: signature.key,
            expires: key.expires,
        },
        voucher,
        under: if matches!(entry.command, Command::ResealJob { .. }) {
            Under::Reseal
        } else if matches!(entry.command, Command::ReplaceJob { .. }) {
            Under::Replace
        } else {
            Under::Submit
        },
    }))
}

/// An open job refers to what it runs, which its entry carries unless it stays in the job's area.
pub(super) fn keep_content(change: &mut Change<'_>, facts: &JobFacts, bytes: &[u8]) {
    if !facts.area_only {
        return keep(change, facts.payload, facts.payload_len, bytes);
    }
    let known = change.state.payloads.get(&facts.payload).map_or(0, |used| used.jobs);
    let row = PayloadUse { len: facts.payload_len, jobs: known.saturating_add(1) };
    change.state.payloads.insert(facts.payload, row);
    // Its whole and other tasks of it may have it already, and a host may have found it nowhere.
    if !change.state.area_only.contains(&facts.payload) {
        let apart = AreaOnly { job: facts.id.clone(), missing: false };
        change.state.area_only.insert(facts.payload, apart);
    }
}

/// One more open job refers to these bytes.
pub(super) fn keep(change: &mut Change<'_>, digest: Digest, len: u32, bytes: &[u8]) {
    let known = change.state.payloads.get(&digest).map_or(0, |used| used.jobs);
    let row = PayloadUse { len, jobs: known.saturating_add(1) };
    change.state.payloads.insert(digest, row);
    if known == 0 {
        change.effects.payloads.push(PayloadEffect::Put(digest, bytes.to_vec()));
    }
}

/// One more open job refers to what another one runs.
pub(super) fn share(change: &mut Change<'_>, digest: &Digest) {
    change.state.payloads.update(digest, |used| used.jobs = used.jobs.saturating_add(1));
}

/// One open job fewer refers to these bytes.
pub(super) fn release(change: &mut Change<'_>, digest: &Digest) {
    let left = change.state.payloads.update(digest, |used| {
        used.jobs = used.jobs.saturating_sub(1);
        used.jobs
    });
    if left == Some(0) {
        change.state.payloads.remove(digest);
        if change.state.area_only.remove(digest).is_some() {
            return;
        }
        change.effects.payloads.push(PayloadEffect::Drop(*digest));
    }
}
