//! The planner: which queued groups can stand where, and why the others cannot.
//!
//! Must hold: a plan made on a state is granted whole by apply on that same state (P1, Q1, D1); apply decides all the
//! same, so a wrong plan costs a rejection and never a promise. Equal states give equal plans.
//! [`plan()`] and [`explain()`] judge a node by the one function in `node.rs`, so what people are told is what happens.
//! Does not know: who leads, the log, time other than the state clock; it never changes a state.
#![deny(clippy::arithmetic_side_effects)]

mod ahead;
mod alike;
mod books;
mod choose;
mod claim;
mod due;
pub mod explain;
pub mod filter;
mod fleet;
mod level;
pub mod limit;
mod marked;
mod node;
mod pick;
pub mod planner;
mod preempt;
mod queue;
mod relax;
mod release;
mod residency;
mod round;
mod services;
mod share;
mod shelf;
mod sides;
mod survey;
mod till;
mod wait;

#[cfg(test)]
mod tests;

pub use explain::{Explainer, Explanation, Step, Verdict, explain};
pub use planner::{Plan, Planner, Waiting, plan};
pub use relax::{Relaxation, With};
pub use wait::Basis;
