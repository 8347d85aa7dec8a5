//! Drills, workloads and checks that drive Sekisho from outside.

pub mod agents;
pub mod audit;
pub mod bench;
pub mod ceremony;
pub mod crash;
pub mod demo;
pub mod egress;
pub mod federation;
pub mod fleet;
pub mod host;
pub mod landmark;
pub mod partition;
pub mod partner;
pub mod rogue;
pub mod sequence;
pub mod start;
pub mod walk;
pub mod work;
