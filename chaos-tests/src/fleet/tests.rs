//! The fleet keeps to the laws, and what it describes is what it builds.

use super::law::{self, Quantile};
use super::*;
use sekisho_scheduler::plan;
use sekisho_types::jurisdiction::Area;
use std::collections::BTreeMap;
use std::time::Duration;

const DRAWS: u32 = 100_000;

fn share(count: u32) -> f64 {
    f64::from(count) / f64::from(DRAWS)
}

/// What so many of sorted values are at most.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    let at = Duration::from_secs_f64(share * f64::from(DRAWS)).as_secs();
    let at = usize::try_from(at).unwrap();
    f64::from(u32::try_from(sorted[at.min(sorted.len() - 1)]).unwrap())
}

#[test]
fn equal_seeds_give_equal_fleets_and_jobs() {
    let of = |seed: u64| {
        let fleet = Fleet::new(seed, 1_000).unwrap();
        let jobs: Vec<Job> = fleet.jobs().take(5_000).collect();
        (fleet, jobs)
    };
    assert_eq!(of(7), of(7));
    assert_ne!(of(7).1, of(8).1);
    // A larger fleet is the smaller one and more.
    let (small, large) = (Fleet::new(7, 100).unwrap(), Fleet::new(7, 1_000).unwrap());
    assert_eq!(small.nodes, large.nodes[..100]);
    Fleet::new(7, NODES_MIN - 1).unwrap_err();
}

#[test]
fn racks_are_at_one_site_and_of_one_class_and_every_operator_has_some() {
    let fleet = Fleet::new(1, 10_000).unwrap();
    let mut racks: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in &fleet.nodes {
        racks.entry(node.rack.as_str()).or_default().push(node);
    }
    for nodes in racks.values() {
        assert!(nodes.len() <= usize::try_from(PER_RACK).unwrap());
        let first = nodes[0];
        let alike = |node: &&Node| node.id.site == first.id.site && node.bucket == first.bucket;
        assert!(nodes.iter().all(alike));
    }
    assert_eq!((racks.len(), fleet.sites.len(), fleet.classes.len()), (313, 6, 3));
    for site in &fleet.sites {
        assert!(fleet.nodes.iter().filter(|node| node.id.site == site.id).count() > 1_000);
    }
    assert_eq!(fleet.gpus(), 77_440);
}

#[test]
fn sizes_tenants_and_priorities_follow_the_law() {
    let fleet = Fleet::new(3, 10_000).unwrap();
    let (mut sizes, mut tenants) = (BTreeMap::<u64, u32>::new(), BTreeMap::<String, u32>::new());
    let mut priorities = BTreeMap::<u8, u32>::new();
    for job in fleet.jobs().take(usize::try_from(DRAWS).unwrap()) {
        *sizes.entry(job.facts().gpus()).or_default() += 1;
        *tenants.entry(job.id.tenant.to_string()).or_default() += 1;
        *priorities.entry(job.priority).or_default() += 1;
        assert!(law::LIMITS_S.contains(&job.time_limit_s) && job.time_limit_s > job.duration_s);
        job.facts().check().unwrap();
    }
    // Four standard deviations of the largest share.
    let near = |found: Option<&u32>, weight: u64, all: u64| {
        let weight = f64::from(u32::try_from(weight).unwrap());
        let law = weight / f64::from(u32::try_from(all).unwrap());
        (share(found.copied().unwrap_or(0)) - law).abs() < 0.0065
    };
    let all: u64 = law::SIZES.iter().map(|(_, jobs)| jobs).sum();
    assert_eq!(all, 82_247);
    for (gpus, jobs) in law::SIZES {
        assert!(near(sizes.get(&u64::from(gpus)), jobs, all), "{gpus}: {sizes:?}");
    }
    let all: u64 = law::TENANTS.iter().map(|(_, jobs, _)| jobs).sum();
    for (name, jobs, _) in law::TENANTS {
        assert!(near(tenants.get(name), jobs, all), "{name}: {tenants:?}");
    }
    let all: u64 = law::PRIORITIES.iter().map(|(_, pods)| pods).sum();
    for (priority, pods) in law::PRIORITIES {
        assert!(near(priorities.get(&priority), pods, all), "{priority}: {priorities:?}");
    }
    assert_eq!(law::TENANTS.iter().map(|(_, _, share)| share).sum::<u64>(), law::SHARES);
}

#[test]
fn durations_have_the_quantiles_of_their_size_and_about_its_mean() {
    // Means of Philly's `duration_by_size`.
    let means = [(1, 8_301.0), (4, 55_189.0), (8, 129_775.0), (16, 95_326.0)];
    for (gpus, mean) in means {
        let mut chance = Chance::new(u64::from(gpus));
        let mut drawn: Vec<u64> = (0..DRAWS).map(|_| law::duration_s(&mut chance, gpus)).collect();
        drawn.sort_unstable();
        let inner = |(share, _): &&Quantile| *share > 0.0 && *share < 1.0;
        for (share, seconds) in law::durations(gpus).iter().filter(inner) {
            let ratio = quantile(&drawn, *share) / seconds;
            assert!((0.9..1.1).contains(&ratio), "{gpus} GPUs, {share}: {ratio}");
        }
        let sum: f64 = drawn.iter().map(|s| f64::from(u32::try_from(*s).unwrap())).sum();
        let ratio = sum / f64::from(DRAWS) / mean;
        assert!((0.67..1.5).contains(&ratio), "{gpus} GPUs, mean: {ratio}");
    }
}

#[test]
fn arrivals_come_in_bursts_and_by_the_hour() {
    let fleet = Fleet::new(11, 100).unwrap();
    let at_s = |job: Job| f64::from(u32::try_from(job.arrives_ms / 1_000).unwrap());
    let all: Vec<f64> = fleet.jobs().take(usize::try_from(DRAWS).unwrap()).map(at_s).collect();
    assert!(all.is_sorted());
    let gaps: Vec<f64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = f64::from(u32::try_from(gaps.len()).unwrap());
    let mean = gaps.iter().sum::<f64>() / count;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
    // Few and long pauses make both of them vary a lot from seed to seed.
    assert!((0.75..1.3).contains(&(mean / law::GAP_MEAN_S)), "{mean}");
    assert!((0.7..1.4).contains(&(variance.sqrt() / mean / law::GAP_CV)), "{variance}");
    let in_hour =
        |hour: f64| all.iter().filter(|at| (*at % 86_400.0 / 3_600.0).floor() == hour).count();
    assert!(in_hour(20.0) > in_hour(4.0) * 3 / 2, "{} {}", in_hour(20.0), in_hour(4.0));
}

#[test]
fn the_state_has_what_the_description_says() {
    let fleet = Fleet::new(5, 100).unwrap();
    let mut federation = fleet.federation().unwrap();
    assert_eq!(federation.state.nodes().count(), 100);
    for node in &fleet.nodes {
        let row = federation.state.node(&node.id).unwrap();
        assert_eq!(
            (&row.buckets, &row.rack),
            (&vec![node.bucket.clone()], &Some(node.rack.clone()))
        );
        assert!(row.approved && row.schedulable && row.live_session().is_some());
    }
    for tenant in &fleet.tenants {
        let row = federation.state.tenant(&tenant.id).unwrap();
        assert_eq!(row.parent, tenant.parent);
        for (class, allotment) in &tenant.quotas {
            assert_eq!(federation.state.quota(&tenant.id, class, Area::Japan), *allotment);
        }
    }
    submit(&mut federation, fleet.jobs().take(1_000)).unwrap();
    assert_eq!(federation.state.queue_len(), 1_000);
    assert!(federation.log.is_empty() && federation.applied.is_empty());
}

#[test]
fn every_job_has_room_in_the_empty_fleet() {
    for nodes in [NODES_MIN, 100] {
        let fleet = Fleet::new(2, nodes).unwrap();
        let empty = fleet.federation().unwrap();
        // One job of each shape of each tenant.
        let mut kinds = BTreeMap::new();
        for job in fleet.jobs().take(20_000) {
            kinds.entry((job.id.tenant.clone(), job.shape.clone())).or_insert(job);
        }
        // And the largest of all by the tenant with the least quota.
        let tenant = fleet.submitters().last().unwrap().0.id.clone();
        let largest = fleet.classes.iter().max_by_key(|class| class.nodes).unwrap();
        let shape = Shape::of(largest, 128).unwrap();
        let mut job = fleet.jobs().next().unwrap();
        (job.id.tenant, job.shape) = (tenant.clone(), shape.clone());
        kinds.insert((tenant, shape), job);
        for (kind, job) in kinds {
            let mut federation = empty.clone();
            submit(&mut federation, [job]).unwrap();
            let plan = plan(&federation.state);
            assert_eq!(plan.groups.len(), 1, "{kind:?}: {:?}", plan.waiting);
        }
    }
}

#[test]
fn a_job_larger_than_a_node_takes_few_nodes_alike() {
    let class = |per_node: u32, nodes: u32| {
        let name = "h100-80g".parse().unwrap();
        Class { name, memory_mib: 1, per_node, nodes }
    };
    let split = |per_node, gpus| {
        Shape::of(&class(per_node, 16), gpus).map(|shape| (shape.group, shape.gpus))
    };
    assert_eq!(
        (split(8, 1), split(8, 8), split(8, 24)),
        (Some((1, 1)), Some((1, 8)), Some((3, 8)))
    );
    assert_eq!((split(8, 12), split(4, 12)), (Some((2, 6)), Some((3, 4))));
    assert_eq!((split(8, 128), split(4, 128)), (Some((16, 8)), None));
    assert_eq!(split(0, 1), None);
}
