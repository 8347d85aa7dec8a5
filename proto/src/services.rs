//! Which services people and pipelines may know.

use crate::PUBLIC;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Full names of the services of the public descriptors, in order: those of `sekisho.v1` and the vendored ones beside it.
#[must_use]
pub fn public() -> Vec<String> {
    // Made by the build together with this code.
    let set = FileDescriptorSet::decode(PUBLIC).unwrap_or_default();
    let named = set.file.iter().flat_map(|file| {
        file.service.iter().map(|service| format!("{}.{}", file.package(), service.name()))
    });
    let mut names: Vec<String> = named.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_internal_is_public() {
        let names = public();
        assert!(names.contains(&"sekisho.v1.JobService".to_owned()));
        assert!(names.contains(&"google.longrunning.Operations".to_owned()));
        assert!(!names.iter().any(|name| name.contains("internal")), "{names:?}");
        assert!(!PUBLIC.windows(16).any(|bytes| bytes == b"sekisho.internal"), "not a word");
    }
}
