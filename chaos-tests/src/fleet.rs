//! A fleet made up by a seed: sites of three operators, racks of equal nodes, tenants in a tree, and jobs whose sizes,
//! durations and arrivals follow published traces ([`law`]).
//!
//! Must hold: equal seeds give equal fleets and equal jobs; no job asks for more than the empty fleet has, whichever tenant
//! it is of. All of it are plain descriptions; [`Fleet::federation`] and [`submit`] make a state of them, by signed commands.
//! Knows no clock: a job says when it arrives, and whoever replays it waits. Nothing asks for areas, policies or sealed
//! payloads: the traces have none.

mod build;
mod chance;
mod job;
pub mod law;
mod node;
mod tenant;
#[cfg(test)]
mod tests;

pub use build::{done, submit, submitter};
pub use chance::Chance;
pub use job::{Job, Jobs, Shape};
pub use node::{Class, Node, PER_RACK, Site};
pub use tenant::Tenant;

use anyhow::{Result, ensure};

/// Of the fleets that are measured: figures of one day are of the same fleets as those of another.
pub const SEED: u64 = 20_261_122;

/// With fewer, the largest job of the laws has no room: 16 nodes of 8 GPUs.
pub const NODES_MIN: u32 = 16;

/// More than anybody has in one federation; names have five digits.
pub const NODES_MAX: u32 = 100_000;

/// A fleet on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// What its jobs are drawn by.
    pub seed: u64,
    /// Two of each operator.
    pub sites: Vec<Site>,
    /// By rack.
    pub nodes: Vec<Node>,
    /// What the nodes have, by name.
    pub classes: Vec<Class>,
    /// Parents before their parts.
    pub tenants: Vec<Tenant>,
}

impl Fleet {
    /// A fleet of so many nodes.
    ///
    /// # Errors
    /// Fewer nodes than [`NODES_MIN`], or more than [`NODES_MAX`].
    pub fn new(seed: u64, nodes: u32) -> Result<Self> {
        let bounds = NODES_MIN..=NODES_MAX;
        ensure!(bounds.contains(&nodes), "a fleet has {NODES_MIN} to {NODES_MAX} nodes");
        let sites = node::sites()?;
        let nodes = node::racks(&sites, nodes)?;
        let classes = node::classes(&nodes);
        let tenants = tenant::tree(&classes)?;
        Ok(Self { seed, sites, nodes, classes, tenants })
    }

    /// All its GPUs.
    #[must_use]
    pub fn gpus(&self) -> u64 {
        self.classes.iter().map(Class::gpus).sum()
    }

    /// Its jobs in the order of their arrival, without end.
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs::of(self)
    }

    /// Tenants that submit jobs, with how many they submit beside one another.
    #[must_use]
    pub fn submitters(&self) -> Vec<(&Tenant, u64)> {
        let all = self.tenants.iter().filter(|tenant| tenant.jobs > 0);
        all.map(|tenant| (tenant, tenant.jobs)).collect()
    }
}
