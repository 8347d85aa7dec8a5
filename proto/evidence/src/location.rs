//! Light-cone proofs (tiers T2 and T3): what landmarks' timed exchanges say about where a host is not.
//!
//! Must hold (D1): a host on foreign land is never *proven*, whatever it does, as long as at most f of the operators
//! whose landmarks count lie, nothing outruns light in vacuum, and its key is where it is. Unknown counts as abroad. T3
//! adds one beacon's word about the prefecture ([`beacon`]).
//! The reasons, and what a proof does not say, stand in `docs/location.md`. Integers only: the same transcripts give the
//! same verdict on every replica, in the agent, and in an audit years later.
//!
//! Not here: sending and timing the exchanges, and who may be a landmark.

pub mod beacon;
pub mod coverage;
pub mod evidence;
pub mod exchange;
pub mod fix;
pub mod foreign;
pub mod geometry;
mod intersection;
pub mod landmark;
pub mod prefecture;
pub mod range;
pub mod subject;
pub mod transcript;
pub mod verdict;
pub mod wire;

#[cfg(test)]
mod tests;
