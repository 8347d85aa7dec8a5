//! The auditor's own judgement of D1, Q1, P1, P2 and A3, from the records alone.
//!
//! Must hold: nothing of the state machine's state or rules is asked; what counts is written here a second time,
//! short enough to be read by whoever doubts the first. The entry type is shared as a data format, with the words of its
//! fields (amounts, periods, areas), the residency verdict because it *is* the rule.

mod approval;
mod budget;
mod charge;
mod delete;
mod desired;
mod escrow;
mod grant;
mod location;
mod model;
mod node;
mod offer;
mod power;
mod quota;
mod reservation;
mod sums;
mod tenant;
mod topology;

use super::pipeline::{Chunk, Taker};
use super::report::{QuotaSum, Report, Step};
use model::Model;
use quota::Line;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::entry::Entry;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use std::ops::ControlFlow;
pub use sums::{Sums, compare_sums};

/// Where in the log something stands.
#[derive(Debug, Clone, Copy)]
struct At<'r> {
    index: u64,
    record: &'r Record,
}

/// The judgement, record by record.
#[derive(Debug)]
pub struct Oracle {
    model: Model,
    /// What it found.
    pub report: Report,
    grants: usize,
    sets: usize,
    /// Approvals that were over, and uses of break-glasses.
    told: usize,
    last: Option<(u64, Record)>,
}

impl Taker for Oracle {
    fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        for (index, _, read) in chunk.iter() {
            self.record(index, &read.record, read.entry.as_ref().map(|(entry, _)| entry));
        }
        if let (Some(last), Some(read)) = (chunk.iter().last(), chunk.reads.last()) {
            self.last = Some((last.0, read.record.clone()));
        }
        ControlFlow::Continue(())
    }
}

impl Oracle {
    /// Nothing judged yet.
    #[must_use]
    pub fn new(genesis: &SignedGenesis) -> Self {
        let (model, report) = (Model::new(&genesis.genesis), Report::default());
        Self { model, report, grants: 0, sets: 0, told: 0, last: None }
    }

    fn record(&mut self, index: u64, record: &Record, entry: Option<&Entry>) {
        let (at, model, report) = (At { index, record }, &mut self.model, &mut self.report);
        model.now = record.time;
        match &record.body {
            Body::Entry { rejected, .. } => {
                model.settled(at, report);
                model.actor = entry.map(|entry| entry.actor.clone());
                if let Some(entry) = entry.filter(|_| rejected.is_none()) {
                    model.entry(at, entry, report);
                }
            }
            Body::Approval { id, failed } => {
                self.told = self.told.saturating_add(1);
                model.approved(at, id, failed.is_none(), report);
            }
            Body::BreakGlass { opened } => {
                self.told = self.told.saturating_add(1);
                model.broke_glass(at, *opened, report);
            }
            Body::Grant(grant) => {
                self.grants = self.grants.saturating_add(1);
                model.grant(at, grant, report);
            }
            Body::Desired(desired) => {
                self.sets = self.sets.saturating_add(1);
                model.desired(at, desired, report);
            }
        }
    }

    /// After the last record: what was found of its steps.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if let Some((index, record)) = self.last.take() {
            let index = index.saturating_add(1);
            self.model.settled(At { index, record: &record }, &mut self.report);
        }
        for step in [Step::Residency, Step::Quota, Step::Capacity] {
            self.report.passed(step, self.grants);
        }
        self.report.passed(Step::Fencing, self.sets);
        self.report.passed(Step::Access, self.told);
        self.report.passed(Step::Receipts, self.model.receipts);
        self.report.quotas = self.quotas();
        self.report.sums = self.model.sums();
        self.report
    }

    /// What each tenant was charged for at most, and is at the end: in all Japan, and in each area where it has a row.
    fn quotas(&self) -> Vec<QuotaSum> {
        let told =
            |area: Area, line: &Line| line.peak > 0 && (line.row.is_some() || area == Area::Japan);
        let lines = self.model.ledger.lines();
        let mut lines: Vec<_> = lines.filter(|(_, area, line)| told(*area, line)).collect();
        lines.sort_by_key(|(whose, area, _)| (*whose, *area));
        let sum = |((tenant, class), area, line): ((&TenantId, &DeviceClass), Area, &Line)| {
            let limit = line.row.map(|row| row.nominal.to_string());
            QuotaSum {
                tenant: tenant.to_string(),
                class: class.to_string(),
                area: area.to_string(),
                limit: limit.unwrap_or_else(|| "-".to_owned()),
                peak: line.peak,
                charged: line.own,
            }
        };
        lines.into_iter().map(sum).collect()
    }
}

/// Judges every grant, charge, bucket and desired set.
pub fn judge(genesis: &SignedGenesis, records: &[Record], report: &mut Report) {
    let mut oracle = Oracle::new(genesis);
    for (index, record) in (0..).zip(records) {
        let entry = match &record.body {
            Body::Entry { entry, .. } => match decode::<Entry>(entry) {
                Ok(entry) => Some(entry),
                Err(error) => {
                    let why = format!("unreadable entry: {error}");
                    oracle.report.found(Step::Fencing, Some(index), why);
                    None
                }
            },
            Body::Grant(_) | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => {
                None
            }
        };
        oracle.record(index, record, entry.as_ref());
    }
    let size = u64::try_from(records.len()).unwrap_or(u64::MAX);
    oracle.last = records.last().map(|last| (size.saturating_sub(1), last.clone()));
    report.absorb(oracle.finish());
}
