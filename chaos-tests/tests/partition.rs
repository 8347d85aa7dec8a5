//! Partitions between real controllers: a relay in front of each cuts or silences what passes between chosen members,
//! while agents and command lines reach all of them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

use anyhow::{Context as _, Result, ensure};
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::partition::{Fault, MEMBERS, Partition, possible};
use sekisho_chaos::work::{lost, not_run, running, spec, submit, write};
use sekisho_cli::context::Contexts;
use sekisho_types::limit::LEASE;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// What a call that cannot succeed may take: longer than one try at a member, and than its elections.
const ALONE: &str = "4s";
/// The same with room for the program's start and end.
const BOUND: Duration = Duration::from_secs(6);
/// One way of saying that nothing is promised: retryable, or unknown.
const NO_PROMISE: [&str; 4] = ["NO_LEADER", "OUTCOME_UNKNOWN", "DEADLINE", "STALE_READ"];
/// From here on controllers listen, counted from the port on which they are found.
const BEHIND: u16 = 10;

/// A federation with relays in front of its controllers.
struct Net {
    federation: Federation,
    partition: Partition,
    _dir: tempfile::TempDir,
}

impl Net {
    fn start(port_base: u16) -> Option<Self> {
        if let Err(reason) = possible() {
            not_run(&reason).unwrap();
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let behind = port_base + BEHIND;
        let partition = Partition::stand(dir.path(), port_base, behind).unwrap();
        let federation = Federation::start_behind(dir.path(), port_base, behind).unwrap();
        let net = Self { federation, partition, _dir: dir };
        for members in [vec![1], vec![2], vec![3], vec![1, 2], vec![1, 3], vec![2, 3]] {
            net.write_contexts(&members);
        }
        net.whole().unwrap();
        assert_eq!(net.partition.met(), 0);
        Some(net)
    }

    fn contexts(&self, members: &[u64]) -> String {
        let names: Vec<String> = members.iter().map(u64::to_string).collect();
        let file = self.federation.dir().join(format!("only-{}.toml", names.join("-")));
        file.to_string_lossy().into_owned()
    }

    /// Contexts that know of these members alone.
    fn write_contexts(&self, members: &[u64]) {
        let mut contexts = Contexts::load(&self.federation.dir().join("contexts.toml")).unwrap();
        let listed = self.federation.read("kanto", &["member", "list"]).unwrap();
        let address = |member: &u64| {
            let name = format!("members/{member}");
            let found = rows(&listed, "items").into_iter().find(|m| m["name"] == name.as_str());
            found.unwrap()["address"].as_str().unwrap().to_owned()
        };
        let addresses: Vec<String> = members.iter().map(address).collect();
        for context in contexts.context.values_mut() {
            context.endpoints.retain(|endpoint| addresses.contains(&endpoint.address));
        }
        contexts.save(std::path::Path::new(&self.contexts(members))).unwrap();
    }

    /// Asks these members alone.
    fn ask(&self, members: &[u64], context: &str, args: &[&str]) -> Answer {
        let contexts = self.contexts(members);
        self.federation.run(context, &[&["--config", &contexts], args].concat()).unwrap()
    }

    /// What one member knows by itself.
    fn own(&self, member: u64) -> Result<Value> {
        self.ask(&[member], "kanto", &["status", "-o", "json"]).json()
    }

    /// The member that leads in the eyes of these.
    fn leader_of(&self, members: &[u64]) -> Result<u64> {
        let args = ["member", "list", "--timeout", ALONE, "-o", "json"];
        let listed = self.ask(members, "kanto", &args).json()?;
        let leader = rows(&listed, "items").into_iter().find(|m| m["leader"] == true);
        let name = leader.context("no leader")?["name"].as_str().unwrap_or_default().to_owned();
        Ok(name.trim_start_matches("members/").parse()?)
    }

    /// A write that only these members are asked for.
    fn write_through(&self, members: &[u64], name: &str) -> String {
        let file = self.job(name);
        self.ask(members, "sapporo", &["job", "submit", &file]).ok().unwrap();
        format!("sapporo/{name}")
    }

    /// The file of a job that nothing can place.
    fn job(&self, name: &str) -> String {
        let text = spec(name, 1, 1, "JP-47", "true");
        self.federation.file(&format!("{name}.yaml"), &text).unwrap()
    }

    /// L1: three in touch, one leads, and each has the same state (R4).
    fn whole(&self) -> Result<()> {
        self.federation.until("the federation to be whole", || {
            let listed = self.federation.read("kanto", &["member", "list"])?;
            let members = rows(&listed, "items");
            ensure!(members.len() == 3 && members.iter().all(|m| m["reachable"] == true));
            ensure!(members.iter().filter(|m| m["leader"] == true).count() == 1, "{members:?}");
            let own = MEMBERS.map(|member| self.own(member));
            let own = own.into_iter().collect::<Result<Vec<_>>>()?;
            let told = |field: &str| own.iter().map(|s| s[field].clone()).collect::<Vec<_>>();
            for field in ["revision", "state_digest", "leader", "term"] {
                let values = told(field);
                ensure!(values.iter().all(|v| Some(v) == values.first()), "{field}: {values:?}");
            }
            Ok(())
        })
    }

    fn term(&self) -> u64 {
        let terms = MEMBERS.map(|member| self.own(member).unwrap()["term"].as_u64().unwrap());
        terms.into_iter().max().unwrap()
    }
}

fn others(member: u64) -> Vec<u64> {
    MEMBERS.into_iter().filter(|other| *other != member).collect()
}

/// A call that is made of nobody who could answer it: it says so, in time.
fn promises_nothing(what: &str, call: impl FnOnce() -> Answer) {
    let begun = Instant::now();
    let answer = call();
    assert!(begun.elapsed() < BOUND, "{what} took {:?} (L3)", begun.elapsed());
    assert!([7, 8].contains(&answer.code), "{what}: {answer:?}");
    assert!(NO_PROMISE.iter().any(|code| answer.stderr.contains(code)), "{what}: {answer:?}");
    assert_eq!(answer.stdout, "", "{what}");
}

/// R1, R2, R3, L1, L3: the leader is cut off from both others and from nobody else.
fn a_lonely_leader(port_base: u16, fault: Fault) {
    let Some(net) = Net::start(port_base) else { return };
    let mut written: Vec<String> =
        (0..3).map(|n| write(&net.federation, &format!("before-{n}")).unwrap()).collect();
    let old = net.federation.leader().unwrap();
    let rest = others(old);
    let unsure = net.job("unsure");
    let request = "5ec15ec15ec15ec15ec15ec15ec15ec1";
    let submit_unsure = ["job", "submit", &unsure, "--request-id", request];

    net.partition.isolate(old, fault);
    std::thread::scope(|scope| {
        // At once: while it may still believe that it leads.
        scope.spawn(|| {
            promises_nothing("a write at the old leader", || {
                let args = [&submit_unsure[..], &["--timeout", ALONE]].concat();
                net.ask(&[old], "sapporo", &args)
            });
        });
        scope.spawn(|| {
            promises_nothing("a read at the old leader", || {
                net.ask(&[old], "sapporo", &["job", "list", "--timeout", ALONE])
            });
        });
        let next = net.federation.until("the two others to elect", || {
            let leader = net.leader_of(&rest)?;
            ensure!(leader != old, "they still believe in {old}");
            Ok(leader)
        });
        assert!(rest.contains(&next.unwrap()));
        written.extend((0..3).map(|n| net.write_through(&rest, &format!("during-{n}"))));
    });
    // Whoever asks anyone comes to the majority.
    written.push(write(&net.federation, "during-any").unwrap());
    // It is refused still, now that there is something to miss; a local read says how old it is.
    promises_nothing("a read at the old leader, later", || {
        net.ask(&[old], "sapporo", &["job", "list", "--timeout", "1s"])
    });
    let local = ["job", "list", "--local", "-o", "json"];
    let stale = net.ask(&[old], "sapporo", &local).json().unwrap();
    let fresh = net.ask(&rest, "sapporo", &["job", "list", "-o", "json"]).json().unwrap();
    assert!(stale["revision"].as_u64() < fresh["revision"].as_u64(), "{stale}");
    assert!(net.partition.met() > 0);

    net.partition.heal();
    net.whole().unwrap();
    let leader = net.federation.leader().unwrap();
    assert_eq!(net.leader_of(&[old]).unwrap(), leader);
    assert_eq!(lost(&net.federation, &written).unwrap(), Vec::<String>::new());
    let at_old = net.ask(&[old], "sapporo", &["job", "list", "-o", "json"]).json().unwrap();
    assert!(rows(&at_old, "items").len() >= written.len(), "read at the old leader");
    // Its fate may have been either; from now on it is one, however often it is asked for (R3).
    for _ in 0..2 {
        net.federation.run("sapporo", &submit_unsure).unwrap().ok().unwrap();
    }
    assert_eq!(lost(&net.federation, &["sapporo/unsure".to_owned()]).unwrap().len(), 0);
}

#[test]
fn a_leader_that_is_cut_off_promises_nothing_and_follows_when_healed() {
    a_lonely_leader(27_300, Fault::Cut);
}

/// The same where no reset tells anybody: deadlines have to.
#[test]
fn a_leader_that_hears_nothing_promises_nothing_and_follows_when_healed() {
    a_lonely_leader(27_320, Fault::Hold);
}

/// L2, P4, P6: without one follower everything goes on, and leases are renewed through the two others for longer
/// than one of them lasts.
#[test]
fn a_follower_that_is_cut_off_stops_no_service_and_no_job() {
    let Some(net) = Net::start(27_340) else { return };
    let federation = &net.federation;
    let held = submit(federation, "held", &spec("held", 1, 1, "Hokkaido", "exec sleep 41414.5"));
    let held = held.unwrap();
    let before = federation.await_job(&held, &["running"]).unwrap();
    let leader = federation.leader().unwrap();
    let cut_off = *others(leader).first().unwrap();
    let rest = others(cut_off);

    net.partition.isolate(cut_off, Fault::Hold);
    let begun = Instant::now();
    let mut written = Vec::new();
    // Signed by k = 2 of the two that are left.
    let job = submit(federation, "started", &spec("started", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
    federation
        .until("the lease of before to be over", || {
            written.push(net.write_through(&rest, &format!("during-{}", written.len())));
            assert!(
                !running("41414.5").unwrap().is_empty(),
                "the job ended after {:?}",
                begun.elapsed()
            );
            ensure!(begun.elapsed() > LEASE + Duration::from_secs(1));
            Ok(())
        })
        .unwrap();
    assert_eq!(
        net.leader_of(&rest).unwrap(),
        leader,
        "a silent follower cost the leader its place"
    );
    let nodes = federation.read("kanto", &["node", "list"]).unwrap();
    assert!(rows(&nodes, "items").iter().all(|node| node["state"] == "ready"), "{nodes}");
    assert!(net.partition.met() > 0);

    net.partition.heal();
    net.whole().unwrap();
    assert_eq!(lost(federation, &written).unwrap(), Vec::<String>::new());
    let after = federation.await_job(&held, &["running"]).unwrap();
    assert_eq!(after["placements"], before["placements"], "it was started again");
    federation.run("sapporo", &["job", "cancel", &held]).unwrap().ok().unwrap();
    federation.await_job(&held, &["cancelled"]).unwrap();
    federation
        .until("its process to be gone", || {
            ensure!(running("41414.5")?.is_empty());
            Ok(())
        })
        .unwrap();
}

/// R1, L1, L2: what the leader sends to one follower is lost, what that one sends arrives; then the reverse.
#[test]
fn a_link_that_is_deaf_in_one_direction_loses_nothing_and_ends_in_peace() {
    let Some(net) = Net::start(27_360) else { return };
    let leader = net.federation.leader().unwrap();
    let follower = *others(leader).first().unwrap();
    let before = net.term();
    let mut written = Vec::new();
    for (phase, (from, to)) in [(leader, follower), (follower, leader)].into_iter().enumerate() {
        net.partition.one_way(from, to, Fault::Hold);
        let begun = Instant::now();
        // Several elections long.
        while begun.elapsed() < Duration::from_secs(3) {
            let name = format!("deaf-{phase}-{}", written.len());
            written.push(write(&net.federation, &name).unwrap());
        }
        assert!(net.partition.met() > 0);
        net.partition.heal();
        net.whole().unwrap();
        assert_eq!(lost(&net.federation, &written).unwrap(), Vec::<String>::new());
    }
    let healed = net.term();
    assert!(healed <= before + 4, "{} elections", healed - before);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        written.push(write(&net.federation, &format!("healed-{}", written.len())).unwrap());
    }
    assert_eq!(net.term(), healed, "elections go on after healing");
    assert_eq!(lost(&net.federation, &written).unwrap(), Vec::<String>::new());
}
