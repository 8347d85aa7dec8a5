//! Who is called: named by a plan, kept while it waits, and no more than a note.

use super::*;
use crate::State;
use crate::command::{Group, Slot};
use sekisho_types::id::JobId;
use sekisho_types::limit::CALLS_MAX;

fn calls(f: &Federation, calls: &[&JobId]) -> Command {
    let calls = calls.iter().map(|id| (*id).clone()).collect();
    Command::CommitPlacement { basis: f.state.revision(), groups: Vec::new(), calls: Some(calls) }
}

#[test]
fn a_plan_calls_who_waits_after_what_it_places() {
    let mut f = Federation::furnished();
    let [placed, waits, also] = ["placed", "waits", "also"].map(|n| f.submit(job(n, 1, 1, &[])));
    let gone: JobId = "sapporo/gone".parse().unwrap();
    let slot = Slot { node: "tokyo-1/n-01".parse().unwrap(), bucket: 0 };
    let groups = vec![Group { job: placed.clone(), places: vec![slot] }];
    let named = vec![also.clone(), placed, gone, waits.clone()];
    let basis = f.state.revision();
    f.accept(member("kanto"), Command::CommitPlacement { basis, groups, calls: Some(named) });
    assert_eq!(f.state.calls(), [also.clone(), waits.clone()]);
    // A plan that says nothing of calls leaves them; a later one may call nobody.
    f.place(&also, &["tokyo-1/n-01"]);
    assert_eq!(f.state.calls().len(), 2);
    let (before, none) = (f.state.digest().unwrap(), calls(&f, &[]));
    f.accept(member("kanto"), none);
    assert_eq!(f.state.calls(), []);
    assert_ne!(f.state.digest().unwrap(), before);
    let again = calls(&f, &[&waits]);
    f.accept(member("kanto"), again);
    assert_eq!(State::from_snapshot(&f.state.to_snapshot().unwrap()).unwrap().calls(), [waits]);
}

#[test]
fn calls_are_the_controllers_own_and_bounded() {
    let mut f = Federation::furnished();
    let waits = f.submit(job("waits", 1, 1, &[]));
    let command = calls(&f, &[&waits]);
    refused(&mut f, admin("kanto"), command, ErrorCode::PermissionDenied);
    let command = calls(&f, &[&waits].repeat(CALLS_MAX + 1));
    refused(&mut f, member("kanto"), command, ErrorCode::InvalidArgument);
    let nothing =
        Command::CommitPlacement { basis: f.state.revision(), groups: Vec::new(), calls: None };
    refused(&mut f, member("kanto"), nothing, ErrorCode::InvalidArgument);
}
