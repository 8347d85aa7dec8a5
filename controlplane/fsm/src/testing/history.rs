//! A long history, for measuring what reads logs: jobs come, are granted, run and end, day in, day out.
//!
//! Every fifth or so of its records is a command that somebody signed; nothing is refused.

use super::{CLASS, Federation, OPERATORS, agent, job, member, user};
use crate::command::{Command, Group, Slot};
use sekisho_evidence::checkpoint::{Checkpoint, assemble};
use sekisho_types::id::{JobId, MemberId, NodeId, TenantId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::quota::Limit;

/// Jobs of one round: a member proposes about so many placements at once.
const TOGETHER: usize = 8;
/// Hosts of each site.
const HOSTS: usize = 8;

/// A federation on its way through such a history.
#[derive(Debug)]
pub struct History {
    federation: Federation,
    nodes: Vec<NodeId>,
    tenants: Vec<TenantId>,
    rounds: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// Three sites of eight hosts with eight GPUs each, and four tenants.
    #[must_use]
    pub fn new() -> Self {
        let mut federation = Federation::new();
        let names = ["sapporo", "osaka", "naha", "sendai"];
        let tenants = names.map(|name| federation.tenant(name, Limit::Gpus(64))).to_vec();
        let mut nodes = Vec::new();
        for (_, site, _) in OPERATORS {
            for host in 0..HOSTS {
                nodes.push(federation.ready_node(&format!("{site}/n-{host:02}"), 8));
            }
        }
        Self { federation, nodes, tenants, rounds: 0 }
    }

    /// The records since the last call; nothing else is kept of them.
    pub fn records(&mut self) -> Vec<Vec<u8>> {
        self.federation.log.clear();
        let applied = std::mem::take(&mut self.federation.applied);
        applied.into_iter().flat_map(|one| one.leaves).map(|leaf| leaf.record).collect()
    }

    /// Goes on: some jobs from their submission to their end, about fifty records.
    pub fn round(&mut self) {
        let round = self.rounds;
        self.rounds = round.saturating_add(1);
        let f = &mut self.federation;
        let mut groups = Vec::new();
        for n in 0..TOGETHER {
            let at = round.saturating_mul(TOGETHER).saturating_add(n);
            let tenant =
                self.tenants.get(at.checked_rem(self.tenants.len()).unwrap()).cloned().unwrap();
            let node = self.nodes.get(at.checked_rem(self.nodes.len()).unwrap()).cloned().unwrap();
            let name = format!("job-{round}-{n}");
            let mut facts = job(&name, 1, 1, &[]);
            facts.id = JobId { tenant: tenant.clone(), name: name.parse().unwrap(), task: None };
            facts.resources.class = CLASS.parse().unwrap();
            let id = facts.id.clone();
            let by = user("kanto", tenant.as_str());
            f.accept(by, Command::SubmitJob { facts: Box::new(facts) });
            groups.push(Group { job: id, places: vec![Slot { node, bucket: 0 }] });
        }
        let jobs: Vec<(JobId, NodeId)> = groups
            .iter()
            .map(|group| (group.job.clone(), group.places.first().unwrap().node.clone()))
            .collect();
        let basis = f.state.revision();
        f.accept(member("kanto"), Command::CommitPlacement { basis, groups, calls: None });
        for end in [false, true] {
            for (job, node) in &jobs {
                let placement = *f.placements(job).first().unwrap();
                let session = f.state.node(node).unwrap().session.clone().unwrap().id;
                let phase = if end { Phase::Ended(Ending::Exited(0)) } else { Phase::Running };
                let phases = vec![(placement, phase)];
                f.accept(agent(node), Command::Report { node: node.clone(), session, phases });
            }
        }
        f.now = f.now.plus_ms(100);
        if round.is_multiple_of(10) {
            f.accept(member("hokuto"), Command::Tick);
        }
    }

    /// The signed note over everything so far, by two operators.
    #[must_use]
    pub fn note(&self) -> Vec<u8> {
        let state = &self.federation.state;
        let bundle = &state.federation().unwrap().bundle;
        let checkpoint = Checkpoint {
            cluster: bundle.cluster,
            incarnation: bundle.incarnation,
            head: state.audit_head().unwrap(),
            revision: state.revision(),
            time: state.clock(),
        };
        let line = |id: u64| {
            let member = MemberId(id);
            let of = bundle.endorsers.iter().find(|e| e.member == member).unwrap();
            checkpoint.sign(&of.operator, member, &super::checkpoint_key(member)).unwrap()
        };
        assemble(&checkpoint.text().unwrap(), &[line(1), line(2)])
    }
}
