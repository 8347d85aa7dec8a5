//! Kept answers (R3): same principal and request id, same answer, for 24 hours of the state clock.

use crate::entry::Entry;
use crate::outcome::{Outcome, Rejection};
use crate::role::is_deduplicated;
use crate::state::{KeptReply, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::limit::REPLY_KEPT;

/// Answers forgotten per entry: more than one, so that the table shrinks after a burst, few enough to bound apply.
const FORGET_PER_ENTRY: usize = 4;

impl State {
    /// The answer of an earlier entry with this request id, if it is kept.
    pub(super) fn repeated(&self, entry: &Entry, command: &Digest) -> Option<Outcome> {
        if !is_deduplicated(&entry.command) {
            return None;
        }
        let kept = self.reply(&entry.actor, &entry.request)?;
        // The other command is rejected as a new entry, with a record of its own.
        (kept.command == *command).then(|| kept.outcome.clone())
    }

    /// Whether the request id stands for another command.
    pub(super) fn request_id_taken(&self, entry: &Entry) -> Result<(), Rejection> {
        if is_deduplicated(&entry.command) && self.reply(&entry.actor, &entry.request).is_some() {
            let why = format!("request {} was used for another command", entry.request);
            return Err(Rejection::new(ErrorCode::RequestIdReused, why));
        }
        Ok(())
    }

    pub(super) fn keep_reply(&mut self, entry: &Entry, command: Digest, outcome: &Outcome) {
        self.forget_replies();
        let key = (entry.actor.clone(), entry.request);
        if !is_deduplicated(&entry.command)
            || self.replies.contains(&key)
            || self.federation.is_none()
        {
            return;
        }
        let at = self.clock;
        let reply = KeptReply { command, outcome: outcome.clone(), revision: self.revision, at };
        self.reply_order.insert((at, key.0.clone(), key.1), ());
        self.replies.insert(key, reply);
    }

    fn forget_replies(&mut self) {
        let kept = u64::try_from(REPLY_KEPT.as_millis()).unwrap_or(u64::MAX);
        let clock = self.clock;
        let over: Vec<_> = self
            .reply_order
            .iter()
            .take(FORGET_PER_ENTRY)
            .map(|(key, ())| key.clone())
            .take_while(|(at, _, _)| clock.since_ms(*at) > kept)
            .collect();
        for key in over {
            self.reply_order.remove(&key);
            self.replies.remove(&(key.1, key.2));
        }
    }
}
