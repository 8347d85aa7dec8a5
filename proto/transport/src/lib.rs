//! Connections: every socket of the product is dialled or accepted here, and nowhere else (D3).
//!
//! Must hold: TLS 1.3 only, both ends checked against the trust bundle of the domain that the certificate names,
//! no resumption, no byte to a peer whose identity is not established beyond [`UNPROVEN_MAX`]; a connection ends
//! when its bundle, its certificate or its permission does (P5); every call and every handshake has a bounded
//! answer time (L3); every queue here is bounded (L4).
//!
//! Also here, because it needs the same knowledge: making certificates ([`pki`]), the system clock, tasks,
//! deadlines, retries, sealing backups ([`seal`]); and, because client and controller both write such files, giving a
//! file its name once it is whole ([`part`]). Does not know: what a peer may do. A certificate says *who*; roles are
//! state.
//!
//! [`UNPROVEN_MAX`]: sekisho_types::limit::UNPROVEN_MAX

pub mod address;
pub mod bound;
pub mod bundle;
pub mod clock;
pub mod conn;
pub mod connections;
pub mod credential;
pub mod datagram;
pub mod deadline;
pub mod dial;
pub mod https;
pub mod identity;
pub mod jws;
pub mod leader;
pub mod limit;
pub mod listen;
pub mod names;
pub mod part;
pub mod pki;
pub mod probe;
pub mod ranging;
pub mod retry;
pub mod seal;
pub mod spiffe;
pub mod task;
pub mod trace;
pub mod verify;

mod explain;
pub mod settle;
mod socket;
mod source;
mod tls;
mod traffic;

#[cfg(test)]
mod fixture;
