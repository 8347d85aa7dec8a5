//! How many calls one principal has in progress on this member.
//!
//! Must hold (L4): no principal takes the memory or the places of all, however many connections it opens: what a call may
//! hold is bounded ([`crate::limit::REQUEST_MAX`]), and so is their number. Members are not counted: their pipelines have
//! bounds of their own, and consensus goes first.

use crate::limit::CALLS_PER_PRINCIPAL;
use parking_lot::Mutex;
use sekisho_proto::status::ApiError;
use sekisho_transport::identity::Peer;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::{Principal, Workload};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The calls in progress, by principal.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares(Arc<Mutex<BTreeMap<Principal, usize>>>);

/// One call in progress; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Shares,
    principal: Principal,
}

impl Shares {
    /// Counts a call of this peer, if it is one of those that are counted.
    ///
    /// # Errors
    /// `OVERLOADED`.
    pub(super) fn take(&self, peer: Option<&Peer>) -> Result<Option<Share>, ApiError> {
        let Some(identity) = peer.and_then(|peer| peer.identity.as_ref()) else { return Ok(None) };
        let principal = &identity.principal;
        if matches!(principal.workload, Workload::Member { .. }) {
            return Ok(None);
        }
        let mut shares = self.0.lock();
        let own = shares.entry(principal.clone()).or_default();
        if *own >= CALLS_PER_PRINCIPAL {
            let why = format!("{principal} has {CALLS_PER_PRINCIPAL} calls in progress");
            return Err(ApiError::new(ErrorCode::Overloaded, why));
        }
        *own = own.saturating_add(1);
        drop(shares);
        Ok(Some(Share { shares: self.clone(), principal: principal.clone() }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.0.lock();
        if let Some(own) = shares.get_mut(&self.principal) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                shares.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use sekisho_fsm::testing;

    fn peer(principal: &Principal) -> Peer {
        let identity = Some(fake::call(principal).peer);
        Peer { addr: "127.0.0.1:1".parse().unwrap(), identity, exporter: [0; 32] }
    }

    #[test]
    fn one_principal_takes_so_many_and_leaves_the_others_theirs() {
        let shares = Shares::default();
        let (greedy, other) = (peer(&testing::admin("kanto")), peer(&testing::admin("hokuto")));
        let mut held: Vec<_> =
            (0..CALLS_PER_PRINCIPAL).map(|_| shares.take(Some(&greedy)).unwrap()).collect();
        let refused = shares.take(Some(&greedy)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
        assert!(refused.retry_after.is_some());
        drop(shares.take(Some(&other)).unwrap());
        held.pop();
        drop(shares.take(Some(&greedy)).unwrap());
        drop(held);
        assert!(shares.0.lock().is_empty(), "nothing is remembered of who has none");
    }

    #[test]
    fn members_and_strangers_are_not_counted_here() {
        let shares = Shares::default();
        let member = peer(&testing::member("kanto"));
        for _ in 0..=CALLS_PER_PRINCIPAL {
            assert!(shares.take(Some(&member)).unwrap().is_none());
            assert!(shares.take(None).unwrap().is_none());
        }
    }
}
