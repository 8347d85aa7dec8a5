//! The gRPC services, one file for each noun. Thin: read the message, ask admission or the state, write the answer.

pub(crate) mod agent;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod break_glass;
pub(crate) mod budget;
pub(crate) mod escrow;
pub(crate) mod event;
pub(crate) mod job;
pub(crate) mod join;
pub(crate) mod key;
pub(crate) mod landmark;
pub(crate) mod landmark_host;
pub(crate) mod login;
pub(crate) mod member;
pub(crate) mod node;
pub(crate) mod offer;
pub(crate) mod operation;
pub(crate) mod operator;
pub(crate) mod peer;
pub(crate) mod policy;
pub(crate) mod quota;
pub(crate) mod reservation;
pub(crate) mod scheduler;
pub(crate) mod site;
pub(crate) mod snapshot;
pub(crate) mod tenant;
pub(crate) mod trust;

#[cfg(test)]
mod tests;

/// A count for a message, which has 32 bits for it.
pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
