//! Drills, workloads and checks that drive Sekisho from outside.

pub mod demo;
pub mod federation;
pub mod rogue;
pub mod sequence;
pub mod work;
