//! Companies come, go and replace their keys, with real processes: controllers, agents and each company's command line.
//!
//! Must hold: D4, P5, R5. Whoever must sign has signed; agents and controllers that slept through a change follow it; what
//! runs is not touched.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::ensure;
use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::{Beside, agree, context, controller, office, prepare, says, sign};
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{spec, submit};

fn path(of: &std::path::Path) -> String {
    of.to_string_lossy().into_owned()
}

fn refused(answer: &Answer, exit: i32, code: &str) {
    assert!(answer.code == exit && answer.stderr.contains(code), "{exit} {code}: {answer:?}");
}

/// Makes tokai's office. Returns the fingerprint of its card.
fn tokai(federation: &Federation) -> String {
    let dir = path(&office(federation, "tokai"));
    let init = [
        "pki",
        "init",
        &dir,
        "--operator",
        "tokai",
        "--trust-domain",
        "tokai.example",
        "--site",
        "hakodate-1",
        "--area",
        "012025",
        "--display-name",
        "Hakodate",
    ];
    let card = federation.read("kanto", &init).unwrap();
    card.get("fingerprint").and_then(|text| text.as_str()).unwrap().to_owned()
}

/// Takes tokai in; nothing is prepared from a card that was not compared, nothing signed that was not, nothing sent that is
/// not signed by all who must.
fn take_in(federation: &Federation) {
    let card = tokai(federation);
    let card_file = path(&office(federation, "tokai").join("card.json"));

    let wrong = "0".repeat(64);
    let add = |fingerprint: &str| {
        let what = ["operator", "--add", &card_file, "--fingerprint", fingerprint];
        prepare(federation, "kanto", "tokai.json", &what)
    };
    add(&wrong).unwrap_err();
    let (file, fingerprint) = add(&card).unwrap();
    refused(&sign(federation, "naniwa", &file, &wrong).unwrap(), 6, "BUNDLE_MISMATCH");
    let send = ["operator", "add", &file];
    refused(&federation.run("kanto", &send).unwrap(), 4, "SIGNATURES_MISSING");
    sign(federation, "naniwa", &file, &fingerprint).unwrap().ok().unwrap();
    // Two companies agree, and the third does not know of it.
    refused(&federation.run("kanto", &send).unwrap(), 4, "SIGNATURES_MISSING");
    sign(federation, "tokai", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("kanto", &send).unwrap().ok().unwrap();
}

/// A host of tokai's own, which joins through its controller.
fn host(federation: &Federation) -> Beside {
    let token = federation.dir().join("tokai-token");
    let create =
        ["node", "token", "create", "hakodate-1/n-01", "--approved", "--out", &path(&token)];
    federation.run("tokai", &create).unwrap().ok().unwrap();
    // Nothing is placed at a site before its own company offers something there.
    let offer = ["offer", "create", "hakodate-1", "all", "--class", "sim-h100", "--gpus", "4"];
    federation.run("tokai", &offer).unwrap().ok().unwrap();
    let first = federation.dir().join("agents/tokyo-1/n-01");
    let own = federation.dir().join("agents/hakodate-1/n-01");
    std::fs::create_dir_all(&own).unwrap();
    let text = std::fs::read_to_string(first.join("agent.toml")).unwrap();
    let text = text.replace("tokyo-1", "hakodate-1");
    let lines =
        text.lines().map(|line| if line.starts_with("area") { "area = \"012025\"" } else { line });
    let text = lines.filter(|line| !line.starts_with("token")).collect::<Vec<_>>().join("\n");
    let text = format!("token = {:?}\n{text}", path(&token));
    let settings = path(&own.join("agent.toml"));
    std::fs::write(&settings, text).unwrap();
    let run = ["run", "--config", &settings];
    Beside::start(federation, "sekisho-agent", "agent-tokai", &run).unwrap()
}

#[test]
fn a_company_comes_runs_a_controller_and_a_host_and_goes() {
    const PORT_BASE: u16 = 27_380;
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    take_in(&federation);

    // Its people are let in as soon as controllers have its root; it keeps the genesis that the others began with.
    context(&federation, "tokai").unwrap();
    let genesis = federation.dir().join("genesis.bin");
    std::fs::copy(&genesis, office(&federation, "tokai").join("genesis.bin")).unwrap();
    federation
        .until("tokai to be let in", || {
            let listed = federation.read("tokai", &["operator", "list"])?;
            ensure!(rows(&listed, "items").len() == 4, "{listed}");
            Ok(())
        })
        .unwrap();

    // A controller of its own: three companies' issuers could have signed, two did, tokai's among them.
    let address = format!("127.0.0.1:{}", PORT_BASE + 3);
    let what = ["member", "--add", "4", "--site", "hakodate-1", "--address", &address];
    let (file, fingerprint) = prepare(&federation, "tokai", "member-4.json", &what).unwrap();
    sign(&federation, "hokuto", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("tokai", &["member", "add", &file]).unwrap().ok().unwrap();
    let ports = (PORT_BASE + 3, PORT_BASE + 10);
    let settings = path(&controller(&federation, (4, "tokai", "hakodate-1"), ports).unwrap());
    let args = ["--config", &settings];
    let _fourth = Beside::start(&federation, "sekisho-controller", "controller-4", &args).unwrap();
    federation
        .until("member 4 to learn", || {
            let list = federation.read("kanto", &["member", "list"])?;
            let fourth = rows(&list, "items").into_iter().find(|m| m["name"] == "members/4");
            ensure!(
                fourth.is_some_and(|m| m["role"] == "learner" && m["reachable"] == true),
                "{list}"
            );
            Ok(())
        })
        .unwrap();

    // A host of its own joins through it, and a job for its prefecture runs there.
    let agent = host(&federation);
    let job = submit(&federation, "hakodate", &spec("hakodate", 1, 1, "'012025'", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
    // Hosts of before followed both steps, and this one joined with them.
    says(&federation, "agent-tokyo-1-n-01", "follows the endorser bundle version=3").unwrap();

    // It goes, from the inside out.
    let (file, fingerprint) =
        prepare(&federation, "kanto", "tokai-goes.json", &["operator", "--remove", "tokai"])
            .unwrap_or_default();
    assert!(file.is_empty() && fingerprint.is_empty(), "its member still signs");
    let gone = agree(&federation, "leave-4.json", &["member", "--remove", "4"]).unwrap();
    federation.run("kanto", &["member", "remove", "4", &gone, "--yes"]).unwrap().ok().unwrap();
    let what = ["operator", "--remove", "tokai"];
    let file = agree(&federation, "tokai-leaves.json", &what).unwrap();
    let remove = ["operator", "remove", &file, "--yes"];
    let answer = federation.run("kanto", &remove).unwrap();
    refused(&answer, 6, "OPERATOR_IN_USE");
    assert!(answer.stderr.contains("site hakodate-1"), "{answer:?}");
    let revoke = ["site", "revoke", "hakodate-1", "--yes"];
    federation.run("kanto", &revoke).unwrap().ok().unwrap();
    drop(agent);
    federation.run("kanto", &remove).unwrap().ok().unwrap();
    federation
        .until("tokai's people to be let in no longer", || {
            let answer = federation.run("tokai", &["operator", "list"])?;
            ensure!(answer.code != 0, "{answer:?}");
            Ok(())
        })
        .unwrap();
    let audit = path(&federation.dir().join("audit.bin"));
    federation.run("kanto", &["audit", "export", &audit]).unwrap().ok().unwrap();
    let verify = ["audit", "verify", &audit, "--genesis", &path(&genesis)];
    federation.run("kanto", &verify).unwrap().ok().unwrap();
}

#[test]
fn a_company_replaces_root_issuer_and_tag_key_while_its_hosts_work() {
    const PORT_BASE: u16 = 27_400;
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let work = spec("long", 1, 1, "Hokkaido", "sleep 120");
    let job = submit(&federation, "long", &work).unwrap();
    federation.await_job(&job, &["running"]).unwrap();

    // Who signs nothing has nothing installed before its time.
    let what = ["operator", "--rotate", "root,issuer,site-tag"];
    let (file, fingerprint) = prepare(&federation, "hokuto", "begin.json", &what).unwrap();
    let own = path(&office(&federation, "hokuto"));
    let install = ["operator", "install", "--operator-dir", &own];
    refused(&federation.run("hokuto", &install).unwrap(), 6, "WRONG_PHASE");
    let send = ["operator", "rotate", &file];
    refused(&federation.run("hokuto", &send).unwrap(), 4, "SIGNATURES_MISSING");
    sign(&federation, "naniwa", &file, &fingerprint).unwrap().ok().unwrap();
    // A member sleeps through it.
    federation.signal("controller-2", Signal::SIGKILL).unwrap();
    federation.run("hokuto", &send).unwrap().ok().unwrap();
    says(&federation, "agent-ishikari-1-n-01", "follows the endorser bundle version=2").unwrap();
    federation.run("hokuto", &install).unwrap().ok().unwrap();
    federation.run("hokuto", &install).unwrap().ok().unwrap();

    // hokuto's controller comes back with a certificate under the new root, and the one that slept follows.
    federation.revive(2).unwrap();
    federation.signal("controller-3", Signal::SIGKILL).unwrap();
    federation.revive(3).unwrap();
    federation.whole().unwrap();
    federation.await_job(&job, &["running"]).unwrap();
    let next = submit(&federation, "next", &spec("next", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&next, &["succeeded"]).unwrap();

    // What stands on the old keys keeps them: hosts' certificates for days, and by hand nothing hurries it.
    let what = ["operator", "--finish"];
    let (file, fingerprint) = prepare(&federation, "hokuto", "finish.json", &what).unwrap();
    sign(&federation, "kanto", &file, &fingerprint).unwrap().ok().unwrap();
    let answer = federation.run("hokuto", &["operator", "rotate", &file]).unwrap();
    refused(&answer, 6, "KEY_IN_USE");
    // Another company's backup key: nothing lives under it, so it may be given up at once by who says so.
    let (file, fingerprint) =
        prepare(&federation, "kanto", "backup.json", &["operator", "--rotate", "backup"]).unwrap();
    sign(&federation, "hokuto", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("kanto", &["operator", "rotate", &file]).unwrap().ok().unwrap();
    let what = ["operator", "--finish", "--accept-stranded"];
    let (file, fingerprint) = prepare(&federation, "kanto", "given-up.json", &what).unwrap();
    sign(&federation, "hokuto", &file, &fingerprint).unwrap().ok().unwrap();
    federation.run("kanto", &["operator", "rotate", &file]).unwrap().ok().unwrap();
    let listed = federation.read("naniwa", &["operator", "list"]).unwrap();
    let rotating: Vec<_> = rows(&listed, "items").iter().map(|o| o["rotating"].clone()).collect();
    assert_eq!(rotating, [true, false, false], "hokuto, kanto, naniwa");
    federation.await_job(&job, &["running"]).unwrap();

    // A context that begins from the genesis takes the new root, and knows whom to ask.
    let genesis = path(&federation.dir().join("genesis.bin"));
    let trust = ["operator", "trust", "--genesis", &genesis, "--write"];
    federation.run("naniwa", &trust).unwrap().ok().unwrap();
    federation.run("naniwa", &["status"]).unwrap().ok().unwrap();
}
