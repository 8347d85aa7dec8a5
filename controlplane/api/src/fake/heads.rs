//! Test-only: checkpoints that somebody signed, in memory.

use crate::duty::{SignedHead, SignedHeads};
use parking_lot::Mutex;
use sekisho_types::id::{MemberId, PublicKey};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug, Default)]
pub(crate) struct FakeHeads {
    signed: Mutex<BTreeMap<Revision, Arc<SignedHead>>>,
    changes: watch::Sender<Revision>,
    pub(crate) accused: Mutex<BTreeSet<(MemberId, PublicKey)>>,
}

impl FakeHeads {
    pub(crate) fn of(heads: impl IntoIterator<Item = SignedHead>) -> Self {
        let fake = Self::default();
        heads.into_iter().for_each(|head| fake.push(head));
        fake
    }

    pub(super) fn push(&self, head: SignedHead) {
        let revision = head.checkpoint.revision;
        self.signed.lock().insert(revision, Arc::new(head));
        self.changes.send_replace(revision);
    }
}

impl SignedHeads for FakeHeads {
    fn latest(&self) -> Option<Arc<SignedHead>> {
        self.signed.lock().values().last().cloned()
    }
    fn at(&self, revision: Revision) -> Option<Arc<SignedHead>> {
        self.signed.lock().get(&revision).cloned()
    }
    fn after(&self, revision: Revision, max: usize) -> Vec<Arc<SignedHead>> {
        let signed = self.signed.lock();
        let newer = signed.values().rev().take_while(|h| h.checkpoint.revision > revision);
        let mut newer: Vec<_> = newer.take(max).cloned().collect();
        newer.reverse();
        newer
    }
    fn changes(&self) -> watch::Receiver<Revision> {
        self.changes.subscribe()
    }
    fn accuse(&self, member: MemberId, key: PublicKey) {
        self.accused.lock().insert((member, key));
    }
    fn problem(&self) -> Option<String> {
        None
    }
}
