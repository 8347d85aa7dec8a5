//! Entries that this member proposes in its own name.

use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::limit::CLOCK_BEHIND_MAX;
use sekisho_types::principal::{MemberIdentity, Principal};
use sekisho_types::time::Clock;
use std::sync::Arc;
use std::time::Duration;

/// The federation has not begun: there is no cluster to stamp an entry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the federation has not begun")]
pub struct NotBegun;

/// Makes entries.
#[derive(Debug, Clone)]
pub struct Stamp {
    actor: Principal,
    clock: Arc<dyn Clock>,
}

impl Stamp {
    /// Entries of this member, with the time of this clock.
    #[must_use]
    pub fn new(identity: &MemberIdentity, clock: Arc<dyn Clock>) -> Self {
        Self { actor: identity.principal(), clock }
    }

    /// The clock that entries are stamped with.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether the state clock has fallen behind this member's, as after an outage: until ticks have caught up apply grants
    /// and moves nothing, and what a duty proposed would only be rejected.
    #[must_use]
    pub fn is_behind(&self, state: &State) -> bool {
        Duration::from_millis(self.clock.wall().since_ms(state.clock())) > CLOCK_BEHIND_MAX
    }

    /// A command as an entry of the federation that `state` is of.
    ///
    /// # Errors
    /// [`NotBegun`].
    pub fn entry(&self, state: &State, command: Command) -> Result<Entry, NotBegun> {
        let federation = state.federation().ok_or(NotBegun)?;
        Ok(Entry {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            proposed_at: self.clock.wall(),
            actor: self.actor.clone(),
            request: self.request(),
            feature_level: FEATURE_LEVEL.min(state.feature_level()),
            command,
            signatures: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// Commands of members are idempotent by their content, so the id need not be secret, only of use to whoever
    /// looks for one proposal in logs.
    fn request(&self) -> RequestId {
        let text = format!("{}/{}/{}", self.actor, self.clock.wall().0, self.clock.boottime_ns());
        let mut id = [0u8; 16];
        for (to, from) in id.iter_mut().zip(Digest::of(text.as_bytes()).0) {
            *to = from;
        }
        RequestId(id)
    }
}
