//! Sites, racks and nodes of a made-up fleet.
//!
//! Must hold: a rack is at one site and of one class. Racks follow one another in a fixed pattern, so a larger fleet is the
//! smaller one and more.

use anyhow::{Context as _, Result};
use sekisho_types::device::Bucket;
use sekisho_types::id::{DeviceClass, Digest, NodeId, OperatorId, SiteId};
use sekisho_types::name::Name;
use std::collections::BTreeMap;

/// Nodes of a rack, but for the last one.
pub const PER_RACK: u32 = 32;

/// Site, operator and area. The first three are those of the genesis in `sekisho_fsm::testing`.
const SITES: [(&str, &str, &str); 6] = [
    ("ishikari-1", "hokuto", "012351"),
    ("tokyo-1", "kanto", "131016"),
    ("sakai-1", "naniwa", "271403"),
    ("sapporo-1", "hokuto", "011002"),
    ("yokohama-1", "kanto", "141003"),
    ("osaka-1", "naniwa", "271004"),
];

/// A kind of node.
#[derive(Debug, Clone, Copy)]
struct Model {
    class: &'static str,
    gpus: u32,
    memory_mib: u64,
}

const LARGE: Model = Model { class: "h100-80g", gpus: 8, memory_mib: 81_920 };
const OLDER: Model = Model { class: "a100-40g", gpus: 8, memory_mib: 40_960 };
const SMALL: Model = Model { class: "l40s-48g", gpus: 4, memory_mib: 49_152 };

/// Of 16 racks, eleven, four and one.
fn model(rack: u32) -> Model {
    match rack % 16 {
        3 => SMALL,
        1 | 5 | 9 | 13 => OLDER,
        _ => LARGE,
    }
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Six-digit code of its municipality.
    pub area: &'static str,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Area of its site.
    pub area: &'static str,
    /// Its rack.
    pub rack: Name,
    /// All its GPUs.
    pub bucket: Bucket,
}

/// A class of devices in the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: DeviceClass,
    /// Memory of each GPU, MiB.
    pub memory_mib: u64,
    /// GPUs of each node.
    pub per_node: u32,
    /// Nodes.
    pub nodes: u32,
}

impl Class {
    /// GPUs of all its nodes.
    #[must_use]
    pub fn gpus(&self) -> u64 {
        u64::from(self.nodes).saturating_mul(u64::from(self.per_node))
    }
}

pub(super) fn sites() -> Result<Vec<Site>> {
    let site = |(id, operator, area): (&str, &str, &'static str)| {
        Ok(Site { id: id.parse()?, operator: operator.parse()?, area })
    };
    SITES.into_iter().map(site).collect()
}

/// So many nodes in racks, the racks one after the other at another site.
pub(super) fn racks(sites: &[Site], count: u32) -> Result<Vec<Node>> {
    let (mut turns, mut nodes) = (sites.iter().cycle(), Vec::new());
    for rack in 0..count.div_ceil(PER_RACK) {
        let (site, model) = (turns.next().context("a fleet has sites")?, model(rack));
        let name = Name::parse(&format!("r-{rack:04}"))?;
        let class: DeviceClass = model.class.parse()?;
        let first = rack.saturating_mul(PER_RACK);
        for number in first..count.min(first.saturating_add(PER_RACK)) {
            nodes.push(Node {
                id: NodeId { site: site.id.clone(), name: Name::parse(&format!("n-{number:05}"))? },
                operator: site.operator.clone(),
                area: site.area,
                rack: name.clone(),
                bucket: Bucket::whole(class.clone(), model.memory_mib, 0, devices(model.gpus)),
            });
        }
    }
    Ok(nodes)
}

/// So many devices of a node, which are told apart on it alone.
fn devices(count: u32) -> impl Iterator<Item = Digest> {
    (0..count).map(|n| Digest::of(&n.to_be_bytes()))
}

pub(super) fn classes(nodes: &[Node]) -> Vec<Class> {
    let mut classes: BTreeMap<&DeviceClass, Class> = BTreeMap::new();
    for Node { bucket, .. } in nodes {
        let (memory_mib, per_node) = (bucket.memory_mib, bucket.count);
        let new = || Class { name: bucket.class.clone(), memory_mib, per_node, nodes: 0 };
        let class = classes.entry(&bucket.class).or_insert_with(new);
        class.nodes = class.nodes.saturating_add(1);
    }
    classes.into_values().collect()
}
