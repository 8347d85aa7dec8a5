//! Whole federations of three or five members in one thread, on virtual time, by seed.
//!
//! ```text
//! client ── Consensus<Sim> ── openraft ── log_store ── LogDisk  ─┐
//!    │          (all of sekisho-raft, as shipped)  └─ state_machine ── fsm::State ── DataDisk ─┤ simulated disk
//!    └ oracle       └── network/client, inbound ── RaftLink ── simulated network               │ (power cuts, EIO)
//! ```
//! Real: openraft, the log store glue, the state machine and its snapshots, propose and read with their retries and
//! forwarding, the network client and inbound with their codecs and header checks, the replicated state, the planner.
//! Simulated: runtime, clock, links and disks. So what the store promises (`disk`) is assumed here, and tested by
//! the store's own tests.
//!
//! Must hold: one seed is one run, bit for bit, in any process (`trace_hash`); every wait has a virtual deadline; a
//! run that checked nothing is told from one that found nothing ([`report::Totals`]).
//!
//! Not simulated: clocks that drift apart, pauses of one member while the others go on, changes of membership, agents
//! and leases (they are not in the log), damage of what was synced (`store` refuses it), TLS and gRPC.

mod client;
mod cluster;
mod disk;
pub mod drill;
mod fixture;
mod limit;
mod nemesis;
mod network;
mod oracle;
pub mod plan;
mod platform;
pub mod report;
mod run;
mod sweep;
mod wire;
mod world;

pub use run::run;
pub use sweep::{find, sweep};
