//! The ordinary life of three members.

use super::cluster::{Cluster, soon};
use crate::error::{ProposeError, ReadError};
use crate::limit::IN_FLIGHT_PRIORITY;
use crate::member::MemberRole;
use crate::view::Wake;
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::time::Duration;

#[test]
fn any_member_takes_proposals_and_linearizable_reads() {
    let mut cluster = Cluster::new();
    // Repeated, and on another member: it is done already.
    cluster.initialize(1);
    cluster.initialize(2);
    let (leader, leadership) = cluster.leader(&[1, 2, 3]);
    let mut wakes = cluster.consensus(1).wakes(Wake::Trust);
    wakes.mark_unchanged();
    let first = cluster.bootstrap();
    let mut last = cluster.propose(if leader == 1 { 2 } else { 1 }, first).revision;
    assert!(leadership.since < last);
    cluster.wait(wakes.changed()).unwrap();
    // Whatever member was asked, an acknowledged write is in every later linearizable read, on every member.
    for round in 0..4 {
        for by in [1, 2, 3] {
            let site = cluster.site(&format!("site-{round}-{by}"));
            let committed = cluster.propose(by, site);
            assert!(committed.revision > last);
            last = committed.revision;
            let mut seen = Revision(0);
            for reader in [1, 2, 3] {
                let view = cluster.read(reader);
                assert!(view.has(last) && view.revision() >= seen, "{reader} {last}");
                assert!(view.state.site(&format!("site-{round}-{by}").parse().unwrap()).is_some());
                seen = view.revision();
            }
        }
    }
    cluster.converge(last);
    // A repeated request has the answer of the first, with its revision (R3).
    let site = cluster.site("twice");
    let once = cluster.propose(3, site.clone());
    assert_eq!(cluster.propose(2, site), once);
    members_show_how_they_fare(&cluster, leader);
}

fn members_show_how_they_fare(cluster: &Cluster, leader: u64) {
    let (on_leader, other) = (cluster.consensus(leader), cluster.consensus(leader % 3 + 1));
    assert_eq!(on_leader.leader().unwrap().member, MemberId(leader));
    let members = on_leader.members();
    assert_eq!(members.len(), 3);
    for member in &members {
        assert_eq!(member.role, MemberRole::Voter);
        assert_eq!(member.leads, member.member == MemberId(leader));
        assert!(member.matched.is_some() && member.lag.is_some(), "{member:?}");
        assert!(member.silent_for.unwrap() < Duration::from_secs(5), "{member:?}");
    }
    // A follower knows only itself.
    let known = other.members().into_iter().filter(|member| member.matched.is_some());
    assert_eq!(known.map(|m| m.member).collect::<Vec<_>>(), [other.member()]);
    // Every point of the audit log, on every member.
    let points: Vec<_> = [1, 2, 3].map(|id| cluster.consensus(id).checkpoints().latest()).into();
    assert!(points.iter().all(|point| *point == points[0]), "{points:?}");
}

#[test]
fn leadership_is_handed_over_on_request() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    let to = leader % 3 + 1;
    cluster.wait(cluster.consensus(leader).transfer_leader(MemberId(to)));
    let (_, after) = cluster.leader(&[to]);
    assert!(after.term > before.term && after.since > before.since);
    let site = cluster.site("after");
    let revision = cluster.propose(leader, site).revision;
    cluster.converge(revision);
}

#[test]
fn what_cannot_succeed_is_refused_at_once() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let mut large = cluster.site("large");
    large.payload = vec![0; sekisho_types::limit::ENTRY_MAX];
    let refused = cluster.try_propose(1, large, Duration::from_secs(5));
    assert!(matches!(refused, Err(ProposeError::TooLarge { .. })));
    // More than a lane holds, all at once: some are shed with a time to come back, none is lost or unknown.
    let consensus = cluster.consensus(1);
    let ticks: Vec<_> = (0..IN_FLIGHT_PRIORITY + 50)
        .map(|at| {
            let entry = cluster.site(&format!("flood-{at}"));
            consensus.propose_as(crate::consensus::Priority::Internal, entry, soon())
        })
        .collect();
    let answers = cluster.wait(futures::future::join_all(ticks));
    let shed = answers.iter().filter(|a| matches!(a, Err(ProposeError::Overloaded { .. })));
    // While the last ones come, the first ones may be done.
    let shed = u64::try_from(shed.count()).unwrap();
    assert!((1..=50).contains(&shed), "{shed}");
    let accepted = answers.iter().filter(|a| a.as_ref().is_ok_and(|c| c.outcome.is_ok()));
    let accepted = u64::try_from(accepted.count()).unwrap();
    assert_eq!(accepted + shed, u64::from(IN_FLIGHT_PRIORITY) + 50);
    // A stopped member says so.
    let consensus = cluster.consensus(2);
    cluster.stop(2);
    let site = cluster.site("late");
    let deadline = Deadline::after(Duration::from_secs(1));
    let refused = cluster.wait(consensus.propose(site, deadline));
    assert_eq!(refused, Err(ProposeError::ShuttingDown));
    let refused = cluster.wait(consensus.read_index(deadline));
    assert!(matches!(refused, Err(ReadError::ShuttingDown)));
}
