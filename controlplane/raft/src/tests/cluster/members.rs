//! Members of a test's group that come, go, vote and move.

use super::*;
use std::collections::BTreeSet;

impl Cluster {
    /// A federation that has begun, whose state knows where its members are.
    pub(in crate::tests) fn begun(mut self) -> Self {
        let first = self.bootstrap();
        self.propose(1, first);
        // The state of the fixture begins with addresses of its own: nobody is there.
        for member in [1, 2, 3].map(MemberId) {
            let address = self.node(member.0).address;
            self.decide(Command::SetMemberAddress { member, address });
        }
        self
    }

    /// A further member of the `of`-th operator, in the state and running, not yet in the group.
    pub(in crate::tests) fn admit(&mut self, id: u64, of: usize) -> Revision {
        assert_eq!(usize::try_from(id).unwrap(), self.identities.len() + 1);
        let (operator, site, _) = OPERATORS[of];
        let first = &self.nodes[&MemberId(1)].address;
        let (ip, port) = first.rsplit_once(':').unwrap();
        let address = format!("{ip}:{}", port.parse::<u64>().unwrap() - 1 + id);
        let member = GenesisMember { address: address.clone(), ..newcomer(id, operator) };
        let by: BTreeSet<&str> = ["kanto", "naniwa", operator].into();
        let command = self.entries.taking_in(member, &by.into_iter().collect::<Vec<_>>());
        let revision = self.decide(command);
        self.identities.push(self.authorities.identity(of, id));
        self.dirs.push(tempfile::tempdir().unwrap());
        let (operator, site) = (operator.parse().unwrap(), site.parse().unwrap());
        self.nodes.insert(MemberId(id), PeerNode { address, operator, site });
        self.start(id);
        revision
    }

    /// A further address of this test alone.
    pub(in crate::tests) fn elsewhere(&mut self, id: u64) -> String {
        let node = self.nodes.get_mut(&MemberId(id)).unwrap();
        let (ip, port) = node.address.rsplit_once(':').unwrap();
        node.address = format!("{ip}:{}", port.parse::<u64>().unwrap() + 4);
        node.address.clone()
    }

    /// A change of the members that the state takes, by all administrators.
    pub(in crate::tests) fn decide(&mut self, command: Command) -> Revision {
        let entry =
            self.entries.entry(admin("kanto"), &[admin("hokuto"), admin("naniwa")], command);
        // The fixture follows, so that the next endorser bundle is a successor.
        self.entries.apply(entry.clone());
        let any = self.ids()[0];
        self.propose(any, entry).revision
    }

    pub(in crate::tests) fn set_voter(&mut self, id: u64, voter: bool) -> Revision {
        let member = MemberId(id);
        self.decide(Command::SetVoter { member, voter, accept_quorum_in_one_hand: false })
    }

    pub(in crate::tests) fn remove(&mut self, id: u64) -> Revision {
        let command = self.entries.leaver(id);
        self.decide(command)
    }

    /// Does what the leader's duty does, until the group is what the state says.
    pub(in crate::tests) fn settle(&self) -> Membership {
        let all: Vec<Consensus> = self.ids().into_iter().map(|id| self.consensus(id)).collect();
        self.wait(async {
            loop {
                for consensus in &all {
                    let (view, now) = (consensus.view(), consensus.membership());
                    if consensus.leadership().borrow().is_none() {
                        continue;
                    }
                    let plan = plan(view.state.federation().unwrap(), &now);
                    match plan.step {
                        None if plan.waits.is_empty() => return now,
                        None => {}
                        Some(step) => {
                            let deadline = Deadline::after(Duration::from_secs(5));
                            if let Err(error) = consensus.take_step(&step, &now, deadline).await {
                                tracing::info!(%error, ?step, "not now");
                            }
                        }
                    }
                }
                // waits: until a member has caught up or another leads, as the duty does
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }
}
