//! Where members stand as their job asks: places, claims, whom it moves, and what is said of it.

use super::*;
use crate::{Basis, Planner, Verdict, Waiting, explain, plan};
use sekisho_fsm::command::Preempt;
use sekisho_fsm::invariant;
use sekisho_fsm::testing::{job, shares};
use sekisho_types::job::{JobFacts, Kind, Resources};
use sekisho_types::quota::Limit;
use sekisho_types::sharing::Sharing;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::collections::BTreeSet;

/// Two racks of two nodes in Tokyo, one of three in Sakai, and a node in none at Ishikari; each has four devices.
fn racks() -> Federation {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    for (node, rack) in [
        ("tokyo-1/a-1", Some("r1")),
        ("tokyo-1/a-2", Some("r1")),
        ("tokyo-1/b-1", Some("r2")),
        ("tokyo-1/b-2", Some("r2")),
        ("sakai-1/c-1", Some("r1")),
        ("sakai-1/c-2", Some("r1")),
        ("sakai-1/c-3", Some("r1")),
        ("ishikari-1/d-1", None),
    ] {
        federation.ready_node_in(node, 4, rack);
    }
    federation
}

fn asking(name: &str, group: u32, gpus: u32, topology: Topology) -> JobFacts {
    JobFacts { topology: topology.into(), ..job(name, group, gpus, &[]) }
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

/// The nodes of the one group of a plan for one more job, which is granted.
fn placed(federation: &mut Federation, facts: JobFacts) -> String {
    federation.submit(facts);
    let found = shown(&plan(&federation.state));
    assert_eq!(commit(federation), found.len());
    let places = found.first().map(String::as_str).unwrap_or_default();
    places.split_once(": ").map(|(_, nodes)| nodes.to_owned()).unwrap_or_default()
}

#[test]
fn members_stand_in_one_rack_or_at_one_site_or_wait() {
    let mut federation = racks();
    let three = placed(&mut federation, asking("three", 3, 4, within(Within::Rack)));
    assert_eq!(three, "sakai-1/c-1 sakai-1/c-2 sakai-1/c-3");
    let site = placed(&mut federation, asking("site", 3, 4, within(Within::Site)));
    assert_eq!(site, "tokyo-1/a-1 tokyo-1/a-2 tokyo-1/b-1");
    // One node of a rack and one of none are left.
    federation.submit(asking("pair", 2, 4, within(Within::Site)));
    let found = plan(&federation.state);
    assert_eq!((found.groups.len(), found.waiting), (0, Waiting { room: 1, ..Waiting::default() }));
    assert_eq!(placed(&mut federation, job("any", 2, 4, &[])), "ishikari-1/d-1 tokyo-1/b-2");
}

#[test]
fn members_are_spread_over_as_many_as_asked() {
    let operators = "ishikari-1/d-1 sakai-1/c-1 tokyo-1/a-1";
    for over in [Over::Operator, Over::Prefecture, Over::Site] {
        assert_eq!(placed(&mut racks(), asking("wide", 3, 1, spread(over, 3))), operators);
        assert_eq!(placed(&mut racks(), asking("wide", 4, 1, spread(over, 4))), "");
    }
    // Near together all the same: the racks of one site, as many members in each.
    let racked = placed(&mut racks(), asking("wide", 4, 1, spread(Over::Rack, 2)));
    assert_eq!(racked, "tokyo-1/a-1 tokyo-1/b-1 tokyo-1/a-2 tokyo-1/b-2");
    let three = placed(&mut racks(), asking("wide", 3, 1, spread(Over::Rack, 3)));
    assert_eq!(three, "sakai-1/c-1 tokyo-1/a-1 tokyo-1/b-1", "a node in no rack is in none");
    let both = Topology { within: Some(Within::Site), ..spread(Over::Rack, 3) };
    assert_eq!(placed(&mut racks(), asking("wide", 3, 1, both)), "");
}

#[test]
fn the_site_of_the_dataset_comes_first_and_is_no_condition() {
    let near = |site: &str| Topology { near: site.parse().ok(), ..Topology::default() };
    let mut federation = racks();
    assert_eq!(placed(&mut federation, asking("one", 1, 4, near("tokyo-1"))), "tokyo-1/a-1");
    let two = placed(&mut federation, asking("two", 2, 4, near("tokyo-1")));
    assert_eq!(two, "tokyo-1/b-1 tokyo-1/b-2");
    // A rack elsewhere is nearer together than what is left there and somewhere.
    let gang = placed(&mut federation, asking("gang", 2, 4, near("tokyo-1")));
    assert_eq!(gang, "sakai-1/c-1 sakai-1/c-2");
    assert_eq!(
        placed(&mut federation, asking("left", 2, 4, near("tokyo-1"))),
        "tokyo-1/a-2 ishikari-1/d-1"
    );
    assert_eq!(placed(&mut federation, asking("none", 1, 4, near("naha-1"))), "sakai-1/c-3");
}

#[test]
fn jobs_that_keep_apart_find_other_nodes_within_a_plan_too() {
    let mut federation = racks();
    let mut planner = Planner::default();
    for name in ["web-1", "web-2"] {
        federation.submit(asking(name, 1, 1, marked(&["web"], &["web"])));
    }
    federation.submit(asking("db", 1, 1, marked(&[], &["db"])));
    let found = planner.plan(&federation.state);
    // The database fills up what is begun: nobody shuns it.
    let expected = ["web-1: ishikari-1/d-1", "web-2: sakai-1/c-1", "db: ishikari-1/d-1"];
    assert_eq!(shown(&found), expected);
    assert_eq!(commit(&mut federation), 3);
    federation.submit(asking("shy", 1, 1, marked(&["web", "db"], &[])));
    let found = planner.plan(&federation.state);
    assert_eq!(shown(&found), ["shy: sakai-1/c-2"]);
    assert_eq!(found, plan(&federation.state), "what followed plans what is new");
}

#[test]
fn tasks_of_one_whole_stand_together_unless_its_own_mark_keeps_them_apart() {
    let kind = Kind::Array { tasks: 3, at_most: 3 };
    for (apart, nodes) in [(&[][..], 1), (&["web"][..], 3)] {
        let mut federation = racks();
        federation.submit(JobFacts { kind, ..asking("web", 1, 1, marked(apart, &["web"])) });
        assert_eq!(commit(&mut federation), 3);
        let rows = federation.state.placements().map(|(_, row)| &row.grant.node);
        assert_eq!(rows.collect::<BTreeSet<_>>().len(), nodes);
        assert_eq!(invariant::check(&federation.state), Ok(()));
    }
    // Each task is a group of its own: it is in one rack, and the next one may be in another.
    let mut federation = racks();
    federation.submit(JobFacts { kind, ..asking("sweep", 2, 4, within(Within::Rack)) });
    let found = shown(&plan(&federation.state));
    let pairs = ["tokyo-1/a-1 tokyo-1/a-2", "tokyo-1/b-1 tokyo-1/b-2", "sakai-1/c-1 sakai-1/c-2"];
    assert_eq!(found, pairs.map(|pair| format!("sweep: {pair}")));
    assert_eq!(commit(&mut federation), 3);
    assert_eq!(invariant::check(&federation.state), Ok(()));
}

#[test]
fn a_gang_keeps_room_in_the_rack_that_is_ready_first() {
    let mut federation = racks();
    for (name, minutes, node) in [
        ("long", 120, "tokyo-1/a-1"),
        ("short", 60, "tokyo-1/b-1"),
        ("all-1", 180, "sakai-1/c-1"),
        ("all-2", 180, "sakai-1/c-2"),
    ] {
        let facts = JobFacts { time_limit_s: minutes * 60, ..job(name, 1, 4, &[]) };
        let id = federation.submit(facts);
        federation.place(&id, &[node]);
    }
    federation.submit(asking("gang", 2, 4, within(Within::Rack)));
    for n in 0..4 {
        let facts = JobFacts { time_limit_s: 90 * 60, ..job(&format!("n-{n}"), 1, 4, &[]) };
        federation.submit(facts);
    }
    // They would last longer than the short one: not beside it, but everywhere else.
    let names = ["n-0: ishikari-1/d-1", "n-1: sakai-1/c-3", "n-2: tokyo-1/a-2"];
    assert_eq!(shown(&plan(&federation.state)), names);
}

/// Runs for a while.
fn runs(federation: &mut Federation, facts: JobFacts, node: &str) {
    let id = federation.submit(JobFacts { priority: 10, ..facts });
    federation.place(&id, &[node]);
    assert_eq!(federation.placements(&id).len(), 1);
}

fn moved(federation: &mut Federation, facts: JobFacts) -> Option<(Vec<String>, Vec<String>)> {
    federation.now = federation.now.plus_ms(9_000);
    federation.accept(member("kanto"), Command::Tick);
    federation.submit(JobFacts { priority: 90, ..facts });
    let mut planner = Planner::default();
    let held = planner.plan(&federation.state).held;
    let Preempt { victims, places, .. } = planner.preempt(&held)?;
    let victims = victims.iter().map(|id| id.name.to_string()).collect();
    Some((victims, places.iter().map(|slot| slot.node.to_string()).collect()))
}

#[test]
fn whom_it_moves_makes_room_where_it_may_stand() {
    let mut federation = racks();
    let nodes = ["tokyo-1/a-1", "tokyo-1/b-1", "tokyo-1/b-2", "sakai-1/c-1", "sakai-1/c-2"];
    for (n, node) in nodes.into_iter().enumerate() {
        runs(&mut federation, job(&format!("low-{n}"), 1, 4, &[]), node);
    }
    let of = |victims: &[&str], places: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Some((owned(victims), owned(places)))
    };
    let found = moved(&mut federation.clone(), asking("rack", 2, 4, within(Within::Rack)));
    // One is moved and not two: a rack has a free node already.
    assert_eq!(found, of(&["low-3"], &["sakai-1/c-3", "sakai-1/c-1"]));
    let found = moved(&mut federation.clone(), asking("three", 3, 4, within(Within::Rack)));
    assert_eq!(found, of(&["low-3", "low-4"], &["sakai-1/c-3", "sakai-1/c-1", "sakai-1/c-2"]));
    let found = moved(&mut federation, asking("five", 5, 4, within(Within::Site)));
    assert_eq!(found, None, "no site has so many");
}

#[test]
fn who_stands_in_the_way_of_a_job_that_keeps_apart_is_moved() {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    federation.ready_node("tokyo-1/n-1", 4);
    runs(&mut federation, asking("loud", 1, 1, marked(&[], &["loud"])), "tokyo-1/n-1");
    runs(&mut federation, job("calm", 1, 1, &[]), "tokyo-1/n-1");
    let shy = |gpus| asking("shy", 1, gpus, marked(&["loud"], &[]));
    let places = || vec!["tokyo-1/n-1".to_owned()];
    let found = moved(&mut federation.clone(), shy(1));
    assert_eq!(found, Some((vec!["loud".to_owned()], places())), "there would be room");
    let found = moved(&mut federation, shy(4));
    assert_eq!(found, Some((vec!["calm".to_owned(), "loud".to_owned()], places())));
}

/// The binding code with its line of the funnel, and the changes that would help.
fn said(federation: &Federation, facts: &JobFacts) -> (Verdict, String, Vec<String>) {
    let found = explain(&federation.state, facts);
    let code = found.binding.unwrap();
    let step = found.steps.iter().find(|step| step.token == code.as_str()).unwrap();
    let line = format!("{code} {}: {}", step.nodes_left, step.condition);
    let changes = found.relaxations.iter().filter(|r| r.effect == Verdict::PlacedNow);
    (found.verdict, line, changes.map(|r| r.change.clone()).collect())
}

#[test]
fn a_rack_that_is_too_small_is_never_and_a_full_one_not_yet() {
    let mut federation = racks();
    let (verdict, line, changes) = said(&federation, &asking("big", 4, 1, within(Within::Rack)));
    assert_eq!(verdict, Verdict::Never);
    assert_eq!(line, "TOPOLOGY_NONE 3: all 4 in one rack");
    let expected = [
        "let the members stand in several racks of a site",
        "let the members stand at several sites",
        "make the group 3 instead of 4",
    ];
    assert_eq!(changes, expected);
    federation.submit(JobFacts { time_limit_s: 600, ..job("runs", 1, 1, &["JP-27"]) });
    commit(&mut federation);
    let full = asking("full", 3, 4, within(Within::Rack));
    let (verdict, line, changes) = said(&federation, &full);
    assert_eq!(verdict, Verdict::WouldWait);
    assert_eq!(line, "TOPOLOGY_UNMET 2: all 3 in one rack");
    assert!(changes[0].starts_with("wait for job sapporo/runs to end, by "), "{changes:?}");
    assert_eq!(changes[1], "let the members stand in several racks of a site");
    let found = explain(&federation.state, &full);
    let end = federation.state.clock().plus_ms(605_000);
    assert_eq!(found.estimate, Some((end, Basis::Ends)), "when the rack is free again");
}

#[test]
fn too_few_to_spread_over_is_never_and_who_stands_there_is_named() {
    let mut federation = racks();
    let wide = asking("wide", 4, 1, spread(Over::Operator, 4));
    let (verdict, line, changes) = said(&federation, &wide);
    assert_eq!(verdict, Verdict::Never);
    assert_eq!(line, "TOPOLOGY_NONE 3: in 4 or more operators, at most 1 in one");
    assert!(changes.contains(&"spread over 3 operators instead of 4".to_owned()), "{changes:?}");
    assert!(changes.contains(&"do not spread over operators".to_owned()), "{changes:?}");
    cordon_all_racks(&mut federation, "tokyo-1/a-1");
    runs(&mut federation, asking("web", 1, 1, marked(&[], &["web"])), "tokyo-1/a-1");
    let shy = asking("shy", 1, 1, marked(&["web"], &[]));
    let (verdict, line, changes) = said(&federation, &shy);
    assert_eq!(
        (verdict, line.as_str()),
        (Verdict::WouldWait, "TOPOLOGY_APART 0: beside no job of web")
    );
    assert_eq!(changes, ["let it stand beside any job"]);
}

#[test]
fn who_goes_before_takes_the_rack_and_the_node() {
    let mut federation = racks();
    let rack = |name| asking(name, 3, 4, within(Within::Rack));
    federation.submit(JobFacts { priority: 90, ..rack("first") });
    let (verdict, line, _) = said(&federation, &rack("second"));
    assert_eq!(verdict, Verdict::WouldWait);
    assert_eq!(line, "TURN_OF_ANOTHER 2: left by the jobs whose turn is first");
    let mut federation = racks();
    cordon_all_racks(&mut federation, "tokyo-1/a-1");
    let web = asking("web", 1, 1, marked(&[], &["web"]));
    federation.submit(JobFacts { priority: 90, ..web });
    let (verdict, line, _) = said(&federation, &asking("shy", 1, 1, marked(&["web"], &[])));
    assert_eq!(verdict, Verdict::WouldWait);
    assert_eq!(line, "TURN_OF_ANOTHER 0: left by the jobs whose turn is first");
}

#[test]
fn shares_of_one_device_stand_apart_as_whole_devices_do() {
    let mut federation = racks();
    let class = shares(3, 4).class;
    federation.open_class(&class, &["sapporo"], Limit::Unlimited);
    for node in ["tokyo-1/a-1", "tokyo-1/b-1"] {
        federation.equip(&node.parse().unwrap(), vec![shares(3, 4)]).outcome.unwrap();
    }
    let share = |name, topology| {
        let resources = Resources { sharing: Sharing::Any, ..Resources::of(class.clone(), 1) };
        JobFacts { resources, ..asking(name, 1, 1, topology) }
    };
    assert_eq!(placed(&mut federation, share("web", marked(&[], &["web"]))), "tokyo-1/a-1");
    assert_eq!(placed(&mut federation, share("calm", Topology::default())), "tokyo-1/a-1");
    let shy = share("shy", marked(&["web"], &[]));
    assert_eq!(placed(&mut federation, shy), "tokyo-1/b-1");
    assert_eq!(invariant::check(&federation.state), Ok(()));
}

/// Every node but one is cordoned.
fn cordon_all_racks(federation: &mut Federation, keep: &str) {
    let all: Vec<String> = federation.state.nodes().map(|(id, _)| id.to_string()).collect();
    all.iter().filter(|node| *node != keep).for_each(|node| cordon(federation, node));
}
