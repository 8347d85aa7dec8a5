//! What the signer made: kept by revision, handed to subscribers, summed up for `status`.

use super::rule::Refusal;
use crate::limit::{SIGNATURES_BUFFERED, SIGNATURES_KEPT};
use parking_lot::Mutex;
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine};
use sekisho_types::id::{MemberId, PublicKey};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use tokio::sync::broadcast;

/// One signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// This member's signature under it.
    pub line: SignatureLine,
}

/// Whether this member signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerState {
    /// Nothing to sign yet.
    Idle,
    /// The newest point is signed.
    Signing,
    /// There is no key.
    Missing,
    /// The endorser bundle does not list this member with this key.
    NotEndorsed,
    /// The newest point may not be signed.
    Refusing(Refusal),
    /// The last signed head could not be kept; nothing is signed.
    StoreFailed(String),
}

/// The signer at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerStatus {
    /// Whether it signs.
    pub state: SignerState,
    /// The newest point that it signed since this process started.
    pub last: Option<Checkpoint>,
}

#[derive(Debug)]
struct Kept {
    by_revision: BTreeMap<Revision, Arc<Signed>>,
    state: SignerState,
    accused: BTreeSet<(MemberId, PublicKey)>,
}

/// Signatures of this member. Clones share them.
#[derive(Debug, Clone)]
pub struct Signatures {
    kept: Arc<Mutex<Kept>>,
    news: broadcast::Sender<Arc<Signed>>,
}

impl Signatures {
    pub(super) fn new() -> Self {
        let (by_revision, accused) = (BTreeMap::new(), BTreeSet::new());
        let kept = Kept { by_revision, state: SignerState::Idle, accused };
        Self { kept: Arc::new(Mutex::new(kept)), news: broadcast::Sender::new(SIGNATURES_BUFFERED) }
    }

    pub(super) fn set(&self, state: SignerState) {
        let mut kept = self.kept.lock();
        if kept.state != state {
            tracing::debug!(?state, "signer");
        }
        kept.state = state;
    }

    pub(super) fn add(&self, signed: Vec<Signed>) {
        let signed: Vec<Arc<Signed>> = signed.into_iter().map(Arc::new).collect();
        let count = u64::try_from(signed.len()).unwrap_or(u64::MAX);
        metrics::counter!("sekisho_checkpoint_signed_total").increment(count);
        let mut kept = self.kept.lock();
        kept.state = SignerState::Signing;
        for one in &signed {
            kept.by_revision.insert(one.checkpoint.revision, Arc::clone(one));
        }
        while kept.by_revision.len() > SIGNATURES_KEPT {
            kept.by_revision.pop_first();
        }
        // Under the lock: whoever subscribes and then reads misses none.
        for one in signed {
            // Nobody listening is no fault.
            self.news.send(one).ok();
        }
    }

    /// This member's word, signed with this key, contradicts this log. Where members of k operators do, nothing more is signed.
    pub fn accuse(&self, member: MemberId, key: PublicKey) {
        self.kept.lock().accused.insert((member, key));
    }

    /// All of those.
    pub(super) fn accused(&self) -> BTreeSet<(MemberId, PublicKey)> {
        self.kept.lock().accused.clone()
    }

    /// The newest.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Signed>> {
        self.kept.lock().by_revision.last_key_value().map(|(_, signed)| Arc::clone(signed))
    }

    /// The one taken at `revision`, if it is still kept.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Option<Arc<Signed>> {
        self.kept.lock().by_revision.get(&revision).map(Arc::clone)
    }

    /// The first at or after `revision`: it covers whatever that entry recorded.
    #[must_use]
    pub fn covering(&self, revision: Revision) -> Option<Arc<Signed>> {
        let kept = self.kept.lock();
        kept.by_revision.range(revision..).next().map(|(_, signed)| Arc::clone(signed))
    }

    /// Those taken after `revision`, oldest first; of many the newest `max`.
    #[must_use]
    pub fn after(&self, revision: Revision, max: usize) -> Vec<Arc<Signed>> {
        let kept = self.kept.lock();
        let range = kept.by_revision.range((Bound::Excluded(revision), Bound::Unbounded));
        let mut newest: Vec<Arc<Signed>> =
            range.rev().take(max).map(|(_, signed)| Arc::clone(signed)).collect();
        newest.reverse();
        newest
    }

    /// Every signature from now on. A reader that lags is told so and asks by revision.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Signed>> {
        self.news.subscribe()
    }

    /// For `status`.
    #[must_use]
    pub fn status(&self) -> SignerStatus {
        let last = self.latest().map(|signed| signed.checkpoint);
        SignerStatus { state: self.kept.lock().state.clone(), last }
    }
}
