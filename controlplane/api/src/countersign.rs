//! Countersignatures of agents on their way into the log (A1, ADR 21).
//!
//! An agent tells one member which audit head it was shown. The member verifies it, compares it with its own tree as far as
//! that goes, and proposes what it heard in batches; apply verifies it again.
//!
//! Must hold: one of each agent waits, the newest; a head that the own tree contradicts is not swallowed: it is alarmed, and
//! goes into the log as it was signed. What does not fit, or what an overloaded log does not take, is dropped: the agent
//! speaks again. Nothing here delays a stream.

use crate::core::Core;
use crate::limit::{COUNTERSIGN_BATCH, COUNTERSIGN_QUEUE};
use crate::replica::Archive;
use parking_lot::Mutex;
use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::merkle::Frontier;
use sekisho_fsm::audit::COUNTERSIGNATURES_MAX;
use sekisho_fsm::command::Command;
use sekisho_transport::task::TaskKind;
use sekisho_types::id::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Countersignatures(Mutex<BTreeMap<NodeId, Countersignature>>);

impl Countersignatures {
    /// Whether there was room.
    fn push(&self, signed: Countersignature) -> bool {
        let mut waiting = self.0.lock();
        let node = &signed.seen.node;
        if waiting.len() >= COUNTERSIGN_QUEUE && !waiting.contains_key(node) {
            return false;
        }
        waiting.insert(node.clone(), signed);
        true
    }

    /// The next entry's worth.
    fn due(&self) -> Vec<Countersignature> {
        let mut waiting = self.0.lock();
        let mut due = Vec::new();
        while due.len() < COUNTERSIGNATURES_MAX
            && let Some((_, signed)) = waiting.pop_first()
        {
            due.push(signed);
        }
        due
    }
}

fn count(outcome: &'static str, many: usize) {
    let many = u64::try_from(many).unwrap_or(u64::MAX);
    metrics::counter!("sekisho_countersignatures_total", "outcome" => outcome).increment(many);
}

/// Whether the own tree has another root of that size; not, if it does not reach there, or lacks hashes.
fn contradicts(archive: &dyn Archive, size: u64, signed: &Countersignature) -> bool {
    let head = signed.seen.head;
    let hashes = |index: u64| archive.hash(index).ok().flatten();
    let root = Frontier::read(head.size, &hashes).and_then(|frontier| frontier.root());
    head.size <= size && root.is_ok_and(|root| root != head.root)
}

impl Core {
    /// Takes what an agent says on its stream. What is malformed, or of somebody else, is dropped.
    pub(crate) fn hear_countersignature(&self, node: &NodeId, bytes: &[u8]) {
        let state = self.replica.state();
        let key = state.node(node).map(|node| node.receipt_key);
        let signed = Countersignature::parse(bytes).ok().filter(|signed| {
            signed.seen.node == *node && key.is_some_and(|key| signed.verify(&key).is_ok())
        });
        let Some(signed) = signed else {
            count("refused", 1);
            tracing::warn!(%node, "a countersignature is not the node's");
            return;
        };
        if !self.countersignatures.push(signed) {
            count("shed", 1);
        }
    }

    /// Starts to bring them into the log.
    pub fn start_countersignatures(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Ordinary, "countersignatures", async move {
            loop {
                tokio::time::sleep(COUNTERSIGN_BATCH).await;
                core.bring_countersignatures().await;
            }
        });
    }

    /// Proposes one entry of what waits.
    pub(crate) async fn bring_countersignatures(&self) {
        let due = self.countersignatures.due();
        if due.is_empty() {
            return;
        }
        let (archive, size) = (Arc::clone(&self.archive), self.replica.state().audit_size());
        let looked = tokio::task::spawn_blocking(move || {
            for signed in due.iter().filter(|signed| contradicts(archive.as_ref(), size, signed)) {
                count("contradicted", 1);
                let (node, head) = (&signed.seen.node, &signed.seen.head);
                tracing::error!(%node, size = head.size, root = %head.root, "an agent was shown an audit head that this log never had");
            }
            due
        });
        let Ok(heads) = looked.await else { return };
        let many = heads.len();
        let command = Command::Countersign { heads };
        match self.write_for(self.identity.principal(), command, None).await {
            Ok(_revision) => count("recorded", many),
            Err(error) => {
                count("shed", many);
                tracing::warn!(%error, many, "countersignatures are not recorded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::fake;
    use sekisho_evidence::countersign::Seen;
    use sekisho_evidence::merkle::Head;
    use sekisho_fsm::testing::receipt_key;
    use sekisho_types::id::Digest;

    fn seen(core: &Core, node: &str) -> Seen {
        let state = core.replica.state();
        let federation = state.federation().unwrap();
        Seen {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            node: node.parse().unwrap(),
            head: state.audit_head().unwrap(),
            revision: state.revision(),
        }
    }

    fn say(core: &Core, seen: Seen, on: &str) {
        let key = receipt_key(&seen.node);
        let bytes = seen.sign(&key).unwrap().bytes().unwrap();
        core.hear_countersignature(&on.parse().unwrap(), &bytes);
    }

    #[tokio::test]
    async fn agents_words_are_recorded_together_and_nobody_speaks_for_another() {
        let fake = fake();
        let core = &fake.core;
        core.bring_countersignatures().await;
        let before = core.replica.state().revision();
        say(core, seen(core, "tokyo-1/n-01"), "tokyo-1/n-01");
        say(core, seen(core, "tokyo-1/n-02"), "tokyo-1/n-02");
        say(core, seen(core, "sakai-1/n-01"), "tokyo-1/n-02");
        core.hear_countersignature(&"tokyo-1/n-01".parse().unwrap(), b"what");
        core.bring_countersignatures().await;
        let state = core.replica.state();
        assert_eq!(state.revision().0, before.0 + 1, "one entry");
        let said: Vec<String> =
            state.countersignatures().map(|(node, _)| node.to_string()).collect();
        assert_eq!(said, ["tokyo-1/n-01", "tokyo-1/n-02"]);
    }

    #[tokio::test]
    async fn a_head_that_the_own_tree_never_had_goes_into_the_log_all_the_same() {
        let fake = fake();
        let core = &fake.core;
        let now = seen(core, "tokyo-1/n-01");
        let size = now.head.size;
        let forked = Seen { head: Head { size, root: Digest([9; 32]) }, ..now };
        let signed = forked.clone().sign(&receipt_key(&forked.node)).unwrap();
        assert!(contradicts(core.archive.as_ref(), size, &signed));
        assert!(!contradicts(core.archive.as_ref(), size - 1, &signed), "not there yet");
        say(core, forked.clone(), "tokyo-1/n-01");
        core.bring_countersignatures().await;
        let state = core.replica.state();
        assert_eq!(state.contradicted(&forked.node).unwrap().countersignature, signed);
    }

    #[test]
    fn what_waits_is_bounded() {
        let waiting = Countersignatures::default();
        let fake = fake();
        let one = seen(&fake.core, "tokyo-1/n-01");
        let sign = |n: usize| {
            let node = format!("tokyo-1/n-{n}").parse().unwrap();
            Seen { node, ..one.clone() }.sign(&receipt_key(&one.node)).unwrap()
        };
        assert!((0..COUNTERSIGN_QUEUE).all(|n| waiting.push(sign(n))));
        assert!(!waiting.push(sign(COUNTERSIGN_QUEUE)) && waiting.push(sign(0)));
        assert_eq!(waiting.due().len(), COUNTERSIGNATURES_MAX);
    }
}
