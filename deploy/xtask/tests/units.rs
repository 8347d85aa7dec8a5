//! The systemd units keep what the documents promise of them, are understood by systemd, and are as closed as they can bear.
#![expect(
    clippy::expect_used,
    reason = "what these tests stand on; without it there is nothing to test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const AGENT: &str = "sekisho-agent";
const WATCHDOG: &str = "sekisho-watchdog";
const CONTROLLER: &str = "sekisho-controller";
const LANDMARK: &str = "sekisho-landmark";
const ALL: [&str; 4] = [AGENT, WATCHDOG, CONTROLLER, LANDMARK];

/// Most exposure that each may have, in tenths, by `systemd-analyze security`. The agent's jobs live in its unit: what it
/// cannot shut out is namespaces, devices and root, which it makes them with.
const EXPOSURE: [(&str, &str); 4] =
    [(AGENT, "55"), (WATCHDOG, "15"), (CONTROLLER, "15"), (LANDMARK, "15")];

fn systemd() -> PathBuf {
    // A test runs in the folder of its package.
    PathBuf::from("../systemd")
}

/// Key to values, of all sections: no key stands in two.
type Unit = BTreeMap<String, Vec<String>>;

fn unit(name: &str) -> Unit {
    let text = fs::read_to_string(systemd().join(format!("{name}.service"))).expect("the unit");
    let mut unit = Unit::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once('=') {
            unit.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    unit
}

/// The one value of a key.
fn one<'u>(unit: &'u Unit, key: &str) -> &'u str {
    let values = unit.get(key).map_or(&[][..], Vec::as_slice);
    assert_eq!(values.len(), 1, "{key}: {values:?}");
    values.first().expect("counted above")
}

fn lacks(unit: &Unit, keys: &[&str]) {
    for key in keys {
        assert_eq!(unit.get(*key), None, "{key}");
    }
}

fn not_run(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.expect("the list"), "{test}: {reason}").expect("write");
    }
}

/// Runs a program of systemd's; `None` where there is none.
fn run(program: &str, args: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output();
    if let Ok(output) = output {
        return Some(output);
    }
    not_run(&format!("{program} is not installed"));
    None
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// ADR 11: an upgrade of the agent restarts one process and no job; its death kills none. What the unit says holds for jobs, too.
#[test]
fn a_restart_of_the_agent_is_no_matter_of_its_jobs() {
    let agent = unit(AGENT);
    assert_eq!(one(&agent, "KillMode"), "process");
    assert_eq!(one(&agent, "Delegate"), "yes");
    assert_eq!(one(&agent, "OOMPolicy"), "continue");
    assert_eq!(one(&agent, "Restart"), "always");
    // What jobs would inherit, or lose with it.
    lacks(
        &agent,
        &["OOMScoreAdjust", "Nice", "CPUWeight", "UMask", "PrivateTmp", "PrivateNetwork"],
    );
    lacks(&agent, &["PrivateDevices", "MemoryDenyWriteExecute", "RestrictNamespaces", "MemoryMax"]);
    assert_ne!(one(&agent, "ProtectSystem"), "strict");
    let filter = one(&agent, "SystemCallFilter");
    assert!(filter.starts_with('~') && !filter.contains("@mount"), "{filter}");
}

/// ADR 11: none of the watchers trusts the other, and the watchdog is started again at once.
#[test]
fn agent_and_watchdog_do_not_end_with_each_other() {
    let (agent, watchdog) = (unit(AGENT), unit(WATCHDOG));
    for unit in [&agent, &watchdog] {
        lacks(unit, &["PartOf", "BindsTo", "Requires", "Requisite", "Upholds", "PropagatesStopTo"]);
        lacks(unit, &["Conflicts", "StopWhenUnneeded", "JoinsNamespaceOf"]);
    }
    assert_eq!(one(&watchdog, "Restart"), "always");
    assert_eq!(one(&watchdog, "RestartSec"), "100ms");
    lacks(&watchdog, &["RestartPreventExitStatus"]);
    assert_eq!(one(&watchdog, "OOMScoreAdjust"), "-1000");
    // The same program with the same settings; it opens no socket.
    let words =
        |unit: &Unit| one(unit, "ExecStart").split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (runs, watches) = (words(&agent), words(&watchdog));
    assert_eq!((runs.first(), runs.last()), (watches.first(), watches.last()));
    assert_eq!(
        (runs.get(1).map(String::as_str), watches.get(1).map(String::as_str)),
        (Some("run"), Some("watchdog"))
    );
    assert_eq!(one(&watchdog, "RestrictAddressFamilies"), "none");
    assert_eq!(one(&watchdog, "PrivateNetwork"), "yes");
    let capabilities = one(&watchdog, "CapabilityBoundingSet");
    assert!(capabilities.contains("CAP_KILL"), "{capabilities}");
    // It has to see whom it kills.
    lacks(&watchdog, &["ProtectProc", "ProcSubset", "PrivateUsers", "PrivatePIDs"]);
    assert_eq!(one(&agent, "StateDirectory"), one(&watchdog, "StateDirectory"));
}

#[test]
fn every_unit_comes_back_writes_no_cores_and_waits_for_no_doctor() {
    let users = fs::read_to_string(systemd().join("sysusers.conf")).expect("users");
    let dirs = fs::read_to_string(systemd().join("tmpfiles.conf")).expect("directories");
    for name in ALL {
        let unit = unit(name);
        assert_eq!(one(&unit, "Type"), "exec", "{name}");
        assert_eq!(one(&unit, "Restart"), "always", "{name}");
        assert_eq!(one(&unit, "StartLimitIntervalSec"), "0", "{name}");
        assert_eq!(one(&unit, "LimitCORE"), "0", "{name}");
        assert_eq!(one(&unit, "NoNewPrivileges"), "yes", "{name}");
        assert_eq!(one(&unit, "WantedBy"), "multi-user.target", "{name}");
        lacks(&unit, &["ExecStartPre", "ExecCondition", "EnvironmentFile"]);
        let user = unit.get("User").map_or("root", |_given| one(&unit, "User"));
        assert!(user == "root" || users.contains(&format!("\nu {user} ")), "{name}: {user}");
        if name == LANDMARK {
            lacks(&unit, &["StateDirectory"]);
            continue;
        }
        let (state, mode) = (one(&unit, "StateDirectory"), one(&unit, "StateDirectoryMode"));
        let line = format!("d /var/lib/{state} {mode} {user} {user} -");
        assert!(dirs.contains(&line), "{name}: {line}");
    }
}

/// Copies of the units whose programs are there.
fn copies(dir: &Path) -> Vec<String> {
    let copy = |name: &&str| {
        let file = format!("{name}.service");
        let text = fs::read_to_string(systemd().join(&file)).expect("the unit");
        let path = dir.join(&file);
        fs::write(&path, text.replace("ExecStart=/usr/bin/", "ExecStart=/bin/true "))
            .expect("write");
        path.to_str().expect("a path").to_owned()
    };
    ALL.iter().map(copy).collect()
}

#[test]
fn systemd_understands_every_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut args = vec!["verify".to_owned(), "--man=no".to_owned()];
    args.extend(copies(dir.path()));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(output) = run("systemd-analyze", &args) else { return };
    let said = told(&output);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("sekisho")).collect();
    assert!(output.status.success() && about.is_empty(), "{said}");
    // A line that it does not know is told, and not passed over.
    let odd = dir.path().join("sekisho-odd.service");
    fs::write(&odd, "[Service]\nExecStart=/bin/true\nKillMod=process\n").expect("write");
    let Some(output) =
        run("systemd-analyze", &["verify", "--man=no", odd.to_str().expect("a path")])
    else {
        return;
    };
    assert!(told(&output).contains("KillMod"), "{}", told(&output));
}

#[test]
fn every_unit_is_as_closed_as_it_can_bear() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = copies(dir.path());
    for (name, threshold) in EXPOSURE {
        let path = paths.iter().find(|path| path.contains(name)).expect("a copy");
        let threshold = format!("--threshold={threshold}");
        let args = ["security", "--offline=true", "--no-pager", &threshold, path];
        let Some(output) = run("systemd-analyze", &args) else { return };
        assert!(output.status.success(), "{name}: {}", told(&output));
    }
}

#[test]
fn users_and_directories_are_made_as_they_are_said() {
    let root = tempfile::tempdir().expect("a folder");
    let path = |name: &str| fs::canonicalize(systemd().join(name)).expect("a file");
    let at = format!("--root={}", root.path().display());
    fs::create_dir_all(root.path().join("etc")).expect("a folder");
    let users = path("sysusers.conf");
    let Some(made) = run("systemd-sysusers", &[&at, users.to_str().expect("a path")]) else {
        return;
    };
    if !made.status.success() && told(&made).contains("ermission") {
        return not_run("users can be made by root only");
    }
    assert!(made.status.success(), "{}", told(&made));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).expect("users");
    assert!(passwd.contains("sekisho:") && passwd.contains("sekisho-job:"), "{passwd}");
    let dirs = path("tmpfiles.conf");
    let args = ["--create", &at, dirs.to_str().expect("a path")];
    let Some(made) = run("systemd-tmpfiles", &args) else { return };
    assert!(made.status.success(), "{}", told(&made));
    for dir in ["etc/sekisho/controller", "var/lib/sekisho-controller", "var/lib/sekisho-agent"] {
        assert!(root.path().join(dir).is_dir(), "{dir}: {}", told(&made));
    }
}
