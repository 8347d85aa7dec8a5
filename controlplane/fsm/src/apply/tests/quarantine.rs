//! Nodes of which there are two: what is evidence, what is none, what follows, and the way back.
//!
//! Must hold: P1, P3. What the leases do of it stands with the leases and the streams.

use super::*;
use crate::quarantine::Twin;
use sekisho_evidence::grant::Instance;
use sekisho_types::job::OnDisconnect;
use sekisho_types::revision::Revision;

const FIRST: Instance = Instance([1; 16]);
const SECOND: Instance = Instance([2; 16]);

fn node() -> NodeId {
    "tokyo-1/n-01".parse().unwrap()
}

fn session(f: &Federation) -> SessionId {
    f.state.node(&node()).unwrap().session.as_ref().unwrap().id
}

fn open(id: u8, previous: Option<SessionId>) -> Command {
    Command::OpenSession {
        node: node(),
        session: SessionId([id; 16]),
        previous,
        buckets: buckets(),
        live: vec![],
        table: sekisho_types::jurisdiction::table_hash(),
        findings: Vec::new(),
        rack: None,
    }
}

fn twins(f: &Federation) -> Option<Twin> {
    f.state.node(&node()).unwrap().quarantine.as_ref().map(|row| row.why)
}

fn seen(session: SessionId) -> Command {
    let why = Twin::Instances { session, first: FIRST, second: SECOND };
    Command::QuarantineNode { node: node(), why }
}

/// Another host with the node's key wants a session.
fn copied(f: &mut Federation) -> Applied {
    f.accept(agent(&node()), open(9, Some(SessionId([8; 16]))))
}

#[test]
fn a_session_before_that_is_not_the_open_one_puts_the_node_into_quarantine() {
    let mut f = Federation::furnished();
    let held = session(&f);
    let applied = copied(&mut f);
    assert_eq!(applied.outcome, Ok(Reply::Quarantined));
    let (wanted, named) = (SessionId([9; 16]), SessionId([8; 16]));
    assert_eq!(twins(&f), Some(Twin::Sessions { open: held, wanted, named }));
    let row = f.state.node(&node()).unwrap().clone();
    assert_eq!((row.session.unwrap().id, row.revision), (held, f.state.revision()));
    assert_eq!(row.quarantine.unwrap().since, f.state.clock());
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn nothing_is_granted_to_it_and_neither_host_is_heard() {
    let mut f = Federation::furnished();
    let id = f.submit(job("held", 1, 1, &["JP-13"]));
    f.place(&id, &["tokyo-1/n-01"]);
    let (placement, held) = (f.placements(&id)[0], session(&f));
    copied(&mut f);
    let other = f.submit(job("waits", 1, 1, &["JP-13"]));
    let rejected = vec![(other.clone(), ErrorCode::NodeQuarantined)];
    let applied = f.place(&other, &["tokyo-1/n-01"]);
    assert_eq!(applied.outcome, Ok(Reply::Placed { granted: vec![], rejected }));
    let ended = vec![(placement, Phase::Ended(Ending::Exited(0)))];
    let report = Command::Report { node: node(), session: held, phases: ended };
    refused(&mut f, agent(&node()), report, ErrorCode::NodeQuarantined);
    refused(&mut f, agent(&node()), open(7, Some(held)), ErrorCode::NodeQuarantined);
    assert_eq!(f.state.usages().count(), 1, "P3: charged until the lease is over");
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: held });
    assert_eq!(f.state.usages().count(), 0);
    refused(&mut f, agent(&node()), open(7, Some(held)), ErrorCode::NodeQuarantined);
}

#[test]
fn its_operator_ends_it_once_both_have_stopped_and_the_first_to_ask_is_the_node() {
    let mut f = Federation::furnished();
    let held = session(&f);
    copied(&mut f);
    let release = || Command::ReleaseNode { node: node() };
    for stranger in [admin("hokuto"), user("kanto", "sapporo"), member("kanto"), agent(&node())] {
        refused(&mut f, stranger, release(), ErrorCode::PermissionDenied);
    }
    refused(&mut f, admin("kanto"), release(), ErrorCode::WrongPhase);
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: held });
    let mut unsigned = f.entry(admin("kanto"), &[], release());
    unsigned.signatures.clear();
    assert_eq!(code(&f.apply(unsigned)), Some(ErrorCode::SignaturesMissing));
    f.accept(admin("kanto"), release());
    assert_eq!(twins(&f), None);
    refused(&mut f, admin("kanto"), release(), ErrorCode::WrongPhase);
    f.accept(agent(&node()), open(7, Some(held)));
    // The copy was not taken away after all.
    assert_eq!(f.run(agent(&node()), open(9, Some(held))).outcome, Ok(Reply::Quarantined));
    f.accept(admin("kanto"), Command::RevokeNode { node: node() });
    refused(&mut f, admin("kanto"), release(), ErrorCode::NodeRevoked);
}

#[test]
fn what_ran_to_completion_stays_charged_until_a_session_after_the_release() {
    let mut f = Federation::furnished();
    let mut facts = job("long", 1, 1, &["JP-13"]);
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let id = f.submit(facts);
    f.place(&id, &["tokyo-1/n-01"]);
    let held = session(&f);
    f.accept(member("kanto"), seen(held));
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: held });
    assert_eq!(f.state.usages().count(), 1);
    f.accept(admin("kanto"), Command::ReleaseNode { node: node() });
    f.accept(agent(&node()), open(7, Some(held)));
    assert_eq!(f.state.usages().count(), 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_member_tells_of_two_starts_in_the_open_session_and_of_nothing_else() {
    let mut f = Federation::furnished();
    let held = session(&f);
    refused(&mut f, agent(&node()), seen(held), ErrorCode::PermissionDenied);
    refused(&mut f, admin("kanto"), seen(held), ErrorCode::PermissionDenied);
    let claim = |why| Command::QuarantineNode { node: node(), why };
    let once = claim(Twin::Instances { session: held, first: FIRST, second: FIRST });
    refused(&mut f, member("kanto"), once, ErrorCode::InvalidArgument);
    let made_up = SessionId([8; 16]);
    let why = Twin::Sessions { open: held, wanted: made_up, named: made_up };
    refused(&mut f, member("kanto"), claim(why), ErrorCode::InvalidArgument);
    f.accept(member("kanto"), seen(made_up));
    assert_eq!(twins(&f), None, "of a session that is over nothing is left to stop");
    f.accept(member("hokuto"), seen(held));
    let first = f.state.node(&node()).unwrap().quarantine.clone();
    assert!(first.is_some());
    // Every member sees it.
    f.accept(member("kanto"), seen(held));
    assert_eq!(f.state.node(&node()).unwrap().quarantine, first);
}

#[test]
fn a_crash_between_asking_and_hearing_is_one_host() {
    let mut f = Federation::furnished();
    let held = session(&f);
    // Asked and opened; the agent died before it heard, asks for the same again, and then for one of its own.
    f.accept(agent(&node()), open(2, Some(held)));
    f.accept(agent(&node()), open(2, Some(held)));
    f.accept(agent(&node()), open(3, Some(SessionId([2; 16]))));
    assert_eq!((session(&f), twins(&f)), (SessionId([3; 16]), None));
}

#[test]
fn an_opening_that_was_under_way_through_a_failover_is_one_host() {
    let mut f = Federation::furnished();
    let held = session(&f);
    for id in 2..14 {
        // Each was asked for twice, through two members.
        let before = session(&f);
        f.accept(agent(&node()), open(id, Some(before)));
    }
    for id in 2..13 {
        refused(&mut f, agent(&node()), open(id, Some(held)), ErrorCode::SessionStale);
    }
    assert_eq!((session(&f), twins(&f)), (SessionId([13; 16]), None));
    // Not after the end of the lease either: it would stand between the agent and its next session.
    let last = session(&f);
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: last });
    refused(&mut f, agent(&node()), open(12, Some(held)), ErrorCode::SessionStale);
    f.accept(agent(&node()), open(14, Some(last)));
}

#[test]
fn what_is_remembered_of_sessions_is_bounded() {
    let mut f = Federation::furnished();
    for id in 2..40 {
        let before = session(&f);
        f.accept(agent(&node()), open(id, Some(before)));
    }
    let row = f.state.node(&node()).unwrap().session.clone().unwrap();
    let expected: Vec<_> = (23..39).rev().map(|id| SessionId([id; 16])).collect();
    assert_eq!(row.before, expected);
}

#[test]
fn a_host_without_a_ledger_waits_for_the_end_of_the_lease() {
    let mut f = Federation::furnished();
    let held = session(&f);
    refused(&mut f, agent(&node()), open(9, None), ErrorCode::SessionWaits);
    assert_eq!(twins(&f), None);
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: held });
    f.accept(agent(&node()), open(9, None));
    // If it was a copy, the first one shows it.
    assert_eq!(f.run(agent(&node()), open(2, Some(held))).outcome, Ok(Reply::Quarantined));
}

/// The state was restored with a session of the backup's time; what the agent opened since then is lost with the log.
#[test]
fn the_first_session_after_an_opening_waits_and_is_no_evidence() {
    let mut f = Federation::furnished();
    let held = session(&f);
    let opened = f.state.revision();
    let mut federation = f.state.federation().unwrap().clone();
    federation.opened = opened;
    f.state.federation = Some(std::sync::Arc::new(federation));
    let lost = SessionId([8; 16]);
    refused(&mut f, agent(&node()), open(9, Some(lost)), ErrorCode::SessionWaits);
    assert_eq!(twins(&f), None);
    f.accept(member("kanto"), Command::ExpireLease { node: node(), session: held });
    f.accept(agent(&node()), open(9, Some(lost)));
    let row = f.state.node(&node()).unwrap();
    assert!(row.session.as_ref().unwrap().opened > opened && opened > Revision(0));
    // From then on the rule holds again.
    let again = f.run(agent(&node()), open(10, Some(lost)));
    assert_eq!(again.outcome, Ok(Reply::Quarantined));
}
