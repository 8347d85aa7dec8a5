//! A landmark as a process of its own, beside the controllers of its operator.

use anyhow::ensure;
use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::{Beside, office, says};
use sekisho_chaos::federation::{Federation, rows};
use std::fs;

const PORT_BASE: u16 = 27_680;
/// Of this host, and nobody else's of the federation.
const ADDRESS: &str = "127.0.0.99:27680";
const NAME: &str = "operators/kanto/landmarks/annex";

/// Certificate, key and settings, as an operator makes them.
fn settings(federation: &Federation) -> String {
    let own = office(federation, "kanto");
    let renew = ["pki", "renew", own.to_str().unwrap(), "--landmark", "annex"];
    federation.run("kanto", &renew).unwrap().ok().unwrap();
    let (dir, first) = (own.join("landmarks/annex"), federation.dir().join("controllers/1"));
    let first: toml::Table =
        fs::read_to_string(first.join("controller.toml")).unwrap().parse().unwrap();
    let settings = format!(
        "operator = 'kanto'\nmembers = [{listen}]\ngenesis = {genesis}\nidentity_dir = {dir:?}\n[landmark]\n\
         name = 'annex'\nlisten = '{ADDRESS}'\ndatagrams = '{ADDRESS}'\nkey = {key:?}\n",
        listen = first["listen"],
        genesis = first["genesis"],
        key = dir.join("landmark.key"),
    );
    federation.file("landmark.toml", &settings).unwrap()
}

#[test]
fn a_landmark_alone_measures_the_hosts_of_a_federation_once_it_is_registered() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let args = ["landmark", "--config", &settings(&federation)];
    let _alone = Beside::start(&federation, "sekisho-controller", "landmark", &args).unwrap();
    says(&federation, "landmark", "landmark ready").unwrap();
    // D3: before that it is told nothing but this.
    says(&federation, "landmark", "is not registered").unwrap();
    let log = fs::read_to_string(federation.dir().join("logs/landmark.log")).unwrap();
    let key = log.split("key=").nth(1).unwrap().split_whitespace().next().unwrap();
    let create = ["landmark", "create", "kanto/annex", "--position", "35.686,139.764"];
    let reached = ["--key", key, "--address", ADDRESS, "--datagrams", ADDRESS];
    federation.run("kanto", &[create.as_slice(), &reached].concat()).unwrap().ok().unwrap();
    // An agent that starts is measured at once.
    federation.signal("agent-tokyo-1-n-01", Signal::SIGKILL).unwrap();
    federation.gone("agent-tokyo-1-n-01").unwrap();
    let config = federation.dir().join("agents/tokyo-1/n-01/agent.toml");
    let args = ["run", "--config", config.to_str().unwrap()];
    let _agent = Beside::start(&federation, "sekisho-agent", "agent-again", &args).unwrap();
    federation
        .until("a fix that it has part in", || {
            let node = federation.read("kanto", &["node", "get", "tokyo-1/n-01"])?;
            let fix = rows(&node["location"], "landmarks");
            ensure!(fix.iter().any(|one| one == NAME), "{node}");
            Ok(())
        })
        .unwrap();
    says(&federation, "landmark", "measured landmark=kanto/annex").unwrap();
}
