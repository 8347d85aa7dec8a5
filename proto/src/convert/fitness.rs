//! What hosts find wrong with themselves.

use super::agent::session;
use crate::field::{FieldError, FieldResult};
use crate::internal::v1 as internal;
use crate::v1;
use sekisho_evidence::grant::SessionId;
use sekisho_types::fitness::{Unfit, check};
use sekisho_types::limit::FITNESS_FINDINGS_MAX;
use sekisho_types::name::Name;

pub(super) fn findings(list: &[internal::HostFinding]) -> FieldResult<Vec<Unfit>> {
    if list.len() > FITNESS_FINDINGS_MAX {
        let must = format!("must have at most {FITNESS_FINDINGS_MAX} entries");
        return Err(FieldError::new("findings", must));
    }
    let read = |finding: &internal::HostFinding| {
        let check = Name::parse(&finding.check);
        Ok(Unfit {
            check: check.map_err(|e| FieldError::new("findings.check", e.to_string()))?,
            blocks: finding.blocks,
            detail: finding.detail.clone(),
        })
    };
    let read: Vec<Unfit> = list.iter().map(read).collect::<FieldResult<_>>()?;
    check(&read).map_err(|error| FieldError::new("findings", error.to_string()))?;
    Ok(read)
}

pub(super) fn told(findings: &[Unfit]) -> Vec<internal::HostFinding> {
    let one = |finding: &Unfit| internal::HostFinding {
        check: finding.check.to_string(),
        blocks: finding.blocks,
        detail: finding.detail.clone(),
    };
    findings.iter().map(one).collect()
}

/// What a host finds wrong with itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFitness {
    /// The session.
    pub session: SessionId,
    /// All that is wrong now.
    pub findings: Vec<Unfit>,
}

impl TryFrom<&internal::ReportFitnessRequest> for ReportFitness {
    type Error = FieldError;
    fn try_from(message: &internal::ReportFitnessRequest) -> FieldResult<Self> {
        Ok(Self {
            session: session("session", &message.session)?,
            findings: findings(&message.findings)?,
        })
    }
}

impl From<&ReportFitness> for internal::ReportFitnessRequest {
    fn from(report: &ReportFitness) -> Self {
        Self { session: report.session.0.to_vec().into(), findings: told(&report.findings) }
    }
}

impl From<&Unfit> for v1::Unfit {
    fn from(finding: &Unfit) -> Self {
        let Unfit { check, blocks, detail } = finding;
        Self { check: check.to_string(), blocks: *blocks, detail: detail.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_round_trip_and_every_bad_one_is_named() {
        let unfit = |check: &str| Unfit {
            check: Name::parse(check).unwrap(),
            blocks: true,
            detail: "off by 20 s".into(),
        };
        let report = ReportFitness {
            session: SessionId([1; 16]),
            findings: vec![unfit("clock"), unfit("devices")],
        };
        let message = internal::ReportFitnessRequest::from(&report);
        assert_eq!(ReportFitness::try_from(&message), Ok(report));
        let refused = |change: &dyn Fn(&mut internal::ReportFitnessRequest)| {
            let mut message = message.clone();
            change(&mut message);
            ReportFitness::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.session = Default::default()), "session");
        assert_eq!(refused(&|m| m.findings.reverse()), "findings");
        assert_eq!(refused(&|m| m.findings[0].check = "No Name".into()), "findings.check");
        assert_eq!(refused(&|m| m.findings[0].detail = "a\nb".into()), "findings");
        assert_eq!(refused(&|m| m.findings = vec![m.findings[0].clone(); 99]), "findings");
    }
}
