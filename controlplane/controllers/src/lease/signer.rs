//! Signs what the leader counted: one signature for all renewals of a moment.
//!
//! Must hold: P4. Only what was counted is signed, and only with the key that the endorser bundle in force names for
//! this member: agents know no other. A member without such a key must not lead for long ([`super::keyless`]).

use crate::limit::{ACKNOWLEDGE_GATHER, ACKNOWLEDGE_INLINE_MAX};
use parking_lot::Mutex;
use sekisho_evidence::acknowledgement::{
    Acknowledgement, BATCH_MAX, Counted, Renewal, acknowledge,
};
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::State;
use sekisho_types::id::MemberId;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// One renewal that counted, and who waits for the word of it.
#[derive(Debug)]
struct Waiting {
    counted: Counted,
    renewal: Renewal,
    answer: oneshot::Sender<Acknowledgement>,
}

#[derive(Debug)]
struct Shared {
    member: MemberId,
    key: Option<SigningKey>,
    waiting: Mutex<Vec<Waiting>>,
    wanted: Notify,
}

/// Signs acknowledgements of one member. Clones share its queue.
#[derive(Debug, Clone)]
pub(super) struct Acknowledger(Arc<Shared>);

impl Acknowledger {
    pub(super) fn new(member: MemberId, key: Option<SigningKey>) -> Self {
        let (waiting, wanted) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { member, key, waiting, wanted }))
    }

    /// Whether agents that follow the bundle in force know this member's signature.
    pub(super) fn is_known(&self, state: &State) -> bool {
        let Some(key) = &self.0.key else { return false };
        let public = key.public();
        state.federation().is_some_and(|federation| {
            let mut endorsers = federation.bundle.endorsers.iter();
            endorsers.any(|one| one.member == self.0.member && one.public_key == public)
        })
    }

    /// Signs together with whatever else counts at this moment. `None` without a key that agents know.
    pub(super) async fn sign(
        &self,
        state: &State,
        term: u64,
        renewal: Renewal,
    ) -> Option<Acknowledgement> {
        if !self.is_known(state) {
            return None;
        }
        let federation = state.federation()?;
        let counted = Counted {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            member: self.0.member,
            term,
            revision: state.revision(),
        };
        let (answer, signed) = oneshot::channel();
        self.0.waiting.lock().push(Waiting { counted, renewal, answer });
        self.0.wanted.notify_one();
        signed.await.ok()
    }

    /// Signs batch after batch; ends only by being dropped.
    pub(super) async fn run(self) {
        loop {
            self.0.wanted.notified().await;
            // One round of confirmation lets all of its renewals go at once: they come within this.
            tokio::time::sleep(ACKNOWLEDGE_GATHER).await;
            let mut waiting = std::mem::take(&mut *self.0.waiting.lock());
            while !waiting.is_empty() {
                let rest = waiting.split_off(waiting.len().min(BATCH_MAX));
                self.batch(waiting).await;
                waiting = rest;
            }
        }
    }

    async fn batch(&self, batch: Vec<Waiting>) {
        let Some(key) = self.0.key.clone() else { return };
        metrics::counter!("sekisho_lease_signatures_total").increment(1);
        if batch.len() <= ACKNOWLEDGE_INLINE_MAX {
            answer(&key, batch);
            return;
        }
        let done = tokio::task::spawn_blocking(move || answer(&key, batch)).await;
        if let Err(error) = done {
            tracing::error!(%error, "acknowledgements not signed");
        }
    }
}

/// Signs runs of renewals that were counted alike, and hands the words out.
fn answer(key: &SigningKey, batch: Vec<Waiting>) {
    // The revision is the newest of the batch: it only says how far the leader was.
    let Some(newest) = batch.iter().map(|one| one.counted).max_by_key(|c| (c.term, c.revision))
    else {
        return;
    };
    let (same, older): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|one| one.counted.term == newest.term);
    let renewals: Vec<Renewal> = same.iter().map(|one| one.renewal.clone()).collect();
    match acknowledge(newest, &renewals, key) {
        Ok(all) => {
            for (one, acknowledgement) in same.into_iter().zip(all) {
                // Its stream may have ended meanwhile.
                one.answer.send(acknowledgement).ok();
            }
        }
        Err(error) => tracing::error!(%error, "acknowledgements not signed"),
    }
    if !older.is_empty() {
        answer(key, older);
    }
}
