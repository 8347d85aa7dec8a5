//! Trouble, by seed: cuts of every shape, weather, crashes alone and together, disks that are slow, stall and fail,
//! and what operators do at the worst moment.
//!
//! Must hold: each fault ends; when [`trouble`] returns and [`heal`] was called, nothing is broken any more.

use super::cluster::Cluster;
use super::disk::Pace;
use super::limit::CONFESS;
use super::network::Weather;
use super::platform::sleep;
use super::world::{list, now};
use rand::Rng as _;
use rand::rngs::StdRng;
use sekisho_types::id::MemberId;
use std::time::Duration;

/// What a run's surroundings are like when nothing special happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Climate {
    pub(super) weather: Weather,
    pub(super) pace: Pace,
}

impl Climate {
    /// Disks are about as fast as the network, or a good deal slower: where one of them is much faster than the other,
    /// most orders of events never occur.
    pub(super) fn draw(chance: &mut StdRng) -> Self {
        let delay = match chance.random_range(0..3) {
            0 => (50, 500),
            1 => (200, 3_000),
            _ => (3_000, 15_000),
        };
        let pace = match chance.random_range(0..3) {
            0 => Pace { least: 100, most: 800 },
            1 => Pace { least: 300, most: 5_000 },
            _ => Pace { least: 100, most: 20_000 },
        };
        let loss = if chance.random_bool(0.5) { 0 } else { chance.random_range(1..15) };
        let late = if chance.random_bool(0.5) { 0 } else { chance.random_range(1..4) };
        Self { weather: Weather { delay, loss, late }, pace }
    }
}

/// One kind of trouble.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Isolate,
    OneWay,
    Split,
    Bridge,
    Storm,
    KillLeader,
    KillOne,
    KillMany,
    Blackout,
    SlowDisk,
    StallDisk,
    FailDisk,
    FailRead,
    Transfer,
    Snapshot,
}

const FAULTS: [(u32, Fault); 15] = [
    (3, Fault::Isolate),
    (2, Fault::OneWay),
    (2, Fault::Split),
    (2, Fault::Bridge),
    (2, Fault::Storm),
    (4, Fault::KillLeader),
    (2, Fault::KillOne),
    (1, Fault::KillMany),
    (4, Fault::Blackout),
    (2, Fault::SlowDisk),
    (2, Fault::StallDisk),
    (2, Fault::FailDisk),
    (6, Fault::FailRead),
    (2, Fault::Transfer),
    (1, Fault::Snapshot),
];

fn pick(chance: &mut StdRng) -> Fault {
    let all: u32 = FAULTS.iter().map(|(weight, _)| weight).sum();
    let mut at = chance.random_range(0..all);
    for (weight, fault) in FAULTS {
        if at < weight {
            return fault;
        }
        at -= weight;
    }
    Fault::Isolate
}

/// Makes trouble for so long, one after another and sometimes at once.
pub(super) async fn trouble(
    cluster: &Cluster,
    climate: Climate,
    chance: &mut StdRng,
    time: Duration,
) {
    let until = now() + time;
    while now() < until && !cluster.world().broken() {
        let fault = pick(chance);
        cluster.world().note(&format!("fault {fault:?}"));
        strike(cluster, climate, chance, fault).await;
        // Often the next comes before the last is over: [`heal`] ends them all.
        if chance.random_ratio(2, 3) {
            sleep(Duration::from_millis(chance.random_range(100..1800))).await;
            heal(cluster, climate);
            sleep(Duration::from_millis(chance.random_range(0..1500))).await;
        } else {
            sleep(Duration::from_millis(chance.random_range(1..400))).await;
        }
    }
}

/// Ends everything that is broken, and starts whoever does not run.
pub(super) fn heal(cluster: &Cluster, climate: Climate) {
    let members = cluster.members();
    for a in &members {
        for b in &members {
            cluster.network().mend(*a, *b);
        }
    }
    cluster.disarm();
    cluster.network().set_weather(climate.weather);
    for member in members {
        if let Some(medium) = cluster.medium(member) {
            medium.set_pace(climate.pace);
            medium.repair();
            // Its supervisor starts it again, on a disk that is good.
            if medium.failed_at().is_some() {
                cluster.kill(&[member]);
            }
        }
        cluster.start(member);
    }
    cluster.world().note("healed");
}

async fn strike(cluster: &Cluster, climate: Climate, chance: &mut StdRng, fault: Fault) {
    let members = cluster.members();
    let at = chance.random_range(0..members.len().max(1));
    let Some(some) = members.get(at).copied() else { return };
    let leader = cluster.leading().unwrap_or(some);
    // Trouble at the leader is the more interesting half.
    let one = if chance.random_bool(0.5) { leader } else { some };
    match fault {
        Fault::Isolate | Fault::OneWay | Fault::Split | Fault::Bridge => {
            cut(cluster, chance, fault, one);
        }
        Fault::Storm => {
            let Weather { delay: (least, most), .. } = climate.weather;
            let (loss, late) = (chance.random_range(50..300), chance.random_range(0..100));
            let delay = (least, most.saturating_mul(chance.random_range(1..20)));
            cluster.network().set_weather(Weather { delay, loss, late });
        }
        Fault::KillLeader => bounce(cluster, chance, &[leader]).await,
        Fault::KillOne => bounce(cluster, chance, &[some]).await,
        Fault::KillMany => {
            let few: Vec<u64> =
                members.iter().copied().filter(|_| chance.random_bool(0.6)).collect();
            bounce(cluster, chance, &few).await;
        }
        Fault::Blackout => blackout(cluster, chance).await,
        Fault::SlowDisk => {
            if let Some(medium) = cluster.medium(one) {
                medium.set_pace(Pace { least: 5_000, most: 120_000 });
            }
        }
        Fault::StallDisk => {
            if let Some(medium) = cluster.medium(one) {
                medium.stall(Duration::from_millis(chance.random_range(200..3000)));
            }
        }
        Fault::FailDisk => {
            if let Some(medium) = cluster.medium(one) {
                medium.fail(chance.random_ratio(3, 4));
                confess(cluster, chance, one).await;
            }
        }
        Fault::FailRead => fail_read(cluster, chance, some).await,
        Fault::Transfer | Fault::Snapshot => operate(cluster, fault, (leader, some)).await,
    }
}

/// What an operator asks for.
async fn operate(cluster: &Cluster, fault: Fault, (leader, some): (u64, u64)) {
    let running = cluster.running();
    let find = |member| running.iter().find(|process| process.member == member);
    if matches!(fault, Fault::Transfer) {
        if let Some(process) = find(leader) {
            process.consensus.transfer_leader(MemberId(some)).await;
        }
    } else if let Some(process) = find(some) {
        process.consensus.trigger_snapshot().await;
    }
}

fn cut(cluster: &Cluster, chance: &mut StdRng, fault: Fault, one: u64) {
    cluster.world().count(|totals| totals.cuts += 1);
    let members = cluster.members();
    let others: Vec<u64> = members.iter().copied().filter(|other| *other != one).collect();
    let network = cluster.network();
    let part = |a: u64, b: u64| {
        network.cut(a, b);
        network.cut(b, a);
    };
    match fault {
        Fault::OneWay => {
            let outward = chance.random_bool(0.5);
            for other in others {
                if chance.random_bool(0.7) {
                    let (a, b) = if outward { (one, other) } else { (other, one) };
                    network.cut(a, b);
                }
            }
        }
        // Two halves that both reach `one` and not each other.
        Fault::Bridge => {
            let (left, right): (Vec<u64>, Vec<u64>) =
                others.iter().partition(|_| chance.random_bool(0.5));
            left.iter().for_each(|a| right.iter().for_each(|b| part(*a, *b)));
        }
        Fault::Split => {
            let (left, right): (Vec<u64>, Vec<u64>) =
                members.iter().partition(|_| chance.random_bool(0.5));
            left.iter().for_each(|a| right.iter().for_each(|b| part(*a, *b)));
        }
        Fault::Isolate
        | Fault::Storm
        | Fault::KillLeader
        | Fault::KillOne
        | Fault::KillMany
        | Fault::Blackout
        | Fault::SlowDisk
        | Fault::StallDisk
        | Fault::FailDisk
        | Fault::FailRead
        | Fault::Transfer
        | Fault::Snapshot => others.iter().for_each(|other| part(one, *other)),
    }
}

/// Kills, and starts again at once or after a while, one after another.
async fn bounce(cluster: &Cluster, chance: &mut StdRng, members: &[u64]) {
    cluster.kill(members);
    let quick = chance.random_bool(0.5);
    for member in members {
        let pause = chance.random_range(1..if quick { 20 } else { 1500 });
        sleep(Duration::from_millis(pause)).await;
        cluster.start(*member);
    }
}

/// The power goes everywhere: now, or with the next answer that a client gets.
async fn blackout(cluster: &Cluster, chance: &mut StdRng) {
    let members = cluster.members();
    if chance.random_bool(0.7) {
        cluster.arm();
        let until = now() + Duration::from_secs(2);
        while now() < until && members.iter().any(|member| cluster.is_started(*member)) {
            sleep(Duration::from_millis(1)).await;
        }
    }
    if cluster.disarm() || members.iter().any(|member| cluster.is_started(*member)) {
        cluster.world().count(|totals| totals.blackouts += 1);
        cluster.kill(&members);
    }
    bounce(cluster, chance, &members).await;
}

/// A leader cannot read what a follower lacks (openraft #1795: it sent something else instead). Entries that were just
/// written are in its memory, so it has to be one that has just started.
async fn fail_read(cluster: &Cluster, chance: &mut StdRng, lacks: u64) {
    let others: Vec<u64> = cluster.members().into_iter().filter(|id| *id != lacks).collect();
    for other in &others {
        cluster.network().cut(lacks, *other);
        cluster.network().cut(*other, lacks);
    }
    sleep(Duration::from_millis(chance.random_range(200..1200))).await;
    bounce(cluster, chance, &others).await;
    let until = now() + Duration::from_secs(4);
    let leads = || cluster.leading().filter(|leader| *leader != lacks);
    while now() < until && leads().is_none() {
        sleep(Duration::from_millis(10)).await;
    }
    let Some((leader, medium)) = leads().and_then(|id| Some((id, cluster.medium(id)?))) else {
        return;
    };
    medium.fail_read();
    for other in &others {
        cluster.network().mend(lacks, *other);
        cluster.network().mend(*other, lacks);
    }
    confess(cluster, chance, leader).await;
}

/// R7: a member whose disk fails says so, takes no part any more, and is started again by its supervisor.
async fn confess(cluster: &Cluster, chance: &mut StdRng, member: u64) {
    let Some(medium) = cluster.medium(member) else { return };
    let until = now() + Duration::from_secs(3);
    while now() < until && medium.failed_at().is_none() {
        sleep(Duration::from_millis(10)).await;
    }
    let Some(failed) = medium.failed_at() else { return medium.repair() };
    let running = cluster.running();
    let Some(process) = running.into_iter().find(|process| process.member == member) else {
        // It failed on its way up.
        cluster.kill(&[member]);
        return cluster.start(member);
    };
    let confessed = tokio::select! {
        biased;
        failure = process.consensus.failed() => Some(failure.to_string()),
        () = process.killed() => None,
        () = sleep((failed + CONFESS).saturating_sub(now())) => {
            cluster.world().violation(&format!("R7: member {member} goes on for {CONFESS:?} on a failed disk"));
            None
        }
    };
    cluster.world().note(&format!("member {} failed: {confessed:?}", list(&[member])));
    sleep(Duration::from_millis(chance.random_range(1..500))).await;
    cluster.kill(&[member]);
    cluster.start(member);
}
