//! What an agent decides, without doing any of it: the check list, the ledger, the lease, the choice of devices, and
//! what has to happen next.
//!
//! Must hold: an agent starts nothing that it has not judged by itself from signed inputs (D4); a grant that was
//! fenced or refused never runs (P2); at most one holder of a device (P1); nothing but `run_to_completion` outlives
//! the lease (P4); every running placement stands in the ledger (P6).
//! Pure: time, random bytes and what happened come in as [`reconcile::Input`], what to do goes out as
//! [`reconcile::Action`]. The crate `sekisho-agent` carries it out; a simulator can do so as well.
#![deny(clippy::arithmetic_side_effects)]

pub mod assembly;
pub mod desired;
pub mod devices;
pub mod lease;
pub mod ledger;
pub mod limit;
pub mod location;
pub mod reason;
pub mod reconcile;
pub mod report;
mod retry;
mod session;
pub mod standing;
pub mod strict;
pub mod verify;

#[cfg(test)]
mod fixture;
