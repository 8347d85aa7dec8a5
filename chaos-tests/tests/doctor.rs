//! `doctor` of both programs beside a federation that runs, and after one of its members was killed.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sekisho_chaos::federation::Federation;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const PORT_BASE: u16 = 27_560;

/// What `program doctor` says, and how it ends.
fn doctor(federation: &Federation, program: &str, config: &Path) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(federation.program(program));
    let output = command.args(["doctor", "-o", "json", "--config"]).arg(config).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let read = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
    Ok((output.status.code(), read))
}

fn codes(told: &Value) -> BTreeSet<String> {
    let checks = told["checks"].as_array().cloned().unwrap_or_default();
    checks.iter().filter_map(|check| check["code"].as_str().map(str::to_owned)).collect()
}

fn has(told: &Value, wanted: &[&str]) -> Result<()> {
    let codes = codes(told);
    for code in wanted {
        ensure!(codes.contains(*code), "{code} is not in {codes:?}");
    }
    Ok(())
}

/// Failures, without what this machine lacks and the federation does not need.
fn failures(told: &Value) -> Vec<Value> {
    let checks = told["checks"].as_array().cloned().unwrap_or_default();
    checks.into_iter().filter(|check| check["result"] == "failure").collect()
}

#[test]
fn both_programs_are_told_well_while_they_run_and_what_is_lost_when_a_member_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let agents = federation.dir().join("agents");
    let site = std::fs::read_dir(&agents).unwrap().next().unwrap().unwrap().path();
    let node = std::fs::read_dir(&site).unwrap().next().unwrap().unwrap().path();
    let agent = node.join("agent.toml");
    let controller = federation.dir().join("controllers/1/controller.toml");
    let (exit, told) = doctor(&federation, "sekisho-agent", &agent).unwrap();
    has(
        &told,
        &[
            "RUNNING_YES",
            "ENROLMENT_SOUND",
            "LEDGER_SOUND",
            "CERTIFICATE_SOUND",
            "CHAIN_SOUND",
            "TAG_SOUND",
            "DEVICES_SOUND",
            "WATCHDOG_RUNS",
            "MEMBER_ANSWERS",
            "OPERATORS_ENOUGH",
            "MEMBERS_AGREE",
        ],
    )
    .unwrap();
    assert_eq!((exit, failures(&told)), (Some(0), Vec::new()));
    let (exit, told) = doctor(&federation, "sekisho-controller", &controller).unwrap();
    has(
        &told,
        &[
            "RUNNING_YES",
            "DIRECTORY_SOUND",
            "GROUND_SOUND",
            "CERTIFICATE_SOUND",
            "CHAIN_SOUND",
            "CHECKPOINT_KEY_SOUND",
            "ISSUER_SOUND",
            "LISTEN_OURS",
            "MEMBER_ANSWERS",
            "MAJORITY_SEEN",
            "MEMBERS_AGREE",
        ],
    )
    .unwrap();
    assert_eq!((exit, failures(&told)), (Some(0), Vec::new()));
    // The federation goes on as if nobody had looked.
    federation.whole().unwrap();

    for member in ["controller-2", "controller-3"] {
        federation.signal(member, Signal::SIGKILL).unwrap();
    }
    let told = federation.until("the two that are gone to be told", || {
        let (exit, told) = doctor(&federation, "sekisho-controller", &controller)?;
        has(&told, &["MEMBER_UNREACHABLE", "MAJORITY_MISSING"])?;
        ensure!(exit == Some(1), "{exit:?}");
        Ok(told)
    });
    assert!(!codes(&told.unwrap()).contains("MEMBER_ANSWERS"));
    let (exit, told) = doctor(&federation, "sekisho-agent", &agent).unwrap();
    has(&told, &["MEMBER_ANSWERS", "MEMBER_UNREACHABLE", "OPERATORS_FEW"]).unwrap();
    assert_eq!(exit, Some(1));
}
