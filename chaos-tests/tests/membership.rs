//! Members of real processes, changed as an operator would: by files that two companies sign, and by the command line.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{spec, submit};
use std::process::{Child, Command, Stdio};

const PORT_BASE: u16 = 27_340;

/// A controller that the federation did not start; ended with the value.
struct Newcomer(Child);

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts member 4 beside member 1: its settings, with another number, keys and port.
fn newcomer(federation: &Federation) -> Newcomer {
    let dir = federation.dir().join("controllers");
    let text = std::fs::read_to_string(dir.join("1/controller.toml")).unwrap();
    let text = text
        .replace("member = 1\n", "member = 4\n")
        .replace("/controllers/1/", "/controllers/4/")
        .replace("/members/1", "/members/4")
        .replace(&format!("127.0.0.1:{PORT_BASE}"), &format!("127.0.0.1:{}", PORT_BASE + 3))
        .replace(&format!("127.0.0.1:{}", PORT_BASE + 7), &format!("127.0.0.1:{}", PORT_BASE + 10));
    std::fs::create_dir(dir.join("4")).unwrap();
    let config = dir.join("4/controller.toml");
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(federation.dir().join("logs/controller-4.log")).unwrap();
    let child = Command::new(federation.program("sekisho-controller"))
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Newcomer(child.unwrap())
}

/// A change as two companies make it: one prepares, the other checks and signs.
fn change(federation: &Federation, name: &str, what: &[&str]) -> String {
    let file = federation.dir().join(name).to_string_lossy().into_owned();
    let of = |operator: &str| {
        federation.dir().join("operators").join(operator).to_string_lossy().into_owned()
    };
    let (kanto, naniwa) = (of("kanto"), of("naniwa"));
    let mut prepare = vec!["member", "prepare", &file, "--operator-dir", &kanto];
    prepare.extend(what);
    let prepared = federation.run("kanto", &prepare).unwrap().ok().unwrap();
    assert!(prepared.stdout.contains("member sign") || prepared.stderr.contains("member sign"));
    federation
        .run("naniwa", &["member", "sign", &file, "--operator-dir", &naniwa])
        .unwrap()
        .ok()
        .unwrap();
    file
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
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let address = format!("127.0.0.1:{}", PORT_BASE + 3);
    let add = ["--add", "4", "--site", "tokyo-1", "--address", &address];
    let file = change(&federation, "member-4.json", &add);
    // It is started when it has its keys; it hears of the federation once it is added.
    let _fourth = newcomer(&federation);
    by_both(&federation, &["member", "add", &file]).ok().unwrap();
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
    // Agents hold the bundle of the beginning, and two of its operators still sign.
    let job = submit(&federation, "after", &spec("after", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
    let audit = federation.dir().join("audit.bin").to_string_lossy().into_owned();
    federation.run("kanto", &["audit", "export", &audit]).unwrap().ok().unwrap();
    let genesis = federation.dir().join("genesis.bin").to_string_lossy().into_owned();
    let verify = ["audit", "verify", &audit, "--genesis", &genesis];
    federation.run("kanto", &verify).unwrap().ok().unwrap();
}
