//! What verification found, for people in two languages and for programs as data.
//!
//! Must hold: a step that was not done says so and is never good; each finding has the record that it is about, where there is
//! one, and a code that does not change. Words for people stand under `plain.rs` and with each [`Step`].

mod plain;
mod step;

pub use step::Step;

use super::access::BrokenGlass;
use super::census::Census;
use super::fixes::JudgedFix;
use super::lost::{Begun, Lost};
use super::oracle::Sums;
use sekisho_evidence::audit_bundle::AuditBundleHead;
use sekisho_evidence::checkpoint::VerifiedCheckpoint;
use serde::Serialize;
use std::fmt;

/// Findings kept for each step: enough to see the pattern, bounded on a log that is wrong throughout.
pub const FINDINGS_MAX: usize = 20;

/// Something wrong, or something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Index of the record, if it is about one.
    pub record: Option<u64>,
    /// Which check: [`Step::code`].
    pub code: &'static str,
    /// In words.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(record) = self.record {
            write!(f, "record {record}: ")?;
        }
        write!(f, "{}: {}", self.code, self.detail)
    }
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Result {
    /// Which.
    pub step: Step,
    /// `passed`, `failed` or `not_checked`.
    pub verdict: Verdict,
    /// Things checked, in the unit of the step.
    pub checked: u64,
    /// What is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How much is wrong in all.
    pub violations: u64,
    /// What is not wrong in the log, and yet somebody should look at it; at most [`FINDINGS_MAX`].
    pub notes: Vec<Finding>,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Good.
    Passed,
    /// At least one violation.
    Failed,
    /// An earlier step failed, or the file does not have what it takes.
    NotChecked,
}

/// What the bundle says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Federation.
    pub cluster: String,
    /// Which life of it.
    pub incarnation: u64,
    /// Records.
    pub records: u64,
    /// SHA-256 of the endorser bundle in the genesis: compare it with what your operators published.
    pub fingerprint: String,
    /// It was compared with a genesis that the auditor brought.
    pub trusted: bool,
    /// Operators whose signatures under the head verified.
    pub signed_by: Vec<String>,
    /// Operators of the federation at the end of the log.
    pub operators: Vec<String>,
    /// Of how many of them a head needs signatures.
    pub k: u32,
    /// Root over the records.
    pub root: String,
    /// State clock of the first record.
    pub from: String,
    /// State clock of the last record.
    pub to: String,
    /// State clock of the head.
    pub time: String,
    /// Made by `sekisho dev`: one person may have signed for all.
    pub dev: bool,
    /// Every new beginning that the log tells of.
    pub openings: Vec<Begun>,
    /// Every emergency right that was taken.
    pub break_glasses: Vec<BrokenGlass>,
}

/// What a tenant was charged for in an area, summed up from its grants and from what sites hold for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaSum {
    /// Whom.
    pub tenant: String,
    /// Device class.
    pub class: String,
    /// Where; in all Japan, and wherever it has a quota.
    pub area: String,
    /// Its own at the end, without what it may borrow; `-` where it has no quota.
    pub limit: String,
    /// Most GPUs charged at once.
    pub peak: u64,
    /// GPUs charged at the end.
    pub charged: u64,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// About what.
    pub subject: Subject,
    /// Every step, in order.
    pub steps: Vec<Result>,
    /// What happened, counted.
    pub counts: Census,
    /// What tenants were charged.
    pub quotas: Vec<QuotaSum>,
    /// Accepted commands of an earlier bundle that a new incarnation lost.
    pub lost: Vec<Lost>,
    /// What no log of this kind proves.
    pub not_proven: &'static [&'static str],
    /// Every fix that the log took, for who asks about places: `residency verify --bundle`.
    #[serde(skip)]
    pub fixes: Vec<JudgedFix>,
    /// What is charged at the end, until it is compared with the state machine's.
    #[serde(skip)]
    pub sums: Sums,
}

impl Default for Report {
    /// Of an audit bundle.
    fn default() -> Self {
        Self::over(&Step::BUNDLE)
    }
}

impl Report {
    /// Nothing checked yet of these steps.
    #[must_use]
    pub fn over(steps: &[Step]) -> Self {
        let step = |step| Result {
            step,
            verdict: Verdict::NotChecked,
            checked: 0,
            findings: Vec::new(),
            violations: 0,
            notes: Vec::new(),
        };
        Self {
            subject: Subject::default(),
            steps: steps.iter().copied().map(step).collect(),
            counts: Census::default(),
            quotas: Vec::new(),
            sums: Sums::default(),
            lost: Vec::new(),
            not_proven: plain::NOT_PROVEN,
            fixes: Vec::new(),
        }
    }

    /// One more step.
    pub fn also(&mut self, step: Step) {
        self.steps.extend(Self::over(&[step]).steps);
    }

    /// Whether a step failed.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.steps.iter().any(|result| result.verdict == Verdict::Failed)
    }

    fn step(&mut self, step: Step) -> Option<&mut Result> {
        self.steps.iter_mut().find(|result| result.step == step)
    }

    /// A step is good.
    pub fn passed(&mut self, step: Step, checked: usize) {
        if let Some(result) = self.step(step) {
            result.checked = u64::try_from(checked).unwrap_or(u64::MAX);
            if result.verdict == Verdict::NotChecked {
                result.verdict = Verdict::Passed;
            }
        }
    }

    /// A step found something wrong; it may find more.
    pub fn failed(&mut self, step: Step, what: impl fmt::Display) {
        self.found(step, None, what);
    }

    /// As [`Report::failed`], about a record.
    pub fn found(&mut self, step: Step, record: Option<u64>, what: impl fmt::Display) {
        if let Some(result) = self.step(step) {
            result.verdict = Verdict::Failed;
            result.violations = result.violations.saturating_add(1);
            if result.findings.len() < FINDINGS_MAX {
                let finding = Finding { record, code: step.code(), detail: what.to_string() };
                result.findings.push(finding);
            }
        }
    }

    /// Something that is not wrong in the log, and yet somebody should look at it.
    pub fn note(&mut self, step: Step, record: Option<u64>, what: impl fmt::Display) {
        if let Some(result) = self.step(step)
            && result.notes.len() < FINDINGS_MAX
        {
            let note = Finding { record, code: step.code(), detail: what.to_string() };
            result.notes.push(note);
        }
    }

    /// Takes over the steps, sums and fixes of a part of the work that was done apart.
    pub fn absorb(&mut self, part: Self) {
        for done in part.steps {
            let touched = done.verdict != Verdict::NotChecked || !done.notes.is_empty();
            if let Some(result) = self.step(done.step).filter(|_| touched) {
                *result = done;
            }
        }
        self.quotas = part.quotas;
        self.sums = part.sums;
        self.counts.refusals = part.counts.refusals;
        self.fixes = part.fixes;
    }

    /// Takes over what the file says about itself.
    pub fn describe(&mut self, head: &AuditBundleHead) {
        let genesis = &head.genesis.genesis;
        self.subject = Subject {
            cluster: head.cluster.to_string(),
            incarnation: head.incarnation.0,
            records: head.count,
            fingerprint: genesis.bundle.hash().map(|hash| hash.to_string()).unwrap_or_default(),
            dev: genesis.dev,
            ..Subject::default()
        };
    }

    /// Takes over who signed.
    pub fn signed_by(&mut self, signed: &VerifiedCheckpoint) {
        self.subject.signed_by = signed.operators.iter().map(ToString::to_string).collect();
        self.subject.time = signed.checkpoint.time.to_string();
        self.subject.root = signed.checkpoint.head.root.to_string();
    }

    /// Whether no step failed, and each that the verdict needs was done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let good = |result: &Result| match result.verdict {
            Verdict::Passed => true,
            Verdict::Failed => false,
            Verdict::NotChecked => result.step.may_be_left_out(),
        };
        self.steps.iter().all(good)
    }

    /// Whether every step was done and is good.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let whole = self.counts.missing_members.is_empty();
        whole && self.steps.iter().all(|result| result.verdict == Verdict::Passed)
    }
}
