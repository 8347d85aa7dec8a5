//! Witnessing: whether what other members signed is of the audit log that this member has (A1).
//!
//! Each member tells the others what it signed. What was signed at a revision that this member signed, too, must be the same
//! text; any other head must be one of this member's own tree, and is looked up there once the own log has come so far.
//!
//! Must hold: a head that the own log contradicts is first told to the own signer, then kept with what contradicts it, for
//! good; nothing is called a fork that its own evidence does not show ([`Fork::judge`]). What waits is bounded for each
//! member: one that signs without end pushes out its own words, the latest first.
//!
//! Does not judge who is right: two members' logs differ, or one of them lies. Whoever is contradicted by members of k operators
//! stops signing, until the companies take the wrong ones out of the endorser bundle.

use crate::core::{Core, federation};
use crate::duty::SignedHead;
use crate::limit::{HEARD_MAX, WITNESS_EVERY};
use crate::replica::{Archive, ArchiveError};
use parking_lot::Mutex;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine, assemble};
use sekisho_evidence::fork::{Extended, Fork, KeptFork};
use sekisho_evidence::merkle::{Frontier, prove_consistency};
use sekisho_proto::status::ApiError;
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, PublicKey};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// A head that another member signed.
#[derive(Debug, Clone)]
struct Heard {
    checkpoint: Checkpoint,
    text: String,
    note: Vec<u8>,
    key: PublicKey,
}

/// Of one member: by revision, and by text where there are two.
type Words = BTreeMap<(Revision, Digest), Heard>;

/// What was heard and not judged yet, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    heard: Mutex<BTreeMap<MemberId, Words>>,
    found: Mutex<BTreeMap<Digest, KeptFork>>,
    news: Notify,
}

/// What the own log says of a head.
enum Verdict {
    /// It is one of its own.
    Same,
    /// It cannot be said yet.
    Wait,
    /// It contradicts it, and this shows it.
    Fork(Box<Fork>),
}

impl Witness {
    /// Takes a line that verified as the member's.
    pub(crate) fn hear(&self, endorser: (MemberId, PublicKey), text: &str, line: &SignatureLine) {
        let Ok(checkpoint) = Checkpoint::parse(text) else { return };
        let (member, key) = endorser;
        let note = assemble(text, std::slice::from_ref(line));
        let mut heard = self.heard.lock();
        let words = heard.entry(member).or_default();
        let at = (checkpoint.revision, Digest::of(text.as_bytes()));
        words.insert(at, Heard { checkpoint, text: text.to_owned(), note, key });
        while words.len() > HEARD_MAX {
            words.pop_last();
        }
        drop(heard);
        self.news.notify_one();
    }

    /// Evidence that was found, now or before.
    pub(crate) fn found(&self) -> Vec<KeptFork> {
        self.found.lock().values().cloned().collect()
    }

    /// What can be judged by a log that has come to `revision`.
    fn due(&self, revision: Revision) -> Vec<(MemberId, (Revision, Digest), Heard)> {
        let heard = self.heard.lock();
        let due = |(member, words): (&MemberId, &Words)| {
            let words = words.iter().filter(|((at, _), _)| *at <= revision);
            words.map(|(at, heard)| (*member, *at, heard.clone())).collect::<Vec<_>>()
        };
        heard.iter().flat_map(due).collect()
    }

    fn forget(&self, member: MemberId, at: &(Revision, Digest)) {
        let mut heard = self.heard.lock();
        if let Some(words) = heard.get_mut(&member) {
            words.remove(at);
        }
    }
}

/// Whether a head is one of the own tree; with proof if it is not.
fn in_tree(
    archive: &dyn Archive,
    heard: &Heard,
    own: &SignedHead,
) -> Result<Option<Extended>, ArchiveError> {
    let failed = Mutex::new(None);
    let hashes = |index: u64| {
        archive.hash(index).unwrap_or_else(|error| {
            failed.lock().get_or_insert(error);
            None
        })
    };
    let (size, newest) = (heard.checkpoint.head.size, own.checkpoint.head.size);
    let root = Frontier::read(size, &hashes).and_then(|frontier| frontier.root());
    let shown = root.and_then(|root| Ok((root, prove_consistency(newest, size, &hashes)?)));
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    // What is missing here comes with the backfill.
    let missing = || ArchiveError::Incomplete { first: archive.first() };
    let (root, proof) = shown.map_err(|_missing| missing())?;
    Ok((root != heard.checkpoint.head.root).then_some(Extended { root, proof }))
}

fn note_of(head: &SignedHead) -> Vec<u8> {
    assemble(&head.text, std::slice::from_ref(&head.line))
}

impl Core {
    /// Starts to compare what others signed with the own log.
    pub fn start_witness(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Critical, "witness", async move { core.witness_heads().await });
    }

    async fn witness_heads(&self) {
        while let Err(error) = self.load_forks().await {
            tracing::error!(%error, "evidence of forks cannot be read");
            tokio::time::sleep(WITNESS_EVERY).await;
        }
        loop {
            tokio::select! {
                () = self.witness.news.notified() => {}
                () = tokio::time::sleep(WITNESS_EVERY) => {}
            }
            self.witness_once().await;
        }
    }

    /// What was found before this process began.
    pub(crate) async fn load_forks(&self) -> Result<(), ApiError> {
        let unreadable = |e: &dyn std::fmt::Display| {
            ApiError::new(ErrorCode::StorageFailed, format!("evidence of a fork: {e}"))
        };
        let kept = self.diary.evidence().await.map_err(|error| unreadable(&error))?;
        for bytes in kept {
            let kept: KeptFork = decode(&bytes).map_err(|error| unreadable(&error))?;
            let name = kept.name().map_err(|error| unreadable(&error))?;
            self.heads.accuse(kept.accused, kept.key);
            self.witness.found.lock().insert(name, kept);
        }
        Ok(())
    }

    /// Judges what can be judged now.
    pub(crate) async fn witness_once(&self) {
        let state = self.replica.state();
        let Ok(federation) = federation(&state) else { return };
        for (member, at, heard) in self.witness.due(state.revision()) {
            if heard.checkpoint.incarnation != federation.incarnation {
                self.witness.forget(member, &at);
                continue;
            }
            match self.judge_head(&federation.bundle, heard.clone()).await {
                Verdict::Wait => {}
                Verdict::Same => self.witness.forget(member, &at),
                Verdict::Fork(fork) => {
                    let accused = (member, heard.key);
                    if self.accuse(&federation.bundle, accused, *fork).await {
                        self.witness.forget(member, &at);
                    }
                }
            }
        }
    }

    async fn judge_head(&self, bundle: &EndorserBundle, heard: Heard) -> Verdict {
        let same = self.heads.at(heard.checkpoint.revision);
        if same.as_ref().is_some_and(|own| own.text == heard.text) {
            return Verdict::Same;
        }
        let Some(newest) = self.heads.latest() else { return Verdict::Wait };
        let own = same.unwrap_or(newest);
        let shows = |extended| {
            let fork = Fork { first: note_of(&own), second: heard.note.clone(), extended };
            fork.judge(bundle).is_ok().then(|| Verdict::Fork(Box::new(fork)))
        };
        if let Some(fork) = shows(None) {
            return fork;
        }
        if own.checkpoint.head.size < heard.checkpoint.head.size {
            return Verdict::Wait;
        }
        let (archive, own, asked) = (Arc::clone(&self.archive), Arc::clone(&own), heard.clone());
        let looked = tokio::task::spawn_blocking(move || in_tree(archive.as_ref(), &asked, &own));
        match looked.await {
            Ok(Ok(None)) => Verdict::Same,
            Ok(Ok(extended)) => shows(extended).unwrap_or(Verdict::Wait),
            // What is missing comes; a disk that fails ends the member.
            Ok(Err(_)) | Err(_) => Verdict::Wait,
        }
    }

    /// Tells the signer, and keeps why; whether that is on the disk.
    async fn accuse(
        &self,
        bundle: &EndorserBundle,
        (accused, key): (MemberId, PublicKey),
        fork: Fork,
    ) -> bool {
        self.heads.accuse(accused, key);
        let at = self.clock.wall();
        let kept = KeptFork { at, accused, key, bundle: bundle.version, fork };
        let (Ok(name), Ok(bytes)) = (kept.name(), encode(&kept)) else { return false };
        match self.diary.keep_evidence(name, bytes).await {
            Ok(true) => {
                metrics::counter!("sekisho_api_audit_forks_total").increment(1);
                tracing::error!(member = %accused, "a member signed what this member's audit log contradicts");
                self.witness.found.lock().insert(name, kept);
                true
            }
            Ok(false) => true,
            Err(error) => {
                tracing::error!(member = %accused, %error, "evidence of a fork cannot be kept");
                false
            }
        }
    }

    /// Members that sign for the federation, and whose word this member's log contradicts.
    pub(crate) fn accused(&self) -> Vec<MemberId> {
        let state = self.replica.state();
        let Some(federation) = state.federation() else { return Vec::new() };
        let signs = |kept: &KeptFork| {
            let endorser = federation.bundle.endorser(kept.accused);
            endorser.is_some_and(|endorser| endorser.public_key == kept.key)
        };
        self.witness.found().iter().filter(|kept| signs(kept)).map(|kept| kept.accused).collect()
    }
}

#[cfg(test)]
mod tests;
