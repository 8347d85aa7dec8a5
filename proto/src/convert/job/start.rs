//! What a job waits for before it is queued, and until when it may start.
//!
//! Must hold: what is waited for is of the same tenant, by its whole name; an unknown word is refused and stands for no other.

use crate::field::{FieldError, FieldResult};
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::{After, JobFacts, When};
use sekisho_types::limit::AFTER_MAX;
use sekisho_types::time::Timestamp;

/// Other jobs, the earliest and the latest start.
type Start = (Vec<After>, Option<Timestamp>, Option<Timestamp>);

/// Reads them of a job of this tenant.
pub(super) fn read(tenant: &TenantId, spec: &v1::JobSpec) -> FieldResult<Start> {
    if spec.after.len() > AFTER_MAX {
        return Err(FieldError::new("after", format!("must have at most {AFTER_MAX} entries")));
    }
    let entries = spec.after.iter().enumerate();
    let after = entries.map(|(index, entry)| {
        after(tenant, entry).map_err(|error| error.within(&format!("after[{index}]")))
    });
    let after = after.collect::<FieldResult<Vec<_>>>()?;
    Ok((after, spec.not_before_ms.map(Timestamp), spec.start_by_ms.map(Timestamp)))
}

fn after(tenant: &TenantId, entry: &v1::After) -> FieldResult<After> {
    let job = JobId::from_field("job", &entry.job)?;
    if job.tenant != *tenant {
        return Err(FieldError::new("job", "must be a job of the same tenant"));
    }
    let when = match v1::after::When::try_from(entry.when) {
        Ok(v1::after::When::Started) => When::Started,
        Ok(v1::after::When::Succeeded) => When::Succeeded,
        Ok(v1::after::When::Failed) => When::Failed,
        Ok(v1::after::When::Ended) => When::Ended,
        Ok(v1::after::When::Unspecified) | Err(_) => {
            let must = "must be STARTED, SUCCEEDED, FAILED or ENDED";
            return Err(FieldError::new("when", must));
        }
    };
    Ok(After { job: job.name, when })
}

/// The jobs that a job waits for.
pub(super) fn messages(facts: &JobFacts) -> Vec<v1::After> {
    let message = |(job, when): (JobId, When)| {
        let when = match when {
            When::Started => v1::after::When::Started,
            When::Succeeded => v1::after::When::Succeeded,
            When::Failed => v1::after::When::Failed,
            When::Ended => v1::after::When::Ended,
        };
        v1::After { job: job.name(), when: when.into() }
    };
    facts.awaits().map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::job::facts;

    fn spec() -> v1::JobSpec {
        let after = |job: &str, when: v1::after::When| v1::After {
            job: format!("tenants/acme/jobs/{job}"),
            when: when.into(),
        };
        v1::JobSpec {
            device_class: "h100-80g".into(),
            gpus: 1,
            time_limit_s: 60,
            payload_sha256: "0".repeat(64),
            after: vec![
                after("one", v1::after::When::Started),
                after("two", v1::after::When::Succeeded),
                after("three", v1::after::When::Failed),
                after("four", v1::after::When::Ended),
            ],
            not_before_ms: Some(1000),
            start_by_ms: Some(2000),
            ..v1::JobSpec::default()
        }
    }

    #[test]
    fn what_a_job_waits_for_round_trips() {
        let read = facts("acme/train".parse().unwrap(), &spec()).unwrap();
        let times = (read.not_before, read.start_by);
        assert_eq!(times, (Some(Timestamp(1000)), Some(Timestamp(2000))));
        let back = v1::JobSpec::from(&read);
        assert_eq!((back.after, back.not_before_ms, back.start_by_ms), {
            let spec = spec();
            (spec.after, spec.not_before_ms, spec.start_by_ms)
        });
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: fn(&mut v1::JobSpec)| {
            let mut spec = spec();
            change(&mut spec);
            facts("acme/train".parse().unwrap(), &spec).unwrap_err().field
        };
        assert_eq!(refused(|s| s.after[1].job = "two".into()), "spec.after[1].job");
        let other = |s: &mut v1::JobSpec| s.after[1].job = "tenants/zeta/jobs/two".into();
        assert_eq!(refused(other), "spec.after[1].job");
        assert_eq!(refused(|s| s.after[1].when = 0), "spec.after[1].when");
        assert_eq!(refused(|s| s.after[1].when = 9), "spec.after[1].when");
        assert_eq!(refused(|s| s.after[1].job = s.after[0].job.clone()), "spec.after");
        let itself = |s: &mut v1::JobSpec| s.after[1].job = "tenants/acme/jobs/train".into();
        assert_eq!(refused(itself), "spec.after");
        assert_eq!(refused(|s| s.after = vec![s.after[0].clone(); AFTER_MAX + 1]), "spec.after");
        assert_eq!(refused(|s| s.start_by_ms = Some(1000)), "spec.start_by_ms");
    }
}
