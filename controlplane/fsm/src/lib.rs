//! The replicated state machine: `(State, Entry) -> Applied`.
//!
//! Determinism contract (R4):
//! 1. [`State::apply`] is synchronous, total, and reads only its arguments.
//! 2. No clock, randomness, environment, file, socket, thread, global or log. Time is `Entry::proposed_at`, folded
//!    into [`State::clock`], which never runs back and moves at most `CLOCK_STEP_MAX` an entry.
//! 3. Ordered maps only, no floats, no `usize` in anything stored; integer arithmetic is checked or saturates where
//!    a comment says why that is right.
//! 4. No knowledge of role, member id or leader.
//! 5. A refusal is a [`outcome::Rejection`]. There is no error path; a state that breaks its own invariant is a bug,
//!    and the member that finds it stops.
//! 6. [`command::Command`] is append-only; a new variant or meaning waits for the feature level.
//! 7. Every persisted type has golden bytes, and older versions stay decodable.
//! 8. Snapshots are in canonical order: equal states have equal bytes and equal digests.
#![deny(clippy::arithmetic_side_effects)]

pub mod apply;
pub mod approval;
pub mod audit;
pub mod break_glass;
pub mod budget;
pub mod command;
mod digest;
pub mod entry;
pub mod escrow;
pub mod event;
pub mod eviction;
pub mod fair;
pub mod federation;
pub mod held;
pub mod image;
pub mod inside;
pub mod invariant;
pub mod jobs;
pub mod location;
pub mod offer;
pub mod outcome;
pub mod planning;
pub mod power;
pub mod preemption;
pub mod purse;
pub mod quarantine;
pub mod query;
pub mod quota;
pub mod reservation;
pub mod role;
mod sharing;
pub mod snapshot;
pub mod state;
pub mod supposed;
pub mod table;
pub mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod topology;

pub use state::State;
