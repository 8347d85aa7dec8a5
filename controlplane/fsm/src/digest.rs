//! One digest of the whole state (R4), by which replicas compare what they made of the same log.
//!
//! Must hold: every table is in it. Apply draws up the sums after what it applied together, so that nobody who asks waits for
//! more than the scalars.

use crate::state::State;
use sekisho_evidence::canonical::{CanonicalError, encode};
use sekisho_types::id::Digest;

/// Calls a method of each table. Every field by name: a new one makes the compiler ask.
macro_rules! of_tables {
    ($state:expr, $method:ident) => {{
        let State {
            federation: _,
            revision: _,
            clock: _,
            feature_level: _,
            frontier: _,
            landmarks: _,
            fair_base: _,
            calls: _,
            sites,
            nodes,
            tokens,
            keys,
            tenants,
            policies,
            quotas,
            budgets,
            escrows,
            offers,
            vetoes,
            reservations,
            stocks,
            powers,
            fair,
            preemptions,
            jobs,
            queue,
            dependents,
            unjudged,
            timers,
            ended,
            kept_jobs,
            placements,
            payloads,
            replies,
            reply_order,
            retired,
            fixes,
            site_keys,
            ranges,
            convicted,
            area_only,
            countersigned,
            contradicted,
            journals,
            approvals,
            break_glasses,
        } = $state;
        [
            sites.$method(),
            nodes.$method(),
            tokens.$method(),
            keys.$method(),
            tenants.$method(),
            policies.$method(),
            quotas.$method(),
            budgets.$method(),
            escrows.$method(),
            offers.$method(),
            vetoes.$method(),
            reservations.$method(),
            stocks.$method(),
            powers.$method(),
            fair.$method(),
            preemptions.$method(),
            jobs.$method(),
            queue.$method(),
            dependents.$method(),
            unjudged.$method(),
            timers.$method(),
            ended.$method(),
            kept_jobs.$method(),
            placements.$method(),
            payloads.$method(),
            replies.$method(),
            reply_order.$method(),
            retired.$method(),
            fixes.$method(),
            site_keys.$method(),
            ranges.$method(),
            convicted.$method(),
            area_only.$method(),
            countersigned.$method(),
            contradicted.$method(),
            journals.$method(),
            approvals.$method(),
            break_glasses.$method(),
        ]
    }};
}

impl State {
    /// SHA-256 over the sums of all tables and the scalars (R4).
    ///
    /// # Errors
    /// Never for this type.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        let tables = of_tables!(self, sum);
        let scalars = (
            &self.federation,
            self.revision,
            self.clock,
            self.feature_level,
            &self.frontier,
            &self.landmarks,
            self.fair_base,
            &self.calls,
        );
        Ok(Digest::of(&encode(&(scalars, tables.as_slice()))?))
    }

    /// Draws up the sums of all tables.
    pub(crate) fn settle(&mut self) {
        of_tables!(self, settle);
    }
}
