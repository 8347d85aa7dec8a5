//! Proofs against the best that physics allows, against liars, and against verifiers that are wrong on purpose.

mod adversary;
pub(crate) mod fixture;
mod judgement;
