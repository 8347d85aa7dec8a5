//! Evidence: everything that is signed, hashed or proved, encoded and verified in one place.
//!
//! The same functions judge at join, in apply, in the agent and in the offline auditor, so that no two of them can
//! read the same bytes differently. Pure: keys, randomness and time come from outside.
#![deny(clippy::arithmetic_side_effects)]

pub mod acknowledgement;
pub mod adoption;
pub mod audit_bundle;
pub mod audit_proof;
pub mod batch;
pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod command;
pub mod cose;
pub mod countersign;
pub mod fork;
mod frame;
pub mod genesis;
pub mod grant;
mod hexadecimal;
pub mod join_token;
pub mod journal;
pub mod key;
pub mod location;
pub mod merkle;
pub mod opening;
pub mod operator;
pub mod package;
pub mod payload;
pub mod receipt;
pub mod record;
pub mod sealed;
pub mod snapshot_file;
pub mod submission;
pub mod tag;
pub mod terms;
pub mod tile;
pub mod tile_proof;
pub mod voucher;
