//! [`Replica`], [`Archive`], [`Holding`] and [`Diary`] by the member's own Raft group and store.
//!
//! Must hold: a proposal is answered only when it is applied *here*, so that whoever got the answer reads its own write
//! from this member (R2, R8).

use crate::diary::Diary;
use crate::holding::Holding;
use crate::replica::{
    Archive, ArchiveError, HandedOver, Membership, Moment, Proposed, Replica, ReplicaError,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry;
use sekisho_raft::changes::Changes;
use sekisho_raft::consensus::{Consensus, MembershipError};
use sekisho_raft::error::{ProposeError, ReadError};
use sekisho_raft::member::MemberRole;
use sekisho_raft::membership::plan;
use sekisho_raft::view::Wake;
use sekisho_store::{HeldRow, JournalRow, StoreError};
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::sync::watch;

impl From<ProposeError> for ReplicaError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NoLeader => Self::NoLeader,
            ProposeError::Overloaded { retry_after } => Self::Overloaded { retry_after },
            ProposeError::OutcomeUnknown => Self::OutcomeUnknown,
            ProposeError::TooLarge { size } => Self::TooLarge(size),
            ProposeError::ShuttingDown | ProposeError::Failed(_) | ProposeError::Malformed(_) => {
                Self::Stopped(error.to_string())
            }
        }
    }
}

impl From<MembershipError> for ReplicaError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::NoLeader
            | MembershipError::InProgress
            | MembershipError::Overtaken => Self::NoLeader,
            MembershipError::NotReady { .. } | MembershipError::NotVoter(_) => {
                Self::NotReady(error.to_string())
            }
            MembershipError::Unknown => Self::OutcomeUnknown,
            MembershipError::Refused(_)
            | MembershipError::ShuttingDown
            | MembershipError::Failed(_) => Self::Stopped(error.to_string()),
        }
    }
}

impl From<ReadError> for ReplicaError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoLeader => Self::NoLeader,
            ReadError::Behind { need } => Self::Behind(need),
            ReadError::ShuttingDown | ReadError::Failed(_) => Self::Stopped(error.to_string()),
        }
    }
}

impl Replica for Consensus {
    fn state(&self) -> State {
        self.view().state.clone()
    }

    fn applied(&self) -> Revision {
        self.view().applied.unwrap_or_default()
    }

    fn node_changes(&self) -> watch::Receiver<u64> {
        self.wakes(Wake::Node)
    }

    fn desired_changes(&self) -> watch::Receiver<u64> {
        self.wakes(Wake::Desired)
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.subscribe()
    }

    fn changes(&self) -> Changes {
        Self::changes(self).clone()
    }

    fn propose(
        &self,
        entry: Entry,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Proposed, ReplicaError>> {
        async move {
            let committed = Self::propose(self, entry, deadline).await?;
            // It is committed whatever this member has applied: only the reader of its own write has to wait, and
            // an answer that is known must not turn into an unknown one.
            if let Err(error) = self.wait_for(committed.revision, deadline).await {
                tracing::warn!(revision = %committed.revision, %error, "answered before it is applied here");
            }
            Ok(Proposed { revision: committed.revision, outcome: committed.outcome })
        }
        .boxed()
    }

    fn read_index(&self, deadline: Deadline) -> BoxFuture<'_, Result<Revision, ReplicaError>> {
        async move { Ok(Self::read_index(self, deadline).await?.revision()) }.boxed()
    }

    fn membership(&self) -> Membership {
        let (leader, members) = (self.leader(), self.members());
        let of = |role| members.iter().filter(move |m| m.role == role).map(|m| m.member).collect();
        Membership {
            term: leader.as_ref().map_or(0, |leader| leader.term),
            leader: leader.map(|leader| leader.member),
            voters: of(MemberRole::Voter),
            learners: of(MemberRole::Learner),
            lag: members.iter().filter_map(|m| Some((m.member, m.lag?))).collect(),
            matched: members.iter().filter_map(|m| Some((m.member, m.matched?))).collect(),
            silent_for: members.iter().filter_map(|m| Some((m.member, m.silent_for?))).collect(),
            ..change_under_way(self)
        }
    }

    fn hand_over(
        &self,
        to: MemberId,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<HandedOver, ReplicaError>> {
        async move {
            let leader = Self::hand_over(self, to, deadline).await?;
            Ok(HandedOver { leader: leader.member, term: leader.term })
        }
        .boxed()
    }

    fn moment(&self, deadline: Deadline) -> BoxFuture<'_, Result<Moment, ReplicaError>> {
        async move {
            let moment = Self::moment(self, deadline).await?;
            let (image, last_log) = (moment.image, moment.last_log);
            Ok(Moment { image, last_log, voters: moment.voters })
        }
        .boxed()
    }
}

/// Where the group stands against the state: what is waited for, and who is leaving; nothing else.
fn change_under_way(consensus: &Consensus) -> Membership {
    let (view, now) = (consensus.view(), consensus.membership());
    let Some(federation) = view.state.federation() else { return Membership::default() };
    let waits = if now.leads { plan(federation, &now).waits } else { BTreeMap::new() };
    let gone = now.members.into_iter().filter(|m| !federation.members.contains_key(&m.member));
    let leaving = gone.map(|m| GenesisMember {
        member: m.member,
        operator: m.operator,
        site: m.site,
        address: m.address,
    });
    Membership {
        waits: waits.into_iter().map(|(member, wait)| (member, wait.to_string())).collect(),
        leaving: leaving.collect(),
        ..Membership::default()
    }
}

fn stored(error: &StoreError) -> ArchiveError {
    if let StoreError::Purged { first, .. } = error {
        return ArchiveError::Incomplete { first: *first };
    }
    ArchiveError::Failed(error.to_string())
}

impl Archive for Consensus {
    fn first(&self) -> u64 {
        self.audit().local().first()
    }

    fn records(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Vec<u8>>, ArchiveError> {
        self.audit().local().records(range, max_bytes).map_err(|error| stored(&error))
    }

    fn hash(&self, index: u64) -> Result<Option<Digest>, ArchiveError> {
        let hash = self.audit().local().hash(index).map_err(|error| stored(&error))?;
        Ok(hash.map(Digest))
    }

    fn payload(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>> {
        async move { self.payloads().get(digest).await.map_err(|error| stored(&error)) }.boxed()
    }
}

impl Holding for Consensus {
    fn keep(
        &self,
        digest: Digest,
        at_ms: u64,
        owner: String,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), ArchiveError>> {
        async move {
            let kept = self.held().put(digest, at_ms, owner, bytes).await;
            kept.map_err(|error| stored(&error))
        }
        .boxed()
    }

    fn kept(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>> {
        async move { self.held().get(digest).await.map_err(|error| stored(&error)) }.boxed()
    }

    fn forget(&self, digests: Vec<Digest>) -> BoxFuture<'_, Result<(), ArchiveError>> {
        async move { self.held().delete(digests).await.map_err(|error| stored(&error)) }.boxed()
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<(Digest, HeldRow)>, ArchiveError>> {
        async move { self.held().rows().await.map_err(|error| stored(&error)) }.boxed()
    }
}

impl Diary for Consensus {
    fn kept(&self) -> Range<u64> {
        self.journal().kept()
    }

    fn append(&self, first: u64, rows: Vec<JournalRow>) -> BoxFuture<'_, Result<(), ArchiveError>> {
        async move { self.journal().append(first, rows).await.map_err(|error| stored(&error)) }
            .boxed()
    }

    fn denials(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<(u64, Vec<JournalRow>), ArchiveError>> {
        async move {
            let rows = self.journal().rows(range, max_bytes).await;
            rows.map_err(|error| stored(&error))
        }
        .boxed()
    }

    fn newest(&self) -> BoxFuture<'_, Result<Option<(u64, JournalRow)>, ArchiveError>> {
        async move { self.journal().newest().await.map_err(|error| stored(&error)) }.boxed()
    }

    fn keep_evidence(
        &self,
        key: Digest,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        async move {
            let kept = self.journal().keep_evidence(key.0, bytes).await;
            kept.map_err(|error| stored(&error))
        }
        .boxed()
    }

    fn evidence(&self) -> BoxFuture<'_, Result<Vec<Vec<u8>>, ArchiveError>> {
        async move { self.journal().evidence().await.map_err(|error| stored(&error)) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::merkle::leaf;
    use sekisho_fsm::image::Image;
    use sekisho_fsm::testing;
    use sekisho_raft::PeerNode;
    use sekisho_raft::config::{RaftConfig, Timing};
    use sekisho_raft::consensus::MemberOptions;
    use sekisho_raft::member::Known;
    use sekisho_raft::network::grpc::GrpcLinks;
    use sekisho_raft::offline::read;
    use sekisho_raft::snapshot::Origin;
    use sekisho_store::{OpenRequest, Store};
    use sekisho_transport::bundle::TrustBundles;
    use sekisho_transport::clock::SystemClock;
    use sekisho_transport::dial::Dialer;
    use sekisho_transport::task::TaskGroup;
    use sekisho_types::revision::Incarnation;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    /// A Raft group of one, over a real data directory.
    async fn alone(dir: &Path, tasks: &TaskGroup) -> Consensus {
        let clock = Arc::new(SystemClock);
        let begun = Digest([0xb; 32]);
        let origin = Origin { cluster: testing::cluster(), incarnation: Incarnation(1), begun };
        let member = origin.owner(MemberId(2));
        let create_at_ms = Some(1);
        let open = OpenRequest { dir: dir.to_owned(), member, create_at_ms, clock: clock.clone() };
        let options = MemberOptions {
            origin,
            member: MemberId(2),
            known: Known::default(),
            store: Arc::new(Store::open(&open).unwrap()),
            links: GrpcLinks::new(Dialer::new(None, TrustBundles::new(clock.clone()))),
            config: RaftConfig { timing: Timing::LAN, ..RaftConfig::default() },
            clock,
            tasks: tasks.clone(),
        };
        let consensus = Consensus::start(options).await.unwrap();
        let node = PeerNode {
            address: "127.0.0.1:7002".into(),
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
        };
        consensus.initialize(&BTreeMap::from([(MemberId(2), node)]), soon()).await.unwrap();
        consensus
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_answered_is_there_to_be_read_and_proved() {
        let (dir, tasks) = (tempfile::tempdir().unwrap(), TaskGroup::new());
        let consensus = alone(dir.path(), &tasks).await;
        let replica: &dyn Replica = &consensus;
        let archive: &dyn Archive = &consensus;
        let mut nodes = replica.node_changes();
        let mut federation = testing::Federation::furnished();
        let job = federation.submit(testing::job("train", 1, 1, &[]));
        for (_, entry) in federation.log {
            let proposed = replica.propose(entry, soon()).await.unwrap();
            proposed.outcome.unwrap();
            assert!(replica.state().revision() >= proposed.revision);
            assert!(replica.applied() >= proposed.revision);
        }
        assert!(replica.read_index(soon()).await.unwrap() >= replica.state().revision());
        assert!(nodes.has_changed().unwrap());
        nodes.mark_unchanged();
        let state = replica.state();
        assert!(state.job(&job).is_some());
        let payload = archive.payload(Digest::of(testing::PAYLOAD)).await.unwrap();
        assert_eq!(payload.as_deref(), Some(testing::PAYLOAD));
        let records = archive.records(0..u64::MAX, usize::MAX).unwrap();
        assert_eq!((archive.first(), u64::try_from(records.len())), (0, Ok(state.audit_size())));
        assert_eq!(archive.hash(0).unwrap(), Some(leaf(&records[0])));
        assert_eq!(archive.hash(u64::MAX).unwrap(), None);
        let membership = replica.membership();
        assert_eq!(membership.leader, Some(MemberId(2)));
        assert_eq!(membership.voters, [MemberId(2)].into());
        assert!(tasks.shutdown(Duration::from_secs(10)).await);
    }

    /// R1, R3: what lies in the log after the last snapshot is in a backup of the stopped member, and nothing is written.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stopped_member_reads_as_it_ran() {
        let (dir, tasks) = (tempfile::tempdir().unwrap(), TaskGroup::new());
        let consensus = alone(dir.path(), &tasks).await;
        let mut federation = testing::Federation::furnished();
        let replica: &dyn Replica = &consensus;
        for (_, entry) in federation.log.clone() {
            replica.propose(entry, soon()).await.unwrap().outcome.unwrap();
        }
        let moment = replica.moment(soon()).await.unwrap();
        let before = Image::decode(&moment.image).unwrap();
        assert_eq!(before.state.digest(), replica.state().digest());
        assert_eq!((moment.voters, before.payloads.len()), ([MemberId(2)].into(), 0));
        let known = federation.log.len();
        federation.submit(testing::job("train", 1, 1, &[]));
        for (_, entry) in federation.log.split_off(known) {
            replica.propose(entry, soon()).await.unwrap().outcome.unwrap();
        }
        let (state, origin) = (replica.state(), consensus.origin());
        let records = consensus.records(0..u64::MAX, usize::MAX).unwrap();
        consensus.shutdown().await;
        drop(consensus);
        assert!(tasks.shutdown(Duration::from_secs(10)).await);
        let member = origin.owner(MemberId(2));
        let clock = Arc::new(SystemClock);
        let open = OpenRequest { dir: dir.path().to_owned(), member, create_at_ms: None, clock };
        // The last handle goes with the engine's own tasks.
        let deadline = soon();
        let store = loop {
            match Store::open(&open) {
                Ok(store) => break store,
                Err(error) => assert!(!deadline.passed(), "{error}"),
            }
            // waits: the directory's lock is polled; nobody tells when it is given back
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let size = store.audit().size();
        let offline = read(&store, origin).unwrap();
        assert_eq!(offline.state.digest(), state.digest());
        assert_eq!(Image::decode(&offline.moment.image).unwrap().payloads.len(), 2);
        assert!(offline.moment.last_log > moment.last_log);
        assert_eq!((offline.stored, store.audit().size()), (before.state.audit_size(), size));
        let first = usize::try_from(offline.stored).unwrap();
        assert!(!offline.tail.is_empty());
        assert_eq!(offline.tail, records[first..]);
    }
}
