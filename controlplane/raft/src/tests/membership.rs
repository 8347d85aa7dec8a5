//! Members come, vote, lead, leave; and whatever is interrupted is ended by whoever leads next.

use super::cluster::{Cluster, soon};
use super::ways::What;
use crate::consensus::MembershipError;
use crate::member::{Known, MemberRole};
use crate::network::frame::{Header, HeaderError};
use crate::network::link::Method;
use crate::network::message::Refusal;
use openraft::ChangeMembers;
use sekisho_evidence::package::TrustPackage;
use sekisho_fsm::command::Command;
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

fn ids(of: &[u64]) -> BTreeSet<MemberId> {
    of.iter().copied().map(MemberId).collect()
}

fn write(cluster: &mut Cluster, name: &str) -> Revision {
    let site = cluster.site(name);
    let any = cluster.ids()[0];
    cluster.propose(any, site).revision
}

#[test]
fn a_newcomer_learns_from_a_snapshot_and_then_votes() {
    let mut cluster = Cluster::with_snapshots(8, 2).begun();
    for n in 0..20 {
        write(&mut cluster, &format!("before-{n}"));
    }
    // Listed in the state, it is sent nothing and asked nothing until the leader lists it in the group.
    let added = cluster.admit(4, 1);
    assert_eq!(cluster.consensus(4).view().applied, None);
    let now = cluster.settle();
    assert_eq!((now.voters(), now.members.len()), (ids(&[1, 2, 3]), 4));
    cluster.converge(added);
    cluster.set_voter(4, true);
    let now = cluster.settle();
    assert_eq!((now.voters(), now.joint), (ids(&[1, 2, 3, 4]), false));
    // Three of four decide: with one gone there are three, the newcomer among them.
    let (leader, _) = cluster.leader(&[1, 2, 3, 4]);
    cluster.crash(leader % 3 + 1);
    let last = write(&mut cluster, "with-the-fourth");
    cluster.converge(last);
    // And it leads, if it is to.
    let to = MemberId(4);
    let handed = cluster.wait(cluster.consensus(leader).hand_over(to, soon())).unwrap();
    assert_eq!(handed.member, to);
    let last = write(&mut cluster, "under-the-fourth");
    cluster.converge(last);
}

/// Neither the log that it has nor its connections know who leads: a member that they do know shows it the way (L1).
#[test]
fn a_member_that_was_away_is_shown_the_way_to_a_newcomer_that_leads() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    // Not the first, by whom the test decides.
    let away = if leader == 3 { 2 } else { 3 };
    cluster.crash(away);
    cluster.admit(4, 1);
    cluster.settle();
    cluster.set_voter(4, true);
    cluster.settle();
    let (leader, _) = cluster.leader(&cluster.ids());
    if leader != 4 {
        cluster.wait(cluster.consensus(leader).hand_over(MemberId(4), soon())).unwrap();
    }
    let last = write(&mut cluster, "under-the-fourth");
    cluster.ways.hold(4, away, &[What::Entries, What::Snapshots]);
    cluster.start(away);
    let consensus = cluster.consensus(away);
    let mut ahead = consensus.ahead();
    let by = cluster.wait(ahead.wait_for(|ahead| !ahead.is_empty())).unwrap().clone();
    let by = *by.first().unwrap();
    let way = cluster.wait(consensus.ask_way(by, Duration::from_secs(5))).unwrap();
    let held = consensus.view().state.federation().unwrap().bundle.clone();
    let trust = TrustPackage::open(&way).unwrap().walk(&held).unwrap();
    assert!(trust.bundle.version > held.version && !consensus.peers().contains_key(&MemberId(4)));
    let known = consensus.peers();
    let mut lied = Known::from(&trust);
    lied.members.values_mut().for_each(|node| node.address = "127.0.0.1:1".to_owned());
    consensus.learn(lied);
    // An address that nobody signed takes the place of none.
    assert!(known.iter().all(|(id, node)| consensus.peers().get(id) == Some(node)));
    consensus.learn(Known::from(&trust));
    // D3: whom no state lists is heard, and told nothing.
    cluster.accepted(away);
    let header = Header::new(consensus.origin(), MemberId(4), consensus.member(), 1);
    for asked in
        [Method::Way, Method::ReadAudit, Method::ReadIndex, Method::Propose, Method::TransferLeader]
    {
        let refused = cluster.wait(consensus.inbound().call(header, asked, &[]));
        let stranger = Refusal::Header(HeaderError::NotMember(MemberId(4)));
        assert_eq!(refused, Err(stranger), "{asked:?}");
    }
    cluster.ways.release();
    cluster.converge(last);
    // From here on the state says who is a member.
    assert_eq!(consensus.peers(), cluster.consensus(4).peers());
}

#[test]
fn a_joint_change_that_lost_its_leader_is_ended_by_the_next() {
    let mut cluster = Cluster::new().begun();
    cluster.admit(4, 1);
    cluster.admit(5, 2);
    cluster.settle();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    for id in [4, 5] {
        cluster.set_voter(id, true);
    }
    // Half of a change: the second set has no majority, so that nothing commits any more, and the leader dies over it.
    cluster.crash(4);
    cluster.crash(5);
    let half = ChangeMembers::ReplaceAllVoters([leader, 4, 5].into());
    let consensus = cluster.consensus(leader);
    let stuck = cluster.wait(async {
        let changing = consensus.engine().change_membership(half, true);
        tokio::time::timeout(Duration::from_millis(600), changing).await
    });
    assert!(stuck.is_err(), "{stuck:?}");
    for other in [1, 2, 3] {
        assert!(cluster.consensus(other).membership().joint, "{other} has not heard of it");
    }
    drop(consensus);
    cluster.crash(leader);
    cluster.start(4);
    cluster.start(5);
    let now = cluster.settle();
    assert_eq!((now.voters(), now.joint), (ids(&[1, 2, 3, 4, 5]), false));
    cluster.start(leader);
    let last = write(&mut cluster, "after");
    cluster.converge(last);
}

#[test]
fn a_dead_voter_is_replaced() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let dead = leader % 3 + 1;
    cluster.crash(dead);
    cluster.remove(dead);
    let now = cluster.settle();
    let left: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != dead).collect();
    assert_eq!((now.voters(), now.members.len()), (ids(&left), 2));
    let of = usize::try_from(dead).unwrap() - 1;
    cluster.admit(4, of);
    cluster.set_voter(4, true);
    let now = cluster.settle();
    assert_eq!(now.voters(), ids(&[left[0], left[1], 4]));
    // It tolerates a loss again.
    cluster.crash(left[0]);
    cluster.leader(&[left[1], 4]);
    let last = write(&mut cluster, "without-two");
    cluster.converge(last);
    // The dead one comes back: nobody speaks with it, and it disturbs nobody.
    let (_, before) = cluster.leader(&[left[1], 4]);
    cluster.start(dead);
    let site = cluster.site("by-nobody");
    let refused = cluster.try_propose(dead, site, Duration::from_secs(3));
    assert!(refused.is_err(), "{refused:?}");
    let (_, after) = cluster.leader(&[left[1], 4]);
    assert_eq!(after.term, before.term);
}

#[test]
fn a_leader_takes_its_own_vote_and_its_own_place() {
    let mut cluster = Cluster::new().begun();
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    let operator_of = |id: u64| usize::try_from(if id > 3 { leader } else { id }).unwrap() - 1;
    cluster.admit(4, operator_of(leader));
    cluster.set_voter(4, true);
    cluster.settle();
    // Demoted, it hands over first and stays as a learner.
    cluster.set_voter(leader, false);
    let now = cluster.settle();
    let left: Vec<u64> = (1..=4).filter(|id| *id != leader).collect();
    assert_eq!((now.voters(), now.members.len()), (ids(&left), 4));
    let (next, after) = cluster.leader(&left);
    assert!(after.term > before.term);
    assert_eq!(now.status(MemberId(leader)).unwrap().role, MemberRole::Learner);
    let last = write(&mut cluster, "as-a-learner");
    cluster.converge(last);
    cluster.remove(leader);
    cluster.settle();
    cluster.crash(leader);
    // Removed while it leads: it hands over before it goes.
    cluster.admit(5, operator_of(next));
    cluster.set_voter(5, true);
    cluster.settle();
    let (leads, _) = cluster.leader(&[left[0], left[1], left[2], 5]);
    if leads != next {
        cluster.wait(cluster.consensus(leads).hand_over(MemberId(next), soon())).unwrap();
    }
    let others: Vec<u64> = left.iter().copied().chain([5]).filter(|id| *id != next).collect();
    cluster.remove(next);
    let now = cluster.settle();
    assert_eq!((now.voters(), now.members.len()), (ids(&others), 3));
    cluster.leader(&others);
    cluster.crash(next);
    let last = write(&mut cluster, "without-it");
    cluster.converge(last);
}

#[test]
fn leadership_goes_only_to_who_can_take_it() {
    let mut cluster = Cluster::new().begun();
    cluster.admit(4, 1);
    cluster.settle();
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    let (cut_off, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let hand_over = |cluster: &Cluster, by: u64, to: u64| {
        let consensus = cluster.consensus(by);
        cluster.wait(consensus.hand_over(MemberId(to), soon()))
    };
    assert_eq!(hand_over(&cluster, other, leader), Err(MembershipError::NoLeader));
    assert_eq!(hand_over(&cluster, leader, 4), Err(MembershipError::NotVoter(MemberId(4))));
    assert_eq!(hand_over(&cluster, leader, 9), Err(MembershipError::NotVoter(MemberId(9))));
    assert_eq!(hand_over(&cluster, leader, leader).unwrap().member, MemberId(leader));
    // A member that is not heard is refused, and nothing is given up for it.
    cluster.isolate(cut_off);
    let silent = async {
        loop {
            if cluster.consensus(leader).membership().lacks(MemberId(cut_off)).is_some() {
                break;
            }
            // waits: for silence, which is no event
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    cluster.wait(silent);
    let refused = hand_over(&cluster, leader, cut_off);
    assert!(matches!(refused, Err(MembershipError::NotReady { .. })), "{refused:?}");
    assert_eq!(cluster.leader(&[leader]).1.term, before.term);
    // openraft itself would let go of the leadership for it. What that costs is one election without a lease: neither
    // more, nor is anything lost.
    let begun = Instant::now();
    cluster.wait(cluster.consensus(leader).transfer_leader(MemberId(cut_off)));
    let site = cluster.site("meanwhile");
    let last = cluster.propose(other, site).revision;
    let stalled = begun.elapsed();
    assert!(stalled < Duration::from_secs(5), "{stalled:?}");
    let (now, after) = cluster.leader(&[leader, other]);
    assert!(after.term > before.term && now != cut_off);
    cluster.heal(cut_off);
    cluster.converge(last);
}

#[test]
fn a_change_is_made_only_to_the_membership_that_it_was_decided_on() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let stale = cluster.consensus(leader).membership();
    cluster.admit(4, 1);
    cluster.settle();
    let consensus = cluster.consensus(leader);
    let [three, more, two, gone] = [&[1, 2, 3][..], &[1, 2, 3, 9], &[1, 2], &[4]].map(ids);
    let late = consensus.change_voters(&three, &stale, soon());
    assert_eq!(cluster.wait(late), Err(MembershipError::Overtaken));
    let unlisted = consensus.change_voters(&more, &stale, soon());
    assert!(matches!(cluster.wait(unlisted), Err(MembershipError::NotReady { .. })));
    let other = cluster.consensus(leader % 3 + 1);
    let basis = other.membership();
    let elsewhere = other.change_voters(&two, &basis, soon());
    assert_eq!(cluster.wait(elsewhere), Err(MembershipError::NoLeader));
    let passed = Deadline::after(Duration::ZERO);
    let basis = consensus.membership();
    let late = consensus.remove_learners(&gone, &basis, passed);
    assert!(matches!(cluster.wait(late), Err(MembershipError::Unknown) | Ok(())));
}

#[test]
fn a_member_that_moved_is_found_at_its_new_address() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let moving = leader % 3 + 1;
    cluster.crash(moving);
    write(&mut cluster, "meanwhile");
    let address = cluster.elsewhere(moving);
    let member = MemberId(moving);
    cluster.decide(Command::SetMemberAddress { member, address: address.clone() });
    cluster.settle();
    assert_eq!(cluster.consensus(leader).membership().status(member).unwrap().address, address);
    cluster.start(moving);
    let last = write(&mut cluster, "found");
    cluster.converge(last);
}

/// Two live voters go while a third change waits for a member that is not there: nobody is cut off whose vote is still
/// needed for their going.
#[test]
fn who_is_removed_votes_until_its_vote_is_taken() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let gone: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    for (id, of) in [4, 5].into_iter().zip(&gone) {
        cluster.admit(id, usize::try_from(*of).unwrap() - 1);
    }
    cluster.settle();
    cluster.crash(5);
    cluster.set_voter(4, true);
    cluster.set_voter(5, true);
    for id in &gone {
        cluster.remove(*id);
    }
    // Still a group of three, of which all are needed to have two.
    let last = write(&mut cluster, "with-those-that-go");
    let consensus = cluster.consensus(leader);
    cluster.wait(consensus.wait_for(last, soon())).unwrap();
    drop(consensus);
    cluster.start(5);
    let now = cluster.settle();
    assert_eq!(now.voters(), ids(&[leader, 4, 5]));
    for id in gone {
        cluster.crash(id);
    }
    let last = write(&mut cluster, "without-them");
    cluster.converge(last);
}
