//! R6: what the others know of a data directory that it does not know of itself.

use super::cluster::Cluster;
use crate::claim::Objection;
use crate::codec::encode;
use crate::error::MemberFailure;
use crate::limit::CLAIM_TIMEOUT;
use crate::network::link::Method;
use crate::network::message::Refusal;
use crate::type_config::{LogId, TypeConfig};
use openraft::raft::VoteRequest;
use sekisho_types::id::MemberId;
use std::fs;
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn replace(dir: &Path, by: Option<&Path>) {
    fs::remove_dir_all(dir).unwrap();
    match by {
        Some(by) => copy(by, dir),
        None => fs::create_dir(dir).unwrap(),
    }
}

fn objection(failure: &MemberFailure) -> Option<Objection> {
    if let MemberFailure::Identity { objection, .. } = failure { Some(*objection) } else { None }
}

fn refused(cluster: &Cluster, id: u64) -> Objection {
    let consensus = cluster.consensus(id);
    let failure = cluster.wait(consensus.failed());
    objection(&failure).unwrap_or_else(|| panic!("{failure}"))
}

#[test]
fn a_wiped_member_ends_before_it_votes_and_the_others_go_on() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    cluster.crash(3);
    replace(&cluster.dir(3), None);
    cluster.start(3);
    assert_eq!(refused(&cluster, 3), Objection::OtherDirectory);
    // Nor at the second attempt, when its directory is no longer new.
    cluster.crash(3);
    cluster.start(3);
    assert_eq!(refused(&cluster, 3), Objection::OtherDirectory);
    let site = cluster.site("without");
    cluster.propose(1, site);
}

#[test]
fn a_directory_that_was_set_back_is_refused_and_the_original_is_not() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    cluster.stop(3);
    let backup = tempfile::tempdir().unwrap();
    copy(&cluster.dir(3), backup.path());
    cluster.start(3);
    cluster.accepted(3);
    cluster.stop(3);
    let original = tempfile::tempdir().unwrap();
    copy(&cluster.dir(3), original.path());
    replace(&cluster.dir(3), Some(backup.path()));
    cluster.start(3);
    assert_eq!(refused(&cluster, 3), Objection::Copied { starts: 2 });
    cluster.crash(3);
    // What was refused was not kept.
    replace(&cluster.dir(3), Some(original.path()));
    cluster.start(3);
    cluster.accepted(3);
    cluster.stop(3);
    replace(&cluster.dir(3), Some(backup.path()));
    cluster.start(3);
    // A majority has heard of the third start; the other one may answer first.
    let told = [Objection::FewerStarts { claimed: 2, known: 3 }, Objection::Copied { starts: 2 }];
    let objection = refused(&cluster, 3);
    assert!(told.contains(&objection), "{objection:?}");
}

#[test]
fn a_copy_of_a_living_member_is_refused_and_harms_nobody() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let clone = tempfile::tempdir().unwrap();
    cluster.stop(3);
    copy(&cluster.dir(3), clone.path());
    cluster.start(3);
    cluster.accepted(3);
    // Opened once more, it is ahead of the original by that count.
    drop(super::open_store(clone.path(), 3));
    let twin = cluster.twin(3, clone.path());
    let failure = cluster.wait(twin.failed());
    assert_eq!(objection(&failure), Some(Objection::Twin), "{failure}");
    cluster.wait(twin.shutdown());
    let site = cluster.site("undisturbed");
    let revision = cluster.propose(3, site).revision;
    cluster.converge(revision);
}

#[test]
fn until_a_majority_accepts_it_a_member_answers_nothing_of_consensus() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    for id in [1, 2, 3] {
        cluster.crash(id);
    }
    cluster.start(1);
    let inbound = cluster.consensus(1).inbound();
    let peer = cluster.node(2).principal(MemberId(2));
    let header = super::header(super::ORIGIN, 2, 1).bytes().unwrap();
    let header = inbound.open(&header, &peer).unwrap();
    let vote: VoteRequest<TypeConfig> = VoteRequest::new(openraft::Vote::new(99, 2), None::<LogId>);
    for method in [Method::Vote, Method::PreVote] {
        let answer = cluster.wait(inbound.call(header, method, &encode(&vote).unwrap()));
        assert_eq!(answer, Err(Refusal::Unproven));
    }
    cluster.wait(inbound.call(header, Method::Identify, &[])).unwrap();
    drop(inbound);
    cluster.start(2);
    let site = cluster.site("with-two");
    cluster.propose(1, site);
}

/// Two have to agree, and the third says nothing: its silence costs the other two no time.
#[test]
fn a_silent_member_does_not_hold_up_a_restart() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let (silent, restarted) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.crash(restarted);
    let frozen = cluster.freeze(silent);
    cluster.start(restarted);
    let consensus = cluster.consensus(restarted);
    let accepted = cluster.wait(async {
        let patience = CLAIM_TIMEOUT * 2 / 3;
        tokio::time::timeout(patience, consensus.accepted()).await.is_ok()
    });
    assert!(accepted, "it waited for the one that is silent");
    drop(frozen);
}
