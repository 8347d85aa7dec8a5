//! What `doctor` of both programs has in common: the catalogue of checks in English and Japanese, the looks at a host that
//! need no program of ours, the round that ends in time, the report.
//!
//! Must hold: a check changes nothing and takes no lock, so that it may be run beside a running program; each ends within its
//! deadline, whatever the disk or the network does (L3); what could not be looked at is said to be so and is never "ok"; no
//! secret is in a finding.
//! Does not know: jobs, devices, ledger, log. What only one program has, that program looks at.

pub mod args;
pub mod catalogue;
pub mod check;
pub mod host;
pub mod identity;
pub mod limit;
pub mod network;
pub mod report;
pub mod round;
pub mod unit;
pub mod wrap;
