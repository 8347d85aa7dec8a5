//! Manifests and lint lists: no crate slips out from under the workspace's lints.
//!
//! Why the superset rule: clippy reads the nearest `clippy.toml` and merges nothing, so a pure crate's
//! own file silently drops whatever it does not repeat.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::files::TextFile;
use crate::report::Violation;
use crate::workspace::{Member, Workspace};

const LINTS: &str = "lints";
const CLIPPY: &str = "clippy.toml";
/// A pure crate's arithmetic runs on every replica: an overflow must be a value, not a panic or a wrap.
const ARITHMETIC: &str = "clippy::arithmetic_side_effects";

pub(super) fn check(workspace: &Workspace, files: &[TextFile]) -> Vec<Violation> {
    let find = |path: &str| files.iter().find(|f| f.path == path);
    let mut found = Vec::new();
    let root = find(CLIPPY).map(|f| parse(f, &mut found)).unwrap_or_default();
    for member in &workspace.members {
        let manifest = find(&format!("{}/Cargo.toml", member.dir));
        if !manifest.is_some_and(inherits_lints) {
            found.push(Violation::new(
                LINTS,
                &member.name,
                "does not inherit the workspace's lints",
                "add `[lints] workspace = true` to its Cargo.toml",
            ));
        }
        let own = find(&format!("{}/{CLIPPY}", member.dir));
        let is_pure = workspace.tables.pure.contains_key(&member.name);
        match own {
            Some(file) => {
                let table = parse(file, &mut found);
                missing(&root, &table, &file.path, &mut found);
            }
            None if is_pure => found.push(Violation::new(
                LINTS,
                &member.name,
                format!("is pure and has no {CLIPPY}"),
                format!("copy the one of another pure crate to {}/{CLIPPY}", member.dir),
            )),
            None => {}
        }
        if is_pure {
            arithmetic(member, find(&format!("{}/src/lib.rs", member.dir)), &mut found);
        }
    }
    found
}

fn inherits_lints(manifest: &TextFile) -> bool {
    let table: Table = manifest.text.parse().unwrap_or_default();
    let lints = table.get("lints").and_then(Value::as_table);
    lints.and_then(|l| l.get("workspace")).and_then(Value::as_bool) == Some(true)
}

fn parse(file: &TextFile, found: &mut Vec<Violation>) -> Table {
    file.text.parse().unwrap_or_else(|error: toml::de::Error| {
        found.push(Violation::new(LINTS, &file.path, "is not TOML", error.message()));
        Table::new()
    })
}

/// Everything in the root's file stands in `own` too: the same scalar, or a list that holds each entry.
fn missing(root: &Table, own: &Table, path: &str, found: &mut Vec<Violation>) {
    for (key, value) in root {
        let lacks = match (value, own.get(key)) {
            (Value::Array(all), Some(Value::Array(some))) => {
                let have: BTreeSet<_> = some.iter().map(entry).collect();
                all.iter().map(entry).filter(|e| !have.contains(e)).collect()
            }
            (value, Some(same)) if value == same => Vec::new(),
            _ => vec![key.clone()],
        };
        for what in lacks {
            found.push(Violation::new(
                LINTS,
                path,
                format!("lacks {what} of {key}"),
                format!("repeat it: clippy reads only the nearest {CLIPPY}"),
            ));
        }
    }
}

/// The path of a list's entry, whether written short or as a table.
fn entry(value: &Value) -> String {
    let path = value.get("path").unwrap_or(value);
    path.as_str().map_or_else(|| path.to_string(), str::to_owned)
}

fn arithmetic(member: &Member, lib: Option<&TextFile>, found: &mut Vec<Violation>) {
    let is_denied = lib.is_some_and(|file| {
        let mut attributes = file.text.split("#![").skip(1).filter_map(|a| a.split("]").next());
        attributes
            .any(|a| (a.starts_with("deny") || a.starts_with("forbid")) && a.contains(ARITHMETIC))
    });
    if !is_denied {
        found.push(Violation::new(
            LINTS,
            &member.name,
            "is pure and does not check its arithmetic",
            format!("put `#![deny({ARITHMETIC})]` into its lib.rs; a member's manifest cannot add to [lints]"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Tables;

    const ROOT: &str = "max = 7\nlist = [\"a::b\", { path = \"c::d\", reason = \"r\" }]\n";

    fn workspace() -> Workspace {
        let member = Member { name: "fsm".to_owned(), dir: "fsm".to_owned(), edges: Vec::new() };
        let pure = [("fsm".to_owned(), BTreeSet::new())].into();
        let tables = Tables { pure, ..Tables::default() };
        Workspace { members: vec![member], tables, ..Workspace::default() }
    }

    /// The sound repository with one file replaced or, given no text, removed.
    fn with(path: &str, text: Option<&str>) -> Vec<String> {
        let files = [
            ("clippy.toml", ROOT.to_owned()),
            ("fsm/Cargo.toml", "[lints]\nworkspace = true\n".to_owned()),
            (
                "fsm/clippy.toml",
                format!("{}extra = [\"e\"]\n", ROOT.replace("\"a::b\"", "\"x\", \"a::b\"")),
            ),
            ("fsm/src/lib.rs", format!("#![deny(\n    {ARITHMETIC},\n)]\n")),
        ];
        let files: Vec<_> = files
            .into_iter()
            .filter_map(|(p, t)| {
                let text = if p == path { text.map(str::to_owned)? } else { t };
                Some(TextFile::new(p, text))
            })
            .collect();
        check(&workspace(), &files).into_iter().map(|v| v.what).collect()
    }

    #[test]
    fn a_sound_repository_is_quiet() {
        assert!(with("other", None).is_empty());
    }

    #[test]
    fn a_member_without_the_lints_is_refused() {
        for text in ["", "[lints]\nworkspace = false\n", "[lints.rust]\nunsafe_code = \"deny\"\n"] {
            assert_eq!(
                with("fsm/Cargo.toml", Some(text)),
                ["does not inherit the workspace's lints"]
            );
        }
    }

    #[test]
    fn a_pure_crate_repeats_every_entry_of_the_root() {
        let lost = with("fsm/clippy.toml", Some("max = 7\nlist = [\"a::b\"]\n"));
        assert_eq!(lost, ["lacks c::d of list"]);
        assert_eq!(with("fsm/clippy.toml", Some(&ROOT.replace('7', "9"))), ["lacks max of max"]);
        assert_eq!(with("fsm/clippy.toml", None), ["is pure and has no clippy.toml"]);
    }

    #[test]
    fn a_pure_crate_checks_its_arithmetic() {
        for text in
            ["", "#![warn(clippy::arithmetic_side_effects)]", "// clippy::arithmetic_side_effects"]
        {
            let found = with("fsm/src/lib.rs", Some(text));
            assert_eq!(found, ["is pure and does not check its arithmetic"], "{text:?}");
        }
    }
}
