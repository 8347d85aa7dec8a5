//! What may happen next, and what it changes.
//!
//! Must hold: each rule stands where the product has it, and [`Bug`] takes out one of them. Who must act by some time only
//! keeps the clock from going on ([`Protocol::holds_the_clock`]); who may act is never made to.

use super::state::{Answer, At, Lead, Lease, Mode, Placed, Renewal, Seat, Set, State};
use super::{Bug, HostFaults, Out, Protocol};

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Time passes.
    Tick,
    /// The agent sends a renewal.
    Send,
    /// It comes to a member that takes itself for the leader.
    Receive(Renewal, u8),
    /// A round confirmed that member, and it counts the renewal.
    Count(Renewal),
    /// A member of another operator acknowledges it.
    Witness(Renewal),
    /// The answers come to the agent.
    Deliver(Renewal),
    /// It is lost.
    Lose(Renewal),
    /// A member wins an election, or is handed the leadership.
    Elect(u8),
    /// A superseded leader learns of it.
    Resign(u8),
    /// A leader finds that W is over.
    Mark(u8),
    /// The end of the lease commits.
    Expire(u8),
    /// A grant commits.
    Grant(At),
    /// A stop commits: preemption, cancellation.
    Stop,
    /// The host is revoked, or put into quarantine.
    Revoke,
    /// Its quarantine ends.
    Release,
    /// By the agent, or the job's process.
    Host(Act),
    /// To the host.
    Fault(Fault),
    /// The other host starts what was granted to it.
    OtherStarts,
    /// It has ended there, and the word of that commits.
    OtherEnds,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Takes the desired set of this revision in.
    Accept(u8),
    /// Starts what it accepted.
    Start,
    /// The job's process ends, by itself or killed.
    End,
    /// Its word that a placement is dead commits.
    Report,
    /// Its new session commits.
    Open,
}

/// What happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// SIGSTOP to the agent.
    AgentStops,
    /// SIGCONT.
    AgentGoesOn,
    /// SIGKILL to the agent.
    AgentDies,
    /// A new process of the agent, over the same ledger.
    AgentStarts,
    /// SIGKILL to the watchdog.
    WatchdogDies,
    /// Its supervisor starts it again.
    WatchdogStarts,
    /// All of the host stands still.
    Freeze,
    /// It goes on.
    Thaw,
}

/// One older, but no older than makes a difference.
fn older(age: &mut u8, cap: u8) {
    *age = age.saturating_add(1).min(cap);
}

impl Protocol {
    /// Everything that may happen.
    pub(super) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.holds_the_clock(state) {
            actions.push(Action::Tick);
        }
        self.on_the_way(state, actions);
        self.by_members(state, actions);
        self.on_the_host(state, actions);
    }

    /// What has to be done before time goes on: by its deadline a job is killed, by the agent or by the watchdog, whose
    /// supervisor starts it again at once.
    fn holds_the_clock(&self, state: &State) -> bool {
        let host = &state.host;
        if host.frozen {
            return false;
        }
        let enforced = host.mode == Mode::Up || !self.has(Bug::NoWatchdog);
        let over = host.held.is_some_and(|age| age >= self.times.dead());
        let unguarded = host.run.is_some() && host.mode != Mode::Up && !host.watchdog;
        enforced && (host.run.is_some() && over || unguarded)
    }

    fn on_the_way(&self, state: &State, actions: &mut Vec<Action>) {
        let host = &state.host;
        let acts = host.mode == Mode::Up && !host.frozen;
        let renews = matches!(host.seat, Seat::Open | Seat::Leased);
        if acts && renews && state.renewals.len() < self.scope.renewals {
            actions.push(Action::Send);
        }
        for renewal in &state.renewals {
            match renewal.leader {
                Answer::Out => {
                    let leads = [0, 1].into_iter().filter(|by| state.lead(*by).is_some());
                    actions.extend(leads.map(|by| Action::Receive(*renewal, by)));
                    if self.has(Bug::CarrierCounts) {
                        actions.push(Action::Count(*renewal));
                    }
                }
                Answer::Received { by, .. } => {
                    if state.lead(by).is_some()
                        && (state.leads(by) || self.lies() || self.has(Bug::CountWithoutRound))
                    {
                        actions.push(Action::Count(*renewal));
                    }
                }
                Answer::Counted => {
                    if acts && renewal.witnessed {
                        actions.push(Action::Deliver(*renewal));
                    }
                }
                Answer::Expiring => {
                    if acts {
                        actions.push(Action::Deliver(*renewal));
                    }
                }
            }
            let knows = state.revoked.is_some_and(|age| age > self.times.lag);
            if !renewal.witnessed && (!knows || self.has(Bug::LyingLeaderAlone)) {
                actions.push(Action::Witness(*renewal));
            }
            actions.push(Action::Lose(*renewal));
        }
    }

    fn by_members(&self, state: &State, actions: &mut Vec<Action>) {
        for member in [0, 1] {
            if state.term < self.scope.terms {
                actions.push(Action::Elect(member));
            }
            let Some(lead) = state.lead(member) else { continue };
            if !state.leads(member) {
                actions.push(Action::Resign(member));
            }
            let Some(lease) = lead.lease else { continue };
            if !lease.expiring && lease.since >= self.times.due() {
                actions.push(Action::Mark(member));
            }
            let may = state.leads(member) || self.has(Bug::ExpireInAnyTerm);
            if may && lease.expiring && lease.session == state.session && !state.expired {
                actions.push(Action::Expire(member));
            }
        }
        if state.revision < self.scope.revisions {
            if state.placed.is_none() {
                actions.push(Action::Grant(At::Other));
                let revoked = state.revoked.is_some() && !self.has(Bug::GrantToRevoked);
                if !state.expired && !revoked {
                    actions.push(Action::Grant(At::Host));
                }
            }
            if state.placed_here().is_some_and(|placed| !placed.stopping) {
                actions.push(Action::Stop);
            }
        }
        if self.scope.out != Out::Never && state.revoked.is_none() && !state.released {
            actions.push(Action::Revoke);
        }
        let out = self.scope.out == Out::UntilReleased && state.revoked.is_some();
        if out && state.expired {
            actions.push(Action::Release);
        }
    }

    fn on_the_host(&self, state: &State, actions: &mut Vec<Action>) {
        let host = &state.host;
        if !host.frozen {
            if host.run.is_some() {
                actions.push(Action::Host(Act::End));
            }
            if host.mode == Mode::Up {
                self.by_the_agent(state, actions);
            }
        }
        if self.scope.host != HostFaults::None {
            actions.push(Action::Fault(match host.mode {
                Mode::Up => Fault::AgentStops,
                Mode::Stopped => Fault::AgentGoesOn,
                Mode::Dead => Fault::AgentStarts,
            }));
            if host.mode != Mode::Dead {
                actions.push(Action::Fault(Fault::AgentDies));
            }
            let watchdog = if host.watchdog { Fault::WatchdogDies } else { Fault::WatchdogStarts };
            actions.push(Action::Fault(watchdog));
        }
        if self.scope.host == HostFaults::All {
            let freeze = if host.frozen { Fault::Thaw } else { Fault::Freeze };
            actions.push(Action::Fault(freeze));
        }
        let there = state.placed.filter(|placed| placed.at == At::Other);
        if let Some(placed) = there {
            match state.other {
                None => actions.push(Action::OtherStarts),
                Some(epoch) if epoch == placed.epoch => actions.push(Action::OtherEnds),
                Some(_) => {}
            }
        }
    }

    fn by_the_agent(&self, state: &State, actions: &mut Vec<Action>) {
        let host = &state.host;
        for set in &state.sets {
            let newer = set.revision > host.floor || self.has(Bug::NoFence);
            if set.session == host.session && newer {
                actions.push(Action::Host(Act::Accept(set.revision)));
            }
        }
        // Its clock may be slow.
        let time =
            host.held.is_some_and(|age| age < self.times.lease.saturating_add(self.times.drift));
        let leased = host.seat == Seat::Leased && time || self.has(Bug::StartWithoutLease);
        if host.pending.is_some() && host.run.is_none() && leased {
            actions.push(Action::Host(Act::Start));
        }
        if let Some(placed) = state.placed_here() {
            let open = [host.run, host.pending].contains(&Some(placed.epoch));
            if placed.epoch <= host.floor && !open {
                actions.push(Action::Host(Act::Report));
            }
        }
        let previous = host.session == state.session || state.expired;
        if state.session < self.scope.sessions && state.revoked.is_none() && previous {
            actions.push(Action::Host(Act::Open));
        }
    }

    /// Does it.
    pub(super) fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Tick => self.tick(state),
            Action::Send => {
                let session = state.host.session;
                let leader = Answer::Out;
                state.renewals.push(Renewal { session, age: 0, leader, witnessed: false });
            }
            Action::Receive(renewal, by) => {
                replace(
                    state,
                    renewal,
                    Renewal { leader: Answer::Received { by, age: 0 }, ..renewal },
                );
            }
            Action::Count(renewal) => self.count(state, renewal),
            Action::Witness(renewal) => {
                replace(state, renewal, Renewal { witnessed: true, ..renewal });
            }
            Action::Deliver(renewal) => self.deliver(state, renewal),
            Action::Lose(renewal) => remove(state, renewal),
            Action::Elect(member) => self.elect(state, member),
            Action::Resign(member) => {
                if let Some(lead) = state.leads.get_mut(usize::from(member)) {
                    *lead = None;
                }
            }
            Action::Mark(member) => {
                let lease = state.lead_mut(member).and_then(|lead| lead.lease.as_mut());
                if let Some(lease) = lease {
                    lease.expiring = true;
                }
            }
            Action::Expire(_) => {
                state.expired = true;
                state.free_host();
                observe(state, None);
            }
            Action::Grant(at) => grant(state, at),
            Action::Stop => self.stop(state),
            Action::Revoke => state.revoked = Some(0),
            Action::Release => (state.revoked, state.released) = (None, true),
            Action::Host(act) => self.act(state, act),
            Action::Fault(fault) => self.fault(state, fault),
            Action::OtherStarts => state.other = state.placed.map(|placed| placed.epoch),
            Action::OtherEnds => (state.other, state.placed) = (None, None),
        }
        state.renewals.sort_unstable();
    }

    fn tick(&self, state: &mut State) {
        let times = self.times;
        let gone = times.dead().saturating_add(1);
        if let Some(age) = &mut state.host.held {
            older(age, gone);
        }
        for lease in state.leads.iter_mut().flatten().filter_map(|lead| lead.lease.as_mut()) {
            older(&mut lease.since, times.due());
        }
        if let Some(age) = &mut state.revoked {
            older(age, times.revoked().saturating_add(1));
        }
        for renewal in &mut state.renewals {
            older(&mut renewal.age, gone);
            if let Answer::Received { age, .. } = &mut renewal.leader {
                older(age, gone);
            }
        }
        // What is older than any deadline that it could give changes nothing.
        let end = times.lease.saturating_add(times.drift);
        state.renewals.retain(|renewal| renewal.age < end);
    }

    fn count(&self, state: &mut State, renewal: Renewal) {
        if self.has(Bug::CarrierCounts) && renewal.leader == Answer::Out {
            return replace(state, renewal, Renewal { leader: Answer::Counted, ..renewal });
        }
        let Answer::Received { by, age } = renewal.leader else { return };
        if self.lies() {
            return replace(state, renewal, Renewal { leader: Answer::Counted, ..renewal });
        }
        // One that was superseded knows the state of then.
        let live = if state.leads(by) {
            state.is_open().then_some(state.session)
        } else {
            state.lead(by).and_then(|lead| lead.lease).map(|lease| lease.session)
        };
        if live != Some(renewal.session) {
            return remove(state, renewal);
        }
        let ignores = self.has(Bug::CountWhileExpiring);
        let Some(lead) = state.lead_mut(by) else { return };
        let fresh = Lease { session: renewal.session, since: age, expiring: false };
        let known = lead.lease.filter(|lease| lease.session == renewal.session);
        let mut lease = known.unwrap_or(fresh);
        let answer = if lease.expiring && !ignores {
            Answer::Expiring
        } else {
            lease.since = lease.since.min(age);
            Answer::Counted
        };
        lead.lease = Some(lease);
        replace(state, renewal, Renewal { leader: answer, ..renewal });
    }

    fn deliver(&self, state: &mut State, renewal: Renewal) {
        remove(state, renewal);
        let host = &mut state.host;
        let mine = renewal.session == host.session;
        if !mine || !matches!(host.seat, Seat::Open | Seat::Leased) {
            return;
        }
        if renewal.leader == Answer::Expiring {
            host.seat = Seat::Expiring;
            return;
        }
        let age = if self.has(Bug::CountFromAnswer) { 0 } else { renewal.age };
        host.held = Some(host.held.map_or(age, |held| held.min(age)));
        host.seat = Seat::Leased;
    }

    fn elect(&self, state: &mut State, member: u8) {
        state.term = state.term.saturating_add(1);
        state.leader = member;
        let since = if self.has(Bug::NewLeaderForgets) { self.times.due() } else { 0 };
        let session = state.session;
        let lease = (!state.expired).then_some(Lease { session, since, expiring: false });
        if let Some(lead) = state.leads.get_mut(usize::from(member)) {
            *lead = Some(Lead { term: state.term, lease });
        }
    }

    fn stop(&self, state: &mut State) {
        let Some(placed) = &mut state.placed else { return };
        placed.stopping = true;
        state.revision = state.revision.saturating_add(1);
        let set = Set { revision: state.revision, session: state.session, epoch: None };
        state.sets.push(set);
        if self.has(Bug::ReleaseOnStop) {
            state.placed = None;
        }
    }

    fn act(&self, state: &mut State, act: Act) {
        match act {
            Act::Accept(revision) => {
                let set = state.sets.iter().find(|set| set.revision == revision);
                let Some(epoch) = set.map(|set| set.epoch) else { return };
                let host = &mut state.host;
                host.floor = host.floor.max(revision);
                host.pending = epoch.filter(|epoch| host.run != Some(*epoch));
            }
            Act::Start => state.host.run = state.host.pending.take(),
            Act::End => state.host.run = None,
            Act::Report => give_up(state),
            Act::Open => {
                let host = &mut state.host;
                (host.pending, host.seat) = (None, Seat::Open);
                host.session = state.session.saturating_add(1);
                (state.session, state.expired) = (host.session, false);
                let lives = state.host.run.is_some() && !self.has(Bug::OpenUnswept);
                let kept =
                    state.placed_here().is_some_and(|placed| state.host.run == Some(placed.epoch));
                if !(lives && kept) {
                    give_up(state);
                }
                let session = state.session;
                observe(state, Some(Lease { session, since: 0, expiring: false }));
            }
        }
    }

    fn fault(&self, state: &mut State, fault: Fault) {
        let host = &mut state.host;
        match fault {
            Fault::AgentStops => host.mode = Mode::Stopped,
            Fault::AgentGoesOn | Fault::AgentStarts => {
                if host.mode == Mode::Dead {
                    host.seat = Seat::None;
                }
                host.mode = Mode::Up;
            }
            Fault::AgentDies => host.mode = Mode::Dead,
            Fault::WatchdogDies => host.watchdog = false,
            Fault::WatchdogStarts => host.watchdog = true,
            Fault::Freeze => host.frozen = true,
            Fault::Thaw => {
                host.frozen = false;
                // The watchdog's timer has rung meanwhile: within 100 ms, which P7 allows, it is dead.
                if host.held.is_some_and(|age| age >= self.times.dead()) {
                    host.run = None;
                }
            }
        }
        // A job whose agent and watchdog are both gone goes with them.
        if host.mode == Mode::Dead && !host.watchdog && !self.has(Bug::NoWatchdog) {
            host.run = None;
        }
    }
}

fn grant(state: &mut State, at: At) {
    state.revision = state.revision.saturating_add(1);
    let (epoch, session) = (state.revision, state.session);
    state.placed = Some(Placed { epoch, at, stopping: false });
    if at == At::Host {
        state.sets.push(Set { revision: epoch, session, epoch: Some(epoch) });
        state.granted_revoked |= state.revoked.is_some();
    }
}

/// What is placed on the host is free by the host's own word.
fn give_up(state: &mut State) {
    if let Some(placed) = state.placed_here() {
        state.host.given_up = state.host.given_up.max(placed.epoch);
        state.placed = None;
    }
}

/// The leader of the newest term follows the session in applied state.
fn observe(state: &mut State, lease: Option<Lease>) {
    let (leader, term) = (state.leader, state.term);
    if let Some(lead) = state.lead_mut(leader).filter(|lead| lead.term == term) {
        lead.lease = lease;
    }
}

fn replace(state: &mut State, old: Renewal, new: Renewal) {
    if let Some(found) = state.renewals.iter_mut().find(|renewal| **renewal == old) {
        *found = new;
    }
}

fn remove(state: &mut State, renewal: Renewal) {
    if let Some(at) = state.renewals.iter().position(|found| *found == renewal) {
        state.renewals.remove(at);
    }
}
