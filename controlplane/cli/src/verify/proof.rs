//! Offline verification of the proof of one record: [`AuditProof`].
//!
//! Must hold: it says that the record stands in a log that k operators signed, and nothing about the rest of that log.

use super::report::{Report, Step};
use sekisho_evidence::audit_proof::{AuditProof, AuditProofError, Proven};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_types::jurisdiction::table_hash;

/// Verifies the bytes of a proof. Its content comes back if every step passed.
#[must_use]
pub fn verify(bytes: &[u8], trusted: Option<&SignedGenesis>) -> (Report, Option<(u64, Proven)>) {
    let mut report = Report::over(&Step::PROOF);
    let proof = match AuditProof::open(bytes) {
        Ok(proof) => proof,
        Err(error) => {
            report.failed(Step::File, error);
            return (report, None);
        }
    };
    report.passed(Step::File, bytes.len());
    let genesis = &proof.package.genesis.genesis;
    report.subject.cluster = genesis.bundle.cluster.to_string();
    report.subject.fingerprint =
        genesis.bundle.hash().map(|hash| hash.to_string()).unwrap_or_default();
    report.subject.dev = genesis.dev;
    report.subject.trusted = trusted.is_some();
    if genesis.table != table_hash() {
        report.note(Step::Trust, None, "made under another table of jurisdictions");
    }
    match proof.verify(trusted) {
        Ok(proven) => {
            report.passed(Step::Trust, genesis.bundle.operators.len());
            report.passed(Step::Head, proven.signed.operators.len());
            report.passed(Step::Inclusion, 1);
            report.subject.incarnation = proven.signed.checkpoint.incarnation.0;
            report.subject.records = proven.signed.checkpoint.head.size;
            report.signed_by(&proven.signed);
            (report, Some((proof.index, proven)))
        }
        Err(error) => {
            failed(&mut report, &error);
            (report, None)
        }
    }
}

fn failed(report: &mut Report, error: &AuditProofError) {
    let step = match error {
        AuditProofError::Format => Step::File,
        AuditProofError::Genesis | AuditProofError::Package(_) => Step::Trust,
        AuditProofError::Note(_) => Step::Head,
        AuditProofError::Malformed(_) | AuditProofError::Path(_) => Step::Inclusion,
    };
    for earlier in Step::PROOF.into_iter().take_while(|earlier| *earlier != step) {
        report.passed(earlier, 1);
    }
    report.failed(step, error);
}
