//! How often a job runs, as its spec says it.

use super::refuse::at;
use crate::failure::Failure;
use sekisho_types::job::Kind;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// `array:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawArray {
    tasks: Spanned<u32>,
    at_most: Option<Spanned<u32>>,
}

/// `service:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    replicas: Spanned<u32>,
    surge: Option<Spanned<u32>>,
}

/// Once, unless one of the two is written.
pub(super) fn read(
    array: Option<&Spanned<RawArray>>,
    service: Option<&Spanned<RawService>>,
) -> Result<Kind, Failure> {
    match (array, service) {
        (None, None) => Ok(Kind::Batch),
        (Some(_), Some(service)) => {
            Err(at(&service.referenced, "service", &"must not stand beside `array`"))
        }
        (Some(array), None) => {
            let RawArray { tasks, at_most } = &array.value;
            let at_most = at_most.as_ref().map_or(tasks.value, |at_most| at_most.value);
            Ok(Kind::Array { tasks: tasks.value, at_most })
        }
        (None, Some(service)) => {
            let RawService { replicas, surge } = &service.value;
            let surge = surge.as_ref().map_or(1, |surge| surge.value);
            Ok(Kind::Service { replicas: replicas.value, surge })
        }
    }
}

/// Where their numbers stand.
pub(super) fn places(
    array: Option<&Spanned<RawArray>>,
    service: Option<&Spanned<RawService>>,
) -> Vec<(&'static str, Location)> {
    let mut places = Vec::new();
    if let Some(Spanned { value: RawArray { tasks, at_most }, .. }) = array {
        places.push(("array.tasks", tasks.referenced));
        places.extend(at_most.as_ref().map(|at_most| ("array.at_most", at_most.referenced)));
    }
    if let Some(Spanned { value: RawService { replicas, surge }, .. }) = service {
        places.push(("service.replicas", replicas.referenced));
        places.extend(surge.as_ref().map(|surge| ("service.surge", surge.referenced)));
    }
    places
}
