//! When the agent says which audit head it was shown (A1).
//!
//! Must hold: only a head under k operators that the ledger took; each at most once; at most one in [`COUNTERSIGN_EVERY`],
//! but for the first of an incarnation. To one member, another one each time: whoever deceives this host does not choose who
//! hears of it. One that is lost is not repeated: the next one covers it.

use crate::driver::Driver;
use crate::limit::COUNTERSIGN_EVERY;
use crate::stream::Streams;
use sekisho_agent_core::ledger::Ledger;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::countersign::Seen;
use sekisho_proto::internal::v1::AgentMessage;
use sekisho_proto::internal::v1::agent_message::{Countersigned, Message};
use sekisho_types::revision::Incarnation;
use std::time::Duration;
use tokio::time::Instant;

/// What was countersigned last.
#[derive(Debug)]
pub(crate) struct Countersigning {
    said: Option<Checkpoint>,
    due: Option<Instant>,
}

impl Countersigning {
    /// Begins somewhere within the first interval, so that hosts that start together do not speak together.
    pub(crate) fn begin(now: Instant, spread: Duration) -> Self {
        Self { said: None, due: now.checked_add(spread.min(COUNTERSIGN_EVERY)) }
    }

    /// Whether this head is to be countersigned now; it counts as said then.
    pub(crate) fn take(&mut self, seen: &Checkpoint, now: Instant) -> bool {
        let said = self.said.as_ref();
        if said.is_some_and(|said| said.head == seen.head && said.incarnation == seen.incarnation) {
            return false;
        }
        let before: Option<Incarnation> = said.map(|said| said.incarnation);
        let another = before.is_some_and(|before| before != seen.incarnation);
        if !another && self.due.is_some_and(|due| now < due) {
            return false;
        }
        self.said = Some(*seen);
        self.due = now.checked_add(COUNTERSIGN_EVERY);
        true
    }
}

impl Driver {
    /// Tells one member which head of the audit log this host was shown.
    pub(crate) fn countersign(&mut self, ledger: &Ledger, seen: &Checkpoint) {
        let Some(streams) = &mut self.streams else { return };
        let seen = Seen {
            cluster: seen.cluster,
            incarnation: seen.incarnation,
            node: ledger.node().clone(),
            head: seen.head,
            revision: seen.revision,
        };
        // Types of ours always encode; without it the auditor has one word less.
        let Ok(signed) = seen.sign(&self.receipt_key).and_then(|signed| signed.bytes()) else {
            return;
        };
        let countersignature = signed.into();
        streams.send_to_one(Message::Countersigned(Countersigned { countersignature }));
    }
}

impl Streams {
    /// Says something to one member, another one each time.
    pub(crate) fn send_to_one(&mut self, message: Message) {
        self.turns = self.turns.wrapping_add(1);
        let turn = self.turns.checked_rem(self.queues.len());
        let Some(queue) = turn.and_then(|turn| self.queues.get(turn)) else { return };
        if queue.try_send(AgentMessage { message: Some(message) }).is_err() {
            metrics::counter!("sekisho_agent_stream_messages_dropped_total").increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::merkle::Head;
    use sekisho_types::id::{ClusterId, Digest};
    use sekisho_types::revision::Revision;
    use sekisho_types::time::Timestamp;

    fn head(size: u64, incarnation: u64) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(incarnation),
            head: Head { size, root: Digest([7; 32]) },
            revision: Revision(size),
            time: Timestamp(1),
        }
    }

    #[test]
    fn each_head_once_one_in_an_interval_and_at_once_in_another_life() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let spread = Duration::from_secs(60);
        let mut said = Countersigning::begin(begin, spread);
        assert!(!said.take(&head(1, 1), at(59)));
        assert!(said.take(&head(1, 1), at(60)));
        let every = COUNTERSIGN_EVERY.as_secs();
        assert!(!said.take(&head(2, 1), at(60 + every - 1)));
        assert!(said.take(&head(2, 1), at(60 + every)));
        assert!(!said.take(&head(2, 1), at(60 + 9 * every)), "nothing new was seen");
        assert!(said.take(&head(3, 1), at(60 + 9 * every)));
        assert!(said.take(&head(3, 2), at(61 + 9 * every)));
        assert!(!said.take(&head(4, 2), at(62 + 9 * every)));
    }
}
