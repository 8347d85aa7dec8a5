//! The agent of one GPU host: joins once, keeps a session, and carries out what `sekisho-agent-core` decides.
//!
//! Must hold: the ledger is on disk before anything that rests on it (P2); the host is swept before a session is
//! asked for (P6); a damaged or foreign ledger starts and reports nothing; every byte to a controller goes over a
//! connection whose peer is an enrolled member (D3).
//! Not here yet: adoption of running jobs after a restart (`host::sweep_host` kills them; the
//! shim dies with the agent anyway).

pub mod agent;
pub mod calls;
pub mod config;
mod driver;
mod durable;
pub mod enrolment;
pub mod failure;
pub mod fitness;
pub mod host;
pub mod join;
mod kept;
pub mod ledger;
pub mod limit;
mod renew;
pub mod stream;
pub mod watch;
