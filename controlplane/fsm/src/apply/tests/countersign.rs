//! Which countersignatures count, and what becomes of a head that this log never had.

use crate::audit::COUNTERSIGNATURES_MAX;
use crate::command::Command;
use crate::invariant;
use crate::outcome::Applied;
use crate::testing::{Federation, admin, agent, member, receipt_key};
use sekisho_evidence::countersign::{Countersignature, Seen};
use sekisho_evidence::merkle::Head;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::revision::{Incarnation, Revision};

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// What an agent sees that is shown the log as it is.
fn seen(f: &Federation, name: &str) -> Seen {
    let federation = f.state.federation().unwrap();
    Seen {
        cluster: federation.cluster,
        incarnation: federation.incarnation,
        node: node(name),
        head: f.state.audit_head().unwrap(),
        revision: f.state.revision(),
    }
}

fn sign(seen: Seen) -> Countersignature {
    let key = receipt_key(&seen.node);
    seen.sign(&key).unwrap()
}

fn take(f: &mut Federation, heads: Vec<Countersignature>) -> Applied {
    f.run(member("naniwa"), Command::Countersign { heads })
}

const ONE: &str = "tokyo-1/n-01";
const TWO: &str = "sakai-1/n-02";

#[test]
fn the_newest_head_of_each_agent_stays() {
    let mut f = Federation::furnished();
    let first = seen(&f, ONE);
    let two = seen(&f, TWO);
    take(&mut f, vec![sign(first.clone()), sign(two)]).outcome.unwrap();
    let later = seen(&f, ONE);
    take(&mut f, vec![sign(later.clone())]).outcome.unwrap();
    // One that comes late changes nothing.
    take(&mut f, vec![sign(first)]).outcome.unwrap();
    let kept = |name| f.state.countersigned(&node(name)).unwrap().head;
    assert_eq!(kept(ONE), later.head);
    assert!(kept(TWO).size < kept(ONE).size);
    assert_eq!(f.state.contradictions_seen().count(), 0);
    invariant::check(&f.state).unwrap();
}

#[test]
fn a_head_that_this_log_never_had_is_kept_for_good() {
    let mut f = Federation::furnished();
    let fair = seen(&f, ONE);
    take(&mut f, vec![sign(fair.clone())]).outcome.unwrap();
    let now = seen(&f, TWO);
    let forked = Seen { head: Head { root: Digest([9; 32]), ..now.head }, ..now.clone() };
    let longer = Seen { head: Head { size: now.head.size + 1, ..now.head }, ..seen(&f, ONE) };
    take(&mut f, vec![sign(forked.clone()), sign(longer.clone())]).outcome.unwrap();
    let row = f.state.contradicted(&node(TWO)).unwrap();
    assert_eq!((&row.countersignature, row.ours), (&sign(forked.clone()), now.head));
    assert_eq!(f.state.countersigned(&node(ONE)).unwrap().head, fair.head);
    // The first word stands, whatever comes after it.
    let again = Seen { revision: Revision(u64::MAX), ..forked.clone() };
    let fair = seen(&f, TWO);
    take(&mut f, vec![sign(again), sign(fair)]).outcome.unwrap();
    assert_eq!(f.state.contradicted(&node(TWO)).unwrap().countersignature, sign(forked));
    assert_eq!(f.state.contradicted(&node(ONE)).unwrap().countersignature, sign(longer));
    invariant::check(&f.state).unwrap();
}

#[test]
fn words_of_one_node_that_are_not_of_one_log_contradict_each_other() {
    let mut f = Federation::furnished();
    let first = seen(&f, ONE);
    take(&mut f, vec![sign(first.clone())]).outcome.unwrap();
    f.accept(member("kanto"), Command::Tick);
    // Fewer records after a later entry.
    let head = Head { size: first.head.size - 1, root: Digest([3; 32]) };
    let shrunk = Seen { head, revision: Revision(first.revision.0 + 1), ..first };
    take(&mut f, vec![sign(shrunk.clone())]).outcome.unwrap();
    assert_eq!(f.state.contradicted(&node(ONE)).unwrap().countersignature, sign(shrunk));
}

#[test]
fn nobody_speaks_for_another_node_or_another_life() {
    let mut f = Federation::furnished();
    let code = |applied: Applied| applied.outcome.unwrap_err().code;
    let good = seen(&f, ONE);
    let forged = good.clone().sign(&receipt_key(&node(TWO))).unwrap();
    assert_eq!(code(take(&mut f, vec![forged.clone()])), ErrorCode::SignatureInvalid);
    let other = Seen { incarnation: Incarnation(2), ..good.clone() };
    assert_eq!(code(take(&mut f, vec![sign(other)])), ErrorCode::WrongCluster);
    let unknown = Seen { node: node("tokyo-1/n-99"), ..good };
    assert_eq!(code(take(&mut f, vec![sign(unknown)])), ErrorCode::NotFound);
    assert_eq!(code(take(&mut f, vec![])), ErrorCode::InvalidArgument);
    let many = vec![sign(good.clone()); COUNTERSIGNATURES_MAX + 1];
    assert_eq!(code(take(&mut f, many)), ErrorCode::InvalidArgument);
    for who in [admin("kanto"), agent(&node(ONE))] {
        let command = Command::Countersign { heads: vec![sign(good.clone())] };
        assert_eq!(code(f.run(who, command)), ErrorCode::PermissionDenied);
    }
    // The good one among bad ones counts.
    take(&mut f, vec![forged, sign(good.clone())]).outcome.unwrap();
    assert_eq!(f.state.countersigned(&node(ONE)).unwrap().head, good.head);
    f.accept(admin("kanto"), Command::RevokeNode { node: node(ONE) });
    let late = sign(seen(&f, ONE));
    assert_eq!(code(take(&mut f, vec![late])), ErrorCode::NodeRevoked);
    f.accept(admin("kanto"), Command::DecommissionNode { node: node(ONE) });
    assert!(f.state.countersigned(&node(ONE)).is_none());
    invariant::check(&f.state).unwrap();
}
