//! One agent with its federation at hand, and what its actions are asked for.

use super::*;

/// A second, in nanoseconds.
pub(super) const S: u64 = 1_000_000_000;

/// An agent with its federation at hand.
pub(super) struct World {
    pub(super) federation: Federation,
    pub(super) history: History,
    pub(super) agent: Reconciler,
    pub(super) ns: u64,
    pub(super) session: SessionId,
    pub(super) sequence: u64,
}

pub(super) fn id(revision: u64, ordinal: u32) -> PlacementId {
    PlacementId { epoch: epoch(revision), ordinal }
}

impl World {
    /// With an open session and a lease.
    pub(super) fn new() -> Self {
        let mut world = Self::closed();
        world.open();
        world.beat();
        world
    }

    pub(super) fn closed() -> Self {
        let federation = Federation::new();
        let ledger = Ledger::new("ishikari-1/n-01".parse().unwrap(), federation.bundle());
        let agent =
            Reconciler::new(ledger, federation.standing("012351"), devices(4), located(), 0);
        let history = federation.history();
        Self { federation, history, agent, ns: S, session: SESSION, sequence: 0 }
    }

    pub(super) fn step(&mut self, input: Input) -> Vec<Action> {
        let now = Moment { boot_ns: self.ns, wall: NOW, random: self.session.0 };
        let actions = self.agent.step(input, now);
        for action in &actions {
            if let Action::Renew(_, sequence, _) = action {
                self.sequence = *sequence;
            }
        }
        actions
    }

    pub(super) fn at(&mut self, ns: u64) -> Vec<Action> {
        self.ns = ns;
        self.step(Input::Tick)
    }

    pub(super) fn open(&mut self) -> Vec<Action> {
        let asked = self.step(Input::Tick);
        assert_eq!(asked[0], Action::WriteLedger);
        assert!(
            matches!(&asked[1], Action::OpenSession { session, .. } if *session == self.session)
        );
        self.step(Input::SessionOpened(self.session))
    }

    /// The leader and a further operator acknowledge the newest renewal.
    pub(super) fn beat(&mut self) {
        self.word(1, Some(self.sign(1, self.sequence)));
        self.word(2, None);
    }

    /// Member `by` says as the leader that the renewal counts.
    pub(super) fn sign(&self, by: u8, sequence: u64) -> Acknowledgement {
        let counted = Counted {
            cluster: self.federation.cluster,
            incarnation: self.federation.bundle().incarnation,
            member: MemberId(by.into()),
            term: 3,
            revision: Revision(900),
        };
        let node = self.agent.ledger().node().clone();
        let renewal = Renewal { node, session: self.session, sequence };
        let key = self.federation.key(by);
        acknowledge(counted, &[renewal], &key).unwrap().remove(0)
    }

    /// What comes on the stream of a member, of the newest renewal.
    pub(super) fn word(&mut self, member: u64, signed: Option<Acknowledgement>) -> Vec<Action> {
        self.step(Input::Acknowledged {
            session: self.session,
            sequence: self.sequence,
            member: MemberId(member),
            operator: self.federation.operator(member),
            revision: Revision(900),
            signed: signed.map(Box::new),
        })
    }

    pub(super) fn deliver(&mut self, set: &Set, revision: u64) -> Vec<Action> {
        let (text, lines) = self.history.sign(revision, &[1, 2]);
        let size = self.agent.ledger().head().size;
        let mut last = Vec::new();
        for (member, line) in [1, 2].into_iter().zip(lines) {
            let delivered = Delivered {
                text: text.clone(),
                line,
                delivery: self.history.deliver(set),
                consistency: self.history.consistency(size),
            };
            last = self.step(Input::Delivered(MemberId(member), Box::new(delivered)));
        }
        last
    }

    pub(super) fn desire(&mut self, revision: u64, grants: &[Grant]) -> Vec<Action> {
        let set = self.history.desire(revision, grants);
        self.deliver(&set, revision)
    }

    /// A grant of `gpus`, running.
    pub(super) fn run(&mut self, revision: u64, change: impl Fn(&mut Grant)) -> Grant {
        let grant = self.grant_of(revision, change);
        self.desire(revision, std::slice::from_ref(&grant));
        self.fetched(&grant);
        self.step(Input::Started(grant.placement, S));
        self.step(Input::Reported);
        self.step(Input::Reported);
        grant
    }

    pub(super) fn grant(&self, revision: u64) -> Grant {
        Grant { session: self.session, ..self.federation.grant(revision, 0) }
    }

    /// As [`World::grant`], submitted with this change.
    pub(super) fn grant_of(&self, revision: u64, change: impl Fn(&mut Grant)) -> Grant {
        let mut grant = self.grant(revision);
        change(&mut grant);
        self.federation.submitted(grant)
    }

    /// A member gives what was granted.
    pub(super) fn fetched(&mut self, grant: &Grant) -> Vec<Action> {
        let fetched = self.federation.fetched(grant);
        self.step(Input::Payload(grant.placement, fetched))
    }

    pub(super) fn phase(&self, placement: &PlacementId) -> EntryPhase {
        self.agent.ledger().entries()[placement].phase.clone()
    }
}

pub(super) fn fetch(grant: &Grant) -> Action {
    let Grant { placement, payload, submission, .. } = *grant;
    Action::FetchPayload { placement, payload, submission }
}

pub(super) fn reports(actions: &[Action]) -> Vec<(PlacementId, Phase)> {
    let report = |action: &Action| {
        if let Action::Report(_, phases) = action { phases.clone() } else { vec![] }
    };
    actions.iter().flat_map(report).collect()
}

pub(super) fn starts(actions: &[Action]) -> Vec<Vec<String>> {
    let start = |action: &Action| {
        if let Action::Start(order) = action { Some(order.devices.clone()) } else { None }
    };
    actions.iter().filter_map(start).collect()
}
