//! Offline verification of an audit bundle: nobody and nothing is asked but the file, and the genesis to believe in.
//!
//! The file is in memory once; its records are read chunk by chunk on all cores ([`pipeline`]) and judged by four at a time:
//! the log as such ([`log`]), the promises ([`oracle`]), the state machine ([`replay`]), the emergency rights ([`access`]).
//!
//! Must hold: the promises are re-judged by an oracle that is computed from the records alone ([`oracle`]), not by
//! the state machine; the state machine is run apart ([`replay`]) and must give the same bytes. A step that cannot
//! be done because an earlier one failed is reported as not checked, never as good; so nothing that was found in records
//! which nobody signed is told.
//! Does not know: whether the genesis in the file is the federation's. Whoever verifies compares its fingerprint, or
//! passes the genesis that it trusts.

pub mod access;
pub mod census;
mod denials;
pub mod fixes;
pub mod heard;
pub mod log;
pub mod lost;
pub mod oracle;
pub mod pipeline;
pub mod proof;
pub mod replay;
pub mod report;
pub mod snapshot;

use crate::failure::{Failure, of_file};
use access::Glasses;
use log::{Log, Wrong};
use lost::{Begun, Earlier};
use oracle::Oracle;
use pipeline::{Taker, Unreadable};
use replay::Replay;
use report::{Report, Step};
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::fork::Fork;
use sekisho_evidence::genesis::SignedGenesis;
use std::path::Path;

/// What an auditor brings to a bundle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    /// The genesis that it trusts.
    pub genesis: Option<&'k SignedGenesis>,
    /// Signed notes that it kept.
    pub seen: &'k [Vec<u8>],
}

/// Verifies the bytes of a bundle, against `trusted` if the auditor has a genesis of its own.
#[must_use]
pub fn verify(bytes: &[u8], trusted: Option<&SignedGenesis>) -> Report {
    verify_against(bytes, Known { genesis: trusted, ..Known::default() })
}

/// Verifies the bytes of a bundle against what the auditor knows.
#[must_use]
pub fn verify_against(bytes: &[u8], known: Known<'_>) -> Report {
    whole(bytes, known).0
}

/// As [`verify_against`], and the new beginnings that the log tells of.
fn whole(bytes: &[u8], known: Known<'_>) -> (Report, Vec<Begun>) {
    let mut report = Report::default();
    if !known.seen.is_empty() {
        report.also(Step::Seen);
    }
    let Some(bundle) = open(bytes, known.genesis, &mut report) else {
        return (report, Vec::new());
    };
    let Some(mut log) = begin(&bundle, &mut report) else {
        return (report, Vec::new());
    };
    let mut oracle = Oracle::new(&bundle.head.genesis);
    let mut replay = Replay::new(&bundle.head.genesis);
    let mut glasses = Glasses::default();
    let takers: &mut [&mut dyn Taker] = &mut [&mut log, &mut oracle, &mut replay, &mut glasses];
    let read = pipeline::run(&bundle.records, takers);
    if !judge_log(&bundle, (&mut log, read), known, &mut report) {
        return (report, Vec::new());
    }
    report.subject.break_glasses = glasses.finish();
    report.absorb(oracle.finish());
    match replay.finish() {
        Ok((entries, state)) => {
            report.passed(Step::Replay, entries);
            oracle::compare_sums(&state, &mut report);
        }
        Err(differs) => report.found(Step::Replay, Some(differs.record), differs.why),
    }
    (report, log.openings)
}

/// Form, and whom to believe.
fn open<'b>(
    bytes: &'b [u8],
    trusted: Option<&SignedGenesis>,
    report: &mut Report,
) -> Option<AuditBundle<'b>> {
    let bundle = match AuditBundle::open(bytes) {
        Ok(bundle) => bundle,
        Err(error) => {
            report.failed(Step::File, error);
            return None;
        }
    };
    report.passed(Step::File, bytes.len());
    report.describe(&bundle.head);
    match log::trust(&bundle, trusted) {
        Ok(operators) => report.passed(Step::Trust, operators),
        Err(why) => {
            report.failed(Step::Trust, why);
            return None;
        }
    }
    report.subject.trusted = trusted.is_some();
    Some(bundle)
}

/// The log, with the tree of its records, if the head is at least of them: whatever else is in a file, is not worth a look.
fn begin(bundle: &AuditBundle<'_>, report: &mut Report) -> Option<Log> {
    let tree = log::hashed(&bundle.records);
    let tree = tree.and_then(|tree| log::claimed(bundle, &tree).map(|()| tree));
    match tree {
        Ok(tree) => Some(Log::new(&bundle.head.genesis, tree)),
        Err(why) => {
            report.failed(Step::Head, why);
            None
        }
    }
}

/// The log as such: records, head, and what others saw of it. Says whether the rest is worth telling.
fn judge_log(
    bundle: &AuditBundle<'_>,
    (log, read): (&mut Log, Result<(), Unreadable>),
    known: Known<'_>,
    report: &mut Report,
) -> bool {
    match (log.wrong(), read) {
        (Some(Wrong::Order(index, why)), _) => {
            report.found(Step::Records, Some(*index), why);
            return false;
        }
        (Some(Wrong::Endorsers(index, why)), _) => {
            report.passed(Step::Records, bundle.records.len());
            report.found(Step::Head, Some(*index), why);
            return false;
        }
        (None, Err(unreadable)) => {
            report.found(Step::Records, Some(unreadable.index), unreadable.why);
            return false;
        }
        (None, Ok(())) => report.passed(Step::Records, bundle.records.len()),
    }
    log.describe(&mut report.subject);
    match log.head(bundle) {
        Ok(signed) => {
            report.passed(Step::Head, signed.operators.len());
            report.signed_by(&signed);
        }
        Err(why) => {
            report.failed(Step::Head, why);
            return false;
        }
    }
    seen(log, known.seen, report);
    for (record, why) in &log.heard.elsewhere {
        report.found(Step::Countersigned, Some(*record), why);
    }
    let countersigned = usize::try_from(log.heard.countersigned).unwrap_or(usize::MAX);
    report.passed(Step::Countersigned, countersigned);
    log.census.settle();
    let endorsers = log.bundles.last().map(|last| last.endorsers.as_slice()).unwrap_or_default();
    let (rest, heard) = (&bundle.rest, (&log.heard, endorsers));
    denials::judge(&bundle.head.cluster, &rest.journals, heard, &mut log.census, report);
    forks(log, &rest.forks, denials::all_told(&rest.journals, endorsers), report);
    report.counts = log.census.clone();
    true
}

/// Heads that the auditor kept.
fn seen(log: &Log, notes: &[Vec<u8>], report: &mut Report) {
    if notes.is_empty() {
        return;
    }
    for note in notes {
        if let Err(why) = log.seen(note) {
            report.failed(Step::Seen, why);
        }
    }
    report.passed(Step::Seen, notes.len());
}

/// Evidence of a fork that a controller keeps is no ornament: with it there is no good report. That there is none, only those
/// can say who were asked.
fn forks(log: &Log, forks: &[&[u8]], all_told: bool, report: &mut Report) {
    for bytes in forks {
        let told = match Fork::parse(bytes) {
            Err(error) => format!("evidence that cannot be read: {error}"),
            Ok(fork) => {
                let judged = log.bundles.iter().rev().find_map(|b| fork.judge(b).ok());
                judged.map_or_else(
                    || "evidence that shows nothing under the keys of this log".to_owned(),
                    |judged| {
                        let (a, b) = (judged.first.head, judged.second.head);
                        let liars = judged.liars().map(|member| member.to_string());
                        let liars = liars.collect::<Vec<_>>().join(", ");
                        format!(
                            "two histories were signed: {} records with root {}, and {} with root {}; \
                             members that signed both: {}",
                            a.size,
                            a.root,
                            b.size,
                            b.root,
                            if liars.is_empty() { "none" } else { &liars }
                        )
                    },
                )
            }
        };
        report.failed(Step::Forks, told);
    }
    if all_told {
        report.passed(Step::Forks, forks.len());
    }
}

/// As [`verify_against`], and compares with a bundle that was exported earlier: it is a prefix (A1), or what an incarnation
/// lost since is told; anything else is a fork.
#[must_use]
pub fn verify_since(bytes: &[u8], earlier: &[u8], known: Known<'_>) -> Report {
    let (mut report, openings) = whole(bytes, known);
    report.also(Step::Earlier);
    if report.is_bad() {
        return report;
    }
    match since(bytes, earlier, (known, &openings)) {
        Ok((size, Earlier::Prefix)) => report.passed(Step::Earlier, size),
        Ok((size, Earlier::Lost { commands, .. })) => {
            report.lost = commands;
            report.passed(Step::Earlier, size);
        }
        Ok((_, Earlier::Fork { at })) => {
            let why = "differs, and no incarnation lost it: somebody shows two histories";
            report.found(Step::Earlier, Some(at), why);
        }
        Err(why) => report.failed(Step::Earlier, why),
    }
    report
}

/// The earlier one has to be a signed log itself; its promises are those of the later one, as far as they are the same.
fn since(
    bytes: &[u8],
    earlier: &[u8],
    (known, openings): (Known<'_>, &[Begun]),
) -> Result<(usize, Earlier), String> {
    let mut own = Report::over(&[Step::File, Step::Trust, Step::Records, Step::Head]);
    let then = open(earlier, known.genesis, &mut own);
    let not_good = || "the earlier bundle does not verify by itself".to_owned();
    let then = then.ok_or_else(not_good)?;
    let mut log = begin(&then, &mut own).ok_or_else(not_good)?;
    let read = pipeline::run(&then.records, &mut [&mut log]);
    let stands = judge_log(&then, (&mut log, read), Known::default(), &mut own);
    if !stands || own.is_bad() {
        return Err(not_good());
    }
    let now = AuditBundle::open(bytes).map_err(|error| error.to_string())?;
    if now.head.genesis.genesis != then.head.genesis.genesis {
        return Err("the earlier bundle is of another federation".to_owned());
    }
    let incarnation = then.head.incarnation.0;
    let found = lost::compare(&then.records, incarnation, (&now.records, openings))?;
    Ok((then.records.len(), found))
}

/// Reads a genesis file that the auditor trusts.
///
/// # Errors
/// `INVALID_ARGUMENT` if it cannot be read or does not stand.
pub fn trusted_genesis(path: &Path) -> Result<SignedGenesis, Failure> {
    let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
    SignedGenesis::open(&bytes).map_err(|error| of_file(path, &error))
}

#[cfg(test)]
mod tests;
