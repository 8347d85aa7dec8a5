//! What the member says on its pipe, one JSON line each.

use super::data::{self, Data};
use super::log::{self, Log};
use serde::{Deserialize, Serialize};

/// Everything that a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Boot count.
    pub boot: u64,
    /// The raft log.
    pub log: Log,
    /// The committed mark; may be older than what was saved.
    pub committed: Option<u64>,
    /// The data database.
    pub data: Data,
}

/// Why a store said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which error: the name of its variant.
    pub kind: String,
    /// The error with its causes.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// The store is open and this is in it; so many disk calls it took.
    Opened(Box<Found>, u64),
    /// The store refused to open, or what it holds cannot be read.
    Refused(Refusal),
    /// What it holds is not what was ever written.
    Wrong(String),
    /// A log operation is about to be submitted.
    LogBegun(log::Operation),
    /// The log operation with this number since opening is durable.
    LogDone(usize),
    /// A data operation is about to be done.
    DataBegun(data::Operation),
    /// The data operation with this number since opening came back.
    DataDone(usize),
    /// The store has failed, and everything that was tried afterwards failed too.
    Stopped(Refusal),
    /// The work was done and the store closed without a cut.
    Finished,
}
