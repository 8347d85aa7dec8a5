//! Members of real processes, changed as an operator would: by files that two companies sign, and by the command line.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::{Beside, agree, controller, prepare, says, sign};
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{spec, submit};

const PORT_BASE: u16 = 27_340;

/// A change as two companies make it: one prepares, the other checks and signs.
fn change(federation: &Federation, name: &str, what: &[&str]) -> String {
    agree(federation, name, &[&["member"], what].concat()).unwrap()
}

fn by_both(federation: &Federation, args: &[&str]) -> Answer {
    let mut all = args.to_vec();
    all.extend(["--cosign", "naniwa"]);
    federation.run("kanto", &all).unwrap()
}

/// Waits until the list shows exactly these voters and nothing else.
fn voters(federation: &Federation, wanted: &[&str]) -> Result<()> {
    federation.until(&format!("the voters {wanted:?}"), || {
        let list = federation.read("naniwa", &["member", "list"])?;
        let members = rows(&list, "items");
        let names: Vec<_> = members.iter().filter_map(|m| m["name"].as_str()).collect();
        let all = members.iter().all(|m| m["role"] == "voter" && m["standing"] == "voter");
        ensure!(names == wanted && all, "{list}");
        Ok(())
    })
}

/// R5, R1: a fourth member joins and votes, no company gets a quorum, a dead one is replaced, another is made to lead.
#[test]
fn a_dead_member_is_replaced_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let address = format!("127.0.0.1:{}", PORT_BASE + 3);
    let add = ["--add", "4", "--site", "tokyo-1", "--address", &address];
    let file = change(&federation, "member-4.json", &add);
    // The issuers' agreement suffices: one administrator brings it in.
    federation.run("kanto", &["member", "add", &file]).unwrap().ok().unwrap();
    let ports = (PORT_BASE + 3, PORT_BASE + 10);
    let settings = controller(&federation, (4, "kanto", "tokyo-1"), ports).unwrap();
    let settings = settings.to_string_lossy();
    let args = ["--config", &*settings];
    let _fourth = Beside::start(&federation, "sekisho-controller", "controller-4", &args).unwrap();
    by_both(&federation, &["member", "promote", "4"]).ok().unwrap();
    let all = ["members/1", "members/2", "members/3", "members/4"];
    voters(&federation, &all).unwrap();
    // Two of three votes would be kanto's.
    let refused = by_both(&federation, &["member", "demote", "3"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.stderr.contains("MEMBER_QUORUM_IN_ONE_HAND"), "{refused:?}");
    assert!(refused.stderr.contains("kanto would have 2 of 3 votes"), "{refused:?}");
    let list = federation.read("kanto", &["member", "list"]).unwrap();
    let stoppers: Vec<String> = serde_json::from_value(list["can_stop_quorum"].clone()).unwrap();
    assert_eq!(stoppers, ["sites/tokyo-1", "operators/kanto"]);
    // kanto's first controller dies and goes; its second stays in its place.
    federation.signal("controller-1", Signal::SIGKILL).unwrap();
    let file = change(&federation, "leave-1.json", &["--remove", "1"]);
    by_both(&federation, &["member", "remove", "1", &file, "--yes"]).ok().unwrap();
    voters(&federation, &all[1..]).unwrap();
    // Used once, its number is gone.
    let add = ["--add", "1", "--site", "tokyo-1", "--address", "127.0.0.1:1"];
    let file = change(&federation, "again.json", &add);
    let refused = by_both(&federation, &["member", "add", &file]);
    assert!(refused.code == 5 && refused.stderr.contains("MEMBER_ID_USED"), "{refused:?}");
    federation
        .until("member 4 to lead", || {
            let handed = federation.read("kanto", &["member", "transfer", "4"])?;
            ensure!(handed["leader"] == "members/4", "{handed}");
            Ok(())
        })
        .unwrap();
    assert_eq!(federation.leader().unwrap(), 4);
    // One that begins under a leader that no founder is: the package names it.
    let address = format!("127.0.0.1:{}", PORT_BASE + 4);
    let add = ["--add", "5", "--site", "ishikari-1", "--address", &address];
    let (file, fingerprint) =
        prepare(&federation, "hokuto", "member-5.json", &[&["member"], &add[..]].concat()).unwrap();
    sign(&federation, "naniwa", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("hokuto", &["member", "add", &file]).unwrap().ok().unwrap();
    let ports = (PORT_BASE + 4, PORT_BASE + 11);
    let settings = controller(&federation, (5, "hokuto", "ishikari-1"), ports).unwrap();
    let settings = settings.to_string_lossy();
    let args = ["--config", &*settings];
    let _fifth = Beside::start(&federation, "sekisho-controller", "controller-5", &args).unwrap();
    by_both(&federation, &["member", "promote", "5"]).ok().unwrap();
    voters(&federation, &["members/2", "members/3", "members/4", "members/5"]).unwrap();
    let _sixth = returns_under_a_stranger(&mut federation);
    // Agents have followed to the bundle without kanto's first member.
    for agent in ["ishikari-1-n-01", "tokyo-1-n-01"] {
        says(&federation, &format!("agent-{agent}"), "follows the endorser bundle version=3")
            .unwrap();
    }
    let job = submit(&federation, "after", &spec("after", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
    let audit = federation.dir().join("audit.bin").to_string_lossy().into_owned();
    federation.run("kanto", &["audit", "export", &audit]).unwrap().ok().unwrap();
    let genesis = federation.dir().join("genesis.bin").to_string_lossy().into_owned();
    let verify = ["audit", "verify", &audit, "--genesis", &genesis];
    federation.run("kanto", &verify).unwrap().ok().unwrap();
}

/// L1, D4: member 3 is away while a sixth comes to lead. When it is back, neither its state nor its connections know the one
/// that sends it the log; those that it knows show it the way.
fn returns_under_a_stranger(federation: &mut Federation) -> Beside {
    federation.signal("controller-3", Signal::SIGKILL).unwrap();
    let address = format!("127.0.0.1:{}", PORT_BASE + 5);
    let add = ["member", "--add", "6", "--site", "sakai-1", "--address", &address];
    let (file, fingerprint) = prepare(federation, "naniwa", "member-6.json", &add).unwrap();
    sign(federation, "kanto", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("naniwa", &["member", "add", &file]).unwrap().ok().unwrap();
    let ports = (PORT_BASE + 5, PORT_BASE + 12);
    let settings = controller(federation, (6, "naniwa", "sakai-1"), ports).unwrap();
    let args = ["--config", &*settings.to_string_lossy()];
    let sixth = Beside::start(federation, "sekisho-controller", "controller-6", &args).unwrap();
    by_both(federation, &["member", "promote", "6"]).ok().unwrap();
    let lead = |federation: &Federation| {
        let handed = federation.read("kanto", &["member", "transfer", "6"])?;
        ensure!(handed["leader"] == "members/6", "{handed}");
        Ok(())
    };
    federation.until("member 6 to lead", || lead(federation)).unwrap();
    federation.revive(3).unwrap();
    says(federation, "controller-3", "walked on with another member").unwrap();
    federation
        .until("member 3 to follow", || {
            let list = federation.read("naniwa", &["member", "list"])?;
            let members = rows(&list, "items");
            let third = members.iter().find(|m| m["name"] == "members/3");
            // What it signs it has applied.
            ensure!(third.is_some_and(|m| m["signed_revision"] == list["revision"]), "{list}");
            Ok(())
        })
        .unwrap();
    assert_eq!(federation.leader().unwrap(), 6);
    sixth
}
