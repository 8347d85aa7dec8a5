//! Each rule goes red on a workspace with that one thing wrong, and a sound one is quiet.

use super::*;
use crate::workspace::Tables;

fn member(name: &str, edges: &[(&str, Kind)]) -> Member {
    let edges = edges.iter().map(|(on, kind)| Edge { on: (*on).to_owned(), kind: *kind }).collect();
    Member { name: name.to_owned(), dir: name.to_owned(), edges }
}

/// types (0, pure) below fsm (1, pure) below raft (2); xtask outside.
fn sound() -> Workspace {
    let floors = [("types", 0), ("fsm", 1), ("raft", 2)];
    let pure = [("types", vec!["serde"]), ("fsm", vec!["serde", "imbl"])];
    Workspace {
        members: vec![
            member("types", &[("serde", Kind::Normal), ("proptest", Kind::Dev)]),
            member("fsm", &[("types", Kind::Normal), ("imbl", Kind::Normal)]),
            member("raft", &[("fsm", Kind::Normal), ("tokio", Kind::Normal)]),
            member("xtask", &[("anyhow", Kind::Normal)]),
        ],
        tables: Tables {
            floors: floors.map(|(n, f)| (n.to_owned(), f)).into_iter().collect(),
            pure: pure
                .into_iter()
                .map(|(n, l)| (n.to_owned(), l.into_iter().map(str::to_owned).collect()))
                .collect(),
        },
        ..Workspace::default()
    }
}

/// The sound workspace with one more edge.
fn with(from: &str, on: &str, kind: Kind) -> Vec<Violation> {
    let mut workspace = sound();
    for m in workspace.members.iter_mut().filter(|m| m.name == from) {
        m.edges.push(Edge { on: on.to_owned(), kind });
    }
    check(&workspace)
}

/// Exactly one violation, of this rule, about this crate, naming this word.
fn assert_one(found: &[Violation], rule: &str, place: &str, word: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    let one = &found[0];
    assert_eq!((one.rule, one.place.as_str()), (rule, place), "{one}");
    assert!(one.what.contains(word), "{one}");
}

#[test]
fn a_sound_workspace_is_quiet() {
    assert_eq!(check(&sound()), []);
}

#[test]
fn an_upward_edge_is_refused_in_every_table() {
    for kind in [Kind::Normal, Kind::Dev, Kind::Build] {
        let mut workspace = sound();
        workspace.tables.pure.clear();
        workspace.members[1].edges.push(Edge { on: "raft".to_owned(), kind });
        assert_one(&check(&workspace), RULE, "fsm", "floor 1 names raft on floor 2");
    }
}

#[test]
fn an_edge_on_the_same_floor_is_refused() {
    let mut workspace = sound();
    workspace.tables.floors.insert("raft".to_owned(), 1);
    assert_one(&check(&workspace), RULE, "raft", "floor 1 names fsm on floor 1");
}

#[test]
fn a_member_without_a_floor_is_refused() {
    let mut workspace = sound();
    workspace.members.push(member("api", &[]));
    assert_one(&check(&workspace), RULE, "api", "no floor");
}

#[test]
fn a_floor_without_a_member_is_refused() {
    let mut workspace = sound();
    workspace.tables.floors.insert("gone".to_owned(), 3);
    assert_one(&check(&workspace), RULE, "gone", "not a member");
}

#[test]
fn xtask_stands_outside_both_ways() {
    assert_one(&with("xtask", "raft", Kind::Normal), RULE, "xtask", "names raft");
    assert_one(&with("raft", "xtask", Kind::Dev), RULE, "raft", "names xtask");
}

#[test]
fn a_pure_crate_names_only_what_its_list_has() {
    assert_one(&with("types", "rand", Kind::Normal), PURE, "types", "names rand");
    assert_one(&with("types", "cc", Kind::Build), PURE, "types", "[build-dependencies]");
    // Allowed in tests, not in what is shipped.
    assert_one(&with("fsm", "proptest", Kind::Normal), PURE, "fsm", "[dependencies]");
    assert_one(&with("fsm", "rand", Kind::Dev), PURE, "fsm", "[dev-dependencies]");
    assert_eq!(with("fsm", "tempfile", Kind::Dev), []);
}

#[test]
fn a_pure_crate_stands_on_pure_members() {
    let mut workspace = sound();
    workspace.members.push(member("proto", &[]));
    workspace.tables.floors.insert("proto".to_owned(), 0);
    workspace.members[1].edges.push(Edge { on: "proto".to_owned(), kind: Kind::Normal });
    assert_one(&check(&workspace), PURE, "fsm", "not pure");
}

#[test]
fn a_pure_crate_does_not_reach_a_runtime_through_another() {
    let mut workspace = sound();
    for (from, to) in [("fsm", "imbl"), ("imbl", "glue"), ("glue", "tokio")] {
        workspace.linked.insert(from.to_owned(), [to.to_owned()].into());
    }
    assert_one(&check(&workspace), PURE, "fsm", "reaches tokio");
}

#[test]
fn a_crate_with_one_owner_is_named_by_it_alone() {
    assert_one(&with("raft", "rocksdb", Kind::Dev), OWNER, "raft", "names rocksdb");
    let mut workspace = sound();
    workspace.members.push(member("sekisho-store", &[("rocksdb", Kind::Normal)]));
    workspace.tables.floors.insert("sekisho-store".to_owned(), 3);
    assert_eq!(check(&workspace), []);
}
