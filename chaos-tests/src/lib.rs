//! Drills, workloads and checks that drive Sekisho from outside.

pub mod sequence;
