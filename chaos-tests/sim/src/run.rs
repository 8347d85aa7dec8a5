//! One run: found a federation, make trouble while clients work, heal, and judge.

use super::client::{Client, Trade};
use super::cluster::Cluster;
use super::fixture::Fixture;
use super::limit::{SETTLE, TROUBLE, WHOLE};
use super::nemesis::{Climate, heal, trouble};
use super::oracle::Oracle;
use super::plan::{Bug, Plan};
use super::platform::{Sim, enter, limited, sleep, spawn, take_panics};
use super::report::Report;
use super::world::{World, chance, now};
use openraft_rt_sim::SimRuntime;
use rand::Rng as _;
use rand::rngs::StdRng;
use sekisho_raft::config::Timing;
use sekisho_raft::platform::{AsyncRuntime as _, Platform as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Simulates one federation. The same seed and plan give the same report, in any process.
#[must_use]
pub fn run(seed: u64, plan: Plan) -> Report {
    let _entered = enter(seed, plan.bug == Some(Bug::LeaderRestore));
    let world = World::new(plan.whole_trace);
    let mut chance = chance(seed, "run");
    let five = chance.random_ratio(1, 4);
    let members = plan.members.unwrap_or(if five { 5 } else { 3 });
    let mut runtime = SimRuntime::with_seed(seed);
    let scene = Box::pin(scene(seed, (members, plan.bug), &world, chance));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let whole = limited(WHOLE, scene).await;
            if whole.is_none() {
                world.violation("L1: the run does not end");
            }
            now()
        })
    }));
    let lasted = ended.unwrap_or_else(|_panic| {
        world.violation("L1: the run deadlocks or spins");
        Duration::ZERO
    });
    // With what is left of members and their tasks, before the last panics are taken.
    drop(runtime);
    for panic in take_panics() {
        world.violation(&format!("panic: {panic}"));
    }
    let (trace_hash, violations, totals, trace) = world.close();
    Report { seed, members, trace_hash, lasted, violations, totals, trace }
}

async fn scene(seed: u64, (members, bug): (u64, Option<Bug>), world: &World, mut chance: StdRng) {
    let climate = Climate::draw(&mut chance);
    let timing = if climate.weather.delay.1 < 5_000 { Timing::LAN } else { Timing::WAN };
    let oracle = Oracle::new(world);
    let cluster = Cluster::new(seed, Fixture::of(members), (timing, climate.weather), &oracle, bug);
    heal(&cluster, climate);
    let closing = Arc::new(AtomicBool::new(false));
    let client = |number| Client::new((seed, number), &cluster, bug, &closing);
    // Sometimes trouble begins before there is a federation.
    let early = chance.random_ratio(1, 4);
    if early {
        let founding = found(&cluster, client(0), chance.random_range(0..u64::MAX));
        // It cannot be founded before all its members have met (R6), so whatever it is healed of must be healed first.
        let before = async {
            trouble(&cluster, climate, &mut chance, Duration::from_secs(3)).await;
            heal(&cluster, climate);
        };
        futures::join!(founding, before);
    } else {
        found(&cluster, client(0), 0).await;
    }
    let trades = [
        Trade::Tenant,
        Trade::Tenant,
        Trade::Planner,
        Trade::Agent,
        Trade::Ticker,
        Trade::Reader,
        Trade::Reader,
    ];
    for (number, trade) in (1..).zip(trades) {
        spawn(client(number).work(trade));
    }
    trouble(&cluster, climate, &mut chance, TROUBLE).await;
    heal(&cluster, climate);
    world.note("trouble is over");
    settle(&cluster, client(100), &closing).await;
    oracle.judge();
    cluster.close();
}

/// Founds the federation, on whatever member answers, however often it takes.
async fn found(cluster: &Cluster, mut client: Client, first: u64) {
    let nodes = cluster.fixture().nodes.clone();
    for attempt in first.. {
        let running = cluster.running();
        let at = usize::try_from(attempt).unwrap_or(0).checked_rem(running.len());
        if let Some(process) = at.and_then(|at| running.get(at)) {
            let deadline = Sim::deadline(Duration::from_secs(2));
            let done = tokio::select! {
                biased;
                () = process.killed() => false,
                done = process.consensus.initialize(&nodes, deadline) => done.is_ok(),
            };
            if done {
                break;
            }
        }
        if now() > Duration::from_secs(60) {
            return cluster.world().violation("L1: the federation cannot be founded");
        }
        sleep(Duration::from_millis(50)).await;
    }
    for entry in cluster.fixture().setup.clone() {
        // What was refused as a repeat took effect the first time.
        while client.ask(entry.clone()).await.is_none() {
            if now() > Duration::from_secs(90) {
                return cluster.world().violation("L1: the federation cannot be furnished");
            }
        }
    }
    cluster.world().note("founded");
}

/// L1: with everything healed there is one leader, it takes writes, and all members come to the same state.
async fn settle(cluster: &Cluster, mut last: Client, closing: &AtomicBool) {
    let until = now() + SETTLE;
    // Clients go on for a moment: service has to return under load.
    sleep(Duration::from_secs(2)).await;
    closing.store(true, Ordering::Release);
    let mut rounds = 0_u32;
    while now() < until && !cluster.world().broken() {
        // Whoever comes in with a write of its own has caught up with all before it.
        if last.tick().await && level(cluster, until).await {
            rounds += 1;
            if rounds == 2 {
                return cluster.world().note("settled");
            }
        }
    }
    for process in cluster.running() {
        let leader = process.consensus.leader();
        let (view, failure) = (process.consensus.view(), process.consensus.members());
        cluster.world().note(&format!(
            "member {} knows leader {leader:?}, applied {:?}: {failure:?}",
            process.member, view.applied
        ));
    }
    if !cluster.world().broken() {
        let running: Vec<u64> = cluster.running().iter().map(|process| process.member).collect();
        cluster
            .world()
            .violation(&format!("L1: not settled within {SETTLE:?}; running: {running:?}"));
    }
}

/// Whether all members reach what is acknowledged now.
async fn level(cluster: &Cluster, until: Duration) -> bool {
    let need = cluster.oracle().furthest().unwrap_or_default();
    while now() < until {
        let running = cluster.running();
        let all = running.len() == cluster.members().len();
        let applied = |view: &sekisho_raft::view::View| view.applied.map(|revision| revision.0);
        if all && running.iter().all(|p| applied(&p.consensus.view()) >= Some(need)) {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}
