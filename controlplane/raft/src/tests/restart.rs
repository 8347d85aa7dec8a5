//! Crashes: of one member, of all at once.

use super::cluster::Cluster;

#[test]
fn one_or_all_may_crash_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let kept = cluster.site("kept");
    let committed = cluster.propose(2, kept.clone());

    // One, then more entries without it.
    cluster.crash(3);
    for at in 0..50 {
        let site = cluster.site(&format!("without-{at}"));
        cluster.propose(1, site);
    }
    cluster.start(3);
    let site = cluster.site("with");
    let last = cluster.propose(3, site).revision;
    let digest = cluster.converge(last);

    // The leader.
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    cluster.crash(leader);
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let (_, after) = cluster.leader(&others);
    assert!(after.term > before.term);
    cluster.start(leader);
    assert_eq!(cluster.converge(last), digest);

    // All at once.
    for id in [1, 2, 3] {
        cluster.crash(id);
    }
    for id in [1, 2, 3] {
        cluster.start(id);
    }
    assert_eq!(cluster.converge(last), digest);
    // The kept answers are part of the state (R3).
    assert_eq!(cluster.propose(1, kept), committed);
    let site = cluster.site("afterwards");
    let last = cluster.propose(2, site).revision;
    cluster.converge(last);
    for id in [1, 2, 3] {
        let audit = cluster.consensus(id).audit();
        assert!(audit.complete());
        assert_eq!(audit.serve().unwrap().size(), cluster.read(id).state.audit_size());
    }
    (1..=3).for_each(|id| cluster.stop(id));
}
