//! The agent as a function: what happened comes in, what to do goes out.
//!
//! Must hold: each step returns its actions in the order in which they must be carried out; the ledger is written
//! before anything that rests on it ([`Action::WriteLedger`] comes first, and a failed write must stop the agent);
//! what is not in the newest accepted set is stopped (P6); nothing starts without a lease, and what the lease binds
//! is dead by its end plus G (P4).

mod bring;
mod desired;
mod lease;
mod locate;
mod placement;
mod restart;
mod stale;
mod tell;
mod trust;

use crate::assembly::{Assembly, Delivered};
use crate::devices::{Device, buckets};
use crate::ledger::{EntryPhase, Ledger};
use crate::location::{KnownTable, Location, OwnFix};
use crate::reason::Reason;
use crate::report::Outbox;
use crate::retry::Retry;
use crate::session::Session;
use crate::standing::Standing;
use crate::verify::{Fetched, Host};
use bring::Bringing;
pub use bring::Kept;
use lease::Heard;
use locate::Locating;
use placement::Local;
pub use restart::{Seen, recover};
use sekisho_evidence::acknowledgement::Acknowledgement;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::grant::{Grant, SessionId};
use sekisho_evidence::location::transcript::FixId;
use sekisho_evidence::package::{Trust, TrustPackage};
use sekisho_evidence::receipt::Refusal;
use sekisho_types::device::{Bucket, same_devices};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, OperatorId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use stale::Watched;
use std::collections::{BTreeMap, BTreeSet};

/// The world at one step. Read before the step's actions are carried out.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// Wall clock.
    pub wall: Timestamp,
    /// Fresh random bytes, for a session id.
    pub random: [u8; 16],
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time passed.
    Tick,
    /// The control plane opened the session.
    SessionOpened(SessionId),
    /// It did not, or its answer is lost.
    SessionRefused(Reason),
    /// A member delivered a desired set.
    Delivered(MemberId, Box<Delivered>),
    /// A member acknowledged a renewal, or brought the leader's word on it.
    Acknowledged {
        /// Of this session.
        session: SessionId,
        /// The renewal.
        sequence: u64,
        /// Whose stream brought it.
        member: MemberId,
        /// The member's operator.
        operator: OperatorId,
        /// What the member has applied.
        revision: Revision,
        /// The leader's word.
        signed: Option<Box<Acknowledgement>>,
    },
    /// The lease is being taken back, or the control plane knows a newer session.
    Expiring(SessionId),
    /// One member says stop.
    Stop(Vec<PlacementId>),
    /// Payload and submission came.
    Payload(PlacementId, Fetched),
    /// No member gave it.
    PayloadMissing(PlacementId),
    /// Every member says that it does not keep what the placement runs, which stays in the job's area.
    PayloadNowhere(PlacementId),
    /// The job's program runs, since then: boottime in nanoseconds.
    Started(PlacementId, u64),
    /// It does not, and nothing of it does.
    StartFailed(PlacementId, String),
    /// Nothing of it runs any more, and how it ended by itself; never [`Ending::Lost`].
    Exited(PlacementId, Ending),
    /// The report on its way arrived.
    Reported,
    /// It did not, or its outcome is unknown.
    ReportFailed,
    /// It was refused for good.
    ReportRefused(Reason),
    /// A receipt arrived, or was refused for good.
    ReceiptSettled(PlacementId),
    /// It did not arrive.
    ReceiptFailed(PlacementId),
    /// A renewed tag.
    Standing(Box<Standing>),
    /// The tag does not follow from the endorser bundle in force: nothing starts before there is another.
    Untagged,
    /// The way to a later endorser bundle, from wherever.
    Trust(Box<TrustPackage>),
    /// The present incarnation has taken a placement over.
    Adopted(PlacementId),
    /// It may have, or nobody answered.
    AdoptFailed(PlacementId),
    /// It does not, for good.
    AdoptRefused(PlacementId, Reason),
    /// Landmarks have measured this host.
    Measured(Box<OwnFix>),
    /// The landmarks that were asked for, by whomever they were given; `None` if nobody gave them.
    Landmarks(Option<Box<KnownTable>>),
    /// The fix is known; or it did not arrive, or not for certain.
    FixTold(FixId, bool),
    /// It was refused for good.
    FixRefused(Reason),
    /// The devices of this host, looked at again.
    Devices(Vec<Device>),
    /// The agent is to end: stop everything and tell.
    Shutdown,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write [`Reconciler::ledger`] durably before the actions that follow.
    WriteLedger,
    /// Ask for a session.
    OpenSession {
        /// The id.
        session: SessionId,
        /// The one before it.
        previous: Option<SessionId>,
        /// What to advertise.
        buckets: Vec<Bucket>,
        /// Placements that may run.
        live: Vec<PlacementId>,
    },
    /// Keep streams to the members in this session, and drop those of others.
    Attach(SessionId),
    /// The session is over: drop its streams.
    Detach,
    /// Send a renewal on every stream; signed, with the newest revision heard of, if it has to be carried to the leader.
    Renew(SessionId, u64, Option<Revision>),
    /// The lease got longer: write it where shims and watchdog read it, before the actions that follow. Boottime in
    /// nanoseconds.
    Hold {
        /// When what it binds has to stop.
        stop_ns: u64,
        /// When that is killed.
        kill_ns: u64,
    },
    /// Tell every member the size of the stored head.
    HeadMoved(u64),
    /// Tell every member that the set of this revision is in the ledger.
    SetAccepted(Revision),
    /// Get payload and submission.
    FetchPayload {
        /// Of this placement.
        placement: PlacementId,
        /// SHA-256 of the payload that was granted.
        payload: Digest,
        /// SHA-256 of the submission that was granted.
        submission: Digest,
    },
    /// Write this durably before the actions that follow.
    Keep(Box<Kept>),
    /// Bring a placement over with what was kept of it; whether its program runs.
    Adopt(PlacementId, bool),
    /// Start a placement.
    Start(Box<StartOrder>),
    /// An earlier run of the agent started it: tell when its program runs.
    Resume(PlacementId),
    /// Ask it to end, and kill it after so many milliseconds.
    Stop(PlacementId, u64),
    /// Kill it.
    Kill(PlacementId),
    /// Report phases.
    Report(SessionId, Vec<(PlacementId, Phase)>),
    /// Get the landmarks that grants name by this hash.
    FetchLandmarks(Digest),
    /// Have this host measured anew: what runs here asks for a younger proof than the one at hand will be.
    Measure,
    /// Hand a fix in.
    SubmitFix(SessionId, Box<OwnFix>),
    /// Sign and send a receipt.
    Refuse(Box<Refusal>),
    /// Tell the operator of this host.
    Note(Reason),
    /// The endorser bundle in force, its roots and members: to be used from now on.
    Trusted(Box<Trust>),
    /// Everything is stopped and told; after [`Input::Shutdown`] only.
    Finished,
}

/// A start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOrder {
    /// What.
    pub grant: Grant,
    /// Where.
    pub devices: Vec<String>,
    /// The payload, its digest checked.
    pub payload: Vec<u8>,
}

/// Where this run of the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No step was made yet.
    Fresh,
    Running,
    /// Told to stop everything.
    Closing,
    /// Everything is stopped, and that was said.
    Finished,
}

/// The state behind the function.
#[derive(Debug, Clone)]
pub struct Reconciler {
    ledger: Ledger,
    standing: Standing,
    devices: Vec<Device>,
    session: Session,
    assembly: Assembly,
    /// The last head and text for which a proof was asked.
    proof_asked: Option<(u64, String)>,
    /// The newest checkpoint of k operators that the ledger took in this run.
    seen: Option<Checkpoint>,
    local: BTreeMap<PlacementId, Local>,
    outbox: Outbox,
    report_retry: Retry,
    receipts: BTreeSet<PlacementId>,
    receipt_retry: Retry,
    bringing: Bringing,
    locating: Locating,
    watched: Watched,
    stage: Stage,
    changed: bool,
    /// When the last step was.
    stepped_ns: u64,
    out: Vec<Action>,
}

impl Reconciler {
    /// An agent of which nothing runs but what `ledger` says may: it comes from [`recover`] or from joining. The lease of
    /// before binds that until `inherited_ns`, boottime; 0 if nobody knows.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        standing: Standing,
        devices: Vec<Device>,
        location: Location,
        inherited_ns: u64,
    ) -> Self {
        let mut outbox = Outbox::default();
        for (placement, entry) in ledger.entries() {
            if let EntryPhase::Ended(ending) = &entry.phase
                && !entry.acknowledged
                && *ending != Ending::Lost
            {
                outbox.push(*placement, Phase::Ended(ending.clone()));
            }
        }
        let bound = ledger.entries().values().any(placement::is_bound_and_may_run);
        let mut reconciler = Self {
            ledger,
            standing,
            devices,
            session: Session::new(bound.then_some(inherited_ns)),
            assembly: Assembly::default(),
            proof_asked: None,
            seen: None,
            local: BTreeMap::new(),
            outbox,
            report_retry: Retry::default(),
            receipts: BTreeSet::new(),
            receipt_retry: Retry::default(),
            bringing: Bringing::default(),
            locating: Locating::new(location),
            watched: Watched::default(),
            stage: Stage::Fresh,
            changed: true,
            stepped_ns: 0,
            out: Vec::new(),
        };
        // A start in the midst of it does not know what was brought over: to ask again does no harm.
        reconciler.bring_over(reconciler.ledger.bundle().incarnation);
        reconciler
    }

    /// What must be on disk.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The newest checkpoint of k operators that the ledger took in this run.
    #[must_use]
    pub fn seen(&self) -> Option<&Checkpoint> {
        self.seen.as_ref()
    }

    /// When the lease of the open session ends, boottime in nanoseconds.
    #[must_use]
    pub fn lease_deadline_ns(&self) -> Option<u64> {
        self.session.open()?.1.deadline_ns()
    }

    /// One step.
    pub fn step(&mut self, input: Input, now: Moment) -> Vec<Action> {
        self.stepped_ns = now.boot_ns;
        if self.stage == Stage::Fresh {
            self.stage = Stage::Running;
            self.resume(now);
        }
        self.take(input, now);
        self.keep_session(now);
        self.stop_strays(now);
        self.watch_proofs(now);
        self.kill_overdue(now);
        self.start_granted(now);
        self.bring(now);
        self.tell(now);
        self.tell_fix(now);
        let mut actions = std::mem::take(&mut self.out);
        if std::mem::take(&mut self.changed) {
            actions.insert(0, Action::WriteLedger);
        }
        actions
    }

    fn take(&mut self, input: Input, now: Moment) {
        match input {
            Input::Tick => {}
            Input::SessionOpened(session) => self.session_opened(session, now),
            Input::SessionRefused(reason) => {
                if let Some(asked) = self.session.refused(now.boot_ns)
                    && reason.code == ErrorCode::SessionStale
                {
                    self.session.was_open(asked);
                    self.ledger.session_opened(asked);
                    self.changed = true;
                }
                self.out.push(Action::Note(reason));
            }
            Input::Delivered(member, delivered) => self.delivered(member, *delivered, now),
            Input::Acknowledged { session, sequence, member, operator, revision, signed } => {
                let heard = Heard { sequence, member, operator, revision, signed };
                self.acknowledged(session, heard);
            }
            Input::Expiring(session) => {
                if let Some(lease) = self.session.lease_of(session) {
                    lease.expire();
                }
            }
            Input::Stop(placements) => {
                placements.iter().for_each(|placement| self.told_to_stop(placement, now));
            }
            Input::Payload(placement, fetched) => self.payload(placement, fetched),
            Input::PayloadMissing(placement) => self.payload_missing(placement, now),
            Input::PayloadNowhere(placement) => self.payload_nowhere(placement, now),
            Input::Started(placement, since_ns) => self.started(placement, since_ns),
            Input::StartFailed(placement, why) => {
                let ending = Ending::StartFailed(Reason::new(ErrorCode::StartFailed, &why).detail);
                self.ended(placement, ending);
            }
            Input::Exited(placement, ending) => self.exited(placement, ending),
            Input::Reported => self.reported(),
            Input::ReportFailed => {
                self.outbox.failed();
                self.report_retry.failed(now.boot_ns);
            }
            Input::ReportRefused(reason) => self.report_refused(reason),
            Input::ReceiptSettled(placement) => {
                self.receipts.remove(&placement);
                self.receipt_retry.succeeded();
                self.changed |= self.ledger.acknowledge_refusal(&placement);
            }
            Input::ReceiptFailed(placement) => {
                self.receipts.remove(&placement);
                self.receipt_retry.failed(now.boot_ns);
            }
            Input::Standing(standing) => self.standing = *standing,
            Input::Untagged => self.standing.void(),
            Input::Trust(package) => self.follow(&package),
            Input::Adopted(placement) => self.brought(placement),
            Input::AdoptFailed(placement) => self.not_brought(placement, now),
            Input::AdoptRefused(placement, reason) => self.left_behind(placement, reason),
            Input::Measured(fix) => self.measured(*fix),
            Input::Landmarks(found) => self.landmarks(found.map(|table| *table), now),
            Input::FixTold(_, true) => self.locating.told(),
            Input::FixTold(fix, false) => self.fix_failed(fix, now),
            Input::FixRefused(reason) => self.fix_refused(reason),
            Input::Devices(devices) => self.devices = devices,
            Input::Shutdown => self.stage = Stage::Closing,
        }
    }

    fn host(&self, now: Moment) -> Host<'_> {
        let location = &self.locating.location;
        Host { standing: &self.standing, location, devices: &self.devices, now: now.wall }
    }

    fn session_opened(&mut self, session: SessionId, now: Moment) {
        if !self.session.opened(session, self.ledger.bundle().k, now.boot_ns) {
            return;
        }
        self.ledger.session_opened(session);
        self.ledger.acknowledge_lost();
        self.changed = true;
        if self.session.open().is_some() {
            self.out.push(Action::Attach(session));
        }
    }

    /// Ends, drains, opens and renews.
    fn keep_session(&mut self, now: Moment) {
        if let Some(over_ns) = self.session.end_inherited(now.boot_ns) {
            self.end_bound(over_ns, now);
        }
        if let Some(over_ns) = self.session.end(now.boot_ns) {
            self.out.push(Action::Detach);
            self.assembly = Assembly::default();
            self.locating.session_over();
            self.end_of_lease(over_ns, now);
        }
        if !self.ledger.entries().values().any(placement::is_bound_and_may_run) {
            self.session.drained();
        }
        if self.stage == Stage::Running
            && self.bringing.is_done()
            && let Some(id) = self.session.ask(self.ledger.opening(), now.random, now.boot_ns)
        {
            self.ledger.open_session(id);
            self.changed = true;
            let running = self.ledger.entries().iter().filter(|(_, entry)| entry.may_run());
            let live: Vec<PlacementId> = running.map(|(placement, _)| *placement).collect();
            let found = buckets(&self.devices);
            // What lives keeps its buckets; the limit of a board may be another one by now.
            if live.is_empty() || same_devices(self.ledger.advertised(), &found) {
                self.ledger.advertise(found);
            }
            self.out.push(Action::OpenSession {
                session: id,
                previous: self.ledger.session(),
                buckets: self.ledger.advertised().to_vec(),
                live,
            });
        }
        if let Some((session, sequence)) = self.session.renew(now.boot_ns) {
            let carry = self.session.open().and_then(|(_, lease)| lease.carry());
            self.out.push(Action::Renew(session, sequence, carry));
        }
    }

    /// When the next step is due without any input, boottime in nanoseconds. What was due at the last step has had
    /// its turn: if it is still there, it waits for an input and not for time.
    #[must_use]
    pub fn wake_ns(&self) -> Option<u64> {
        let retries = [self.report_retry.due_ns(), self.receipt_retry.due_ns()];
        let placements = self.local.values().flat_map(Local::wakes_ns);
        let bringing = self.bringing.wake_ns().into_iter().chain(self.locating.wake_ns());
        let all =
            retries.into_iter().chain(placements).chain(self.session.wake_ns()).chain(bringing);
        all.filter(|wake| *wake > self.stepped_ns).min()
    }
}

#[cfg(test)]
mod tests;
