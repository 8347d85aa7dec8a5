//! Drills, workloads and checks that drive Sekisho from outside.

pub mod bench;
pub mod demo;
pub mod federation;
pub mod rogue;
pub mod sequence;
pub mod work;
