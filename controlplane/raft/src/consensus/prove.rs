//! Showing the others which data directory this member holds, and judging theirs (R6, [`crate::claim`]).

use super::Core;
use crate::claim::{Answer, Claim, Configs, Objection, Standing, judge};
use crate::codec::{decode, encode};
use crate::disk::MemberDisk;
use crate::error::MemberFailure;
use crate::limit::{CLAIM_AGAIN, CLAIM_EVERY, CLAIM_RETRY, CLAIM_TIMEOUT, IDENTIFY_TIMEOUT};
use crate::member::applied;
use crate::network::link::Method;
use crate::network::message::Refusal;
use crate::platform::Platform;
use crate::type_config::index;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use rand::RngCore as _;
use sekisho_store::{StoreError, StoreResult};
use sekisho_types::id::MemberId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How far this member's own proof has come, and what it keeps of the others.
#[derive(Debug)]
pub(super) struct Proof {
    /// Drawn at start: tells this process from any other with the same directory.
    instance: [u8; 16],
    open: AtomicBool,
    standing: Mutex<Standing>,
    /// After each round of answers.
    moved: Notify,
    /// Held over reading and writing what is kept of another member.
    keeping: Arc<Mutex<()>>,
}

impl Proof {
    pub(super) fn new<P: Platform>() -> Self {
        let mut instance = [0; 16];
        P::random().fill_bytes(&mut instance);
        Self {
            instance,
            open: AtomicBool::new(false),
            standing: Mutex::default(),
            moved: Notify::new(),
            keeping: Arc::default(),
        }
    }
}

/// Name of the note that keeps the last claim of a member.
fn note(member: MemberId) -> String {
    format!("claim/{}", member.0)
}

fn kept(disk: &impl MemberDisk, member: MemberId) -> StoreResult<Option<Claim>> {
    let bytes = disk.note(&note(member))?;
    let damaged = |e| StoreError::Damaged { what: format!("claim of {member}: {e}").into() };
    bytes.map(|bytes| decode(&bytes)).transpose().map_err(damaged)
}

impl<P: Platform> Core<P> {
    /// Which process this is.
    pub(crate) fn instance(&self) -> [u8; 16] {
        self.proof.instance
    }

    /// Refuses what needs this member to be who it says.
    pub(crate) fn proven(&self) -> Result<(), Refusal> {
        if self.proof.open.load(Ordering::Acquire) { Ok(()) } else { Err(Refusal::Unproven) }
    }

    fn claim(&self) -> Claim {
        let identity = self.store.identity();
        Claim {
            directory: identity.directory,
            boot_seq: identity.boot_seq,
            instance: self.proof.instance,
            durable_index: identity.durable_log_index,
        }
    }

    /// The effective membership with its place in the log; none before the first.
    fn voters(&self) -> Option<(u64, Configs)> {
        let metrics = self.metrics();
        let at = metrics.membership_config.log_id().as_ref().map(index)?;
        Some((at, metrics.membership_config.membership().get_joint_config().clone()))
    }

    /// Judges the claim that `from` presented, and keeps it if nothing speaks against it.
    pub(crate) fn judge_claim(
        self: Arc<Self>,
        from: MemberId,
        claim: Claim,
    ) -> BoxFuture<'static, Result<Answer, Refusal>> {
        // Boxed: the compiler cannot see that it is `Send` (rust-lang/rust#102211).
        async move { self.judge(from, claim).await }.boxed()
    }

    async fn judge(&self, from: MemberId, claim: Claim) -> Result<Answer, Refusal> {
        let votes = self.votes(from);
        let disk = Arc::clone(&self.store);
        let known = P::blocking(move || kept(disk.as_ref(), from)).await;
        let known = known.map_err(Refusal::stopping)?.map_err(|error| self.storage(error))?;
        let newcomer = known.is_some_and(|known| known.instance != claim.instance);
        let twin = newcomer && self.another_lives(from, claim.instance).await;
        let (disk, keeping) = (Arc::clone(&self.store), Arc::clone(&self.proof.keeping));
        let judging = P::blocking(move || {
            let _one_at_a_time = keeping.lock();
            let known = kept(disk.as_ref(), from)?;
            let verdict = judge(known.as_ref(), votes, &claim);
            let verdict = if twin { verdict.and(Err(Objection::Twin)) } else { verdict };
            if verdict.is_ok() && known != Some(claim) {
                let bytes = encode(&claim)
                    .map_err(|e| StoreError::Damaged { what: e.to_string().into() })?;
                disk.note_put(&note(from), &bytes)?;
            }
            Ok::<_, StoreError>(verdict)
        });
        let verdict = judging.await.map_err(Refusal::stopping)?;
        let verdict = verdict.map_err(|error| self.storage(error))?;
        if let Err(objection) = &verdict {
            tracing::error!(member = %from, %objection, "a member's data directory is refused");
            metrics::counter!("sekisho_raft_claims_refused_total").increment(1);
        }
        let accepted_by = self.proof.standing.lock().accepted_by.clone();
        let bundle = applied(&self.publisher.view()).unwrap_or_default();
        Ok(Answer { verdict, membership: self.voters(), accepted_by, bundle })
    }

    /// An error of the disk ends this member (R7): who only answers others writes nothing else for a long time, and would
    /// go on with a disk that keeps nothing.
    pub(super) fn storage(&self, error: StoreError) -> Refusal {
        if error.is_fatal() {
            self.publisher.fail(MemberFailure::Storage(error.to_string().into()));
        }
        Refusal::stopping(error)
    }

    fn votes(&self, member: MemberId) -> bool {
        let configs = self.voters().map(|(_, configs)| configs).unwrap_or_default();
        configs.iter().any(|voters| voters.contains(&member.0))
    }

    /// Whether another process than `instance` answers at the member's own address. Silence is no twin: the old process
    /// is dead, or somebody who reaches it will say so.
    async fn another_lives(&self, member: MemberId, instance: [u8; 16]) -> bool {
        // The first may fail on a connection that died with the old process.
        for _ in 0..2 {
            let Ok((packet, link)) = self.out.packet(member, Vec::new()) else { return false };
            let answer = link.call(Method::Identify, packet, IDENTIFY_TIMEOUT).await;
            if let Some(found) = answer.ok().and_then(|bytes| decode::<[u8; 16]>(&bytes).ok()) {
                return found != instance;
            }
        }
        false
    }

    /// Presents the claim to one member; nothing if it does not answer.
    async fn present(&self, member: MemberId) -> Result<Option<Answer>, Objection> {
        let body = encode(&self.claim()).ok();
        let packet = body.and_then(|body| self.out.packet(member, body).ok());
        let Some((packet, link)) = packet else { return Ok(None) };
        let answer = link.call(Method::Claim, packet, CLAIM_TIMEOUT).await;
        let answer = answer.ok().and_then(|bytes| decode::<Answer>(&bytes).ok());
        let Some(answer) = answer else { return Ok(None) };
        answer.verdict.map(|()| Some(answer))
    }

    /// Asks a member for the way to the endorser bundle that it has.
    pub(super) async fn ask_way(&self, member: MemberId, within: Duration) -> Option<Vec<u8>> {
        let (packet, link) = self.out.packet(member, Vec::new()).ok()?;
        let answer = link.call(Method::Way, packet, within).await;
        decode::<Option<Vec<u8>>>(&answer.ok()?).ok()?
    }

    /// The way to the endorser bundle of this member's state.
    pub(crate) fn way(&self) -> Option<Vec<u8>> {
        self.publisher.view().state.federation()?.package().bytes().ok()
    }

    /// Who is to be asked now.
    fn to_ask(&self, due: &mut BTreeMap<MemberId, P::Deadline>) -> Vec<MemberId> {
        let mut members = self.out.directory.members();
        // Who is a member no longer is neither asked nor waited for.
        due.retain(|id, _| members.contains_key(id));
        members.remove(&self.out.me);
        members.retain(|id, _| due.get(id).is_none_or(|due| P::remaining(*due).is_zero()));
        members.into_keys().collect()
    }

    /// Notes an answer, or that there was none. Returns until when this member is left alone.
    fn heard(&self, id: MemberId, answer: Option<Answer>) -> P::Deadline {
        let known = answer.is_some();
        if let Some(answer) = answer {
            let ahead = answer.bundle > self.members.bundle();
            self.ahead.send_if_modified(|all| {
                if ahead {
                    all.insert(id);
                    true
                } else {
                    all.remove(&id);
                    false
                }
            });
            self.proof.standing.lock().accept(id, answer);
        }
        let first = self.out.directory.members().into_keys().collect();
        self.open_if_enough(&first);
        P::deadline(self.pause(known, &first))
    }

    /// Opens the way once enough have accepted.
    fn open_if_enough(&self, first: &BTreeSet<MemberId>) {
        let own = self.voters();
        let enough = self.proof.standing.lock().suffices(self.out.me, own, first);
        if enough && !self.proof.open.swap(true, Ordering::AcqRel) {
            self.raft.runtime_config().elect(true);
            tracing::info!(member = %self.out.me, "a majority accepts this data directory");
        }
        self.proof.moved.notify_waiters();
    }

    /// Until a member is asked again that answered, or did not.
    fn pause(&self, answered: bool, first: &BTreeSet<MemberId>) -> Duration {
        let open = self.proof.open.load(Ordering::Acquire);
        let begun = self.voters().is_some();
        match (answered, open) {
            (true, true) if begun || self.proof.standing.lock().all_met(self.out.me, first) => {
                CLAIM_EVERY
            }
            (false, true) if begun => CLAIM_AGAIN,
            _ => CLAIM_RETRY,
        }
    }

    /// Waits until a majority has accepted this member's claim.
    pub(super) async fn accepted(&self) {
        self.until(|| self.proven().is_ok()).await;
    }

    /// Waits until each of `members` knows each other one, or there is a membership already.
    pub(super) async fn all_met(&self, members: &BTreeSet<MemberId>) {
        let met = || self.proof.standing.lock().all_met(self.out.me, members);
        self.until(|| self.voters().is_some() || met()).await;
    }

    /// Looks after each round of answers.
    async fn until(&self, is: impl Fn() -> bool) {
        loop {
            let mut moved = std::pin::pin!(self.proof.moved.notified());
            moved.as_mut().enable();
            if is() {
                return;
            }
            moved.await;
        }
    }
}

/// What one member said.
type Heard = (MemberId, Result<Option<Answer>, Objection>);

/// Makes this member's claim until it is gone or somebody objects. Each member is asked by itself: one that is silent must
/// not hold up a start that the others have accepted, nor an objection of theirs.
pub(super) async fn prove<P: Platform>(handle: Weak<Core<P>>) {
    let mut due: BTreeMap<MemberId, P::Deadline> = BTreeMap::new();
    let mut asking: FuturesUnordered<BoxFuture<'static, Heard>> = FuturesUnordered::new();
    loop {
        let Some(core) = handle.upgrade().filter(|core| !core.closing()) else { return };
        // Nobody else may have to be asked.
        core.open_if_enough(&core.out.directory.members().into_keys().collect());
        for id in core.to_ask(&mut due) {
            // Longer than the call: once at a time.
            due.insert(id, P::deadline(CLAIM_TIMEOUT.saturating_mul(2)));
            let core = Arc::clone(&core);
            asking.push(async move { (id, core.present(id).await) }.boxed());
        }
        drop(core);
        let next = due.values().map(|due| P::remaining(*due)).min().unwrap_or(CLAIM_RETRY);
        let heard = tokio::select! {
            biased;
            Some(heard) = asking.next(), if !asking.is_empty() => Some(heard),
            () = P::sleep(next.max(Duration::from_millis(1))) => None,
        };
        let Some((by, answer)) = heard else { continue };
        let Some(core) = handle.upgrade() else { return };
        match answer {
            Ok(answer) => drop(due.insert(by, core.heard(by, answer))),
            Err(objection) => {
                // No word of consensus from here on; whoever owns this member ends it.
                core.proof.open.store(false, Ordering::Release);
                core.raft.runtime_config().elect(false);
                core.publisher.fail(MemberFailure::Identity { by, objection });
                return;
            }
        }
    }
}
