//! Offline verification of an audit bundle: nobody and nothing is asked but the file, and the genesis to believe in.
//!
//! Must hold: the promises are re-judged by an oracle that is computed from the records alone ([`oracle`]), not by
//! the state machine; the state machine is run apart ([`replay`]) and must give the same bytes. A step that cannot
//! be done because an earlier one failed is reported as not checked, never as good.
//! Does not know: whether the genesis in the file is the federation's. Whoever verifies compares its fingerprint, or
//! passes the genesis that it trusts.

pub mod fixes;
pub mod log;
pub mod lost;
pub mod oracle;
pub mod replay;
pub mod report;
pub mod snapshot;

use crate::failure::{Failure, of_file};
use lost::Earlier;
use report::{Report, Step};
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::genesis::SignedGenesis;
use std::path::Path;

/// Verifies the bytes of a bundle, against `trusted` if the auditor has a genesis of its own.
#[must_use]
pub fn verify(bytes: &[u8], trusted: Option<&SignedGenesis>) -> Report {
    let mut report = Report::default();
    let bundle = match AuditBundle::open(bytes) {
        Ok(bundle) => bundle,
        Err(error) => {
            report.failed(Step::File, error.to_string());
            return report;
        }
    };
    report.passed(Step::File, bytes.len());
    report.describe(&bundle.head);
    match log::trust(&bundle, trusted) {
        Ok(operators) => report.passed(Step::Trust, operators),
        Err(why) => {
            report.failed(Step::Trust, why);
            return report;
        }
    }
    let records = match log::records(&bundle.records) {
        Ok(records) => records,
        Err(why) => {
            report.failed(Step::Records, why);
            return report;
        }
    };
    report.passed(Step::Records, records.len());
    match log::head(&bundle, &records) {
        Ok(signed) => {
            report.passed(Step::Head, signed.operators.len());
            report.signed_by(&signed);
        }
        Err(why) => {
            report.failed(Step::Head, why);
            return report;
        }
    }
    report.subject.openings = lost::openings(&records);
    oracle::judge(&bundle.head.genesis, &records, &mut report);
    match replay::replay(&bundle.head.genesis, &bundle.records, &records) {
        Ok((entries, _state)) => report.passed(Step::Replay, entries),
        Err(why) => report.failed(Step::Replay, why),
    }
    report
}

/// As [`verify`], and compares with a bundle that was exported earlier: it is a prefix (A1), or what an incarnation lost
/// since is told; anything else is a fork.
#[must_use]
pub fn verify_since(bytes: &[u8], earlier: &[u8], trusted: Option<&SignedGenesis>) -> Report {
    let mut report = verify(bytes, trusted);
    report.also(Step::Earlier);
    if report.is_bad() {
        return report;
    }
    match since(bytes, earlier, trusted) {
        Ok((size, Earlier::Prefix)) => report.passed(Step::Earlier, size),
        Ok((size, Earlier::Lost { commands, .. })) => {
            report.lost = commands;
            report.passed(Step::Earlier, size);
        }
        Ok((_, Earlier::Fork { at })) => {
            let why = "differs, and no incarnation lost it: somebody shows two histories";
            report.failed(Step::Earlier, format!("record {at} {why}"));
        }
        Err(why) => report.failed(Step::Earlier, why),
    }
    report
}

fn since(
    bytes: &[u8],
    earlier: &[u8],
    trusted: Option<&SignedGenesis>,
) -> Result<(usize, Earlier), String> {
    let own = verify(earlier, trusted);
    if !own.is_good() {
        return Err("the earlier bundle does not verify by itself".to_owned());
    }
    let open = |bytes| AuditBundle::open(bytes).map_err(|error| error.to_string());
    let (now, then) = (open(bytes)?, open(earlier)?);
    if now.head.genesis.genesis != then.head.genesis.genesis {
        return Err("the earlier bundle is of another federation".to_owned());
    }
    let (of_now, of_then) = (log::records(&now.records)?, log::records(&then.records)?);
    let incarnation = then.head.incarnation.0;
    let found = lost::compare((&then.records, &of_then), incarnation, (&now.records, &of_now));
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
