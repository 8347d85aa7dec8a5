//! The direction of dependencies, and the fences around pure crates and around single owners.
//!
//! Must hold: an edge between members goes to a strictly lower floor, dev- and build-dependencies
//! included (a test that needs a higher crate belongs into a higher crate); a pure crate names only the
//! outside crates that `[workspace.metadata.pure]` lists for it and only pure members; a crate with one
//! owner is named by that owner alone.
//!
//! It judges manifests, not code: what a listed crate does inside is a matter of review.

use std::collections::BTreeSet;

use crate::report::Violation;
use crate::workspace::{Edge, Kind, Member, Workspace};

const RULE: &str = "floors";
const PURE: &str = "pure";
const OWNER: &str = "owner";

/// Stands outside: names no member and is named by none, so that it builds when they do not.
const OUTSIDE: &str = "xtask";

/// What the tests of a pure crate may name besides its list: they generate and compare, and run no IO
/// of their own.
const PURE_TESTS: [&str; 3] = ["insta", "proptest", "tempfile"];

/// A runtime, a socket or a disk behind a listed crate would hand a pure crate what it must not have.
const NEVER_PURE: [&str; 9] =
    ["h2", "hyper", "librocksdb-sys", "mio", "openraft", "rocksdb", "socket2", "tokio", "tonic"];

/// Outside crates that exactly one member knows, so that replacing one touches one crate.
const OWNERS: [(&str, &str); 10] = [
    ("openraft", "sekisho-raft"),
    ("rocksdb", "sekisho-store"),
    ("rustls", "sekisho-transport"),
    ("tokio-rustls", "sekisho-transport"),
    ("age", "sekisho-transport"),
    ("cudarc", "sekisho-agent-runtime"),
    ("nvml-wrapper", "sekisho-agent-runtime"),
    // Which signatures are good is decided in one place (ADR 9).
    ("ed25519-zebra", "sekisho-evidence"),
    // A program has one allocator, and its main says which.
    ("mimalloc", "sekisho-controlplane"),
    ("libmimalloc-sys", "sekisho-controlplane"),
];

/// All breaks of the three rules, in a stable order.
#[must_use]
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    table(workspace, &mut found);
    for member in &workspace.members {
        for edge in &member.edges {
            if workspace.is_member(&edge.on) {
                downward(workspace, member, edge, &mut found);
            }
            owner(member, edge, &mut found);
        }
        if let Some(listed) = workspace.tables.pure.get(&member.name) {
            pure(workspace, member, listed, &mut found);
        }
    }
    found.sort();
    found
}

/// Both tables name members, and every member has a floor.
fn table(workspace: &Workspace, found: &mut Vec<Violation>) {
    let floors = &workspace.tables.floors;
    for member in workspace.members.iter().filter(|m| m.name != OUTSIDE) {
        if !floors.contains_key(&member.name) {
            found.push(Violation::new(
                RULE,
                &member.name,
                "has no floor",
                "add it to [workspace.metadata.floors] in the root Cargo.toml",
            ));
        }
    }
    for name in floors.keys().chain(workspace.tables.pure.keys()) {
        if !workspace.is_member(name) {
            found.push(Violation::new(
                RULE,
                name,
                "stands in a table of the root Cargo.toml and is not a member",
                "remove the line or add the member",
            ));
        }
    }
}

fn downward(workspace: &Workspace, member: &Member, edge: &Edge, found: &mut Vec<Violation>) {
    let table = edge.kind.table();
    if member.name == OUTSIDE || edge.on == OUTSIDE {
        found.push(Violation::new(
            RULE,
            &member.name,
            format!("names {} in [{table}]", edge.on),
            format!("{OUTSIDE} stands outside: it names no member and no member names it"),
        ));
        return;
    }
    let floors = &workspace.tables.floors;
    // A member without a floor is reported by `table`; an edge to it says nothing more.
    let (Some(from), Some(to)) = (floors.get(&member.name), floors.get(&edge.on)) else { return };
    if to >= from {
        found.push(Violation::new(
            RULE,
            &member.name,
            format!("floor {from} names {} on floor {to} in [{table}]", edge.on),
            "dependencies go strictly down: move the code that needs it up, or the shared part below both",
        ));
    }
}

fn owner(member: &Member, edge: &Edge, found: &mut Vec<Violation>) {
    for (outside, owner) in OWNERS {
        if edge.on == outside && member.name != owner {
            found.push(Violation::new(
                OWNER,
                &member.name,
                format!("names {outside} in [{}]", edge.kind.table()),
                format!("only {owner} knows {outside}: use what {owner} offers, or add it there"),
            ));
        }
    }
}

fn pure(
    workspace: &Workspace,
    member: &Member,
    listed: &BTreeSet<String>,
    found: &mut Vec<Violation>,
) {
    for edge in &member.edges {
        let table = edge.kind.table();
        if workspace.is_member(&edge.on) {
            if !workspace.tables.pure.contains_key(&edge.on) {
                found.push(Violation::new(
                    PURE,
                    &member.name,
                    format!("names {}, which is not pure, in [{table}]", edge.on),
                    "a pure crate stands on pure crates: let the caller convert and pass values in",
                ));
            }
        } else if !is_listed(listed, edge) {
            found.push(Violation::new(
                PURE,
                &member.name,
                format!("names {} in [{table}]", edge.on),
                "not on its list in [workspace.metadata.pure]: pass the result in, or argue for the list",
            ));
        }
    }
    for name in workspace.reach(&member.name) {
        if NEVER_PURE.contains(&name.as_str()) {
            found.push(Violation::new(
                PURE,
                &member.name,
                format!("reaches {name} through a dependency"),
                format!("run `cargo tree -p {} -i {name}` and cut that edge", member.name),
            ));
        }
    }
}

fn is_listed(listed: &BTreeSet<String>, edge: &Edge) -> bool {
    let is_for_tests = edge.kind == Kind::Dev && PURE_TESTS.contains(&edge.on.as_str());
    is_for_tests || listed.contains(&edge.on)
}

#[cfg(test)]
mod tests;
