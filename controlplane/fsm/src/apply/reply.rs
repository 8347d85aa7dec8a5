//! Kept answers (R3): same principal and request id, same answer, for 24 hours of the state clock.

use crate::entry::Entry;
use crate::outcome::{Outcome, Rejection};
use crate::role::is_deduplicated;
use crate::state::{KeptReply, ReplyKey, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::limit::REPLY_KEPT;

/// Answers forgotten per entry: more than one, so that the table shrinks after a burst, few enough to bound apply.
const FORGET_PER_ENTRY: usize = 4;

impl State {
    /// The answer of an earlier entry with this request id, if it is kept.
    pub(super) fn repeated(
        &self,
        entry: &Entry,
        key: &ReplyKey,
        command: &Digest,
    ) -> Option<&KeptReply> {
        if !is_deduplicated(&entry.command) {
            return None;
        }
        // The other command is rejected as a new entry, with a record of its own.
        self.replies.get(key).filter(|kept| kept.command == *command)
    }

    /// Whether the request id stands for another command.
    pub(super) fn request_id_taken(&self, entry: &Entry, key: &ReplyKey) -> Result<(), Rejection> {
        if is_deduplicated(&entry.command) && self.replies.contains(key) {
            let why = format!("request {} was used for another command", entry.request);
            return Err(Rejection::new(ErrorCode::RequestIdReused, why));
        }
        Ok(())
    }

    pub(super) fn keep_reply(
        &mut self,
        entry: &Entry,
        key: ReplyKey,
        command: Digest,
        outcome: &Outcome,
    ) {
        self.forget_replies();
        if !is_deduplicated(&entry.command)
            || self.replies.contains(&key)
            || self.federation.is_none()
        {
            return;
        }
        let (at, revision) = (self.clock, self.revision);
        let reply = KeptReply { command, outcome: outcome.clone(), revision, at };
        self.reply_order.insert(revision, key);
        self.replies.insert(key, reply);
    }

    fn forget_replies(&mut self) {
        let kept = u64::try_from(REPLY_KEPT.as_millis()).unwrap_or(u64::MAX);
        let clock = self.clock;
        let is_over = |key: &ReplyKey| {
            self.replies.get(key).is_none_or(|reply| clock.since_ms(reply.at) > kept)
        };
        let over: Vec<_> = self
            .reply_order
            .iter()
            .take(FORGET_PER_ENTRY)
            .take_while(|(_, key)| is_over(key))
            .map(|(revision, key)| (*revision, *key))
            .collect();
        for (revision, key) in over {
            self.reply_order.remove(&revision);
            self.replies.remove(&key);
        }
    }
}
