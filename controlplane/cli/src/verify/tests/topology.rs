//! Granted groups: the auditor's own count finds what is not whole, and what does not stand as it was submitted.

use super::*;
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::quota::Limit;
use sekisho_types::topology::{Over, Spread, Topology, Within};

/// Two of a gang in one rack in Tokyo; two jobs and two tasks of an array on one node in Osaka.
fn placed() -> Federation {
    let mut f = Federation::new();
    f.tenant("sapporo", Limit::Unlimited);
    for (node, rack) in
        [("tokyo-1/a", Some("r1")), ("tokyo-1/b", Some("r1")), ("sakai-1/c", Some("r1"))]
    {
        f.ready_node_in(node, 4, rack);
    }
    let web = Topology { marks: ["web".parse().unwrap()].into(), ..Topology::default() };
    for (facts, nodes) in [
        (job("gang", 2, 1, &[]), &["tokyo-1/a", "tokyo-1/b"][..]),
        (JobFacts { topology: web.into(), ..job("web", 1, 1, &[]) }, &["sakai-1/c"][..]),
        (job("calm", 1, 1, &[]), &["sakai-1/c"][..]),
    ] {
        let id = f.submit(facts);
        f.place(&id, nodes);
        assert_eq!(f.placements(&id).len(), nodes.len());
    }
    let kind = Kind::Array { tasks: 2, at_most: 2 };
    let sweep = f.submit(JobFacts { kind, ..job("sweep", 1, 1, &[]) });
    for task in 0..2 {
        f.place(&sweep, &["sakai-1/c"]);
        assert_eq!(f.placements(&sweep.task(task)).len(), 1);
    }
    f
}

/// What is found if a job had been submitted with another topology.
fn found(of: &str, topology: &Topology) -> String {
    let read = |bytes: &Vec<u8>| {
        let mut record = Record::parse(bytes).unwrap();
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            if let Command::SubmitJob { facts } = &mut read.command
                && facts.id.name.as_str() == of
            {
                facts.topology = topology.clone().into();
            }
            *entry = encode(&read).unwrap();
        }
        record
    };
    judged(records(&placed()).iter().map(read).collect())
}

fn judged(records: Vec<Record>) -> String {
    let mut report = Report::default();
    oracle::judge(&genesis(), &records, &mut report);
    for step in [Step::Residency, Step::Quota, Step::Capacity] {
        assert_eq!(verdict(&report, step), Verdict::Passed, "{:#?}", report.steps);
    }
    findings(&report, Step::Fencing)
}

#[test]
fn what_stands_as_it_was_submitted_passes() {
    let (within, spread) = (Some(Within::Rack), Some(Spread { over: Over::Rack, at_least: 2 }));
    assert_eq!(found("gang", &Topology::default()), "");
    assert_eq!(found("gang", &Topology { within, ..Topology::default() }), "");
    assert_eq!(found("gang", &Topology { within: Some(Within::Site), ..Topology::default() }), "");
    let told = found("gang", &Topology { spread, ..Topology::default() });
    let why = "asked for 2 or more, by rack, it stands in {\"tokyo-1/r1\": 2}";
    assert!(told.contains(why), "{told}");
}

#[test]
fn a_group_that_is_not_spread_is_found() {
    for over in [Over::Operator, Over::Prefecture, Over::Site] {
        let spread = Some(Spread { over, at_least: 2 });
        let told = found("gang", &Topology { spread, ..Topology::default() });
        assert!(told.contains(&format!("asked for 2 or more, by {over}")), "{told}");
    }
}

#[test]
fn who_stands_beside_a_job_from_which_it_keeps_apart_is_found() {
    let shy = Topology { apart: ["web".parse().unwrap()].into(), ..Topology::default() };
    let told = found("calm", &shy);
    assert!(told.contains("it stands beside sapporo/web"), "{told}");
    assert_eq!(found("gang", &shy), "");
    let mark: std::collections::BTreeSet<_> = ["me".parse().unwrap()].into();
    let own = Topology { apart: mark.clone(), marks: mark, ..Topology::default() };
    let told = found("sweep", &own);
    assert!(
        told.contains("it stands beside sapporo/sweep/0"),
        "tasks are jobs to one another: {told}"
    );
    assert_eq!(found("sweep", &shy).matches("stands beside sapporo/web").count(), 2);
}

#[test]
fn a_group_of_which_a_part_was_granted_is_found() {
    let mut left = true;
    let all = records(&placed()).into_iter().map(|bytes| Record::parse(&bytes).unwrap());
    let part = all.filter(|record| {
        let gone = matches!(&record.body, Body::Grant(grant) if grant.rank == 1);
        left &= !gone;
        !gone
    });
    let part: Vec<Record> = part.collect();
    assert!(!left);
    let mut report = Report::default();
    oracle::judge(&genesis(), &part, &mut report);
    let told = findings(&report, Step::Fencing);
    assert!(told.contains("1 of 2 members"), "{told}");
}
