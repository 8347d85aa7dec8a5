//! Offline verification of an audit bundle: nobody and nothing is asked but the file, and the genesis to believe in.
//!
//! Must hold: the promises are re-judged by an oracle that is computed from the records alone ([`oracle`]), not by
//! the state machine; the state machine is run apart ([`replay`]) and must give the same bytes. A step that cannot
//! be done because an earlier one failed is reported as not checked, never as good.
//! Does not know: whether the genesis in the file is the federation's. Whoever verifies compares its fingerprint, or
//! passes the genesis that it trusts.

pub mod log;
pub mod oracle;
pub mod replay;
pub mod report;
pub mod snapshot;

use crate::failure::{Failure, of_file};
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
    oracle::judge(&bundle.head.genesis, &records, &mut report);
    match replay::replay(&bundle.head.genesis, &bundle.records, &records) {
        Ok((entries, _state)) => report.passed(Step::Replay, entries),
        Err(why) => report.failed(Step::Replay, why),
    }
    report
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
