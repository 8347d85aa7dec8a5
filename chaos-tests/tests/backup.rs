//! Backups of real processes: taken while jobs are submitted, inspected, refused to whoever may not; and one of a member
//! that was stopped.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::office;
use sekisho_chaos::federation::{Answer, Federation};
use sekisho_chaos::work::write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

const PORT_BASE: u16 = 27_240;

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Gives the administrator of an operator one role more, by a further key.
fn also(federation: &Federation, operator: &str, role: &str, key: &str) {
    let issuer = text(&office(federation, operator).join("issuer-ed25519.key"));
    let principal = format!("{operator}/user/admin");
    let key = key.repeat(32);
    let args = ["key", "register", &principal, "--role", role, "--public-key", &key];
    let issued = [&args[..], &["--issuer-key", &issuer]].concat();
    federation.run(operator, &issued).unwrap().ok().unwrap();
}

fn save(federation: &Federation, by: &str, name: &str) -> (Answer, PathBuf) {
    let path = federation.dir().join(name);
    (federation.run(by, &["snapshot", "save", &text(&path)]).unwrap(), path)
}

fn inspect(federation: &Federation, file: &Path, by: &str) -> Answer {
    let identity = text(&office(federation, by).join("backup.key"));
    let genesis = text(&federation.dir().join("genesis.bin"));
    let file = text(file);
    let args = ["snapshot", "inspect", &file, "--identity", &identity, "--genesis", &genesis];
    federation.run("kanto", &[&args[..], &["-o", "json"]].concat()).unwrap()
}

fn refused(answer: &(Answer, PathBuf), code: &str) {
    let (said, path) = answer;
    assert!(said.code != 0 && said.stderr.contains(code), "{said:?}");
    let part = PathBuf::from(format!("{}.part", path.display()));
    assert!(!path.exists() && !part.exists(), "something was written");
}

fn number(answer: &Answer, field: &str) -> u64 {
    let shown = answer.json().unwrap();
    shown.pointer(&format!("/subject/{field}")).unwrap().as_u64().unwrap()
}

/// D3: no byte for whoever may not, no known plaintext for whoever reads the file; R1: what was acknowledged is in it.
#[test]
fn a_backup_is_taken_under_load_and_holds_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    also(&federation, "naniwa", "auditor", "a1");
    refused(&save(&federation, "naniwa", "auditor.age"), "PERMISSION_DENIED");
    let depot = ["site", "create", "depot-1", "--operator", "kanto", "--area", "131016"];
    federation.run("kanto", &[&depot[..], &["--cosign", "naniwa"]].concat()).unwrap().ok().unwrap();
    also(&federation, "kanto", "archivist:depot-1", "b1");
    federation.run("kanto", &["site", "revoke", "depot-1", "--yes"]).unwrap().ok().unwrap();
    refused(&save(&federation, "kanto", "depot.age"), "SNAPSHOT_DESTINATION");

    also(&federation, "kanto", "archivist:tokyo-1", "b2");
    let before = write(&federation, "known-plaintext").unwrap();
    let over = AtomicBool::new(false);
    let (answer, path) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut written = 0;
            while !over.load(Ordering::Relaxed) {
                write(&federation, &format!("load-{written}")).unwrap();
                written += 1;
            }
            written
        });
        let saved = save(&federation, "kanto", "backup.age");
        over.store(true, Ordering::Relaxed);
        assert!(load.join().unwrap() > 0);
        saved
    });
    answer.ok().unwrap();
    for by in ["kanto", "naniwa", "hokuto"] {
        let seen = inspect(&federation, &path, by);
        assert_eq!(seen.code, 0, "{seen:?}");
        assert_eq!(seen.json().unwrap()["verified"], true);
        assert!(number(&seen, "records") > 0 && number(&seen, "signed_records") > 0);
        assert!(number(&seen, "counts/jobs") >= 1, "{before} is in it");
    }
    let (again, _) = save(&federation, "kanto", "backup.age");
    assert!(again.code != 0, "an older backup is not overwritten");
    let bytes = fs::read(&path).unwrap();
    for known in ["known-plaintext", "sapporo", "sekisho-snap-1"] {
        assert!(!bytes.windows(known.len()).any(|window| window == known.as_bytes()), "{known}");
    }
    for at in [bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let damaged = federation.dir().join("damaged.age");
        fs::write(&damaged, changed).unwrap();
        let seen = inspect(&federation, &damaged, "kanto");
        assert_eq!(seen.code, 1, "{seen:?}");
    }
    stranger(&federation, &path);
}

/// Somebody else's key opens nothing.
fn stranger(federation: &Federation, path: &Path) {
    let other = federation.dir().join("elsewhere");
    let dir = text(&other);
    let init = ["pki", "init", &dir, "--operator", "tokai", "--trust-domain", "tokai.example"];
    let site = ["--site", "nagoya-1", "--area", "231002"];
    federation.run("kanto", &[&init[..], &site].concat()).unwrap().ok().unwrap();
    let (file, identity) = (text(path), text(&other.join("backup.key")));
    let args = ["snapshot", "inspect", &file, "--identity", &identity];
    let seen = federation.run("kanto", &args).unwrap();
    assert!(seen.code != 0 && seen.stderr.contains("not sealed to this key"), "{seen:?}");
}

fn offline(federation: &Federation, out: &Path) -> (bool, String) {
    let config = federation.dir().join("controllers/3/controller.toml");
    let output = Command::new(federation.program("sekisho-controller"))
        .args(["save", "--config", &text(&config), "--out", &text(out)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// R1, R3: a stopped member gives at least what it had acknowledged, and starts again as if nothing had been.
#[test]
fn a_stopped_member_is_saved_as_far_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE + 10).unwrap();
    also(&federation, "kanto", "archivist:tokyo-1", "b2");
    write(&federation, "acknowledged").unwrap();
    let (answer, running) = save(&federation, "kanto", "running.age");
    answer.ok().unwrap();
    let online = inspect(&federation, &running, "kanto");
    assert_eq!(online.code, 0, "{online:?}");
    let out = federation.dir().join("stopped.age");
    let (done, said) = offline(&federation, &out);
    assert!(!done && !out.exists(), "its directory is in use: {said}");
    // Every member has what the first file holds before one of them is stopped.
    federation.whole().unwrap();
    // waits: the kept note is written on a timer of five seconds, and nothing tells of it
    std::thread::sleep(std::time::Duration::from_secs(11));
    federation.signal("controller-3", Signal::SIGKILL).unwrap();
    federation.await_end(3).unwrap();
    let (done, said) = offline(&federation, &out);
    assert!(done, "{said}");
    let seen = inspect(&federation, &out, "naniwa");
    assert_eq!(seen.code, 0, "{seen:?}");
    for field in ["records", "revision", "signed_records"] {
        assert!(number(&seen, field) >= number(&online, field), "{field}: {seen:?} {online:?}");
    }
    federation.revive(3).unwrap();
    federation.whole().unwrap();
}
