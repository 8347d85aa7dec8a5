//! The life of a host, from the shell: it joins, waits for somebody who compares its key, takes work, is drained while the
//! leader dies, and leaves for good. Real processes.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_chaos::ceremony::Beside;
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{nodes, spec, submit};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PORT_BASE: u16 = 27_480;
/// A host of hokuto's, besides the two that it has.
const NODE: &str = "ishikari-1/n-09";
const OTHERS: [&str; 2] = ["ishikari-1/n-01", "ishikari-1/n-02"];

fn path(of: &Path) -> String {
    of.to_string_lossy().into_owned()
}

fn hokuto(federation: &Federation, args: &[&str]) -> Answer {
    federation.run("hokuto", args).unwrap()
}

fn refused(answer: &Answer, exit: i32, code: &str) {
    assert!(answer.code == exit && answer.stderr.contains(code), "{exit} {code}: {answer:?}");
}

/// Joins a new host by a token that says nothing of approval. Gives the fingerprint that the host shows, and its agent.
fn host(federation: &Federation) -> (String, Beside) {
    let token = federation.dir().join("new-token");
    let create = ["node", "token", "create", NODE, "--out", &path(&token)];
    hokuto(federation, &create).ok().unwrap();
    let own = federation.dir().join("agents/ishikari-1/n-09");
    std::fs::create_dir_all(&own).unwrap();
    let text = federation.dir().join("agents/ishikari-1/n-01/agent.toml");
    let text = std::fs::read_to_string(text).unwrap().replace("n-01", "n-09");
    let lines = text.lines().filter(|line| !line.starts_with("token"));
    let settings = path(&own.join("agent.toml"));
    std::fs::write(&settings, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let join = ["join", "--token-file", &path(&token), "--config", &settings];
    let joined = Command::new(federation.program("sekisho-agent")).args(join).output().unwrap();
    let said = String::from_utf8(joined.stdout).unwrap();
    assert!(joined.status.success(), "{said}");
    let key = said.lines().find(|line| line.len() == 64).unwrap().to_owned();
    let run = ["run", "--config", &settings];
    (key, Beside::start(federation, "sekisho-agent", "agent-new", &run).unwrap())
}

fn node(federation: &Federation, name: &str) -> Value {
    federation.read("hokuto", &["node", "get", name]).unwrap()
}

/// A command that goes on, and what it prints.
struct Looking {
    child: Child,
    out: std::path::PathBuf,
}

impl Looking {
    fn start(federation: &Federation, name: &str, args: &[&str]) -> Self {
        let out = federation.dir().join("logs").join(name);
        let file = std::fs::File::create(&out).unwrap();
        let child = Command::new(federation.program("sekisho"))
            .env("SEKISHO_CONFIG", federation.dir().join("contexts.toml"))
            .env("LC_ALL", "C.UTF-8")
            .args(["--context", "hokuto"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, out }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    fn await_line(&self, federation: &Federation, line: &str) {
        federation
            .until(&format!("`{line}`"), || {
                ensure!(self.said().contains(line), "{}", self.said());
                Ok(())
            })
            .unwrap();
    }

    fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, self.said())
    }
}

/// It waits until its key was compared, and nobody else can do that.
fn approve(federation: &Federation, key: &str, job: &str) {
    federation
        .until("the host to wait for approval", || {
            let list = federation.read("hokuto", &["node", "list", "--pending"])?;
            let waits = rows(&list, "items");
            let one = waits.first().filter(|node| node["state"] == "ready");
            let one = one.ok_or_else(|| anyhow::anyhow!("{list}"))?;
            ensure!(one["node_key"] == key && one["pending"] == true, "{list}");
            ensure!(!rows(one, "buckets").is_empty(), "{list}");
            Ok(())
        })
        .unwrap();
    let why = hokuto(federation, &["node", "approve", NODE, "--key", &"0".repeat(64)]);
    refused(&why, 5, "NODE_KEY_MISMATCH");
    let short = hokuto(federation, &["node", "approve", NODE, "--key", key.get(..15).unwrap()]);
    assert_eq!(short.code, 2, "{short:?}");
    let partner = federation.run("kanto", &["node", "approve", NODE, "--key", key]).unwrap();
    refused(&partner, 4, "PERMISSION_DENIED");
    let explained = federation.run("sapporo", &["job", "explain", job, "-o", "json"]).unwrap();
    assert!(explained.stdout.contains("NODE_PENDING"), "{explained:?}");
    hokuto(federation, &["node", "approve", NODE, "--key", key.get(..16).unwrap()]).ok().unwrap();
}

/// Somebody looks on, is interrupted, and the drain goes on.
fn leave_a_drain(federation: &Federation) {
    let looking = Looking::start(federation, "drain-1", &["node", "drain", NODE, "-m", "cooling"]);
    looking.await_line(federation, "draining, 1 placements left, no deadline");
    kill(Pid::from_raw(looking.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let (code, said) = looking.end();
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("next: sekisho node drain ishikari-1/n-09 --monitor"), "{said}");
    let shown = node(federation, NODE);
    assert_eq!(shown.pointer("/drain/state").and_then(Value::as_str), Some("draining"));
}

#[test]
fn a_host_is_approved_drained_while_the_leader_dies_and_decommissioned() {
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let (key, _agent) = host(&federation);
    let both = ["node", "drain", OTHERS[0], OTHERS[1], "--now", "--detach"];
    hokuto(&federation, &both).ok().unwrap();
    for other in OTHERS {
        assert_eq!(node(&federation, other)["drain"]["state"], "drained");
    }
    let script = "exec sleep 51515.25";
    let job = submit(&federation, "moved", &spec("moved", 1, 1, "Hokkaido", script)).unwrap();
    approve(&federation, &key, &job);
    let placed = federation.await_job(&job, &["running"]).unwrap();
    assert_eq!(nodes(&placed), ["sites/ishikari-1/nodes/n-09"]);
    let undrain = ["node", "undrain", OTHERS[0], OTHERS[1]];
    hokuto(&federation, &undrain).ok().unwrap();

    leave_a_drain(&federation);
    let early = hokuto(&federation, &["node", "decommission", NODE, "--yes"]);
    refused(&early, 6, "WRONG_PHASE");
    let deadline = ["node", "drain", NODE, "--deadline", "6s", "-m", "cooling"];
    let looking = Looking::start(&federation, "drain-2", &deadline);
    looking.await_line(&federation, "draining, 1 placements left, they are moved at");
    let leader = federation.leader().unwrap();
    federation.signal(&format!("controller-{leader}"), Signal::SIGKILL).unwrap();
    let (code, said) = looking.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("has ended, 0 left") && said.contains("drained"), "{said}");
    federation.revive(leader).unwrap();
    federation.whole().unwrap();
    let moved = federation
        .until("the job to run elsewhere", || {
            let moved = federation.read("sapporo", &["job", "status", &job])?;
            let on = nodes(&moved);
            ensure!(
                moved["phase"] == "running" && on != ["sites/ishikari-1/nodes/n-09"],
                "{moved}"
            );
            Ok(moved)
        })
        .unwrap();
    assert!(nodes(&moved)[0].starts_with("sites/ishikari-1/"), "{moved}");
    let looked = hokuto(&federation, &["node", "drain", NODE, "--monitor"]);
    assert!(looked.code == 0 && looked.stdout.contains("drained"), "{looked:?}");

    hokuto(&federation, &["node", "decommission", NODE, "--yes"]).ok().unwrap();
    refused(&hokuto(&federation, &["node", "get", NODE]), 3, "NOT_FOUND");
    federation
        .until("the host to be told", || {
            let log = std::fs::read_to_string(federation.dir().join("logs/agent-new.log"))?;
            ensure!(log.contains("was decommissioned") || log.contains("is not enrolled"), "{log}");
            Ok(())
        })
        .unwrap();
    // The name is free.
    let again = path(&federation.dir().join("another-token"));
    hokuto(&federation, &["node", "token", "create", NODE, "--out", &again]).ok().unwrap();
    federation.run("sapporo", &["job", "cancel", &job]).unwrap().ok().unwrap();
    federation.await_job(&job, &["cancelled"]).unwrap();
}
