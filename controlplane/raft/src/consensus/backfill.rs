//! Fetching the audit records that a snapshot has passed over (A1).
//!
//! A snapshot brings the tree's frontier and none of the records below it. They are fetched from any member that has
//! them, hashed anew, and shown only when the tree over all of them has that very frontier: so whoever sends them is not
//! trusted. Until then this member signs no checkpoint and serves no audit log.

use super::Core;
use crate::codec::{decode, encode};
use crate::disk::{AuditDisk, MemberDisk as _};
use crate::limit::{AUDIT_CHUNK, BACKFILL_LOOK, BACKFILL_TIMEOUT};
use crate::network::link::Method;
use crate::network::message::{AuditReply, AuditRequest, Refusal};
use crate::platform::Platform;
use futures::future::{BoxFuture, FutureExt as _};
use sekisho_evidence::merkle::{Frontier, MerkleError};
use sekisho_store::{Hash, StoreError};
use sekisho_types::id::{Digest, MemberId};
use std::sync::{Arc, Weak};

/// Why it does not go on with one member's records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackfillError {
    #[error("no answer")]
    Silent,
    #[error("it lacks records itself")]
    Incomplete,
    #[error("its records lead to another tree")]
    OtherTree,
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Progress {
    Done,
    More,
}

/// Adds records after those that are here; compares the tree once none is missing.
pub(crate) fn add(disk: &dyn AuditDisk, records: &[Vec<u8>]) -> Result<Progress, BackfillError> {
    let (low, first) = (disk.low(), disk.first());
    let kept = |index| disk.low_hash(index).ok().flatten().map(Digest);
    let mut frontier = Frontier::read(low, &kept)?;
    let mut hashes: Vec<Hash> = Vec::new();
    for record in records {
        hashes.extend(frontier.append(record)?.hashes.into_iter().map(|hash| hash.0));
    }
    // Before they are written: what is compared is the frontier that came with the snapshot.
    let complete = frontier.size() == first;
    if complete && !frontier.roots().all(|(index, root)| kept(index) == Some(root)) {
        return Err(BackfillError::OtherTree);
    }
    disk.backfill(low, records, &hashes)?;
    if complete {
        disk.join()?;
        return Ok(Progress::Done);
    }
    Ok(Progress::More)
}

/// As [`add`]; what leads to another tree is forgotten, all of it: which record was wrong nobody can tell.
fn compared(disk: &dyn AuditDisk, records: &[Vec<u8>]) -> Result<Progress, BackfillError> {
    let added = add(disk, records);
    if matches!(added, Err(BackfillError::OtherTree)) {
        disk.forget()?;
    }
    added
}

impl<P: Platform> Core<P> {
    /// Records for a member that lacks them.
    pub(crate) fn read_audit(
        &self,
        request: AuditRequest,
    ) -> BoxFuture<'static, Result<AuditReply, Refusal>> {
        let disk = Arc::clone(&self.store).archive();
        let reading = P::blocking(move || {
            let complete = disk.first() == 0;
            let range = request.first..request.end;
            complete.then(|| disk.records(range, AUDIT_CHUNK)).transpose()
        });
        // Boxed: the compiler cannot see that it is `Send` (rust-lang/rust#102211).
        async move {
            let records = reading.await.map_err(Refusal::stopping)?;
            Ok(AuditReply { records: records.map_err(Refusal::stopping)? })
        }
        .boxed()
    }

    /// Fetches one piece from a member.
    async fn backfill(&self, from: MemberId) -> Result<Progress, BackfillError> {
        let disk = Arc::clone(&self.store).archive();
        let request = AuditRequest { first: disk.low(), end: disk.first() };
        let missing = usize::try_from(request.end.saturating_sub(request.first));
        let missing = missing.unwrap_or(usize::MAX);
        if missing == 0 {
            // A crash came between the last piece and the comparison.
            let adding = P::blocking(move || compared(disk.as_ref(), &[]));
            return adding.await.map_err(|_gone| BackfillError::Silent)?;
        }
        let body = encode(&request).map_err(|_codec| BackfillError::Silent)?;
        let packet = self.out.packet(from, body);
        let (packet, link) = packet.map_err(|_not_member| BackfillError::Silent)?;
        let answer = link.call(Method::ReadAudit, packet, BACKFILL_TIMEOUT).await;
        let answer = answer.ok().and_then(|bytes| decode::<AuditReply>(&bytes).ok());
        let records = answer.ok_or(BackfillError::Silent)?.records;
        let mut records = records.ok_or(BackfillError::Incomplete)?;
        if records.is_empty() {
            return Err(BackfillError::Incomplete);
        }
        // More than was asked for is nothing that could be compared.
        records.truncate(missing);
        let adding = P::blocking(move || compared(disk.as_ref(), &records));
        adding.await.map_err(|_gone| BackfillError::Silent)?
    }

    /// One try to complete the audit log, from whoever has it.
    async fn complete_audit(&self) {
        let me = self.out.me;
        for member in self.out.directory.members().into_keys().filter(|id| *id != me) {
            // Whether all that is here came from this member: else others' records may be what is wrong.
            let mut alone = Arc::clone(&self.store).archive().low() == 0;
            loop {
                match self.backfill(member).await {
                    Ok(Progress::More) => {}
                    Ok(Progress::Done) => {
                        tracing::info!(from = %member, "the audit log is complete again");
                        return;
                    }
                    Err(BackfillError::OtherTree) if !alone => alone = true,
                    Err(error @ BackfillError::OtherTree) => {
                        metrics::counter!("sekisho_raft_backfill_refused_total").increment(1);
                        tracing::error!(%member, %error, "audit records refused");
                        break;
                    }
                    Err(BackfillError::Store(error)) => {
                        drop(self.storage(error));
                        break;
                    }
                    Err(error) => {
                        tracing::info!(%member, %error, "no audit records from there");
                        break;
                    }
                }
            }
        }
    }
}

/// Completes the audit log of this member whenever a snapshot has passed over records.
pub(super) async fn follow<P: Platform>(core: Weak<Core<P>>) {
    loop {
        let Some(core) = core.upgrade().filter(|core| !core.closing()) else { return };
        if Arc::clone(&core.store).archive().first() > 0 && core.proven().is_ok() {
            core.complete_audit().await;
        }
        drop(core);
        P::sleep(BACKFILL_LOOK).await;
    }
}
