//! Real processes in real namespaces: what the runtime promises about jobs, tried on this host.
//!
//! Where no namespaces can be made the tests say so on standard error and in the file named by `SEKISHO_NOT_RUN`,
//! which the build turns into a failure.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the stage of a test is a test too; clippy's exception covers only test functions"
)]

mod contract;
mod death;
mod devices;
mod lease;
mod life;
mod restart;
mod sandbox;
mod stage;
