//! Nodes that are judged together fare as each by itself: on random fleets, jobs and queues.
//!
//! Must hold: what a funnel is, is written here a second time, node by node; and a whole explanation is the same whether nodes are
//! counted by what they are like, or none is like another.

use super::*;
use crate::alike::Alike;
use crate::explain::{Explainer, explain};
use crate::filter::Filter;
use crate::node::usable;
use crate::residency::{example, judge, place_key};
use crate::sides::Sides;
use proptest::prelude::*;
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_fsm::state::Node;
use sekisho_fsm::testing::{bucket, instances, job, offer, reservation, shares, user};
use sekisho_fsm::topology::Stand;
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::device::Bucket;
use sekisho_types::id::{DeviceClass, Digest, TenantId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Revision;
use sekisho_types::sharing::Sharing;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::collections::{BTreeMap, BTreeSet};

/// What one member would hear on a node by itself.
fn answer(state: &State, facts: &JobFacts, id: &NodeId, node: &Node) -> Result<(), ErrorCode> {
    let (own, path) = (Own(state), state.path(&facts.id.tenant));
    let place = node.tag.area.domestic().ok_or(ErrorCode::ResidencyOutsideJp)?;
    let place = (place, node.least_watts(facts));
    let mut purse = Purse::open(state, &own, facts, &path);
    purse.spend(&own, (&id.site, &node.operator), place).map(|_spend| ())
}

fn has(node: &Node, facts: &JobFacts, enough: impl Fn(u16, &Bucket) -> bool) -> bool {
    let wanted = &facts.resources;
    (0u16..).zip(&node.buckets).any(|(at, bucket)| {
        bucket.class == wanted.class
            && bucket.memory_mib >= wanted.memory_mib
            && bucket.units >= wanted.units
            && enough(at, bucket)
    })
}

/// The first filter that drops a node before it is charged.
fn dropped(state: &State, facts: &JobFacts, id: &NodeId, node: &Node) -> Result<(), Filter> {
    let (rules, gpus) = (state.rules_for(facts).unwrap(), facts.resources.gpus);
    judge(state, &rules, &example(node, &place_key(node, state.clock())))?;
    let offered = answer(state, facts, id, node).map_err(Filter::of_purse);
    let offered = match offered {
        Err(Filter::Vetoed) => return offered,
        Err(Filter::Rated | Filter::Offered) => offered,
        Ok(()) | Err(_) => Ok(()),
    };
    if !has(node, facts, |_, bucket| bucket.count >= gpus) {
        return Err(Filter::Device);
    }
    let usable = usable(state, id, node);
    if usable == Err(Filter::Enrolled) {
        return usable;
    }
    offered?;
    if !state.can_open(facts, &id.site) {
        return Err(Filter::Sealed);
    }
    if state.is_missing(&facts.payload) {
        return Err(Filter::Kept);
    }
    let known = state.job(&facts.id).filter(|job| job.facts == *facts);
    if known.is_some_and(|job| state.avoids(job, id)) {
        return Err(Filter::Willing);
    }
    usable?;
    if state.apart_from(facts, node).is_some() {
        return Err(Filter::Apart);
    }
    let free = |at, _: &Bucket| node.free(at) >= gpus && state.agree_with(node, at, facts);
    if has(node, facts, free) { Ok(()) } else { Err(Filter::Capacity) }
}

/// Nodes left after each filter, found one by one in their order.
fn left(state: &State, facts: &JobFacts) -> Vec<u32> {
    let (own, path) = (Own(state), state.path(&facts.id.tenant));
    let mut purse = Purse::open(state, &own, facts, &path);
    let never = purse.covers(facts.gpus()).err();
    let told = [ErrorCode::BudgetTooSmall, ErrorCode::ReservationNone];
    let never = never.filter(|code| told.contains(code));
    let mut sides = Sides::of(facts);
    let (mut members, mut kept_off) = (0u32, None);
    let mut drops: BTreeMap<Filter, u32> = BTreeMap::new();
    for (id, node) in state.nodes() {
        let judged = dropped(state, facts, id, node).and_then(|()| {
            let alone = answer(state, facts, id, node);
            kept_off = kept_off.or_else(|| alone.err());
            alone.map_err(Filter::of_purse)
        });
        if let Err(filter) = judged {
            let count = drops.entry(filter).or_default();
            *count = count.saturating_add(1);
            continue;
        }
        let place = (node.tag.area.domestic().unwrap(), node.least_watts(facts));
        sides.add(Stand::of(id, node), place.1, 1);
        match purse.spend(&own, (&id.site, &node.operator), place) {
            Ok(_spend) => members = members.saturating_add(1),
            Err(code) => kept_off = kept_off.or(Some(code)),
        }
    }
    let kept_off = never.or(kept_off).map(Filter::of_purse);
    let kept_off = kept_off.filter(|_| members < facts.group);
    let together =
        sides.is_asked().then(|| sides.most(&own, &Purse::open(state, &own, facts, &path)));
    let together = together.filter(|together| *together < facts.group);
    let mut left = u32::try_from(state.nodes().count()).unwrap();
    let after = Filter::ALL.into_iter().map(|filter| {
        left = left.saturating_sub(drops.get(&filter).copied().unwrap_or(0));
        let charged = kept_off.filter(|at| *at <= filter).map(|_| members);
        let stand = together.filter(|_| filter == Filter::Topology);
        [Some(left), charged, stand].into_iter().flatten().min().unwrap()
    });
    after.collect()
}

/// A node: site, place there, devices, rack, state.
type Host = (usize, usize, usize, usize, usize);

/// A job: tenant, group, devices of a class, areas, topology, hours, sharing.
type Wish = (usize, u32, (u32, usize), usize, Topology, u64, usize);

const TENANTS: [&str; 2] = ["sapporo", "naha"];
const RACKS: [Option<&str>; 3] = [Some("r1"), Some("r2"), None];
const PLACES: [&[&str]; 5] = [&[], &[], &["JP-13"], &["JP-27", "JP-01"], &["271411"]];

/// Whole devices that draw more or less, on one island or two; instances; shares of two devices.
fn devices(kind: usize) -> Vec<Bucket> {
    let parts = bucket(4).parts.split_off(2);
    let second = Bucket { island: 1, parts, watts: 700, ..bucket(2) };
    match kind {
        0 => vec![bucket(2)],
        1 => vec![Bucket { watts: 500, ..bucket(4) }],
        2 => vec![bucket(2), second],
        3 => vec![bucket(1), instances(2, 2)],
        _ => vec![shares(3, 2), shares(4, 2)],
    }
}

fn classes() -> [DeviceClass; 3] {
    [bucket(1).class, instances(2, 2).class, shares(3, 2).class]
}

fn host(federation: &mut Federation, n: usize, (site, place, kind, rack, health): Host) {
    let (operator, name, area) = OPERATORS[site];
    // Nodes of one site stand in several wards.
    let area = if name == "sakai-1" { ["271403", "271411", "271420"][place] } else { area };
    let node: NodeId = format!("{name}/n-{n}").parse().unwrap();
    let enrol = federation.enrolment(&node, area);
    federation.accept(member(operator), enrol);
    if health == 1 {
        return;
    }
    let open = Command::OpenSession {
        node: node.clone(),
        session: SessionId(Digest::of(node.to_string().as_bytes()).0[..16].try_into().unwrap()),
        previous: None,
        buckets: devices(kind),
        live: Vec::new(),
        table: table_hash(),
        findings: Vec::new(),
        rack: RACKS[rack].map(|rack| rack.parse::<TenantId>().unwrap().0),
    };
    federation.accept(agent(&node), open);
    match health {
        0 => cordon(federation, &node.to_string()),
        2 => {
            let command = Command::RevokeNode { node };
            federation.run(admin(operator), command);
        }
        _ => {}
    }
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    let host = (0usize..3, 0usize..3, 0usize..5, 0usize..3, 0usize..12);
    prop::collection::vec(host, 1..14)
}

fn topology(group: u32) -> impl Strategy<Value = Topology> {
    let within = prop_oneof![
        3 => Just(None::<Within>),
        1 => Just(Some(Within::Rack)),
        1 => Just(Some(Within::Site)),
    ];
    let over = prop_oneof![
        Just(Over::Operator),
        Just(Over::Prefecture),
        Just(Over::Site),
        Just(Over::Rack),
    ];
    let spread = prop::option::weighted(0.3, (over, 2..=group.max(2)));
    let marks = || prop::collection::btree_set(Just("a".parse().unwrap()), 0..2);
    let marks = prop::option::weighted(0.3, (marks(), marks()));
    (within, spread, marks).prop_map(move |(within, spread, marks)| {
        let spread = spread.map(|(over, at_least)| Spread { over, at_least });
        let (apart, marks) = marks.unwrap_or_default();
        let asked = Topology { within, spread, apart, marks, near: None };
        if asked.check(group).is_ok() { asked } else { Topology { spread: None, ..asked } }
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    (1u32..5).prop_flat_map(|group| {
        let class = prop_oneof![4 => Just(0usize), 1 => Just(1), 1 => Just(2)];
        let what = (1u32..4, class);
        (0usize..2, Just(group), what, 0..PLACES.len(), topology(group), 1u64..9, 0usize..2)
    })
}

fn facts(name: &str, wish: &Wish) -> JobFacts {
    let (tenant, group, (gpus, class), places, topology, hours, sharing) = wish;
    let facts = job(name, *group, *gpus, PLACES[*places]);
    let id = JobId { tenant: TENANTS[*tenant].parse().unwrap(), ..facts.id };
    let shared = *class == 2;
    let sharing = if shared { [Sharing::Tenant, Sharing::Any][*sharing] } else { Sharing::Alone };
    let gpus = if shared { 1 } else { *gpus };
    let resources = Resources { sharing, ..Resources::of(classes()[*class].clone(), gpus) };
    let time_limit_s = hours.saturating_mul(1800);
    JobFacts { id, resources, time_limit_s, topology: topology.clone().into(), ..facts }
}

/// What tenants may hold and spend, what is offered, and what is vetoed and reserved, with sites' power caps in steps of 500 W.
type Means = (
    Option<u64>,
    Vec<(usize, u64)>,
    Option<(bool, u64)>,
    Option<(usize, u64)>,
    (usize, [Option<u64>; 3]),
);

fn means() -> impl Strategy<Value = Means> {
    let rows = prop::collection::vec((0usize..3, 0u64..10), 0..3);
    let (budget, less) = ((any::<bool>(), 0u64..30), (0usize..3, 1u64..12));
    let cap = || prop::option::weighted(0.3, 1u64..20);
    let caps = [cap(), cap(), cap()];
    (
        prop::option::weighted(0.5, 0u64..24),
        rows,
        prop::option::weighted(0.3, budget),
        prop::option::weighted(0.3, less),
        (0usize..8, caps),
    )
}

fn furnish(federation: &mut Federation, (whole, rows, budget, less, (other, caps)): Means) {
    let sapporo = federation.tenant("sapporo", whole.map_or(Limit::Unlimited, Limit::Gpus));
    federation.tenant("naha", Limit::Unlimited);
    for class in classes().into_iter().skip(1) {
        federation.open_class(&class, &TENANTS, Limit::Unlimited);
    }
    for (at, gpus) in rows {
        let area = Area::resolve(["271411", "JP-13", "JP-27"][at]).unwrap();
        federation.allot(&sapporo, area, Allotment::own(Limit::Gpus(gpus)));
    }
    if let Some((at, gpus)) = less {
        let yen_per_gpu_hour = gpus.saturating_mul(10);
        federation.offer(OPERATORS[at].1, OfferSpec { yen_per_gpu_hour, ..offer(gpus) });
    }
    if let Some((yen, amount)) = budget {
        let (unit, amount) =
            if yen { (Unit::Yen, amount.saturating_mul(20)) } else { (Unit::GpuHours, amount) };
        let (period, class, area) = (Period::Day, None, Area::Japan);
        let exhausted = Exhausted::Stop;
        let amount = amount.saturating_add(1);
        let spec = BudgetSpec { unit, amount, period, class, area, exhausted };
        let (name, budget, expected) = ("fy".parse().unwrap(), Some(spec), Revision(0));
        let set = Command::SetBudget { tenant: sapporo.clone(), name, budget, expected };
        federation.accept(admin("kanto"), set);
    }
    for ((_, site, _), cap) in OPERATORS.iter().zip(caps) {
        if cap.is_some() {
            federation.cap(site, cap.map(|cap| cap.saturating_mul(500)));
        }
    }
    match other {
        0 => {
            let of = Vetoed::Tenant(sapporo);
            let (operator, reason) = ("naniwa".parse().unwrap(), String::new());
            federation.run(admin("naniwa"), Command::Veto { operator, of, reason });
        }
        1 => {
            let put = federation.reserving("naha", "kept", reservation("sakai-1", 3));
            federation.run(admin("naniwa"), put);
        }
        _ => {}
    }
}

/// Both ways, by indexes that follow and by new ones; and the funnel.
fn check(
    state: &State,
    facts: &JobFacts,
    follows: &mut [Explainer; 2],
) -> Result<(), TestCaseError> {
    let anew = explain(state, facts);
    for explainer in follows {
        let found = explainer.explain(state, facts);
        prop_assert_eq!(&found, &anew, "{:?}", facts);
    }
    let told = anew.steps.iter().take(Filter::ALL.len()).map(|step| step.nodes_left);
    prop_assert_eq!(told.collect::<Vec<u32>>(), left(state, facts), "{:?}", facts);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn who_is_judged_together_fares_as_each_by_itself(
        hosts in hosts(),
        means in means(),
        runs in prop::collection::vec(wish(), 0..8),
        queued in prop::collection::vec(wish(), 0..5),
        asked in prop::collection::vec(wish(), 1..4),
    ) {
        let mut federation = Federation::new();
        let revokes = means.4.0 == 2;
        furnish(&mut federation, means);
        let mut follows = [Explainer::default(), Explainer::of(Alike::apart())];
        for (n, host) in hosts.into_iter().enumerate() {
            self::host(&mut federation, n, host);
        }
        if revokes {
            let site = "ishikari-1".parse().unwrap();
            federation.run(admin("hokuto"), Command::RevokeSite { site });
        }
        for (n, wish) in runs.iter().enumerate() {
            let facts = facts(&format!("r-{n}"), wish);
            let actor = user("kanto", facts.id.tenant.as_str());
            federation.run(actor, Command::SubmitJob { facts: Box::new(facts) });
        }
        commit(&mut federation);
        for (n, wish) in queued.iter().enumerate() {
            let facts = facts(&format!("q-{n}"), wish);
            let actor = user("kanto", facts.id.tenant.as_str());
            federation.run(actor, Command::SubmitJob { facts: Box::new(facts) });
        }
        for (n, wish) in asked.iter().enumerate() {
            check(&federation.state, &facts(&format!("a-{n}"), wish), &mut follows)?;
        }
        for at in [0usize, 1] {
            // Those that wait; then one of the plan's nodes refuses, and all is asked again.
            let state = federation.state.clone();
            for (_, id) in state.queue() {
                check(&state, &state.job(id).unwrap().facts, &mut follows)?;
            }
            let running = state.jobs().find(|(_, job)| !job.placements.is_empty());
            if let Some((id, _)) = running.filter(|_| at == 0) {
                refuse(&mut federation, id);
            }
        }
    }
}

#[test]
fn kinds_of_nodes_come_and_go_with_their_nodes() {
    let mut federation = Federation::furnished();
    let mut alike = Alike::default();
    let kinds = |alike: &Alike| alike.kins().map(|(_, kin)| kin.count).collect::<Vec<u32>>();
    let before = State::default();
    alike.follow(&before, &federation.state);
    assert_eq!(kinds(&alike), [2, 2, 2], "two of each site");
    let before = federation.state.clone();
    federation.submit(job("first", 1, 3, &["Tokyo"]));
    commit(&mut federation);
    cordon(&mut federation, "sakai-1/n-01");
    alike.follow(&before, &federation.state);
    assert_eq!(kinds(&alike), [2, 1, 1, 1, 1]);
    assert_eq!(alike.runs(&bucket(1).class).count(), 1);
    let all: BTreeSet<&NodeId> = alike.nodes().map(|(id, _)| id).collect();
    assert_eq!(all.len(), 6);
    // The tags of all end at one time.
    let before = federation.state.clone();
    hours_later(&mut federation, 24);
    alike.follow(&before, &federation.state);
    assert!(alike.kins().all(|(like, _)| like.usable.is_err()));
}
