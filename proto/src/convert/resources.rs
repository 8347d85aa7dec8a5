//! What each member of a job needs, in its spec.

use crate::field::{FieldError, FieldResult, parsed};
use crate::v1::{self, job_spec};
use sekisho_types::job::Resources;
use sekisho_types::sharing::Sharing;

/// Bounds are not checked.
pub(super) fn read(spec: &v1::JobSpec) -> FieldResult<Resources> {
    let sharing = match job_spec::Sharing::try_from(spec.sharing) {
        Ok(job_spec::Sharing::Unspecified | job_spec::Sharing::Alone) => Sharing::Alone,
        Ok(job_spec::Sharing::Tenant) => Sharing::Tenant,
        Ok(job_spec::Sharing::Any) => Sharing::Any,
        Err(_unknown) => return Err(FieldError::new("sharing", "must be a known mode")),
    };
    Ok(Resources {
        class: parsed("device_class", &spec.device_class)?,
        gpus: spec.gpus,
        memory_mib: spec.memory_mib,
        units: spec.units,
        sharing,
    })
}

pub(super) fn sharing(resources: &Resources) -> job_spec::Sharing {
    match resources.sharing {
        Sharing::Alone => job_spec::Sharing::Alone,
        Sharing::Tenant => job_spec::Sharing::Tenant,
        Sharing::Any => job_spec::Sharing::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_round_trip_and_what_is_not_known_is_refused() {
        for sharing in [Sharing::Alone, Sharing::Tenant, Sharing::Any] {
            let memory_mib = 40_960;
            let class = "h100-80g".parse().unwrap();
            let wanted = Resources { memory_mib, units: 2, sharing, ..Resources::of(class, 8) };
            let spec = v1::JobSpec {
                device_class: "h100-80g".to_owned(),
                gpus: 8,
                memory_mib,
                units: 2,
                sharing: super::sharing(&wanted).into(),
                ..v1::JobSpec::default()
            };
            assert_eq!(read(&spec), Ok(wanted));
        }
        let class = |device_class: &str, sharing| v1::JobSpec {
            device_class: device_class.to_owned(),
            sharing,
            ..v1::JobSpec::default()
        };
        assert_eq!(read(&class("h200", 0)).map(|wanted| wanted.sharing), Ok(Sharing::Alone));
        assert_eq!(read(&class("h200", 9)).unwrap_err().field, "sharing");
        assert_eq!(read(&class("", 1)).unwrap_err().field, "device_class");
    }

    #[test]
    fn a_share_that_nobody_agreed_to_is_named_as_the_message_has_it() {
        let id = "acme/train".parse().unwrap();
        let spec = v1::JobSpec {
            device_class: "h200-shared".to_owned(),
            gpus: 1,
            time_limit_s: 60,
            payload_sha256: "ab".repeat(32),
            ..v1::JobSpec::default()
        };
        let refused = crate::convert::job::facts(id, &spec).unwrap_err();
        assert_eq!(refused.field, "spec.sharing");
    }
}
