//! Leader duties and the checkpoint signer.
//!
//! Must hold: duties are level-triggered: they read the published state and propose entries, nothing else; what they
//! forget at a change of leadership they find again in the state. A duty that is wrong costs a rejection in apply,
//! with one exception, the table of leases (`lease`), whose promise is P1.
//! Does not know: sockets, storage, openraft. [`replica::Replica`] is all that it asks of consensus.

pub mod checkpoint;
pub mod drain;
pub mod driver;
pub mod eviction;
pub mod lease;
pub mod level;
pub mod limit;
pub mod membership;
pub mod placement;
pub mod replica;
pub mod stamp;
pub mod start;
pub mod status;
pub mod tick;

#[cfg(test)]
mod fake;
