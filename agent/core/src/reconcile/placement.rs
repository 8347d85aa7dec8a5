//! From an accepted grant to a process and its confirmed end.

use super::bring::proof;
use super::{Action, Kept, Moment, Reconciler, Stage, StartOrder};
use crate::desired::SignedSet;
use crate::devices::{Choice, choose, holders};
use crate::ledger::{Entry, EntryPhase, Refused};
use crate::limit::{
    KILL_AGAIN_MS, KILL_GRACE_MS, KILL_MARGIN_MS, NOWHERE_MAX, NS_PER_MS, STRANGERS_MAX,
};
use crate::reason::Reason;
use crate::retry::Retry;
use crate::verify::{Fetched, check_start};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::grant::Grant;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::job::OnDisconnect;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::PlacementId;

/// What only this run knows of a placement.
#[derive(Debug, Clone, Default)]
pub(super) struct Local {
    payload: Payload,
    /// Of one that runs to completion, until it starts.
    proof: Option<Box<Adoption>>,
    fetch_retry: Retry,
    /// How often every member has said that it does not keep the payload.
    nowhere: u32,
    /// When the time limit has passed and the shim must have ended it.
    limit_ns: Option<u64>,
    kill_ns: Option<u64>,
    timed_out: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Payload {
    #[default]
    Wanted,
    Asked,
    Here(Fetched),
}

impl Local {
    /// Of one whose start was ordered, by this run of the agent or an earlier one.
    pub(super) fn begun() -> Self {
        Self { payload: Payload::Asked, ..Self::default() }
    }

    /// Its program was started.
    pub(super) fn is_running(&self) -> bool {
        self.limit_ns.is_some()
    }

    pub(super) fn wakes_ns(&self) -> impl Iterator<Item = u64> {
        let fetch = Some(self.fetch_retry.due_ns());
        [self.limit_ns, self.kill_ns, fetch].into_iter().flatten()
    }
}

/// Whether the end of the lease ends it, and it may still run.
pub(super) fn is_bound_and_may_run(entry: &Entry) -> bool {
    entry.may_run() && entry.grant.on_disconnect == OnDisconnect::Stop
}

/// When what a lease bound is killed that ended at `over_ns`.
pub(super) fn dead_by(over_ns: u64) -> u64 {
    over_ns.saturating_add(ms(KILL_GRACE_MS.saturating_sub(KILL_MARGIN_MS)))
}

fn ms(ms: u64) -> u64 {
    ms.saturating_mul(NS_PER_MS)
}

impl Reconciler {
    pub(super) fn placements(
        &self,
        chosen: impl Fn(&PlacementId, &Entry) -> bool,
    ) -> Vec<PlacementId> {
        let chosen = |(id, entry): &(&PlacementId, &Entry)| chosen(id, entry);
        self.ledger.entries().iter().filter(chosen).map(|(id, _)| *id).collect()
    }

    /// Stops what no set names, and everything when the agent ends.
    pub(super) fn stop_strays(&mut self, now: Moment) {
        let (closing, desired) = (self.stage != Stage::Running, self.ledger.desired());
        let stray = self.placements(|id, entry| {
            let alive = matches!(entry.phase, EntryPhase::Pending | EntryPhase::Live);
            alive && (closing || !desired.contains(id))
        });
        stray.iter().for_each(|placement| self.stop_within_grace(placement, now));
    }

    /// One member says stop. What was fenced without ever being accepted here never runs (P2), and nobody else would say so: its
    /// place and quota would stay taken for as long as this agent renews.
    pub(super) fn told_to_stop(&mut self, placement: &PlacementId, now: Moment) {
        let (entries, refused) = (self.ledger.entries(), self.ledger.refused());
        let known = entries.contains_key(placement) || refused.contains_key(placement);
        if known || placement.epoch > self.ledger.floor() {
            self.stop_within_grace(placement, now);
        } else if self.outbox.len() < STRANGERS_MAX {
            self.outbox.push(*placement, Phase::Ended(Ending::Stopped));
        }
    }

    pub(super) fn stop_within_grace(&mut self, placement: &PlacementId, now: Moment) {
        self.stop_by(placement, now.boot_ns.saturating_add(ms(KILL_GRACE_MS)), now);
    }

    /// Orders a stop whose kill comes at `kill_ns`; an earlier one holds.
    fn stop_by(&mut self, placement: &PlacementId, kill_ns: u64, now: Moment) {
        let ordered = self.ledger.stopping(placement);
        self.changed |= ordered;
        let Some(entry) = self.ledger.entries().get(placement) else { return };
        match &entry.phase {
            EntryPhase::Ended(ending) if ordered => {
                self.outbox.push(*placement, Phase::Ended(ending.clone()));
                self.local.remove(placement);
            }
            EntryPhase::Stopping => {
                let local = self.local.entry(*placement).or_default();
                if local.kill_ns.is_none_or(|earlier| kill_ns < earlier) {
                    local.kill_ns = Some(kill_ns);
                    let grace_ms = kill_ns.saturating_sub(now.boot_ns) / NS_PER_MS;
                    self.out.push(Action::Stop(*placement, grace_ms));
                }
            }
            EntryPhase::Ended(_) | EntryPhase::Pending | EntryPhase::Live => {}
        }
    }

    /// The lease ended at `over_ns`: what it bound is dead by then plus G, however late this is noticed (P4). What
    /// never started never will: its session is over.
    pub(super) fn end_of_lease(&mut self, over_ns: u64, now: Moment) {
        self.end_bound(over_ns, now);
        for placement in self.placements(|_, entry| entry.phase == EntryPhase::Pending) {
            self.ended(placement, Ending::Lost);
        }
    }

    pub(super) fn end_bound(&mut self, over_ns: u64, now: Moment) {
        for placement in self.placements(|_, entry| is_bound_and_may_run(entry)) {
            self.stop_by(&placement, dead_by(over_ns), now);
        }
    }

    /// The runtime kills after the grace by itself; this is for a runtime that does not.
    pub(super) fn kill_overdue(&mut self, now: Moment) {
        for (placement, local) in &mut self.local {
            if local.limit_ns.is_some_and(|limit| limit <= now.boot_ns) {
                local.limit_ns = None;
                local.timed_out = true;
                local.kill_ns = Some(now.boot_ns);
                self.changed |= self.ledger.stopping(placement);
            }
            if local.kill_ns.is_some_and(|kill| kill <= now.boot_ns) {
                local.kill_ns = Some(now.boot_ns.saturating_add(ms(KILL_AGAIN_MS)));
                self.out.push(Action::Kill(*placement));
            }
        }
    }

    /// Starts, oldest grant first, whatever is accepted, paid out and has its devices.
    pub(super) fn start_granted(&mut self, now: Moment) {
        let may = self.session.open().is_some_and(|(_, lease)| lease.allows_start(now.boot_ns));
        if self.stage != Stage::Running || !may {
            return;
        }
        for placement in self.placements(|_, entry| entry.phase == EntryPhase::Pending) {
            self.start(placement, now);
        }
    }

    fn start(&mut self, placement: PlacementId, now: Moment) {
        let Some(entry) = self.ledger.entries().get(&placement) else { return };
        let grant = entry.grant.clone();
        let local = self.local.entry(placement).or_default();
        let fetched = match &local.payload {
            Payload::Asked => return,
            Payload::Wanted => {
                if local.fetch_retry.is_due(now.boot_ns) {
                    local.payload = Payload::Asked;
                    let (payload, submission) = (grant.payload, grant.submission);
                    self.out.push(Action::FetchPayload { placement, payload, submission });
                }
                return;
            }
            Payload::Here(fetched) => fetched.clone(),
        };
        let choice = choose(&self.devices, &holders(&self.ledger), &grant);
        if choice == Choice::Wait {
            return;
        }
        let checked = check_start(self.host(now), self.ledger.bundle(), &grant, &fetched);
        let payload = match checked {
            Ok(payload) => payload,
            Err(reason) => {
                self.refuse(&grant, reason);
                return;
            }
        };
        match choice {
            Choice::Wait => {}
            Choice::Broken { healthy } => {
                let why = format!("{healthy} working devices for {} granted", grant.gpus);
                self.ended(placement, Ending::StartFailed(why));
            }
            Choice::Devices(devices) => {
                if self.ledger.intend(&placement, devices.clone()) {
                    self.changed = true;
                    self.keep(placement, &fetched);
                    self.local.insert(placement, Local::begun());
                    self.outbox.push(placement, Phase::Starting);
                    self.out.push(Action::Start(Box::new(StartOrder { grant, devices, payload })));
                }
            }
        }
    }

    /// Remembers how a grant is proven, if its host may have to prove it one day.
    pub(super) fn remember(&mut self, set: &SignedSet, grant: &Grant) {
        if grant.on_disconnect == OnDisconnect::RunToCompletion {
            self.local.entry(grant.placement).or_default().proof = proof(set, grant);
        }
    }

    /// What has to be on disk before it starts.
    fn keep(&mut self, placement: PlacementId, fetched: &Fetched) {
        let proof = self.local.get_mut(&placement).and_then(|local| local.proof.take());
        if let Some(mut adoption) = proof {
            adoption.submission.clone_from(&fetched.submission);
            let payload = fetched.payload.clone();
            let kept = Kept { placement, adoption: *adoption, payload };
            self.out.push(Action::Keep(Box::new(kept)));
        }
    }

    fn refuse(&mut self, grant: &Grant, reason: Reason) {
        let placement = grant.placement;
        // Encoding cannot fail for a grant that was decoded; if it did, the receipt would say "did not parse".
        let digest = grant.digest().unwrap_or_else(|_never| sekisho_types::id::Digest::of(&[]));
        self.out.push(Action::Note(reason.clone()));
        let refused = Refused { grant: digest, reason, acknowledged: false };
        self.changed |= self.ledger.refuse(placement, refused);
        self.local.remove(&placement);
    }

    pub(super) fn payload(&mut self, placement: PlacementId, fetched: Fetched) {
        if let Some(local) = self.local.get_mut(&placement)
            && local.payload == Payload::Asked
        {
            local.fetch_retry.succeeded();
            local.payload = Payload::Here(fetched);
        }
    }

    pub(super) fn payload_missing(&mut self, placement: PlacementId, now: Moment) {
        if let Some(local) = self.local.get_mut(&placement)
            && local.payload == Payload::Asked
        {
            local.fetch_retry.failed(now.boot_ns);
            local.payload = Payload::Wanted;
        }
    }

    /// Members of the area may be about to fetch it from each other, or one of them about to come back; but a place is not
    /// taken for ever by what cannot start.
    pub(super) fn payload_nowhere(&mut self, placement: PlacementId, now: Moment) {
        self.payload_missing(placement, now);
        let Some(local) = self.local.get_mut(&placement) else { return };
        local.nowhere = local.nowhere.saturating_add(1);
        if local.nowhere < NOWHERE_MAX {
            return;
        }
        let Some(entry) = self.ledger.entries().get(&placement) else { return };
        if entry.phase == EntryPhase::Pending {
            let grant = entry.grant.clone();
            let why = "no member inside the job's area keeps the payload";
            self.refuse(&grant, Reason::new(ErrorCode::PayloadNotHere, &why));
        }
    }

    pub(super) fn started(&mut self, placement: PlacementId, since_ns: u64) {
        let Some(entry) = self.ledger.entries().get(&placement) else { return };
        if entry.phase == EntryPhase::Live {
            let limit = ms(entry.grant.time_limit_s.saturating_mul(1000));
            let local = self.local.entry(placement).or_default();
            let late = since_ns.saturating_add(limit).saturating_add(ms(KILL_AGAIN_MS));
            local.limit_ns = Some(late);
            self.outbox.push(placement, Phase::Running);
        }
    }

    /// The runtime has confirmed the end. What was told to stop has stopped, whatever its exit code says.
    pub(super) fn exited(&mut self, placement: PlacementId, ending: Ending) {
        let stopping = self
            .ledger
            .entries()
            .get(&placement)
            .is_some_and(|entry| entry.phase == EntryPhase::Stopping);
        let timed_out = self.local.get(&placement).is_some_and(|local| local.timed_out);
        let ending = if timed_out || ending == Ending::TimedOut {
            Ending::TimedOut
        } else if stopping {
            Ending::Stopped
        } else {
            ending
        };
        self.ended(placement, ending);
    }

    pub(super) fn ended(&mut self, placement: PlacementId, ending: Ending) {
        self.local.remove(&placement);
        if self.ledger.ended(&placement, ending.clone()) {
            self.changed = true;
            // A lost one is told by its absence when the next session opens.
            if ending != Ending::Lost {
                self.outbox.push(placement, Phase::Ended(ending));
            }
        }
    }
}
