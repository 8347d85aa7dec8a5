//! The API of a controller: gRPC services, admission, agents' sessions, what members tell each other.
//!
//! ```text
//! transport (who) ── call ── admission: validate, authorize, stamp ── Replica::propose ── answer
//!                        └── read: read index, or local on request ── State ── answer
//! agents ── session: desired sets, stops, renewals, output         members ── exchange: revisions, signatures
//! ```
//! Must hold: who calls is known from the connection alone and what they may do from applied state alone (A3);
//! admission asks the same table of roles as apply; what a caller may not know looks as if it did not exist; every
//! call has a bounded answer time (L3) and every queue here a bound (L4).
//! Does not know: openraft, storage, leases' arithmetic, certificates' making. It names what it needs of them as traits:
//! [`replica`], [`holding`] and [`diary`] (with their one real implementation in [`consensus`]), and [`duty`], [`issuer`] and [`vitals`], which the
//! composition root provides.

pub mod admission;
pub mod call;
pub mod clock;
pub mod consensus;
pub(crate) mod contact;
pub mod core;
pub(crate) mod countersign;
pub mod diary;
pub mod duty;
pub mod exchange;
pub(crate) mod gate;
pub mod holding;
pub mod issuer;
pub(crate) mod journal;
pub mod landmark;
pub mod layer;
pub mod limit;
pub(crate) mod list;
pub mod login;
pub mod logs;
pub mod notes;
pub(crate) mod operation;
pub mod page;
pub mod peers;
pub(crate) mod plan;
pub mod replica;
pub mod server;
pub mod service;
pub mod session;
pub(crate) mod site_key;
pub mod status;
pub(crate) mod tiles;
pub mod vitals;
pub(crate) mod watch;
pub(crate) mod witness;

#[cfg(test)]
mod fake;
