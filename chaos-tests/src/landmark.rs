//! Landmarks and hosts over real sockets and mutual TLS, for tests, and what it costs to measure many hosts and to decide.

pub mod world;

use crate::bench::meter::cpu;
use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use sekisho_agent::location::Host;
use sekisho_agent::location::exchange::Occasion;
use sekisho_evidence::location::transcript::FixId;
use sekisho_transport::clock::SystemClock;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{Place, PlaceProof, Rules, Tier, verdict};
use sekisho_types::time::Clock as _;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;
use tokio::time::Instant;
use world::{CLUSTER, LIFE, World};

/// Exchanges that wait for their turn: a landmark takes so many handshakes at once.
const AT_ONCE: usize = 12;
/// Between two fixes of a host: half of the age at which one is over.
const FIX_EVERY: Duration = Duration::from_secs(1_800);

/// Decisions that are timed together: one alone is shorter than a look at the clock.
const DECISIONS: u32 = 1_000_000;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Hosts, each measured once
    #[arg(long, default_value_t = 10_000)]
    count: u32,
}

/// Has one landmark measure every host once, and prints what that took of both sides.
///
/// # Errors
/// A host that was not measured.
pub fn measure(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = World::new();
        let at = world.landmark("kanto/otemachi").await;
        let hosts: Vec<Host> =
            (0..options.count).map(|n| world.host(&format!("n-{n:05}"), true)).collect();
        let occasion = Occasion { cluster: &CLUSTER, incarnation: LIFE, fix: FixId([9; 16]) };
        let (begun, before) = (Instant::now(), cpu("self")?);
        let measured = stream::iter(&hosts).map(|host| host.exchange(occasion, &at));
        let signed: Vec<_> = measured.buffer_unordered(AT_ONCE).collect().await;
        let (wall, spent) = (begun.elapsed(), cpu("self")?.saturating_sub(before));
        let mut shortest = Vec::new();
        for signed in signed {
            shortest.push(signed.context("a host was not measured")?.transcript.rtt_min_ns);
        }
        shortest.sort_unstable();
        let median = shortest.get(shortest.len() / 2).context("no host")?;
        let each = |time: Duration| time.checked_div(options.count).unwrap_or_default();
        ensure!(!wall.is_zero(), "nothing was measured");
        let load = 100.0 * wall.as_secs_f64() / FIX_EVERY.as_secs_f64();
        writeln!(
            std::io::stdout().lock(),
            "{} hosts in {:.1} s; each {:.2} ms of a landmark's time, {:.2} ms of CPU of both sides, shortest round trip {} us \
             in the median\nfixes every {} minutes take {load:.1} % of a landmark's time, and the way to each host 64 times besides",
            options.count,
            wall.as_secs_f64(),
            each(wall).as_secs_f64() * 1e3,
            each(spent).as_secs_f64() * 1e3,
            median / 1_000,
            FIX_EVERY.as_secs() / 60,
        )?;
        decide()
    })
}

/// Times how long it takes to hold a proven place against the rules of the nation, a tenant and a job.
fn decide() -> Result<()> {
    let area = |text: &str| Area::resolve(text).context("an area");
    let nation = Rules { areas: BTreeSet::from([Area::Japan]), ..Rules::default() };
    let tenant = Rules {
        areas: BTreeSet::from([area("JP-01")?, area("JP-13")?, area("JP-27")?]),
        country_tier: Tier::CountryProven,
        max_proof_age_s: Some(3600),
        ..Rules::default()
    };
    let job = Rules {
        areas: BTreeSet::from([area("JP-13")?]),
        denied_areas: BTreeSet::from([area("131016")?]),
        operators: BTreeSet::from(["kanto".parse()?, "naniwa".parse()?]),
        ..Rules::default()
    };
    let now = SystemClock.wall();
    let place = Place {
        operator: "kanto".parse()?,
        area: Some(area("131032")?),
        country_tier: Tier::CountryProven,
        area_tier: Tier::Tagged,
        proof: Some(PlaceProof { f: 1, oldest: now, prefecture: None }),
    };
    let begun = Instant::now();
    for _ in 0..DECISIONS {
        verdict(black_box(&place), black_box(&[&nation, &tenant, &job]), now)?;
    }
    let each = begun.elapsed().checked_div(DECISIONS).unwrap_or_default();
    let each = each.as_nanos();
    writeln!(std::io::stdout().lock(), "a decision by three sets of rules takes {each} ns")?;
    Ok(())
}
