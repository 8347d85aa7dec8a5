//! What is found out about entries before their turn: the digests of their commands, and whose signatures are good.
//!
//! Signatures of entries that are applied together are checked together, at a third of the work (ADR 9).
//! Must hold (R4): a finding is what apply would find itself, or none, so that members that get the same entries in
//! other batches end alike. So nothing is refused here: where a batch is not good, each of its entries is checked in
//! its turn. Whether a key counts is asked in the entry's turn too: an entry before it may take it back.

use crate::command::{Command, tree};
use crate::entry::Entry;
use crate::role::SIGNATURES_MAX;
use crate::state::State;
use sekisho_evidence::batch::Tree;
use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::key::Batch;
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;

/// Entries whose signatures are checked together. Twice as many would save a tenth more; one bad signature among them
/// costs the others their saving.
const TOGETHER: usize = 64;

/// Fewer signatures than this are no cheaper together.
const TOGETHER_MIN: usize = 2;

/// What is known of an entry before its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// What a signature binds of the command, computed once: encoding it costs more than most commands.
    pub(crate) command: Digest,
    /// Every signature of the entry is good. If not set, nobody has looked.
    pub(crate) signed: bool,
    /// Of a batch.
    pub(crate) tree: Option<Tree>,
}

impl Ahead {
    /// Of one entry, without a look at its signatures.
    #[expect(clippy::expect_used, reason = "as in `bytes_of`")]
    pub(super) fn of(entry: &Entry) -> Self {
        let (command, tree) = read(&entry.command).expect("commands always encode");
        Self { command, signed: false, tree }
    }

    /// Of entries read back from audit records, one finding each, with no state at hand: an auditor looks at them on all its
    /// cores before their turn.
    #[must_use]
    pub fn together(entries: &[&Entry]) -> Vec<Self> {
        let mut found: Vec<Self> = entries.iter().map(|entry| Self::of(entry)).collect();
        for (entries, found) in entries.chunks(TOGETHER).zip(found.chunks_mut(TOGETHER)) {
            let few = |entry: &Entry| (1..=SIGNATURES_MAX).contains(&entry.signatures.len());
            check_together(entries, found, few);
        }
        found
    }
}

/// Checks the signatures of those entries that `may` be signed well by one equation.
fn check_together(entries: &[&Entry], found: &mut [Ahead], may: impl Fn(&Entry) -> bool) {
    let mut batch = Batch::default();
    for (entry, ahead) in entries.iter().zip(found.iter_mut()) {
        if !may(entry) {
            continue;
        }
        let intention = entry.intention_of(ahead.command);
        entry.signatures.iter().for_each(|one| one.check_with(&mut batch, &intention));
        ahead.signed = true;
    }
    if batch.len() < TOGETHER_MIN || batch.verify().is_err() {
        found.iter_mut().for_each(|ahead| ahead.signed = false);
    }
}

fn read(command: &Command) -> Result<(Digest, Option<Tree>), CanonicalError> {
    let Command::Batch(items) = command else { return Ok((command.digest()?, None)) };
    let tree = tree(items)?;
    Ok((tree.digest()?, Some(tree)))
}

impl State {
    /// Of entries that come next, one finding each.
    pub(super) fn look_ahead(&self, entries: &[(Revision, &Entry)]) -> Vec<Ahead> {
        let entries: Vec<&Entry> = entries.iter().map(|(_, entry)| *entry).collect();
        let mut found: Vec<Ahead> = entries.iter().map(|entry| Ahead::of(entry)).collect();
        for (entries, found) in entries.chunks(TOGETHER).zip(found.chunks_mut(TOGETHER)) {
            check_together(entries, found, |entry| self.may_be_signed(entry));
        }
        found
    }

    /// Whether apply is likely to look at the signatures: an entry that it refuses before must not spoil the batch.
    fn may_be_signed(&self, entry: &Entry) -> bool {
        let known = |signer, key| self.key(signer, key).is_some();
        (1..=SIGNATURES_MAX).contains(&entry.signatures.len())
            && entry.signatures.iter().all(|one| known(&one.principal, &one.key))
    }
}
