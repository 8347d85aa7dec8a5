//! Carries out what the core decided, in its order; nothing here decides.
//!
//! Must hold: the ledger is on disk when the next action begins, and a write that fails ends the agent (P2): what ran by then
//! is the next one's to find; no call or start holds the main loop up: their outcomes come back as events.

use crate::agent::Event;
use crate::calls::Calls;
use crate::enrolment::Member;
use crate::failure::Failure;
use crate::fitness::Fitness;
use crate::host::{Inventory, ending};
use crate::kept::KeptFiles;
use crate::ledger::LedgerFile;
use crate::limit::{BUSY_PAUSE, ENDED_KEPT};
use crate::site_keys::{Givers, SiteKeys};
use crate::stream::{Link, Streams, come_again};
use arc_swap::ArcSwap;
use sekisho_agent_core::ledger::Ledger;
use sekisho_agent_core::reason::Reason;
use sekisho_agent_core::reconcile::{Action, Input, Kept, StartOrder};
use sekisho_agent_runtime::deadline::Deadline;
use sekisho_agent_runtime::placement::{DeviceClaim, Epoch, Limits, PlacementKey, PlacementSpec};
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::{Exit, Runtime as _, RuntimeError, State};
use sekisho_evidence::acknowledgement;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::payload;
use sekisho_evidence::receipt::Refusal;
use sekisho_proto::convert::agent::{Attach, OpenSession, Report};
use sekisho_proto::internal::v1::agent_message::{Accepted, HeadMoved, Message, Renewal};
use sekisho_proto::status::ApiError;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::job::OnDisconnect;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::limit::KILL_GRACE;
use sekisho_types::name::Name;
use sekisho_types::placement::Phase;
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The hands of the agent.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) runtime: Arc<ProcessRuntime>,
    pub(crate) inventory: Inventory,
    pub(crate) file: LedgerFile,
    pub(crate) kept: KeptFiles,
    pub(crate) calls: Arc<ArcSwap<Calls>>,
    pub(crate) link: Link,
    pub(crate) members: Vec<Member>,
    pub(crate) receipt_key: SigningKey,
    /// This start of the agent.
    pub(crate) instance: Instance,
    /// Where the settings say that the host stands in its site.
    pub(crate) rack: Option<Name>,
    pub(crate) tasks: TaskGroup,
    pub(crate) streams: Option<Streams>,
    pub(crate) ended: VecDeque<PlacementKey>,
    pub(crate) fitness: Fitness,
    pub(crate) site_keys: SiteKeys,
}

/// Whether the main loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    GoOn,
    Finished,
}

fn key(placement: &PlacementId) -> Result<PlacementKey, String> {
    PlacementKey::new(placement.to_string()).map_err(|error| error.to_string())
}

pub(crate) fn reason(error: &ApiError) -> Reason {
    Reason::new(error.code, &error.message)
}

/// Does what blocks beside the runtime's threads; what went wrong, in words.
async fn blocking<E: std::error::Error + Send + 'static>(
    work: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?.map_err(|error| explain(&error))
}

impl Driver {
    pub(crate) async fn carry_out(
        &mut self,
        ledger: &Ledger,
        action: Action,
    ) -> Result<After, Failure> {
        match action {
            Action::WriteLedger => self.write(ledger).await?,
            Action::OpenSession { session, previous, buckets, live } => {
                let (table, incarnation) = (table_hash(), ledger.bundle().incarnation);
                let (findings, rack) = (self.fitness.opening(session), self.rack.clone());
                self.open_session(OpenSession {
                    session,
                    previous,
                    buckets,
                    live,
                    table,
                    incarnation,
                    findings,
                    rack,
                });
            }
            Action::Attach(session) => self.attach(session, ledger),
            Action::Detach => self.streams = None,
            Action::Hold { stop_ns, kill_ns } => self.hold(Deadline { stop_ns, kill_ns }).await,
            Action::Renew(session, sequence, heard) => {
                let carry = heard.map(|heard| self.to_carry(ledger, session, sequence, heard));
                let carry = carry.unwrap_or_default().into();
                self.say(&Message::Renewal(Renewal { sequence, carry }));
            }
            Action::HeadMoved(size) => {
                if let Some(streams) = &self.streams {
                    streams.note(|attach| attach.head_size = size);
                }
                self.say(&Message::Head(HeadMoved { size }));
            }
            Action::SetAccepted(revision) => {
                if let Some(streams) = &self.streams {
                    streams.note(|attach| attach.accepted = ledger.floor());
                }
                self.say(&Message::Accepted(Accepted { revision: revision.0 }));
            }
            Action::FetchPayload { placement, payload, submission } => {
                self.fetch(ledger, placement, (payload, submission));
            }
            Action::Keep(kept) => self.keep(*kept, ledger).await,
            Action::Adopt(placement, running) => self.adopt(placement, running),
            Action::Start(order) => self.start(*order),
            Action::Resume(placement) => self.resume(placement),
            Action::Stop(placement, grace_ms) => {
                let grace = Duration::from_millis(grace_ms);
                self.end(&placement, |runtime, key| runtime.stop(key, grace));
            }
            Action::Kill(placement) => self.end(&placement, |runtime, key| runtime.kill(key)),
            Action::Report(session, phases) => self.report(session, phases),
            Action::FetchLandmarks(basis) => self.fetch_landmarks(basis),
            // The core asks again for what landmarks would refuse now.
            Action::Measure => drop(self.link.attempts.ask(Instant::now())),
            Action::SubmitFix(session, fix) => self.submit_fix(session, *fix),
            Action::Refuse(refusal) => self.refuse(*refusal),
            Action::Note(reason) => {
                metrics::counter!("sekisho_agent_notes_total", "code" => reason.code.as_str())
                    .increment(1);
                tracing::warn!(code = %reason.code, detail = reason.detail, "noted");
            }
            // The agent itself sees to it: more than hands are needed.
            Action::Trusted(_) => {}
            Action::Finished => return Ok(After::Finished),
        }
        Ok(After::GoOn)
    }

    async fn write(&self, ledger: &Ledger) -> Result<(), Failure> {
        let (file, ledger) = (self.file.clone(), ledger.clone());
        let written = tokio::task::spawn_blocking(move || file.store(&ledger)).await;
        let written = written.map_err(|error| Failure::host("ledger", &error))?;
        written.map_err(Failure::from)
    }

    /// Without it the shorter one stands, for shims and watchdog: what it binds ends early, and never late (P4).
    async fn hold(&self, deadline: Deadline) {
        let runtime = Arc::clone(&self.runtime);
        if let Err(why) = blocking(move || runtime.hold(deadline)).await {
            tracing::error!(
                why,
                "the deadline of the lease cannot be written: jobs will end early"
            );
        }
    }

    /// Runs a call beside the main loop; its outcome comes back as an event.
    pub(crate) fn beside<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        let events = self.link.events.clone();
        self.tasks.spawn(TaskKind::Ordinary, name, async move {
            let input = future.await;
            if events.send(Event::Core(input)).await.is_err() {
                tracing::debug!("the agent is ending");
            }
        });
    }

    /// Without it the job runs all the same: only another incarnation could not take it over.
    async fn keep(&self, kept: Kept, ledger: &Ledger) {
        let (files, ledger, placement) = (self.kept.clone(), ledger.clone(), kept.placement);
        if let Err(why) = blocking(move || files.keep(&kept, &ledger)).await {
            tracing::error!(%placement, why, "the proof of a placement cannot be kept");
        }
    }

    fn adopt(&self, placement: PlacementId, running: bool) {
        let (files, calls) = (self.kept.clone(), self.calls.load_full());
        self.beside("adopt", async move {
            let read = tokio::task::spawn_blocking(move || files.read(&placement)).await;
            let Ok(Some((adoption, payload))) = read else {
                let why = format!("nothing was kept of {placement}: it cannot be brought over");
                return Input::AdoptRefused(placement, Reason::new(ErrorCode::NotFound, &why));
            };
            // What stays in its area goes into no entry; it runs here already.
            let payload = if adoption.is_area_only() { Vec::new() } else { payload };
            match calls.adopt(&adoption, payload, running).await {
                Ok(()) => {
                    tracing::info!(%placement, "brought over");
                    Input::Adopted(placement)
                }
                Err(error) if error.code.is_retryable() || !error.explained => {
                    tracing::warn!(%placement, %error, "not brought over yet");
                    Input::AdoptFailed(placement)
                }
                Err(error) => Input::AdoptRefused(placement, reason(&error)),
            }
        });
    }

    fn open_session(&self, open: OpenSession) {
        let calls = self.calls.load_full();
        tracing::info!(session = %open.session, live = open.live.len(), "opening a session");
        self.beside("open-session", async move {
            match calls.open_session(&open).await {
                Ok(()) => Input::SessionOpened(open.session),
                Err(error) => {
                    if let Some(after) = error.retry_after {
                        tokio::time::sleep(come_again(after)).await;
                    }
                    Input::SessionRefused(reason(&error))
                }
            }
        });
    }

    /// A renewal that others carry to the leader, signed.
    fn to_carry(
        &self,
        ledger: &Ledger,
        session: SessionId,
        sequence: u64,
        heard: Revision,
    ) -> Vec<u8> {
        let renewal = acknowledgement::Renewal { node: ledger.node().clone(), session, sequence };
        let (cluster, incarnation) = (ledger.bundle().cluster, ledger.bundle().incarnation);
        let asked = acknowledgement::Asked { cluster, incarnation, renewal, heard };
        let signed = asked.sign(&self.receipt_key).and_then(|signed| signed.bytes());
        // Types of ours always encode; without it the renewal is not carried.
        signed.unwrap_or_default()
    }

    fn attach(&mut self, session: SessionId, ledger: &Ledger) {
        let (head_size, accepted) = (ledger.head().size, ledger.floor());
        let attach = Attach { session, head_size, accepted, instance: self.instance };
        self.streams = Some(Streams::open(&self.tasks, &self.link, &self.members, attach));
    }

    /// Keeps to other members from now on.
    pub(crate) fn turn_to(&mut self, members: &[Member], ledger: &Ledger) -> Result<(), Failure> {
        if members == self.members {
            return Ok(());
        }
        self.calls.store(Arc::new(Calls::new(self.link.dialer.clone(), members)?));
        self.members = members.to_vec();
        if let Some(session) = self.streams.as_ref().map(Streams::session) {
            self.attach(session, ledger);
        }
        Ok(())
    }

    fn say(&self, message: &Message) {
        if let Some(streams) = &self.streams {
            streams.send(message);
        }
    }

    fn fetch(&self, ledger: &Ledger, placement: PlacementId, granted: (Digest, Digest)) {
        let (calls, bundle) = (self.calls.load_full(), ledger.bundle().clone());
        let (keys, givers) = (self.site_keys.clone(), self.givers());
        self.beside("fetch-payload", async move {
            let (payload, submission) = granted;
            let fetched = match calls.payload(placement, &payload, &submission).await {
                Ok(fetched) => keys.complete(fetched, &givers, &bundle).await,
                Err(error) => Err(error),
            };
            match fetched {
                Ok(fetched) => Input::Payload(placement, fetched),
                Err(error) => {
                    tracing::warn!(%placement, %error, "payload not received");
                    if error.code == ErrorCode::PayloadNotHere {
                        return Input::PayloadNowhere(placement);
                    }
                    Input::PayloadMissing(placement)
                }
            }
        });
    }

    fn givers(&self) -> Givers {
        Givers { dialer: self.link.dialer.clone(), members: self.members.clone() }
    }

    /// Gets the keys of the site, so that they are here when a job needs them.
    pub(crate) fn fetch_site_keys(&self, ledger: &Ledger) {
        let (keys, givers, bundle) =
            (self.site_keys.clone(), self.givers(), ledger.bundle().clone());
        self.tasks.spawn(TaskKind::Ordinary, "fetch-site-keys", async move {
            keys.fetch(&givers, &bundle).await;
        });
    }

    fn start(&self, order: StartOrder) {
        let placement = order.grant.placement;
        let runtime = Arc::clone(&self.runtime);
        let prepared = self.spec(order).and_then(|spec| {
            let key = spec.key.clone();
            runtime.prepare(spec).map_err(|error| explain(&error))?;
            Ok(key)
        });
        self.beside("start", async move {
            let key = match prepared {
                Ok(key) => key,
                Err(why) => return Input::StartFailed(placement, why),
            };
            match runtime.start(&key).await {
                Ok(running) => {
                    tracing::info!(%placement, pid = running.pid, "job runs");
                    Input::Started(placement, running.since_boottime_ns)
                }
                Err(RuntimeError::StartFailed(failure)) => {
                    Input::StartFailed(placement, failure.to_string())
                }
                Err(error) => Input::StartFailed(placement, explain(&error)),
            }
        });
    }

    /// Waits for what an earlier run started. Its end comes as an event of its own.
    fn resume(&self, placement: PlacementId) {
        let (runtime, events) = (Arc::clone(&self.runtime), self.link.events.clone());
        self.tasks.spawn(TaskKind::Ordinary, "resume", async move {
            let Ok(key) = key(&placement) else { return };
            loop {
                match runtime.running(&key).await {
                    Ok(running) => {
                        let started = Input::Started(placement, running.since_boottime_ns);
                        drop(events.send(Event::Core(started)).await);
                        return;
                    }
                    Err(RuntimeError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                    Err(error) => {
                        tracing::debug!(%placement, %error, "it does not run any more");
                        return;
                    }
                }
            }
        });
    }

    fn spec(&self, order: StartOrder) -> Result<PlacementSpec, String> {
        let StartOrder { grant, devices, payload } = order;
        let claim = |uuid: String| DeviceClaim { locks: self.inventory.lock_files(&uuid), uuid };
        let epoch = grant.placement.epoch;
        let payload = payload::read(&payload).map_err(|error| error.to_string())?;
        Ok(PlacementSpec {
            key: key(&grant.placement)?,
            job: grant.job.to_string(),
            epoch: Epoch { incarnation: epoch.incarnation.0, index: epoch.revision.0 },
            rank: grant.rank,
            group_size: grant.group,
            devices: devices.into_iter().map(claim).collect(),
            limits: Limits::asked(&payload),
            payload,
            grace: KILL_GRACE,
            time_limit: Some(Duration::from_secs(grant.time_limit_s)),
            bound: grant.on_disconnect == OnDisconnect::Stop,
        })
    }

    /// Stops or kills. One that the runtime does not know is not running: a start that failed says so by itself.
    fn end(
        &self,
        placement: &PlacementId,
        order: impl FnOnce(&ProcessRuntime, &PlacementKey) -> Result<(), RuntimeError>,
    ) {
        let Ok(key) = key(placement) else { return };
        match order(&self.runtime, &key) {
            Ok(()) => tracing::info!(%placement, "job is ordered to end"),
            // The core orders a kill again each second until the end is confirmed.
            Err(error) => tracing::warn!(%placement, %error, "order to end not taken"),
        }
    }

    fn report(&self, session: SessionId, phases: Vec<(PlacementId, Phase)>) {
        let (calls, report) = (self.calls.load_full(), Report { session, phases });
        let events = self.link.events.clone();
        self.beside("report", async move {
            let Err(error) = calls.report(&report).await else { return Input::Reported };
            tracing::warn!(%error, "report not taken");
            if error.code == ErrorCode::SessionStale {
                // The session was taken over or has ended: what is held is used up, then a new one is opened.
                drop(events.send(Event::Core(Input::Expiring(session))).await);
                return Input::ReportFailed;
            }
            if error.code.is_retryable() || !error.explained {
                Input::ReportFailed
            } else {
                Input::ReportRefused(reason(&error))
            }
        });
    }

    fn refuse(&self, refusal: Refusal) {
        let (calls, placement) = (self.calls.load_full(), refusal.placement);
        tracing::warn!(%placement, code = %refusal.code, detail = refusal.detail, "grant refused");
        metrics::counter!("sekisho_agent_refusals_total", "code" => refusal.code.as_str())
            .increment(1);
        let signed = refusal.sign(&self.receipt_key);
        self.beside("refuse", async move {
            let receipt = match signed {
                Ok(receipt) => receipt,
                Err(error) => {
                    tracing::error!(%placement, %error, "receipt cannot be signed");
                    return Input::ReceiptSettled(placement);
                }
            };
            match calls.refuse(receipt).await {
                Ok(()) => Input::ReceiptSettled(placement),
                Err(error) if error.code.is_retryable() || !error.explained => {
                    tracing::warn!(%placement, %error, "receipt not delivered yet");
                    Input::ReceiptFailed(placement)
                }
                Err(error) => {
                    tracing::error!(%placement, %error, "receipt not taken");
                    Input::ReceiptSettled(placement)
                }
            }
        });
    }

    /// An end that the runtime has confirmed. Keeps its output for a while.
    pub(crate) fn exited(&mut self, exit: Exit) -> Option<Input> {
        let placement = exit.key.as_str().parse().ok()?;
        if !self.ended.contains(&exit.key) {
            self.clear(&exit.key);
            self.ended.push_back(exit.key);
        }
        while self.ended.len() > ENDED_KEPT {
            if let Some(oldest) = self.ended.pop_front()
                && let Err(error) = self.runtime.forget(&oldest)
            {
                tracing::warn!(placement = %oldest, %error, "output of an ended job stays");
            }
        }
        Some(Input::Exited(placement, ending(exit.record.status)))
    }

    /// What a job had to itself goes with it: else what many jobs leave fills the disk that the ledger is on.
    fn clear(&self, key: &PlacementKey) {
        let (dir, key) = (self.runtime.directory(key), key.clone());
        self.tasks.spawn(TaskKind::Ordinary, "clear", async move {
            if let Err(why) = blocking(move || dir.clear()).await {
                tracing::warn!(placement = %key, why, "the files of an ended job stay");
            }
        });
    }

    /// Ends whose event was lost: the runtime's table is the truth.
    pub(crate) fn missed(&mut self, ledger: &Ledger) -> Vec<Input> {
        let running = |key: &PlacementKey| {
            let placement: Option<PlacementId> = key.as_str().parse().ok();
            placement.and_then(|id| ledger.entries().get(&id)).is_some_and(|entry| entry.may_run())
        };
        let ended = self.runtime.observe().into_iter().filter_map(|(key, state)| {
            let State::Ended(record) = state else { return None };
            running(&key).then_some(Exit { key, record })
        });
        let ended: Vec<Exit> = ended.collect();
        ended.into_iter().filter_map(|exit| self.exited(exit)).collect()
    }
}
