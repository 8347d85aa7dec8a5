//! What leaves a federation (D3): every socket of every process, as the kernel was asked for it, and every byte that a peer
//! abroad is sent.
//!
//! Must hold: what a trace says and this does not understand counts as forbidden; a trace that saw nothing is no evidence.
//! Does not know: what is inside a connection. To whom state goes over those that may exist, `transport` counts.

pub mod abroad;
pub mod drill;
pub mod rule;
pub mod trace;
