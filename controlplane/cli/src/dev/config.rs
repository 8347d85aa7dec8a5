//! The settings files of the programs that `sekisho dev` starts: the one place that knows their keys.

use super::layout::Layout;
use super::plan::{CLASS, MEMORY_MIB, Node, Operator, Plan, WATTS};
use super::relay::Way;
use crate::failure::{Failure, of_file};
use crate::pki::{CHECKPOINT_FILE, OperatorDir, SITE_TAG_FILE, private_dir};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Filter of a controller's log: openraft tells at INFO what it sends.
const CONTROLLER_LOG: &str = "info,openraft=warn";
/// Filter of an agent's log.
const LOG: &str = "info";

/// `controller.toml`.
#[derive(Debug, Serialize)]
struct Controller<'p> {
    member: u64,
    operator: &'p str,
    site: &'p str,
    data_dir: PathBuf,
    listen: &'p str,
    genesis: PathBuf,
    identity_dir: PathBuf,
    issuer_dir: PathBuf,
    site_tag_key: PathBuf,
    checkpoint_key: PathBuf,
    log: &'p str,
    metrics: Metrics<'p>,
    landmark: Vec<Landmark<'p>>,
}

#[derive(Debug, Serialize)]
struct Landmark<'p> {
    name: &'p str,
    listen: SocketAddr,
    datagrams: SocketAddr,
    key: PathBuf,
    /// What stands between it and landmarks at other places.
    via: BTreeMap<String, SocketAddr>,
}

#[derive(Debug, Serialize)]
struct Metrics<'p> {
    listen: &'p str,
}

/// `agent.toml`.
#[derive(Debug, Serialize)]
struct Agent<'p> {
    node: String,
    /// Where the host says it stands.
    area: String,
    /// Of its site.
    rack: &'p str,
    data_dir: PathBuf,
    /// Only until it joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<PathBuf>,
    log: &'p str,
    devices: Devices<'p>,
    /// What stands between it and landmarks at other places.
    landmark_via: BTreeMap<String, SocketAddr>,
}

/// `ways.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ways {
    way: Vec<Way>,
}

#[derive(Debug, Serialize)]
struct Devices<'p> {
    kind: &'p str,
    dir: PathBuf,
    groups: Vec<Group<'p>>,
}

#[derive(Debug, Serialize)]
struct Group<'p> {
    class: &'p str,
    memory_mib: u64,
    watts: u32,
    islands: u16,
    devices: u32,
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = toml::to_string(value).map_err(|error| of_file(path, &error))?;
    std::fs::write(path, text).map_err(|error| of_file(path, &error))
}

/// Writes down the imitated ways.
pub(super) fn write_ways(layout: &Layout, plan: &Plan) -> Result<(), Failure> {
    write(&layout.ways(), &Ways { way: plan.ways.iter().map(|plan| plan.way.clone()).collect() })
}

/// The ways as written down.
pub(super) fn read_ways(layout: &Layout) -> Result<Vec<Way>, Failure> {
    let path = layout.ways();
    let text = std::fs::read_to_string(&path).map_err(|error| of_file(&path, &error))?;
    let ways: Ways = toml::from_str(&text).map_err(|error| of_file(&path, &error))?;
    Ok(ways.way)
}

/// Writes a controller's settings and makes its directories.
pub(super) fn write_controller(
    layout: &Layout,
    plan: &Plan,
    operator: &Operator,
) -> Result<(), Failure> {
    let dir = layout.controller(operator.member);
    private_dir(&dir)?;
    let own = OperatorDir::new(layout.operator(&operator.id));
    let config = Controller {
        member: operator.member.0,
        operator: operator.id.as_str(),
        site: operator.site.as_str(),
        data_dir: dir.join("data"),
        listen: &operator.listen,
        genesis: layout.genesis(),
        identity_dir: own.member(operator.member),
        issuer_dir: own.site(&operator.site),
        site_tag_key: own.path().join(SITE_TAG_FILE),
        checkpoint_key: own.member(operator.member).join(CHECKPOINT_FILE),
        log: CONTROLLER_LOG,
        metrics: Metrics { listen: &operator.metrics },
        landmark: plan
            .landmarks
            .iter()
            .filter(|landmark| landmark.id.operator == operator.id)
            .map(|landmark| Landmark {
                name: landmark.id.name.as_str(),
                listen: landmark.address,
                datagrams: landmark.address,
                key: layout.landmark_key(&landmark.id),
                via: plan
                    .ways_from(&landmark.stands)
                    .map(|plan| (plan.landmark.to_string(), plan.way.listen))
                    .collect(),
            })
            .collect(),
    };
    write(&dir.join("controller.toml"), &config)
}

/// Writes an agent's settings and makes its directories. `joining` = there is a token for it.
pub(super) fn write_agent(
    layout: &Layout,
    plan: &Plan,
    node: &Node,
    joining: bool,
) -> Result<(), Failure> {
    let dir = layout.agent(&node.id);
    private_dir(&dir)?;
    let config = Agent {
        node: node.id.to_string(),
        area: node.area.to_string(),
        rack: node.rack.as_str(),
        data_dir: dir.join("data"),
        token: joining.then(|| layout.token(&node.id)),
        log: LOG,
        devices: Devices {
            kind: "simulated",
            dir: dir.join("devices"),
            groups: vec![Group {
                class: CLASS,
                memory_mib: MEMORY_MIB,
                watts: WATTS,
                islands: 1,
                devices: node.gpus,
            }],
        },
        landmark_via: plan
            .ways_from(&node.stands)
            .map(|plan| (plan.landmark.to_string(), plan.way.listen))
            .collect(),
    };
    write(&dir.join("agent.toml"), &config)
}

/// The example job.
pub(super) fn write_example(layout: &Layout) -> Result<(), Failure> {
    let text = format!(
        "# sekisho job plan job.yaml --context sapporo
name: hello
tenant: sapporo
resources:
  class: {CLASS}
  gpus: 2
residency:
  areas: [Hokkaido]
time_limit: 10m
run:
  command: [/bin/sh, -c, \"echo hello from $(uname -n); sleep 30\"]
"
    );
    let path = layout.example();
    std::fs::write(&path, text).map_err(|error| of_file(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_gets_settings_with_absolute_paths_and_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("dev")).unwrap();
        let plan = Plan::new(17_440).unwrap();
        for operator in &plan.operators {
            write_controller(&layout, &plan, operator).unwrap();
        }
        let path = layout.controller(plan.operators[1].member).join("controller.toml");
        let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let mut keys: Vec<&str> = table.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "checkpoint_key",
                "data_dir",
                "genesis",
                "identity_dir",
                "issuer_dir",
                "landmark",
                "listen",
                "log",
                "member",
                "metrics",
                "operator",
                "site",
                "site_tag_key",
            ]
        );
        assert_eq!(table["listen"].as_str(), Some("127.0.0.1:17441"));
        assert_eq!(table["metrics"]["listen"].as_str(), Some("127.0.0.1:17448"));
        for key in
            ["data_dir", "genesis", "identity_dir", "issuer_dir", "site_tag_key", "checkpoint_key"]
        {
            assert!(Path::new(table[key].as_str().unwrap()).is_absolute(), "{key}");
        }
        let landmarks = table["landmark"].as_array().unwrap();
        let names: Vec<_> = landmarks.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["tokyo-1", "sakai-1"]);
        assert!(landmarks[0]["key"].as_str().unwrap().contains("operators/naniwa"));
        // A landmark measured without its way would seem to stand where all of them do.
        let via = |at: usize| landmarks[at]["via"].as_table().unwrap();
        assert_eq!((via(0).len(), via(1).len()), (6, 6));
        assert_ne!(via(0)["kanto/tokyo-1"], via(1)["kanto/tokyo-1"]);
        // An operator's controller is given nothing from another operator's directory but the root.
        let foreign = table["identity_dir"].as_str().unwrap().contains("operators/kanto");
        assert!(!foreign);
        write_agent(&layout, &plan, &plan.nodes[3], true).unwrap();
        let agent: toml::Table =
            std::fs::read_to_string(layout.agent(&plan.nodes[3].id).join("agent.toml"))
                .unwrap()
                .parse()
                .unwrap();
        assert_eq!(agent["node"].as_str(), Some("ishikari-1/n-02"));
        assert_eq!(agent["rack"].as_str(), Some("r2"));
        assert_eq!(agent["devices"]["groups"][0]["devices"].as_integer(), Some(2));
        assert_eq!(agent["landmark_via"].as_table().unwrap().len(), 6);
        assert_eq!(agent["landmark_via"]["kanto/tokyo-1"].as_str(), Some("127.0.3.16:17440"));
        write_ways(&layout, &plan).unwrap();
        let ways = read_ways(&layout).unwrap();
        assert_eq!((ways.len(), &ways[12]), (18, &plan.ways[12].way));
    }

    #[test]
    fn the_example_job_is_a_good_spec() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        write_example(&layout).unwrap();
        let text = std::fs::read_to_string(layout.example()).unwrap();
        let day = sekisho_types::time::Date::parse("2026-11-22").unwrap();
        let spec = crate::spec::parse(&text, &crate::spec::Override::default(), day).unwrap();
        assert_eq!(spec.facts.id.to_string(), "sapporo/hello");
    }
}
