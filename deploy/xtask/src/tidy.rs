//! Shape and wording of the repository's files.
//!
//! Each rule is a function from text to violations, so that a test shows it red without a disk. The rules
//! are line heuristics: they must never miss what a hurried hand writes, and a false alarm must have an
//! easy way out, which the remedy names.

use std::path::Path;

use crate::files::{self, TextFile};
use crate::report::Violation;
use crate::workspace::Workspace;

mod codes;
mod docs;
mod lists;
mod metrics;
mod phrases;
mod place;
mod scan;
mod socket;
mod source;

/// All breaks in the checkout of `workspace`, in a stable order.
///
/// # Errors
/// When a file cannot be read.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let root: &Path = &workspace.root;
    let files = files::read_all(root)?;
    let mut found = place::top_level(&files::top_level(root)?);
    found.extend(check_files(workspace, &files));
    found.sort();
    found.dedup();
    Ok(found)
}

fn check_files(workspace: &Workspace, files: &[TextFile]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files {
        found.extend(place::check(file));
        if file.is_rust() {
            found.extend(source::check(file));
        }
    }
    found.extend(lists::check(workspace, files));
    found.extend(docs::links(files));
    found.extend(docs::error_codes(files));
    found.extend(codes::check(files));
    found.extend(phrases::check(files));
    found.extend(metrics::check(files));
    found.extend(socket::check(files));
    found
}
