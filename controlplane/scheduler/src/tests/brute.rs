//! An exhaustive oracle over small fleets: every set of places is asked of apply's own check, and the planner has to find
//! places exactly where there are some.
//!
//! Must hold: what a topology means is written here a second time. Quotas, budgets, offers and power caps are such that members that are
//! taken one by one are as many as can be (see `fsm::purse`): no row's border runs through a site, budgets are of GPU-hours, and
//! devices are rated alike.

use super::*;
use crate::{Verdict, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::State;
use sekisho_fsm::command::{Preempt, Slot};
use sekisho_fsm::testing::{bucket, job, offer, user};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::Mark;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::rare::Rare;
use sekisho_types::revision::Revision;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::collections::{BTreeMap, BTreeSet};

/// Every set of `group` buckets on as many nodes.
fn choices(state: &State, group: usize) -> Vec<Vec<Slot>> {
    let mut all: Vec<Vec<Slot>> = vec![Vec::new()];
    for (id, node) in state.nodes() {
        let mut with = Vec::new();
        for before in all.iter().filter(|before| before.len() < group) {
            for (bucket, _) in (0u16..).zip(&node.buckets) {
                let mut places = before.clone();
                places.push(Slot { node: id.clone(), bucket });
                with.push(places);
            }
        }
        all.extend(with);
    }
    all.retain(|places| places.len() == group);
    all
}

/// Whether apply would grant a queued job these places.
fn granted(state: &State, id: &JobId, places: &[Slot]) -> bool {
    let (beneficiary, victims) = (id.clone(), Vec::new());
    state.makes_room(&Preempt { beneficiary, victims, places: places.to_vec() })
}

/// Places that apply would grant a queued job, if there are any.
pub(super) fn feasible(state: &State, id: &JobId) -> Option<Vec<Slot>> {
    let group = usize::try_from(state.job(id).unwrap().facts.group).unwrap();
    choices(state, group).into_iter().find(|places| granted(state, id, places))
}

/// What a node is a part of.
fn part(state: &State, id: &NodeId, over: Over) -> Option<String> {
    let node = state.node(id).unwrap();
    match over {
        Over::Operator => Some(node.operator.to_string()),
        Over::Prefecture => Some(node.tag.area.domestic()?.prefecture()?.to_string()),
        Over::Site => Some(id.site.to_string()),
        Over::Rack => Some(format!("{}/{}", id.site, node.rack.as_ref()?)),
    }
}

/// Whether members on these places stand as they were asked to.
fn stands(state: &State, facts: &JobFacts, places: &[Slot]) -> bool {
    let topology = &facts.topology;
    let parts = |over| -> Option<Vec<String>> {
        places.iter().map(|slot| part(state, &slot.node, over)).collect()
    };
    let within = topology.within.is_none_or(|within| {
        let over = if within == Within::Rack { Over::Rack } else { Over::Site };
        parts(over).is_some_and(|parts| parts.iter().all(|part| *part == parts[0]))
    });
    let spread = topology.spread.is_none_or(|spread| {
        let Some(parts) = parts(spread.over) else { return false };
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for part in parts {
            let count = counts.entry(part).or_default();
            *count = count.saturating_add(1);
        }
        let share = facts.group.div_ceil(spread.at_least);
        counts.len() >= spread.at_least as usize && counts.values().all(|count| *count <= share)
    });
    let beside = |slot: &Slot| {
        let rows = state.placements().filter(|(_, row)| !row.phase.is_ended());
        rows.filter(|(_, row)| row.grant.node == slot.node).all(|(_, row)| {
            let other = &state.job(&row.grant.job).unwrap().facts;
            let meets =
                |a: &BTreeSet<Mark>, b: &BTreeSet<Mark>| a.iter().any(|mark| b.contains(mark));
            other.id.tenant != facts.id.tenant
                || !(meets(&topology.apart, &other.topology.marks)
                    || meets(&topology.marks, &other.topology.apart))
        })
    };
    within && spread && places.iter().all(beside)
}

/// A node: which site, devices, which rack, whether it takes work.
type Host = (usize, u32, usize, bool);

/// A job: members, devices, areas, what it asks of its places.
type Wish = (u32, u32, usize, Topology);

const RACKS: [Option<&str>; 3] = [Some("r1"), Some("r2"), None];
const PLACES: [&[&str]; 4] = [&[], &[], &["JP-13"], &["JP-01", "JP-27"]];

fn marks() -> impl Strategy<Value = BTreeSet<Mark>> {
    prop::collection::btree_set(
        (0usize..2).prop_map(|n| ["a", "b"][n].parse::<Mark>().unwrap()),
        0..2,
    )
}

fn topology(group: u32) -> impl Strategy<Value = Topology> {
    let within = prop_oneof![
        2 => Just(None::<Within>),
        1 => Just(Some(Within::Rack)),
        1 => Just(Some(Within::Site)),
    ];
    let over = prop_oneof![
        Just(Over::Operator),
        Just(Over::Prefecture),
        Just(Over::Site),
        Just(Over::Rack),
    ];
    let spread = prop::option::of((over, 2..=group.max(2)));
    let near = prop::option::of(0usize..3);
    (within, spread, marks(), marks(), near).prop_map(
        move |(within, spread, apart, marks, near)| {
            let spread = spread.map(|(over, at_least)| Spread { over, at_least });
            let near = near.map(|at| OPERATORS[at].1.parse().unwrap());
            let asked = Topology { within, spread, apart, marks, near };
            // What contradicts itself is refused before it is planned.
            if asked.check(group).is_ok() { asked } else { Topology { spread: None, ..asked } }
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    (1u32..4).prop_flat_map(|group| (Just(group), 1u32..4, 0..PLACES.len(), topology(group)))
}

fn limit() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.4, 0u64..12)
}

fn facts(n: usize, (group, gpus, places, topology): &Wish) -> JobFacts {
    let facts = job(&format!("j-{n}"), *group, *gpus, PLACES[*places]);
    JobFacts { topology: topology.clone().into(), ..facts }
}

/// A fleet with a quota in all Japan and rows in areas, offers, and a hard budget.
fn fleet(
    hosts: &[Host],
    whole: Option<u64>,
    rows: &[(usize, u64)],
    offers: &[(usize, u64)],
    budget: Option<u64>,
    cap: Option<u64>,
) -> Federation {
    let mut federation = Federation::new();
    for (n, (site, gpus, rack, schedulable)) in hosts.iter().enumerate() {
        let node = format!("{}/n-{n}", OPERATORS[*site].1);
        federation.ready_node_in(&node, *gpus, RACKS[*rack]);
        if !schedulable {
            cordon(&mut federation, &node);
        }
    }
    let tenant = federation.tenant("sapporo", whole.map_or(Limit::Unlimited, Limit::Gpus));
    for (at, gpus) in rows {
        let area = Area::resolve(["JP-01", "JP-13", "JP-27"][*at]).unwrap();
        federation.allot(&tenant, area, Allotment::own(Limit::Gpus(*gpus)));
    }
    for (at, gpus) in offers {
        federation.offer(OPERATORS[*at].1, offer(*gpus));
    }
    if let Some(devices) = cap {
        let watts = u64::from(bucket(1).rated_watts()).saturating_mul(devices);
        federation.cap(OPERATORS[0].1, Some(watts.saturating_add(1)));
    }
    if let Some(amount) = budget {
        let spec = BudgetSpec {
            unit: Unit::GpuHours,
            amount: amount.saturating_add(1),
            period: Period::Month,
            class: None,
            area: Area::Japan,
            exhausted: Exhausted::Stop,
        };
        let (name, budget, expected) = ("fy".parse().unwrap(), Some(spec), Revision(0));
        let set = Command::SetBudget { tenant, name, budget, expected };
        federation.accept(admin("kanto"), set);
    }
    federation
}

fn cancel(federation: &mut Federation, job: JobId) {
    federation.accept(user("kanto", "sapporo"), Command::CancelJob { job });
}

/// Of every set of places: apply grants it to the job exactly where it would without a topology, and it stands as asked.
fn each_is_judged_rightly(federation: &Federation, facts: &JobFacts) -> Result<(), TestCaseError> {
    let mut plain = federation.clone();
    let bare = JobFacts { topology: Rare::default(), ..facts.clone() };
    plain.submit(bare);
    let mut asked = federation.clone();
    asked.submit(facts.clone());
    for places in choices(&plain.state, usize::try_from(facts.group).unwrap()) {
        let stands = stands(&asked.state, facts, &places);
        let would = granted(&plain.state, &facts.id, &places) && stands;
        prop_assert_eq!(granted(&asked.state, &facts.id, &places), would, "{:?}", places);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The planner places a job exactly where some places would do, and the explanation says so; one after the other, so that
    /// later ones meet what earlier ones hold.
    #[test]
    fn the_planner_finds_places_where_there_are_some(
        hosts in prop::collection::vec((0usize..3, 1u32..5, 0usize..3, prop::bool::weighted(0.9)), 1..7),
        whole in limit(),
        rows in prop::collection::btree_map(0usize..3, 0u64..8, 0..2),
        offers in prop::collection::btree_map(0usize..3, 1u64..8, 0..2),
        budget in prop::option::weighted(0.2, 0u64..20),
        cap in prop::option::weighted(0.4, 0u64..8),
        wishes in prop::collection::vec(wish(), 1..6),
    ) {
        let (rows, offers): (Vec<_>, Vec<_>) = (rows.into_iter().collect(), offers.into_iter().collect());
        let mut federation = fleet(&hosts, whole, &rows, &offers, budget, cap);
        for (n, wish) in wishes.iter().enumerate() {
            let facts = facts(n, wish);
            each_is_judged_rightly(&federation, &facts)?;
            let id = federation.submit(facts.clone());
            let found = feasible(&federation.state, &id);
            let planned = plan(&federation.state).groups;
            prop_assert_eq!(planned.len(), usize::from(found.is_some()), "{:?}: {:?}", facts.topology, found);
            let said = explain(&federation.state, &facts);
            prop_assert_eq!(said.verdict == Verdict::PlacedNow, found.is_some(), "{:?}: {:?}", facts.topology, said);
            if found.is_some() {
                prop_assert_eq!(commit(&mut federation), 1);
            } else {
                cancel(&mut federation, id);
            }
        }
    }

    /// What several queued jobs get together is granted whole, and what is left over has no places.
    #[test]
    fn what_is_left_over_has_no_places(
        hosts in prop::collection::vec((0usize..3, 1u32..5, 0usize..3, Just(true)), 1..7),
        wishes in prop::collection::vec(wish(), 1..8),
    ) {
        let mut federation = fleet(&hosts, None, &[], &[], None, None);
        for (n, wish) in wishes.iter().enumerate() {
            federation.submit(facts(n, wish));
        }
        while commit(&mut federation) > 0 {}
        // Of those that wait the first ones claim what they will need, so another one may be held up by them alone.
        let waiting: Vec<JobId> = federation.state.queue().map(|(_, id)| id.clone()).collect();
        for id in &waiting {
            let mut alone = federation.clone();
            waiting.iter().filter(|other| *other != id).for_each(|other| cancel(&mut alone, other.clone()));
            let planned = plan(&alone.state).groups.len();
            prop_assert_eq!(planned, usize::from(feasible(&alone.state, id).is_some()));
        }
    }
}
