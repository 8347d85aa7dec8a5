//! The quorum is gone for good: companies begin the federation anew, from a survivor or from a backup, with real
//! processes, at their own command lines.
//!
//! Must hold: R1 (what the survivor held is there), R6 (nothing of before takes part), P4, P5, P7, A1; and each step that
//! is skipped or forged on the way is refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::ensure;
use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::{Beside, office, settings};
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{let_go, lost, spec, submit, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Operator, its site, and the number of its founder.
const FOUNDERS: [(&str, &str, u64); 3] =
    [("kanto", "tokyo-1", 1001), ("naniwa", "sakai-1", 1002), ("hokuto", "ishikari-1", 1003)];

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn refused(answer: &Answer, code: &str) {
    assert!(answer.code != 0 && answer.stderr.contains(code), "{code}: {answer:?}");
}

/// A command of the controller's own, on a member that does not run. Whether it succeeded, and what it said.
fn controller(federation: &Federation, args: &[&str]) -> (bool, String) {
    let output = Command::new(federation.program("sekisho-controller"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn config(federation: &Federation, member: u64) -> String {
    text(&federation.dir().join("controllers").join(member.to_string()).join("controller.toml"))
}

/// Kills these members and waits until they are gone.
fn kill(federation: &mut Federation, members: &[u64]) {
    for member in members {
        federation.signal(&format!("controller-{member}"), Signal::SIGKILL).unwrap();
    }
    members.iter().for_each(|member| federation.await_end(*member).unwrap());
}

/// A job that no lease ends, and that goes on when it is let go.
fn completing(name: &str, seconds: &str) -> String {
    let plain = spec(name, 1, 1, "JP-01", &format!("sleep {seconds}; echo whole"));
    plain.replace("time_limit: 10m", "time_limit: 10m\non_disconnect: run_to_completion")
}

/// Their disks are gone.
fn wipe(federation: &Federation, members: &[u64]) {
    for member in members {
        let dir = federation.dir().join("controllers").join(member.to_string());
        std::fs::remove_dir_all(dir.join("data")).unwrap();
    }
}

/// A ceremony: the companies' founders, the opening, and the files of it.
struct Ceremony<'f> {
    federation: &'f Federation,
    backup: String,
    opening: String,
    port_base: u16,
}

impl Ceremony<'_> {
    fn founder(&self, operator: &str) -> String {
        text(&self.federation.dir().join(format!("founder-{operator}.json")))
    }

    fn address(&self, number: u64) -> u16 {
        self.port_base + u16::try_from(number - 1001).unwrap()
    }

    /// Each company makes its founder's keys in its own office.
    fn founders(&self) {
        for (operator, site, number) in FOUNDERS {
            let (file, dir) = (self.founder(operator), text(&office(self.federation, operator)));
            let address = format!("127.0.0.1:{}", self.address(number));
            let number = number.to_string();
            let args = ["member", "founder", &file, "--operator-dir", &dir, "--number", &number];
            let place = ["--site", site, "--address", &address, "--from", &self.backup];
            let all = [&args[..], &place, &["--admin", "admin"]].concat();
            self.federation.run(operator, &all).unwrap().ok().unwrap();
        }
    }

    /// Prepares the opening at kanto. What it said, and the fingerprint of what is to be signed.
    fn open(&self, verb: &[&str], more: &[&str], stopped: &str) -> Answer {
        let dir = text(&office(self.federation, "kanto"));
        let founders = FOUNDERS.map(|(operator, ..)| self.founder(operator));
        let mut args = [verb, &[&self.opening, "--operator-dir", &dir]].concat();
        args.extend(["--from", &self.backup, "--stopped", stopped, "-o", "json"]);
        founders.iter().for_each(|file| args.extend(["--founder", file]));
        args.extend(more);
        self.federation.run("kanto", &args).unwrap()
    }

    fn sign(&self, operator: &str, stopped: &str, fingerprint: &str) -> Answer {
        let dir = text(&office(self.federation, operator));
        let args = ["operator", "sign", &self.opening, "--operator-dir", &dir];
        let more = ["--from", &self.backup, "--stopped", stopped, "--fingerprint", fingerprint];
        self.federation.run(operator, &[&args[..], &more].concat()).unwrap()
    }

    fn package(&self) -> PathBuf {
        PathBuf::from(format!("{}.package", self.opening))
    }

    /// Every company signs; nobody without the right fingerprint or without having stopped its own member.
    fn agree(&self, opened: &Answer) {
        let shown = opened.json().unwrap();
        let fingerprint = shown.get("fingerprint").and_then(|text| text.as_str()).unwrap();
        refused(&self.sign("naniwa", "2", &"0".repeat(64)), "BUNDLE_MISMATCH");
        refused(&self.sign("naniwa", "3", fingerprint), "--stopped");
        self.sign("naniwa", "2", fingerprint).ok().unwrap();
        assert!(!self.package().exists(), "hokuto brings a founder and has not signed");
        self.sign("hokuto", "3", fingerprint).ok().unwrap();
        assert!(self.package().exists());
    }

    /// Sets up and starts a founder; one that was not set up does not start.
    fn found(&self, (operator, site, number): (&str, &str, u64)) -> Beside {
        let ports = (self.address(number), self.address(number) + 5);
        let package = self.package();
        let own = settings(self.federation, (number, operator, site), ports, &package).unwrap();
        let own = text(&own);
        let (done, said) = controller(self.federation, &["--config", &own]);
        assert!(!done && said.contains("run `sekisho-controller found` first"), "{said}");
        let identity = text(&office(self.federation, operator).join("backup.key"));
        let args = ["found", "--config", &own, "--snapshot", &self.backup, "--identity", &identity];
        let (done, said) = controller(self.federation, &args);
        assert!(done, "{said}");
        let (again, said) = controller(self.federation, &args);
        assert!(!again && said.contains("holds a log or a snapshot already"), "{said}");
        let name = format!("controller-{number}");
        Beside::start(self.federation, "sekisho-controller", &name, &["--config", &own]).unwrap()
    }

    /// People follow by the package; what they sign before that counts for nobody.
    fn follow(&self) {
        let genesis = text(&self.federation.dir().join("genesis.bin"));
        let package = text(&self.package());
        for context in ["kanto", "naniwa", "hokuto", "sapporo"] {
            let args = ["operator", "trust", "--genesis", &genesis, "--package", &package];
            let all = [&args[..], &["--write"]].concat();
            self.federation.run(context, &all).unwrap().ok().unwrap();
        }
        self.federation.whole().unwrap();
    }

    /// Gives a host back to work once its agent has come over by itself.
    fn uncordon(&self, operator: &str, node: &str) {
        let patience = format!("{node} to come over");
        let back = || {
            let answer = self.federation.run(operator, &["node", "uncordon", node])?;
            ensure!(answer.code == 0, "{}", answer.stderr);
            Ok(())
        };
        self.federation.until(&patience, back).unwrap();
    }
}

/// The survivor gives way for good, whatever its settings say.
fn retire(ceremony: &Ceremony<'_>, survivor: &str) {
    let package = text(&ceremony.package());
    let args = ["retire", "--config", survivor, "--package", &package];
    let (retired, said) = controller(ceremony.federation, &args);
    assert!(retired, "{said}");
    let (started, said) = controller(ceremony.federation, &["--config", survivor]);
    assert!(!started && said.contains("was retired"), "{said}");
}

fn export(federation: &Federation, name: &str) -> String {
    let path = text(&federation.dir().join(name));
    federation.run("kanto", &["audit", "export", &path]).unwrap().ok().unwrap();
    path
}

fn verify(federation: &Federation, bundle: &str, earlier: &str) -> Answer {
    let genesis = text(&federation.dir().join("genesis.bin"));
    let args = ["audit", "verify", bundle, "--genesis", &genesis, "--earlier", earlier];
    federation.run("kanto", &[&args[..], &["-o", "json"]].concat()).unwrap()
}

/// Two of three members are lost with their disks; the third has all that was acknowledged.
#[test]
fn three_companies_go_on_from_the_only_survivor() {
    const PORT_BASE: u16 = 27_420;
    const WAITS: &str = "51414.25";
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let stays = submit(&federation, "stays", &completing("stays", WAITS)).unwrap();
    let stops = submit(&federation, "stops", &spec("stops", 1, 1, "JP-01", "sleep 600")).unwrap();
    for job in [&stays, &stops] {
        federation.await_job(job, &["running"]).unwrap();
    }
    let written: Vec<_> =
        (0..5).map(|n| write(&federation, &format!("acknowledged-{n}")).unwrap()).collect();
    federation.whole().unwrap();
    let earlier = export(&federation, "earlier.bundle");
    // waits: the kept note is written on a timer of five seconds, and nothing tells of it
    std::thread::sleep(std::time::Duration::from_secs(6));
    kill(&mut federation, &[1, 2, 3]);
    wipe(&federation, &[1, 2]);

    let backup = text(&federation.dir().join("survivor.age"));
    let survivor = config(&federation, 3);
    let (saved, said) = controller(&federation, &["save", "--config", &survivor, "--out", &backup]);
    assert!(saved, "{said}");
    let opening = text(&federation.dir().join("opening.json"));
    let ceremony = Ceremony { federation: &federation, backup, opening, port_base: PORT_BASE };
    ceremony.founders();
    let recover = ["member", "recover"];
    refused(&ceremony.open(&recover, &["--dead", "1"], "1"), "WRONG_PHASE");
    refused(&ceremony.open(&recover, &["--dead", "1,2"], "2"), "--stopped");
    let opened = ceremony.open(&recover, &["--dead", "1,2"], "1").ok().unwrap();
    ceremony.agree(&opened);

    retire(&ceremony, &survivor);
    let _founders = FOUNDERS.map(|founder| ceremony.found(founder));
    let create = ["site", "create", "depot-1", "--operator", "kanto", "--area", "131016"];
    let create = [&create[..], &["--cosign", "naniwa"]].concat();
    let before = federation.until("a founder to answer", || {
        let answer = federation.run("kanto", &create)?;
        let away = ["NO_LEADER", "UNAVAILABLE"].iter().any(|code| answer.stderr.contains(code));
        ensure!(!away, "{}", answer.stderr);
        Ok(answer)
    });
    refused(&before.unwrap(), "INCARNATION_OVER");
    ceremony.follow();
    federation.run("kanto", &create).unwrap().ok().unwrap();
    assert_eq!(lost(&federation, &written).unwrap(), Vec::<String>::new());
    let seen = federation.await_job(&stops, &["failed"]).unwrap();
    assert!(seen["message"].as_str().unwrap().contains("submit it again"), "{seen}");
    let seen = federation.read("sapporo", &["job", "status", &stays]).unwrap();
    assert_ne!(seen["phase"], "failed", "stays charged, and is reconciled: {seen}");

    for node in ["ishikari-1/n-01", "ishikari-1/n-02"] {
        ceremony.uncordon("hokuto", node);
    }
    let_go(WAITS).unwrap();
    federation.await_job(&stays, &["succeeded"]).unwrap();
    let anew = submit(&federation, "anew", &spec("anew", 1, 1, "JP-01", "echo anew")).unwrap();
    let done = federation.await_job(&anew, &["succeeded"]).unwrap();
    assert!(
        rows(&done, "placements").iter().all(|p| p["id"].to_string().contains("p-2-")),
        "{done}"
    );

    let bundle = export(&federation, "later.bundle");
    let seen = verify(&federation, &bundle, &earlier);
    assert_eq!(seen.code, 0, "{seen:?}");
    let shown = seen.json().unwrap();
    assert_eq!(shown["subject"]["openings"][0]["incarnation"], 2);
    assert_eq!(rows(&shown, "lost"), Vec::<serde_json::Value>::new());
}

/// Everything is lost but a backup and what an auditor exported after it.
#[test]
fn three_companies_go_on_from_a_backup_and_know_what_is_lost() {
    const PORT_BASE: u16 = 27_440;
    const WAITS: &str = "51414.75";
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let issuer = text(&office(&federation, "kanto").join("issuer-ed25519.key"));
    let key = "b2".repeat(32);
    let register = ["key", "register", "kanto/user/admin", "--role", "archivist:tokyo-1"];
    let register = [&register[..], &["--public-key", &key, "--issuer-key", &issuer]].concat();
    federation.run("kanto", &register).unwrap().ok().unwrap();
    let kept = write(&federation, "kept").unwrap();
    let backup = text(&federation.dir().join("backup.age"));
    federation.run("kanto", &["snapshot", "save", &backup]).unwrap().ok().unwrap();

    // After the backup: a host is taken out for good, a job runs, another is queued.
    let revoke = ["node", "revoke", "tokyo-1/n-01", "--yes"];
    federation.run("kanto", &revoke).unwrap().ok().unwrap();
    let stays = submit(&federation, "stays", &completing("stays", WAITS)).unwrap();
    federation.await_job(&stays, &["running"]).unwrap();
    let gone = write(&federation, "gone").unwrap();
    let later = export(&federation, "later.bundle");
    kill(&mut federation, &[1, 2, 3]);
    wipe(&federation, &[1, 2, 3]);

    let opening = text(&federation.dir().join("opening.json"));
    let ceremony = Ceremony { federation: &federation, backup, opening, port_base: PORT_BASE };
    ceremony.founders();
    let restore = ["snapshot", "restore"];
    let opened = ceremony.open(&restore, &["--later", &later], "1").ok().unwrap();
    assert!(opened.stderr.contains("commands after this backup are lost"), "{opened:?}");
    assert!(opened.stderr.contains("RevokeNode"), "{opened:?}");
    ceremony.agree(&opened);
    let _founders = FOUNDERS.map(|founder| ceremony.found(founder));
    ceremony.follow();

    assert_eq!(lost(&federation, &[kept]).unwrap(), Vec::<String>::new());
    assert_eq!(lost(&federation, std::slice::from_ref(&gone)).unwrap(), [gone]);
    let node = federation.read("kanto", &["node", "get", "tokyo-1/n-01"]).unwrap();
    assert_eq!(node["state"], "revoked", "nothing un-revokes it by a restore (P5): {node}");
    ceremony.uncordon("hokuto", "ishikari-1/n-01");
    ceremony.uncordon("hokuto", "ishikari-1/n-02");
    // Nobody here has heard of it: its host brought it over with the proof of its grant, and it is charged.
    let seen = federation.await_job(&stays, &["running"]).unwrap();
    let of_before = |p: &serde_json::Value| p["id"].to_string().contains("p-1-");
    assert!(rows(&seen, "placements").iter().all(of_before), "{seen}");
    let anew = submit(&federation, "anew", &spec("anew", 1, 4, "JP-01", "echo anew")).unwrap();
    let_go(WAITS).unwrap();
    for job in [&anew, &stays] {
        federation.await_job(job, &["succeeded"]).unwrap();
    }

    let bundle = export(&federation, "anew.bundle");
    let seen = verify(&federation, &bundle, &later);
    assert_eq!(seen.code, 0, "{seen:?}");
    let shown = seen.json().unwrap();
    let told = rows(&shown, "lost");
    assert!(told.iter().any(|lost| lost["command"] == "RevokeNode"), "{shown}");
    assert!(told.iter().any(|lost| lost["command"] == "SubmitJob"), "{shown}");
    let opened = &shown["subject"]["openings"][0];
    assert!(opened["highest"].as_u64() > opened["restored"].as_u64(), "{opened}");
    // Two histories: what came after the opening is no earlier export of what was lost.
    let fork = verify(&federation, &later, &bundle);
    assert!(fork.code == 1 && fork.stdout.contains("two histories"), "{fork:?}");
}
