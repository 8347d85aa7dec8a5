//! The auditor's own judgement of D1, Q1, P1 and P2, from the records alone.
//!
//! Must hold: nothing of the state machine's state or rules is asked; what counts is written here a second time,
//! short enough to be read by whoever doubts the first. The entry type is shared as a data format, the residency
//! verdict because it *is* the rule.

mod desired;
mod grant;
mod location;
mod model;
mod node;

use super::report::{Report, Step};
use model::Model;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::entry::Entry;
use std::fmt;

/// Where in the log something stands.
#[derive(Debug, Clone, Copy)]
struct At<'r> {
    index: usize,
    record: &'r Record,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} (revision {})", self.index, self.record.revision)
    }
}

/// Judges every grant, charge, bucket and desired set.
pub fn judge(genesis: &SignedGenesis, records: &[Record], report: &mut Report) {
    let mut model = Model::new(&genesis.genesis);
    let (mut grants, mut sets) = (0usize, 0usize);
    for (index, record) in records.iter().enumerate() {
        let at = At { index, record };
        match &record.body {
            Body::Entry { entry, rejected } => {
                model.settled(at, report);
                let entry: Entry = match decode(entry) {
                    Ok(entry) => entry,
                    Err(error) => {
                        report.failed(Step::Fencing, format!("{at}: unreadable entry: {error}"));
                        continue;
                    }
                };
                if rejected.is_none() {
                    model.entry(at, &entry, report);
                }
            }
            Body::Grant(grant) => {
                grants = grants.saturating_add(1);
                model.grant(at, grant, report);
            }
            Body::Desired(desired) => {
                sets = sets.saturating_add(1);
                model.desired(at, desired, report);
            }
        }
    }
    if let Some(record) = records.last() {
        model.settled(At { index: records.len(), record }, report);
    }
    for step in [Step::Residency, Step::Quota, Step::Capacity] {
        report.passed(step, grants);
    }
    report.passed(Step::Fencing, sets);
}
