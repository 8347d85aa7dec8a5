//! Applying one entry: clock, deduplication, the command, then the records derived from what it changed.
//!
//! Must hold: a rejected command changes nothing but revision, clock, audit log and the kept reply, so each command
//! checks everything before it changes anything; a batch goes back to the state before it. A2: one `Entry` record for
//! each entry that is no repeat and no `Tick` without effect, followed by the end of an approval, the use of a break-glass, grants and
//! desired sets in one fixed order.

mod adopt;
mod ahead;
mod approval;
mod batch;
mod break_glass;
mod budget;
mod bundle;
mod change;
mod countersign;
mod drain;
mod escrow;
mod eviction;
mod fix;
pub(crate) mod forget;
mod genesis;
pub(crate) mod group;
mod held;
mod incarnation;
mod job;
mod journal;
mod key;
mod landmark;
mod lease;
mod level;
mod login;
mod member;
mod node;
mod offer;
pub mod operator;
mod payload;
pub(crate) mod placement;
pub(crate) mod policy;
mod power;
mod preemption;
mod quarantine;
mod quota;
mod range;
mod reply;
mod report;
mod reservation;
pub(crate) mod residency;
mod session;
mod site;
mod site_key;
mod tasks;
mod tenant;
mod timer;
mod token;

#[cfg(test)]
mod tests;

pub use ahead::Ahead;

use crate::command::Command;
use crate::entry::Entry;
use crate::event::Event;
use crate::outcome::{Applied, Leaf, Outcome, Rejection, Reply};
use crate::state::{ReplyKey, State};
use change::{Change, Finished};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::grant::{NodeDesired, set_hash};
use sekisho_evidence::record::{Body, Record};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::limit::{CLOCK_BEHIND_MAX, CLOCK_STEP_MAX};
use sekisho_types::revision::{Epoch, Revision};
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The log: whoever leads may have put it there.
    Log,
    /// An audit record, which leaves the payload out.
    Record,
    /// No record: it was a tick, and nothing was due.
    Idle,
    /// A founder of an incarnation, before there is a log.
    Founding,
}

/// Canonical bytes of one of our own types.
#[expect(
    clippy::expect_used,
    reason = "postcard into a Vec fails only for types that the state does not have; \
          going on with other bytes than the other replicas would be worse than stopping"
)]
pub(crate) fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    encode(value).expect("types of the state always encode")
}

impl State {
    /// Applies one committed entry. Entries arrive in the order of their revisions.
    pub fn apply(&mut self, revision: Revision, entry: &Entry) -> Applied {
        let applied = self.apply_with(revision, entry, Ahead::of(entry), Source::Log);
        self.settle();
        applied
    }

    /// Applies committed entries one after the other, as [`State::apply`] does each: only cheaper.
    pub fn apply_all(&mut self, entries: &[(Revision, &Entry)]) -> Vec<Applied> {
        let found = self.look_ahead(entries);
        let apply = |((revision, entry), ahead): (&(Revision, &Entry), Ahead)| {
            self.apply_with(*revision, entry, ahead, Source::Log)
        };
        let applied = entries.iter().zip(found).map(apply).collect();
        self.settle();
        applied
    }

    /// Applies an entry read back from an audit record, which leaves the payload out. For auditors.
    pub fn replay(&mut self, revision: Revision, entry: &Entry) -> Applied {
        self.replay_with(revision, entry, Ahead::of(entry))
    }

    /// As [`State::replay`], with what [`Ahead::together`] found out. Sums are not drawn up: an auditor asks once, at the end.
    pub fn replay_with(&mut self, revision: Revision, entry: &Entry, ahead: Ahead) -> Applied {
        self.apply_with(revision, entry, ahead, Source::Record)
    }

    /// Applies a tick that an auditor puts where one left no record: it moved the clock, and nothing was due.
    pub fn replay_idle(&mut self, revision: Revision, tick: &Entry) {
        self.apply_with(revision, tick, Ahead::of(tick), Source::Idle);
    }

    /// Applies the entry that opens an incarnation.
    pub(crate) fn found(&mut self, revision: Revision, entry: &Entry) -> Applied {
        let applied = self.apply_with(revision, entry, Ahead::of(entry), Source::Founding);
        self.settle();
        applied
    }

    fn apply_with(
        &mut self,
        revision: Revision,
        entry: &Entry,
        ahead: Ahead,
        source: Source,
    ) -> Applied {
        self.revision = revision;
        self.move_clock(entry.proposed_at);
        let command = ahead.command;
        let key = ReplyKey::of(&entry.actor, &entry.request);
        if let Some(kept) = self.repeated(entry, &key, &command) {
            return Applied {
                outcome: kept.outcome.clone(),
                first: kept.revision,
                events: vec![],
                leaves: vec![],
                payloads: vec![],
                checkpoint: None,
            };
        }
        let mut change = Change::new(self, revision, entry, ahead, source);
        let admitted = change.admit().and_then(|()| change.state.request_id_taken(entry, &key));
        let outcome = admitted.and_then(|()| dispatch(&mut change, &entry.command));
        if outcome.is_ok() {
            break_glass::note(&mut change);
        }
        let Finished { effects, told, grants } = change.finish(outcome.is_ok());
        self.keep_reply(entry, key, command, &outcome);
        let mut leaves = Vec::new();
        if entry.command != Command::Tick || effects.acted {
            let rejected = outcome.as_ref().err().map(|rejection| rejection.code);
            let facts = bytes_of(entry.facts().as_ref());
            leaves.push(self.append(Body::Entry { entry: facts, rejected }));
        }
        leaves.extend(told.into_iter().map(|body| self.append(body)));
        for id in grants {
            self.record_grant(id, &mut leaves);
        }
        for node in &effects.touched {
            self.record_desired(node, &mut leaves);
        }
        let mut events: Vec<Event> = effects.events.into_iter().collect();
        events.extend(effects.touched.into_iter().map(Event::Desired));
        let checkpoint = if effects.checkpoint { self.checkpoint() } else { None };
        let (first, payloads) = (revision, effects.payloads);
        Applied { outcome, first, events, leaves, payloads, checkpoint }
    }

    /// Folds the proposer's clock in: never back, never further than one step.
    fn move_clock(&mut self, proposed_at: Timestamp) {
        if self.federation.is_none() {
            self.clock = proposed_at;
            return;
        }
        let step = u64::try_from(CLOCK_STEP_MAX.as_millis()).unwrap_or(u64::MAX);
        self.clock = self.clock.max(proposed_at.min(self.clock.plus_ms(step)));
    }

    fn append(&mut self, body: Body) -> Leaf {
        let record = bytes_of(&Record { revision: self.revision, time: self.clock, body });
        #[expect(
            clippy::expect_used,
            reason = "the frontier always holds its own roots; a state that lost them may not go on"
        )]
        let appended = self.frontier.append(&record).expect("the frontier is whole");
        Leaf {
            index: appended.record,
            record,
            first_hash: appended.first_hash,
            hashes: appended.hashes,
        }
    }

    fn record_grant(&mut self, id: sekisho_types::revision::PlacementId, leaves: &mut Vec<Leaf>) {
        let Some(grant) = self.placements.get(&id).map(|placement| placement.grant.clone()) else {
            return;
        };
        let leaf = self.append(Body::Grant(Box::new(grant)));
        self.placements.update(&id, |placement| placement.record = leaf.index);
        leaves.push(leaf);
    }

    fn record_desired(&mut self, id: &NodeId, leaves: &mut Vec<Leaf>) {
        let (Some(node), Some(federation)) = (self.nodes.get(id), self.federation.as_ref()) else {
            return;
        };
        let digests: Vec<Digest> =
            self.desired(node).map(|(_, placement)| placement.digest).collect();
        let desired = NodeDesired {
            cluster: federation.cluster,
            node: id.clone(),
            epoch: Epoch { incarnation: federation.incarnation, revision: self.revision },
            count: u32::try_from(digests.len()).unwrap_or(u32::MAX),
            hash: set_hash(digests),
        };
        let leaf = self.append(Body::Desired(desired));
        let at = (leaf.index, self.revision);
        self.nodes.update(id, |node| node.desired = Some(at));
        leaves.push(leaf);
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let federation = self.federation.as_ref()?;
        Some(Checkpoint {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            head: self.audit_head().ok()?,
            revision: self.revision,
            time: self.clock,
        })
    }

    /// Whether the state clock lags the proposer so far that nothing may be granted and no token accepted: after an
    /// outage, a token or tag that is long over would still look good.
    pub(crate) fn clock_behind(&self, proposed_at: Timestamp) -> Result<(), Rejection> {
        let behind = u64::try_from(CLOCK_BEHIND_MAX.as_millis()).unwrap_or(u64::MAX);
        if proposed_at.since_ms(self.clock) > behind {
            return Err(Rejection::new(
                ErrorCode::ClockBehind,
                "the state clock is still catching up",
            ));
        }
        Ok(())
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each command, and nothing else")]
fn dispatch(change: &mut Change<'_>, command: &Command) -> Outcome {
    match command {
        Command::Bootstrap(genesis) => genesis::bootstrap(change, genesis),
        Command::Tick => tick(change),
        Command::RegisterKey { record, issuer } => key::register(change, record, issuer),
        Command::RevokeKey { principal, key } => key::revoke(change, principal, key),
        Command::CreateSite { site, operator, area, display_name } => {
            site::create(change, site, operator, *area, display_name)
        }
        Command::RevokeSite { site } => site::revoke(change, site),
        Command::CreateToken { token, node, expires, approved } => {
            token::create(change, token, node, *expires, *approved)
        }
        Command::EnrollNode { token, node, node_key, receipt_key, tag } => {
            token::enroll(change, token, &token::Candidate { node, node_key, receipt_key, tag })
        }
        Command::RenewTag { node, tag } => node::renew_tag(change, node, tag),
        Command::OpenSession { node, session, previous, buckets, live, table, findings, rack } => {
            let (session, previous) = (*session, *previous);
            let opening =
                session::Opening { session, previous, buckets, live, table, findings, rack };
            session::open(change, node, &opening)
        }
        Command::Report { node, session, phases } => report::report(change, node, *session, phases),
        Command::Refuse { node, receipt } => report::refuse(change, node, receipt),
        Command::ExpireLease { node, session } => lease::expire(change, node, *session),
        Command::SetSchedulable { node, schedulable: on } => node::cordon(change, node, *on),
        Command::RevokeNode { node } => node::revoke(change, node),
        Command::PutTenant { tenant, display_name, policy, parent, expected } => {
            tenant::put(change, tenant, (display_name, policy, parent), *expected)
        }
        Command::PutPolicy { policy, rules, expected } => {
            policy::put(change, policy, rules, *expected)
        }
        Command::SetQuota { tenant, class, area, allotment, expected } => {
            quota::set(change, (tenant, class, *area), *allotment, *expected)
        }
        Command::SubmitJob { facts } => job::submit(change, facts),
        Command::CancelJob { job } => job::cancel(change, job),
        Command::CommitPlacement { basis, groups, calls } => {
            placement::commit(change, *basis, groups, calls.as_deref())
        }
        Command::ChangeBundle(agreement) => bundle::change(change, agreement),
        Command::SetVoter { member, voter, accept_quorum_in_one_hand } => {
            member::set_voter(change, *member, *voter, *accept_quorum_in_one_hand)
        }
        Command::SetMemberAddress { member: m, address: at } => member::set_address(change, *m, at),
        Command::RaiseFeatureLevel { level } => level::raise(change, *level),
        Command::OpenIncarnation { base, agreement } => incarnation::open(change, base, agreement),
        Command::Batch(items) => batch::apply(change, items),
        Command::Adopt { node, adoption: of, running } => adopt::adopt(change, node, of, *running),
        Command::DrainNode { node, within_s, message } => {
            drain::begin(change, node, *within_s, message)
        }
        Command::UndrainNode { node, keep_cordoned: keep } => drain::call_off(change, node, *keep),
        Command::EvictDrained { node, drain } => drain::evict(change, node, *drain),
        Command::ApproveNode { node, node_key } => node::approve(change, node, node_key),
        Command::DecommissionNode { node } => node::decommission(change, node),
        Command::ReportFitness { node, session, findings } => {
            report::fitness(change, node, *session, findings)
        }
        Command::QuarantineNode { node, why } => quarantine::seen(change, node, why),
        Command::ReleaseNode { node } => quarantine::release(change, node),
        Command::RegisterLandmark { landmark: of, address, datagrams } => {
            landmark::register(change, of, address, datagrams)
        }
        Command::RemoveLandmark { id, expected } => landmark::remove(change, id, *expected),
        Command::SubmitFix { node, session, fix: of, transcripts } => {
            fix::submit(change, node, *session, *of, transcripts)
        }
        Command::EvictDenied { jobs } => eviction::evict(change, jobs),
        Command::Preempt(of) => preemption::begin(change, of),
        Command::PutSiteKey(key) => site_key::put(change, key),
        Command::ResealJob { facts } => job::reseal(change, facts),
        Command::ReplaceJob { facts } => tasks::replace(change, facts),
        Command::StopReplicas { replicas } => tasks::stop(change, replicas),
        Command::SubmitRange { transcripts } => range::submit(change, transcripts),
        Command::FoundPayload(payload) => payload::found(change, payload),
        Command::Countersign { heads } => countersign::take(change, heads),
        Command::RecordJournal(head) => journal::record(change, head),
        Command::Propose { joint, expires } => approval::propose(change, joint, *expires),
        Command::SignApproval { id, signature } => approval::sign(change, *id, signature),
        Command::RefuseApproval { id, reason } => approval::refuse_it(change, *id, reason),
        Command::BreakGlass { reason, until } => break_glass::open(change, reason, *until),
        Command::EndBreakGlass { opened } => break_glass::end(change, *opened),
        Command::Login(of) => login::login(change, of),
        Command::UpdateSite { site, display_name, expected } => {
            site::update(change, site, display_name, *expected)
        }
        Command::DeletePolicy { policy, expected } => policy::delete(change, policy, *expected),
        Command::DeleteTenant { tenant, expected } => tenant::delete(change, tenant, *expected),
        Command::SetBudget { tenant, name, budget, expected } => {
            budget::set(change, (tenant, name), budget.as_ref(), *expected)
        }
        Command::SetEscrow { site, tenant, class, gpus, expected } => {
            escrow::set(change, (site, tenant, class), *gpus, *expected)
        }
        Command::PutOffer { site, name, offer, expected } => {
            offer::put(change, (site, name), offer, *expected)
        }
        Command::WithdrawOffer { site, name, expected } => {
            offer::withdraw(change, (site, name), *expected)
        }
        Command::Veto { operator, of, reason } => offer::veto(change, operator, of, reason),
        Command::LiftVeto { operator, of } => offer::lift(change, operator, of),
        Command::PutReservation(of) => reservation::put(change, of),
        Command::DeleteReservation(of) => reservation::delete(change, of),
        Command::SetPowerCap { site, watts, expected } => {
            power::set_cap(change, site, *watts, *expected)
        }
    }
}

fn tick(change: &mut Change<'_>) -> Outcome {
    change.member()?;
    change.effects.checkpoint = true;
    timer::run(change);
    Ok(Reply::Done)
}
