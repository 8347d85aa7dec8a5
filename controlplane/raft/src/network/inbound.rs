//! What arrives from other members, without gRPC: a simulator delivers here.
//!
//! Must hold: nothing reaches openraft before its header was opened ([`Header::open`]), its body was read and checked for
//! what openraft would panic on, and this member's own data directory was accepted (R6); a forwarded proposal is never
//! forwarded again; every call and every transfer ends, whatever its sender does (L3).

use crate::codec::{decode, encode};
use crate::consensus::Core;
use crate::limit::{CALL_MAX, SNAPSHOT_BYTES, SNAPSHOT_CHUNK, SNAPSHOT_STALL, SNAPSHOT_TIMEOUT};
use crate::network::frame::{Header, HeaderError};
use crate::network::link::Method;
use crate::network::message::{
    ProposeReply, ProposeRequest, ReadIndexReply, ReadIndexRequest, Refusal, SnapshotHead,
    SnapshotOffset,
};
use crate::platform::{Native, Platform};
use crate::snapshot::{Meta, SnapshotData};
use crate::type_config::{Raft, Snapshot, TypeConfig, Vote, index};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use parking_lot::Mutex;
use sekisho_types::id::Digest;
use sekisho_types::principal::Principal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Delivers to one member.
#[derive(Debug, Clone)]
pub struct Inbound<P: Platform = Native> {
    core: Arc<Core<P>>,
    /// One snapshot at a time: each is held in memory whole.
    receiving: Arc<Semaphore>,
    /// What came of one whose transfer was cut off. The same state at the same place has the same bytes on every member,
    /// so any leader may go on with it.
    begun: Arc<Mutex<Option<Begun<P>>>>,
}

/// A snapshot that did not come whole.
#[derive(Debug)]
struct Begun<P: Platform> {
    digest: Digest,
    data: Vec<u8>,
    /// It may be gigabytes, and there may be no next transfer.
    until: P::Deadline,
}

/// Forgets a snapshot that nobody went on with.
async fn forget<P: Platform>(begun: Weak<Mutex<Option<Begun<P>>>>, until: P::Deadline) {
    P::sleep(P::remaining(until)).await;
    let Some(begun) = begun.upgrade() else { return };
    // Another one may lie there by now, with its own time.
    begun.lock().take_if(|begun| begun.until == until);
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    decode(body).map_err(|e| Refusal::Body(e.to_string()))
}

fn write<T: Serialize>(answer: &T) -> Result<Bytes, Refusal> {
    encode(answer).map(Bytes::from).map_err(|e| Refusal::Body(e.to_string()))
}

/// Until when a forwarded call is worth answering.
fn deadline<P: Platform>(remaining_ms: u64) -> P::Deadline {
    P::deadline(Duration::from_millis(remaining_ms).min(sekisho_types::limit::PROPOSE_DEADLINE))
}

/// A vote is its sender's: another's would make a leader of somebody who did not stand, of the receiver itself too.
fn is_own(vote: &Vote, header: Header) -> Result<(), Refusal> {
    if vote.leader_id().node_id == header.from.0 {
        return Ok(());
    }
    Err(Refusal::Body(format!("vote for {}", vote.leader_id().node_id)))
}

/// Entries and snapshots come from a leader that a quorum has granted its vote.
fn leads(vote: &Vote, header: Header) -> Result<(), Refusal> {
    is_own(vote, header)?;
    if vote.is_committed() { Ok(()) } else { Err(Refusal::Body("vote not granted".to_owned())) }
}

/// Entries follow `prev` and each other: a gap would become a hole in the log.
fn check_append<P: Platform>(request: &AppendEntriesRequest<TypeConfig<P>>) -> Result<(), Refusal> {
    let mut next = request.prev_log_id.map(|id| index(&id).saturating_add(1));
    for entry in &request.entries {
        let at = index(&entry.log_id);
        if next.unwrap_or(0) != at {
            return Err(Refusal::Body(format!("entry {at} where {next:?} follows")));
        }
        next = Some(at.saturating_add(1));
    }
    Ok(())
}

impl<P: Platform> Inbound<P> {
    pub(crate) fn new(core: Arc<Core<P>>) -> Self {
        Self { core, receiving: Arc::new(Semaphore::new(1)), begun: Arc::default() }
    }

    /// Opens a header that `peer` presented.
    ///
    /// # Errors
    /// [`Refusal::Header`].
    pub fn open(&self, header: &[u8], peer: &Principal) -> Result<Header, Refusal> {
        let (origin, me) = (self.core.origin(), self.core.me());
        let opened = Header::open(header, origin, me, peer, self.core.directory());
        let header = opened.inspect_err(|error| {
            tracing::warn!(%peer, %error, "a member's message is refused");
            metrics::counter!("sekisho_raft_refused_total").increment(1);
        })?;
        self.core.levels().hear(header.from, header.feature_level);
        Ok(header)
    }

    /// Refuses what is for members of the state only (D3).
    fn listed(&self, header: Header) -> Result<(), Refusal> {
        self.core.proven()?;
        if self.core.lists(header.from) {
            Ok(())
        } else {
            Err(HeaderError::NotMember(header.from).into())
        }
    }

    /// The engine, for a member that may speak (R6).
    fn raft(&self) -> Result<&Raft<P>, Refusal> {
        self.core.proven().map(|()| self.core.raft())
    }

    /// Answers one call whose header was opened.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened then, unless it is [`Refusal::Late`].
    pub async fn call(
        &self,
        header: Header,
        method: Method,
        body: &[u8],
    ) -> Result<Bytes, Refusal> {
        // An engine that waits for its disk must not collect callers.
        let answer = P::within(P::deadline(CALL_MAX), self.answer(header, method, body)).await;
        answer.map_err(|_passed| Refusal::Late(CALL_MAX))?
    }

    async fn answer(&self, header: Header, method: Method, body: &[u8]) -> Result<Bytes, Refusal> {
        match method {
            Method::Claim => {
                let judging = Arc::clone(&self.core).judge_claim(header.from, read(body)?);
                write(&judging.await?)
            }
            Method::SnapshotOffset => {
                self.core.proven()?;
                let head: SnapshotHead = read(body)?;
                leads(&head.vote, header)?;
                self.check_head(&head)?;
                write(&SnapshotOffset { offset: self.held(&head) })
            }
            Method::Identify => write(&self.core.instance()),
            Method::Way => {
                self.listed(header)?;
                write(&self.core.way())
            }
            Method::ReadAudit => {
                self.listed(header)?;
                write(&self.core.read_audit(read(body)?).await?)
            }
            Method::Vote => {
                let request: VoteRequest<TypeConfig<P>> = read(body)?;
                is_own(&request.vote, header)?;
                let raft = self.raft()?;
                write(&raft.vote(request).await.map_err(Refusal::stopping)?)
            }
            Method::PreVote => {
                let request: VoteRequest<TypeConfig<P>> = read(body)?;
                is_own(&request.vote, header)?;
                let raft = self.raft()?;
                write(&raft.pre_vote(request).await.map_err(Refusal::stopping)?)
            }
            Method::TransferLeader => {
                self.listed(header)?;
                let request: TransferLeaderRequest<TypeConfig<P>> = read(body)?;
                let raft = self.raft()?;
                write(&raft.handle_transfer_leader(request).await.map_err(Refusal::stopping)?)
            }
            Method::Propose => {
                self.listed(header)?;
                let request: ProposeRequest = read(body)?;
                let deadline = deadline::<P>(request.remaining_ms);
                let outcome =
                    self.core.propose_here(request.priority, request.proposal, deadline).await;
                write(&match outcome {
                    Ok(committed) => ProposeReply::Committed {
                        revision: committed.revision,
                        outcome: committed.outcome,
                    },
                    Err(error) => ProposeReply::of(error),
                })
            }
            Method::Confirm => {
                self.core.proven()?;
                leads(&read(body)?, header)?;
                write(&self.core.saved_vote())
            }
            Method::ReadIndex => {
                self.listed(header)?;
                let request: ReadIndexRequest = read(body)?;
                let deadline = deadline::<P>(request.remaining_ms);
                write(&ReadIndexReply { index: self.core.read_position(deadline).await })
            }
        }
    }

    /// Answers a stream of append requests of one member, in order. A refused request ends the stream.
    #[must_use]
    pub fn append(
        &self,
        header: Header,
        bodies: BoxStream<'static, Bytes>,
    ) -> BoxStream<'static, Result<Bytes, Refusal>> {
        let (core, peer) = (Arc::clone(&self.core), self.core.directory().principal(header.from));
        let (refuse, refused) = oneshot::channel();
        let mut refuse = Some(refuse);
        let requests = bodies.map(move |body| {
            // Membership may have ended since the stream was opened (P5).
            if peer.is_none() || core.directory().principal(header.from) != peer {
                return Err(HeaderError::NotMember(header.from).into());
            }
            core.proven()?;
            let request: AppendEntriesRequest<TypeConfig<P>> = read(&body)?;
            leads(&request.vote, header)?;
            check_append(&request).map(|()| request)
        });
        let requests = requests.scan((), move |(), request: Result<_, Refusal>| {
            let request = request.map_err(|refusal| {
                if let Some(refuse) = refuse.take() {
                    // The answers end by themselves if nobody listens.
                    refuse.send(refusal).unwrap_or_default();
                }
            });
            std::future::ready(request.ok())
        });
        let answers = self.core.raft().stream_append(requests).map(|answer| match answer {
            Ok(answer) => write(&answer),
            Err(fatal) => Err(Refusal::stopping(fatal)),
        });
        // After the last answer, why there are no more.
        let why = futures::stream::once(refused).filter_map(|why| std::future::ready(why.ok()));
        answers.chain(why.map(Err)).boxed()
    }

    /// Receives a snapshot whose header was opened: the head, then its pieces.
    ///
    /// # Errors
    /// [`Refusal`]; the state is as before then.
    pub async fn snapshot(
        &self,
        header: Header,
        head: &[u8],
        mut pieces: BoxStream<'static, Bytes>,
    ) -> Result<Bytes, Refusal> {
        self.core.proven()?;
        let _slot = self.receiving.try_acquire().map_err(|_taken| Refusal::Busy)?;
        let head: SnapshotHead = read(head)?;
        leads(&head.vote, header)?;
        let meta = self.check_head(&head)?;
        let mut data = self.go_on(&head)?;
        // The slot is for somebody else if one sender trickles.
        let whole = P::deadline(SNAPSHOT_TIMEOUT);
        let came = P::within(whole, receive::<P>(&mut data, &mut pieces, head.length)).await;
        let came = came.unwrap_or(Err(Refusal::Late(SNAPSHOT_TIMEOUT)));
        if let Err(refusal) = came {
            if data.len() > SNAPSHOT_CHUNK {
                let until = P::deadline(SNAPSHOT_TIMEOUT);
                *self.begun.lock() = Some(Begun { digest: head.digest, data, until });
                let forgetting = forget::<P>(Arc::downgrade(&self.begun), until);
                P::spawn(self.core.tasks(), "raft-forget-snapshot", forgetting);
            }
            return Err(refusal);
        }
        let data = verify::<P>(data, &head).await?;
        let snapshot = Snapshot { meta: meta.engine(), snapshot: SnapshotData::Received(data) };
        let installed = self.core.raft().install_full_snapshot(head.vote, snapshot).await;
        write(&installed.map_err(Refusal::stopping)?)
    }

    /// Bytes that are here of this very snapshot.
    fn held(&self, head: &SnapshotHead) -> u64 {
        let begun = self.begun.lock();
        let same = begun.as_ref().filter(|begun| begun.digest == head.digest);
        same.map_or(0, |begun| u64::try_from(begun.data.len()).unwrap_or(u64::MAX))
    }

    /// What the pieces that come now follow.
    fn go_on(&self, head: &SnapshotHead) -> Result<Vec<u8>, Refusal> {
        let held = self.held(head);
        // Whatever else was begun is given up: a newer one is on its way.
        let begun = self.begun.lock().take();
        match head.offset {
            0 => Ok(Vec::new()),
            offset if offset == held => Ok(begun.map(|begun| begun.data).unwrap_or_default()),
            offset => Err(Refusal::Body(format!("goes on at {offset}, {held} bytes are here"))),
        }
    }

    /// What openraft would panic on, and what no transfer is worth.
    fn check_head(&self, head: &SnapshotHead) -> Result<Meta, Refusal> {
        let refuse = |why: &str| Err(Refusal::Body(why.to_owned()));
        if head.length > SNAPSHOT_BYTES {
            return refuse("larger than any snapshot");
        }
        let meta =
            Meta::open(&head.meta, self.core.origin()).map_err(|e| Refusal::Body(e.to_string()))?;
        let Some(last) = meta.last_log_id else { return refuse("covers nothing") };
        if last.committed_leader_id() > head.vote.leader_id() {
            return refuse("ends beyond its sender's vote");
        }
        let committed = self.core.raft().metrics().borrow_watched().local_committed;
        if committed.is_some_and(|own| last > own && index(&last) <= index(&own)) {
            return refuse("contradicts what is committed here");
        }
        Ok(meta)
    }
}

/// Adds pieces until there are `length` bytes.
async fn receive<P: Platform>(
    data: &mut Vec<u8>,
    pieces: &mut BoxStream<'static, Bytes>,
    length: u64,
) -> Result<(), Refusal> {
    let size = |data: &[u8]| u64::try_from(data.len()).unwrap_or(u64::MAX);
    loop {
        let piece = P::within(P::deadline(SNAPSHOT_STALL), pieces.next()).await;
        let piece = piece.map_err(|_elapsed| Refusal::Stalled(SNAPSHOT_STALL))?;
        let Some(piece) = piece else { break };
        if size(data).saturating_add(size(&piece)) > length {
            data.clear();
            return Err(Refusal::Body("longer than announced".to_owned()));
        }
        data.extend_from_slice(&piece);
    }
    if size(data) < length {
        return Err(Refusal::Body("shorter than announced".to_owned()));
    }
    Ok(())
}

async fn verify<P: Platform>(data: Vec<u8>, head: &SnapshotHead) -> Result<Bytes, Refusal> {
    let digest = head.digest;
    let hashing = P::blocking(move || (Digest::of(&data) == digest).then_some(data));
    match hashing.await {
        Ok(Some(data)) => Ok(data.into()),
        Ok(None) => Err(Refusal::Body("checksum does not match".to_owned())),
        Err(error) => Err(Refusal::stopping(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(data: &[u8]) -> u64 {
        u64::try_from(data.len()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_of_a_transfer_is_forgotten_in_time_and_nothing_else() {
        let begun = |until| Begun::<Native> { digest: Digest([1; 32]), data: vec![1], until };
        let first = Native::deadline(Duration::from_secs(1));
        let held = Arc::new(Mutex::new(Some(begun(first))));
        let forgetting = forget(Arc::downgrade(&held), first);
        // A later transfer of the same snapshot was cut off, too.
        let second = Native::deadline(Duration::from_secs(2));
        *held.lock() = Some(begun(second));
        forgetting.await;
        assert!(held.lock().is_some());
        forget(Arc::downgrade(&held), second).await;
        assert!(held.lock().is_none());
    }

    /// Silence ends a transfer and keeps what came, so that the next one goes on from there.
    #[tokio::test(start_paused = true)]
    async fn a_transfer_that_falls_silent_ends_and_keeps_what_came() {
        let begun = tokio::time::Instant::now();
        let came =
            futures::stream::iter([Bytes::from_static(b"some"), Bytes::from_static(b"more")]);
        let mut pieces = came.chain(futures::stream::pending()).boxed();
        let mut data = Vec::new();
        let ended = receive::<Native>(&mut data, &mut pieces, 100).await;
        assert_eq!(ended, Err(Refusal::Stalled(SNAPSHOT_STALL)));
        assert_eq!((begun.elapsed(), size(&data)), (SNAPSHOT_STALL, 8));
    }
}
