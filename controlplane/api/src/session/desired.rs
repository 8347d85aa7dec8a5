//! Which checkpoint, if any, carries a node's desired set to its agent now. A value, before anything is sent.
//!
//! The agent needs the *same* text signed by k operators. The checkpoint at exactly the entry that made the set is the
//! one that every member signs; later ones serve when that is gone, or when it did not lead to acceptance.
//!
//! Must hold: a set that was sent with a proof from a head that the agent has left goes again, under the same
//! checkpoint if that is the newest. The agent's word that its head moved races with the next set; nothing else would
//! bring the proof before this member signs again, which an idle federation does only with its tick.

use crate::duty::{SignedHead, SignedHeads};
use sekisho_types::revision::{Epoch, Revision};
use std::sync::Arc;

/// Where an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Size of its stored audit head: it never goes back behind it.
    pub(crate) head_size: u64,
    /// Epoch of the newest set that it accepted.
    pub(crate) accepted: Epoch,
}

/// What was sent last on this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Entry that made the set.
    pub(crate) desired: Revision,
    /// Revision of the checkpoint that carried it.
    pub(crate) checkpoint: Revision,
    /// Size of the agent's head from which its proof began.
    pub(crate) from_size: u64,
    /// When.
    pub(crate) age: Age,
}

/// How long ago a set was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// [`crate::limit::RESEND_DESIRED`] or more.
    Old,
    /// Less; it was the first sending of the set in that time.
    Lately,
    /// Less, and out of turn already: an agent whose head moves with each message gets no set for each.
    LatelyAgain,
}

/// What to do about a desired set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The agent has it.
    Settled,
    /// Nothing to send before this member signs again, or some time passed.
    Wait,
    /// Send it under this checkpoint.
    Send(Arc<SignedHead>),
}

/// Chooses. `desired` is the audit index and epoch of the node's newest record.
pub(crate) fn next(
    desired: Option<(u64, Epoch)>,
    position: Position,
    sent: Option<Sent>,
    heads: &dyn SignedHeads,
) -> Next {
    let Some((index, epoch)) = desired else { return Next::Settled };
    if position.accepted >= epoch {
        return Next::Settled;
    }
    let sent = sent.filter(|sent| sent.desired == epoch.revision);
    let is_stale = |sent: &Sent| sent.from_size != position.head_size;
    let waits = |sent: &Sent| match sent.age {
        Age::Old => false,
        Age::Lately => !is_stale(sent),
        Age::LatelyAgain => true,
    };
    if sent.as_ref().is_some_and(waits) {
        return Next::Wait;
    }
    // One whose proof the agent cannot use counts as never sent.
    let before = sent.filter(|sent| !is_stale(sent));
    let usable = |head: &Arc<SignedHead>| {
        let at = &head.checkpoint;
        at.incarnation == epoch.incarnation
            && at.revision >= epoch.revision
            && at.head.size > index
            && at.head.size >= position.head_size
    };
    // What was sent and not accepted is not sent again: the agent has it and lacks other operators' signatures.
    let newer = |head: &Arc<SignedHead>| {
        before.is_none_or(|sent| head.checkpoint.revision > sent.checkpoint)
    };
    let exact = heads.at(epoch.revision).filter(|_| before.is_none());
    exact
        .filter(|head| usable(head))
        .or_else(|| heads.latest().filter(|head| usable(head) && newer(head)))
        .map_or(Next::Wait, Next::Send)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeHeads, head};
    use sekisho_types::revision::Incarnation;

    fn epoch(revision: u64) -> Epoch {
        Epoch { incarnation: Incarnation(1), revision: Revision(revision) }
    }
    fn position(head_size: u64, accepted: u64) -> Position {
        Position { head_size, accepted: epoch(accepted) }
    }
    /// Sent with a proof from the beginning.
    fn sent(desired: u64, checkpoint: u64, age: Age) -> Option<Sent> {
        let (desired, checkpoint) = (Revision(desired), Revision(checkpoint));
        Some(Sent { desired, checkpoint, from_size: 0, age })
    }
    fn revision(next: &Next) -> Option<u64> {
        match next {
            Next::Send(head) => Some(head.checkpoint.revision.0),
            Next::Settled | Next::Wait => None,
        }
    }

    /// Checkpoints of (revision, size); the set of revision 10 stands at index 19.
    fn ask(heads: &[(u64, u64)], position: Position, sent: Option<Sent>) -> Next {
        let heads = FakeHeads::of(heads.iter().map(|(revision, size)| head(*revision, *size)));
        next(Some((19, epoch(10))), position, sent, &heads)
    }

    #[test]
    fn what_is_accepted_or_was_never_made_needs_nothing() {
        let heads = FakeHeads::of([head(10, 20)]);
        assert_eq!(next(None, position(0, 0), None, &heads), Next::Settled);
        assert_eq!(ask(&[(10, 20)], position(0, 10), None), Next::Settled);
        assert_eq!(ask(&[(10, 20)], position(0, 11), None), Next::Settled);
        // An older incarnation's acceptance is none.
        let old = Epoch { incarnation: Incarnation(0), revision: Revision(99) };
        let old = Position { head_size: 0, accepted: old };
        assert_eq!(revision(&ask(&[(10, 20)], old, None)), Some(10));
    }

    #[test]
    fn the_checkpoint_at_the_set_comes_first_then_the_newest() {
        let heads = [(9, 18), (10, 20), (12, 25)];
        assert_eq!(revision(&ask(&heads, position(0, 9), None)), Some(10));
        // Gone from memory, or behind the agent's own head: the newest carries it.
        assert_eq!(revision(&ask(&[(12, 25)], position(0, 9), None)), Some(12));
        assert_eq!(revision(&ask(&heads, position(21, 9), None)), Some(12));
        // Neither covers it, or this member is behind the agent.
        assert_eq!(ask(&[(9, 18)], position(0, 9), None), Next::Wait);
        assert_eq!(ask(&heads, position(26, 9), None), Next::Wait);
        assert_eq!(ask(&[], position(0, 9), None), Next::Wait);
    }

    #[test]
    fn what_was_not_accepted_goes_again_under_a_newer_checkpoint_and_not_too_often() {
        let heads = [(10, 20), (12, 25)];
        assert_eq!(ask(&heads, position(0, 9), sent(10, 10, Age::Lately)), Next::Wait);
        assert_eq!(revision(&ask(&heads, position(0, 9), sent(10, 10, Age::Old))), Some(12));
        assert_eq!(ask(&heads, position(0, 9), sent(10, 12, Age::Old)), Next::Wait);
        // An older set's sending says nothing about this one.
        assert_eq!(revision(&ask(&heads, position(0, 9), sent(8, 8, Age::LatelyAgain))), Some(10));
    }

    #[test]
    fn what_was_proved_from_a_head_that_the_agent_left_goes_again_at_once() {
        let heads = [(10, 20)];
        for (age, goes) in [(Age::Lately, Some(10)), (Age::LatelyAgain, None), (Age::Old, Some(10))]
        {
            assert_eq!(revision(&ask(&heads, position(18, 9), sent(10, 10, age))), goes, "{age:?}");
            // The head stands where the proof began: the agent lacks other operators' signatures.
            assert_eq!(ask(&heads, position(0, 9), sent(10, 10, age)), Next::Wait, "{age:?}");
        }
        // Accepted meanwhile, or the agent is beyond what this member signed.
        assert_eq!(ask(&heads, position(20, 10), sent(10, 10, Age::Lately)), Next::Settled);
        assert_eq!(ask(&heads, position(21, 9), sent(10, 10, Age::Lately)), Next::Wait);
    }
}
