//! Which fields of a resource an update changes (AIP-134, AIP-161).
//!
//! Must hold: a path that is none of the fields that can be changed is refused, so that nobody believes to have changed what
//! stays; an update of nothing is refused too.

use crate::field::{FieldError, FieldResult};
use prost_types::FieldMask;

/// Stands for every field that can be changed.
const ALL: &str = "*";

/// Longest mask: more than any resource has fields.
const PATHS_MAX: usize = 32;

/// The fields of `resource` that an update names: those of its mask; without a mask, those that have a value.
pub(crate) fn named(
    resource: &str,
    mask: Option<&FieldMask>,
    known: &[(&'static str, bool)],
) -> FieldResult<Vec<&'static str>> {
    let refused = |must: String| FieldError::new("update_mask", must);
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.len() > PATHS_MAX {
        return Err(refused(format!("must have at most {PATHS_MAX} paths")));
    }
    let words: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let listed = words.join(", ");
    if let Some(other) = paths.iter().find(|path| *path != ALL && !words.contains(&path.as_str())) {
        return Err(refused(format!("must name fields of {listed}, not `{other}`")));
    }
    let is_named = |name: &str, has_value: bool| {
        let by_path = paths.iter().any(|path| path == ALL || path == name);
        if paths.is_empty() { has_value } else { by_path }
    };
    let named: Vec<&'static str> = known
        .iter()
        .filter(|(name, value)| is_named(name, *value))
        .map(|(name, _)| *name)
        .collect();
    if named.is_empty() {
        return Err(refused(format!(
            "must be given where no field of {resource} has a value: {listed}"
        )));
    }
    Ok(named)
}

/// The mask that names these fields.
pub(crate) fn of(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_what_can_be_changed_and_nothing_else() {
        let known = [("display_name", true), ("policy", false)];
        let read = |paths: &[&str]| named("tenant", Some(&of(paths)), &known);
        assert_eq!(named("tenant", None, &known), Ok(vec!["display_name"]));
        assert_eq!(read(&[]), Ok(vec!["display_name"]));
        assert_eq!(read(&["policy"]), Ok(vec!["policy"]));
        assert_eq!(read(&["policy", "policy", "display_name"]), Ok(vec!["display_name", "policy"]));
        assert_eq!(read(&["*"]), Ok(vec!["display_name", "policy"]));
        for bad in ["name", "etag", "open_jobs", "", "tenant.policy", "policy.name"] {
            assert_eq!(read(&[bad]).unwrap_err().field, "update_mask", "{bad}");
        }
        let nothing = named("tenant", None, &[("display_name", false)]);
        assert_eq!(nothing.unwrap_err().field, "update_mask");
        assert_eq!(read(&["policy"; 33]).unwrap_err().field, "update_mask");
    }
}
