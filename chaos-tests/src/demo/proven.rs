//! Places that are proven, and one that is only said.

use super::Narrator;
use crate::federation::{Federation, rows};
use crate::work::nodes;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The host that has a certificate and a tag of Tokyo and stands in Seoul.
const ABROAD: &str = "tokyo-1/n-31";
/// A ward of Tokyo in which both hosts of the site say that they stand.
const WARD: &str = "131016";

/// A tier, with f from T2 on, as the command line lists it.
fn tier(node: &Value) -> String {
    let location = &node["location"];
    let tier = location["tier"].as_str().unwrap_or("T1");
    if tier == "T1" { tier.to_owned() } else { format!("{tier} f={}", location["f"]) }
}

/// Landmarks of two companies at each site prove every host but one.
pub(super) fn hosts(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let found = federation.until("four hosts to be proven", || {
        let all = rows(&federation.read("kanto", &["node", "list"])?, "items");
        let named: Vec<(String, String)> = all
            .iter()
            .map(|node| (node["name"].as_str().unwrap_or_default().to_owned(), tier(node)))
            .collect();
        // Around Ishikari nothing but Hokkaido is in reach of a beacon that is 0.4 ms away; in Tokyo and Sakai other
        // prefectures are.
        let due = |name: &str| if name.contains("ishikari-1") { "T3 f=1" } else { "T2 f=1" };
        let proven = named.iter().filter(|(name, tier)| tier == due(name)).count();
        ensure!(proven == 4 && named.len() == 5, "{named:?}");
        let heard = |node: &&Value| node["name"].as_str().is_some_and(|n| n.ends_with("n-31"));
        let abroad = all.iter().find(heard).context("the host abroad")?;
        ensure!(tier(abroad) == "T1", "{abroad}");
        let landmarks = rows(&abroad["location"], "landmarks");
        ensure!(!landmarks.is_empty(), "no landmark has measured it yet");
        Ok(named)
    })?;
    let told: Vec<String> = found
        .iter()
        .map(|(name, tier)| {
            let name = name.trim_start_matches("sites/").replace("/nodes/", "/");
            format!("{name} {tier}")
        })
        .collect();
    narrator.step(
        "landmarks of two companies at each site timed every host: four are proven not to be abroad, and those at Ishikari \
         to be in Hokkaido; the fifth has a genuine certificate and a Tokyo tag, answers from Seoul in 31 ms, and stays \
         unproven",
        &told.join(", "),
    )
}

fn spec(name: &str, group: u32) -> String {
    format!(
        "name: {name}\ntenant: minato\ngroup: {group}\nresources: {{ class: sim-h100, gpus: 4 }}\n\
         residency: {{ areas: [\"{WARD}\"] }}\ntime_limit: 10m\nrun: {{ command: [\"/bin/true\"] }}\n"
    )
}

fn submit(federation: &Federation, name: &str, group: u32) -> Result<String> {
    let file = federation.file(&format!("{name}.yaml"), &spec(name, group))?;
    federation.run("minato", &["job", "submit", &file])?.ok()?;
    Ok(format!("minato/{name}"))
}

/// The same job with a label's word and with a proof.
pub(super) fn policy(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let labelled = submit(federation, "labelled", 2)?;
    let on = nodes(&federation.await_job(&labelled, &["succeeded"])?);
    ensure!(on.iter().any(|node| node.contains("n-31")), "a label was not enough: {on:?}");
    let create = ["policy", "create", "proven", "--country-tier", "T2", "--cosign", "naniwa"];
    federation.run("kanto", &create)?.ok()?;
    let bind = ["tenant", "update", "minato", "--policy", "proven", "--cosign", "naniwa"];
    federation.run("kanto", &bind)?.ok()?;
    let alone = submit(federation, "proven", 1)?;
    let on = nodes(&federation.await_job(&alone, &["succeeded"])?);
    ensure!(on.iter().all(|node| node.contains("tokyo-1") && !node.contains("n-31")), "{on:?}");
    let both = submit(federation, "both", 2)?;
    let why = federation.until("explain to name the tier", || {
        let why = federation.run("minato", &["job", "explain", &both])?;
        ensure!(why.stdout.contains("RESIDENCY_TIER"), "{}{}", why.stdout, why.stderr);
        Ok(why.stdout)
    })?;
    let waiting = federation.await_job(&both, &["queued"])?;
    ensure!(nodes(&waiting).is_empty(), "{waiting}");
    federation.run("minato", &["job", "cancel", &both])?.ok()?;
    let line = why.lines().find(|line| line.contains("RESIDENCY_TIER")).unwrap_or_default();
    narrator.step(
        &format!("a gang of two for Tokyo ran there and on {ABROAD} while a tag was enough; under a policy that asks for T2 it waits"),
        &format!("explain: {}", line.split_whitespace().collect::<Vec<_>>().join(" ")),
    )
}
