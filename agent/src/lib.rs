//! The agent of one GPU host: joins once, keeps a session, and carries out what `sekisho-agent-core` decides.
//!
//! Must hold: the ledger is on disk before anything that rests on it (P2); before a session is asked for, each process of an
//! earlier run is adopted or killed, by what the ledger says of it (P6, ADR 11); a damaged or foreign ledger starts and reports nothing; every byte to a controller goes over a
//! connection whose peer is an enrolled member (D3).

pub mod agent;
pub mod calls;
pub mod config;
mod countersign;
pub mod doctor;
mod driver;
mod durable;
pub mod enrolment;
pub mod failure;
pub mod fitness;
pub(crate) mod fix;
pub mod host;
pub mod join;
mod kept;
pub mod ledger;
pub mod limit;
pub mod location;
mod renew;
mod site_keys;
pub mod stream;
pub mod watch;
