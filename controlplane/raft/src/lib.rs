//! Consensus: the replicated log and the state that it makes. The only crate that knows openraft.
//!
//! ```text
//! propose ─> Consensus ─(leader? else one hop)─> openraft ─> log_store ─> disk (fsync, then IOFlushed)
//!                                                   │  └──> network/client ─> RaftLink ─> other members
//!                                                   └─ committed ─> state_machine ─> fsm::State::apply
//!                                                         ├─ audit rows, payloads ─> disk
//!                                                         ├─ View, changes, checkpoints, wakes ─> everyone
//!                                                         └─ answer to the proposer
//! ```
//! Must hold: R1 (acknowledged = durable on a majority), R2 (linearizable reads on any member), R3 (unknown is called
//! unknown), R4 (the same log gives the same state), R6 and R7 at start and at the first storage error, R8.
//! Network, disk, clock and runtime are traits ([`network::link`], [`disk`], `sekisho_types::time::Clock`, [`platform`]):
//! the simulation in `chaos-tests` holds all four and runs everything else here as it is.
//!
//! Not here: what an entry means (`fsm`), how bytes reach the disk (`store`), who may connect (`transport`), when a
//! leader proposes what (`controllers`).

mod aside;
pub mod audit;
pub mod changes;
pub mod checkpoint;
pub mod claim;
mod codec;
pub mod config;
pub mod consensus;
pub mod disk;
pub mod error;
pub mod found;
pub mod held;
pub mod journal;
pub mod limit;
mod log_store;
pub mod member;
pub mod membership;
mod metrics;
pub mod network;
pub mod offline;
pub mod platform;
pub mod snapshot;
mod state_machine;
mod type_config;
pub mod view;

#[cfg(test)]
mod tests;

pub use type_config::PeerNode;
