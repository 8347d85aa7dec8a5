//! What agents fetch for a job: its payload, and the submission that its submitter signed.
//!
//! Must hold: the bytes are kept in a table beside the state exactly while an open job refers to them; the state
//! itself holds digest, length and count (a queue of many jobs has to fit in memory).

use super::change::Change;
use super::{Source, bytes_of};
use crate::command::{Command, Item};
use crate::outcome::{PayloadEffect, Rejection};
use crate::state::PayloadUse;
use sekisho_evidence::sealed::SealedPayload;
use sekisho_evidence::submission::Submission;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::job::JobFacts;
use sekisho_types::principal::KeyRecord;

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

/// Bytes of the submission that this entry makes; the entry is authorized already. A key that came with the genesis
/// bears no issuer's signature of its own, so no agent could believe what it signs.
pub(super) fn submission(change: &Change<'_>, facts: &JobFacts) -> Result<Vec<u8>, Rejection> {
    let entry = change.entry;
    let vouched_for = entry.signatures.iter().find_map(|signature| {
        let key = change.state.key(&entry.actor, &signature.key)?;
        Some((signature, key, key.issuer?)).filter(|_| signature.principal == entry.actor)
    });
    let Some((signature, key, issuer)) = vouched_for else {
        let why = format!("the key of {} is not signed by its operator's issuer", entry.actor);
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
        issuer,
        resealed: matches!(entry.command, Command::ResealJob { .. }),
    }))
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

/// One open job fewer refers to these bytes.
pub(super) fn release(change: &mut Change<'_>, digest: &Digest) {
    let left = change.state.payloads.update(digest, |used| {
        used.jobs = used.jobs.saturating_sub(1);
        used.jobs
    });
    if left == Some(0) {
        change.state.payloads.remove(digest);
        change.effects.payloads.push(PayloadEffect::Drop(*digest));
    }
}
