//! Where the members of a group stand: what does not stand as it was asked is not granted, whoever planned it.

use super::*;
use crate::command::{Preempt, Slot};
use sekisho_types::id::JobId;
use sekisho_types::job::JobFacts;
use sekisho_types::topology::{Over, Spread, Topology, Within};

/// Racks of two sites, and a node in none at each.
fn racks() -> Federation {
    let mut f = Federation::new();
    f.tenant("sapporo", Limit::Unlimited);
    f.tenant("osaka", Limit::Unlimited);
    for (node, rack) in [
        ("tokyo-1/a", Some("r1")),
        ("tokyo-1/b", Some("r1")),
        ("tokyo-1/c", Some("r2")),
        ("tokyo-1/d", None),
        ("sakai-1/a", Some("r1")),
        ("sakai-1/b", None),
        ("ishikari-1/a", Some("r1")),
    ] {
        f.ready_node_in(node, 4, rack);
    }
    f
}

fn asking(name: &str, group: u32, topology: Topology) -> JobFacts {
    JobFacts { topology: topology.into(), ..job(name, group, 1, &[]) }
}

fn within(within: Within) -> Topology {
    Topology { within: Some(within), ..Topology::default() }
}

fn spread(over: Over, at_least: u32) -> Topology {
    Topology { spread: Some(Spread { over, at_least }), ..Topology::default() }
}

fn marked(apart: &[&str], marks: &[&str]) -> Topology {
    let of = |all: &[&str]| all.iter().map(|mark| mark.parse().unwrap()).collect();
    Topology { apart: of(apart), marks: of(marks), ..Topology::default() }
}

/// Why a group is not granted these places; nothing of it is granted then.
fn rejected(f: &mut Federation, job: &JobId, nodes: &[&str]) -> Option<ErrorCode> {
    let code = match f.place(job, nodes).outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    };
    let placed = f.placements(job).len();
    assert_eq!(placed, if code.is_some() { 0 } else { nodes.len() });
    assert_eq!(invariant::check(&f.state), Ok(()));
    code
}

/// Each of these places is judged as if the others had not been.
fn judged(group: u32, topology: &Topology, cases: &[(&[&str], Option<ErrorCode>)]) {
    let mut f = racks();
    let id = f.submit(asking("gang", group, topology.clone()));
    for (nodes, expected) in cases {
        assert_eq!(rejected(&mut f.clone(), &id, nodes), *expected, "{topology:?} {nodes:?}");
    }
}

const UNMET: Option<ErrorCode> = Some(ErrorCode::TopologyUnmet);

#[test]
fn members_stand_in_one_rack_or_at_one_site_or_not_at_all() {
    judged(
        2,
        &within(Within::Rack),
        &[
            (&["tokyo-1/b", "tokyo-1/a"], None),
            (&["tokyo-1/a", "tokyo-1/c"], UNMET),
            (&["tokyo-1/a", "sakai-1/a"], UNMET),
            (&["tokyo-1/a", "tokyo-1/d"], UNMET),
            (&["tokyo-1/a"], Some(ErrorCode::InvalidArgument)),
            (&["tokyo-1/a", "tokyo-1/a"], Some(ErrorCode::InvalidArgument)),
        ],
    );
    judged(
        2,
        &within(Within::Site),
        &[
            (&["tokyo-1/a", "tokyo-1/d"], None),
            (&["sakai-1/a", "sakai-1/b"], None),
            (&["tokyo-1/a", "sakai-1/a"], UNMET),
        ],
    );
    // A single member of no rack is in none.
    judged(1, &within(Within::Rack), &[(&["tokyo-1/c"], None), (&["tokyo-1/d"], UNMET)]);
}

#[test]
fn members_are_spread_as_evenly_as_asked() {
    let tokyo: &[&str] = &["tokyo-1/a", "tokyo-1/b", "tokyo-1/c"];
    for over in [Over::Operator, Over::Prefecture, Over::Site] {
        judged(
            3,
            &spread(over, 2),
            &[
                (tokyo, UNMET),
                (&["tokyo-1/a", "tokyo-1/b", "sakai-1/a"], None),
                (&["tokyo-1/a", "ishikari-1/a", "sakai-1/a"], None),
            ],
        );
        let two: &[&str] = &["tokyo-1/a", "tokyo-1/b", "sakai-1/a"];
        judged(3, &spread(over, 3), &[(two, UNMET)]);
    }
    judged(
        3,
        &spread(Over::Rack, 2),
        &[(tokyo, None), (&["tokyo-1/a", "tokyo-1/c", "tokyo-1/d"], UNMET)],
    );
    let both = Topology { within: Some(Within::Site), ..spread(Over::Rack, 2) };
    judged(3, &both, &[(tokyo, None), (&["tokyo-1/a", "tokyo-1/b", "sakai-1/a"], UNMET)]);
}

#[test]
fn jobs_that_keep_apart_share_no_node_while_both_live() {
    let mut f = racks();
    let loud = f.submit(asking("loud", 1, marked(&[], &["loud"])));
    let shy = f.submit(asking("shy", 1, marked(&["loud"], &[])));
    let other = asking("other", 1, marked(&["loud"], &[]));
    let foreign = JobId { tenant: "osaka".parse().unwrap(), ..other.id.clone() };
    let foreign = f.submit(JobFacts { id: foreign, ..other });
    assert_eq!(rejected(&mut f, &loud, &["tokyo-1/a"]), None);
    let apart = Some(ErrorCode::TopologyApart);
    assert_eq!(rejected(&mut f, &shy, &["tokyo-1/a"]), apart);
    assert_eq!(rejected(&mut f, &foreign, &["tokyo-1/a"]), None, "marks are of one tenant");
    assert_eq!(rejected(&mut f.clone(), &shy, &["tokyo-1/b"]), None);
    all(&mut f, &loud, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(rejected(&mut f, &shy, &["tokyo-1/a"]), None);
    // The other way round: who bears the mark keeps away from who shuns it.
    let late = f.submit(asking("late", 1, marked(&[], &["loud"])));
    assert_eq!(rejected(&mut f, &late, &["tokyo-1/a"]), apart);
    assert_eq!(rejected(&mut f, &late, &["tokyo-1/c"]), None);
}

#[test]
fn what_contradicts_itself_is_not_queued() {
    let mut f = racks();
    let both = Topology { within: Some(Within::Rack), ..spread(Over::Rack, 2) };
    let many: Vec<String> = (0..9).map(|n| format!("m-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for topology in [both, spread(Over::Site, 1), spread(Over::Site, 4), marked(&many, &[])] {
        let facts = Box::new(asking("bad", 3, topology));
        let submit = Command::SubmitJob { facts };
        refused(&mut f, user("kanto", "sapporo"), submit, ErrorCode::InvalidArgument);
    }
}

#[test]
fn who_stands_in_the_way_of_a_job_that_keeps_apart_may_be_moved() {
    let mut f = racks();
    let low = f.submit(JobFacts { priority: 10, ..asking("low", 1, marked(&[], &["loud"])) });
    assert_eq!(rejected(&mut f, &low, &["tokyo-1/a"]), None);
    f.now = f.now.plus_ms(9_000);
    f.accept(member("kanto"), Command::Tick);
    let high = f.submit(JobFacts { priority: 90, ..asking("high", 1, marked(&["loud"], &[])) });
    let places = vec![Slot { node: "tokyo-1/a".parse().unwrap(), bucket: 0 }];
    let preempt = Preempt { beneficiary: high.clone(), victims: vec![low.clone()], places };
    f.accept(member("kanto"), Command::Preempt(Box::new(preempt)));
    assert!(f.placements(&high).is_empty());
    all(&mut f, &low, &Phase::Ended(Ending::Stopped));
    assert_eq!(f.placements(&high).len(), 1);
    assert_eq!(invariant::check(&f.state), Ok(()));
}
