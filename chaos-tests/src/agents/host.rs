//! One simulated agent: its certificate, a session, and a stream to each member over its own mutual TLS.
//!
//! Must hold: it speaks as the real one does (renewals on every stream, redial after a spread pause, what a member tells
//! about coming again is obeyed, another session when the one that it has is over) and keeps the lease by the same
//! arithmetic: from the send time of a renewal that the leader signed and another operator acknowledged. A session that
//! ended after a lease was held is counted. Does not do: starts, ledgers, checks of grants; the leader's signature is
//! checked by the real agent's tests.

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use sekisho_agent::limit::{ATTACH_WITHIN, CALL_WITHIN};
use sekisho_agent_core::lease::Lease;
use sekisho_evidence::acknowledgement::Acknowledgement;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_proto::convert::agent::{Attach, OpenSession};
use sekisho_proto::internal::v1::agent_message::{Accepted, Message as Up, Renewal};
use sekisho_proto::internal::v1::agent_service_client::AgentServiceClient;
use sekisho_proto::internal::v1::controller_message::{Acknowledged, Message as Down};
use sekisho_proto::internal::v1::{AgentMessage, OpenSessionRequest};
use sekisho_proto::status::ApiError;
use sekisho_transport::clock::SystemClock;
use sekisho_types::device::Bucket;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, NodeId, OperatorId};
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::limit::{LEASE, RENEW_EVERY};
use sekisho_types::name::Name;
use sekisho_types::revision::{Epoch, Incarnation, Revision};
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// A member as an agent reaches it.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) member: MemberId,
    pub(super) operator: OperatorId,
    pub(super) channel: Channel,
}

/// What a host has, as its agent says.
#[derive(Debug, Clone)]
pub(super) struct Devices {
    pub(super) bucket: Bucket,
    pub(super) rack: Option<Name>,
}

/// What an agent knows of its lease.
#[derive(Debug)]
pub(super) struct Host {
    k: u32,
    devices: Devices,
    session: watch::Sender<SessionId>,
    instance: Instance,
    doors: Vec<Door>,
    lease: Mutex<Lease>,
    /// The session of which a member said last that it is over.
    over: watch::Sender<Option<SessionId>>,
    accepted: Mutex<Epoch>,
    /// The deadline of the lease, boottime; moves with every renewal that counts.
    pub(super) held: watch::Sender<Option<u64>>,
    /// Renewals that counted.
    pub(super) counted: Mutex<u64>,
    pub(super) put_off: Mutex<u64>,
    /// Sessions that ended though a renewal had been counted in them.
    pub(super) dropped: Mutex<u64>,
}

fn now_ns() -> u64 {
    SystemClock.boottime_ns()
}

/// As an agent ends a call that was not answered in time.
fn late() -> tonic::Status {
    tonic::Status::deadline_exceeded("no answer in time")
}

/// When to come again: not all together.
fn spread() -> Duration {
    rand::random_range(Duration::ZERO..LEASE / 3)
}

impl Host {
    pub(super) fn new(k: u32, doors: Vec<Door>, devices: Devices) -> Arc<Self> {
        let accepted = Epoch { incarnation: Incarnation(1), revision: Revision(0) };
        Arc::new(Self {
            k,
            devices,
            session: watch::Sender::new(SessionId(rand::random())),
            instance: Instance(rand::random()),
            doors,
            lease: Mutex::new(Lease::new(k, now_ns())),
            over: watch::Sender::default(),
            accepted: Mutex::new(accepted),
            held: watch::Sender::default(),
            counted: Mutex::default(),
            put_off: Mutex::default(),
            dropped: Mutex::default(),
        })
    }

    /// Opens the session, whatever it takes.
    async fn open(&self, previous: Option<SessionId>) {
        let Devices { bucket, rack } = self.devices.clone();
        let open = OpenSession {
            session: *self.session.borrow(),
            previous,
            buckets: vec![bucket],
            live: Vec::new(),
            table: table_hash(),
            incarnation: Incarnation(1),
            findings: Vec::new(),
            rack,
        };
        let request = OpenSessionRequest::from(&open);
        for door in self.doors.iter().cycle() {
            let mut client = AgentServiceClient::new(door.channel.clone());
            let asked = timeout(CALL_WITHIN, client.open_session(request.clone())).await;
            let Err(status) = asked.unwrap_or_else(|_elapsed| Err(late())) else { break };
            self.wait_after(&ApiError::from_status(&status)).await;
        }
    }

    async fn wait_after(&self, error: &ApiError) {
        if error.retry_after.is_some() {
            let mut put_off = self.put_off.lock();
            *put_off = put_off.saturating_add(1);
        }
        // waits: as long as an agent that was refused or cut off
        tokio::time::sleep(error.retry_after.unwrap_or_default().saturating_add(spread())).await;
    }

    /// Lives until it is dropped.
    pub(super) async fn live(self: Arc<Self>) {
        self.open(None).await;
        let beats = watch::Sender::new(0u64);
        let streams = self.doors.iter().map(|door| self.keep(door, beats.subscribe()));
        let streams = futures::future::join_all(streams);
        let beat = async {
            // Agents do not beat together.
            tokio::time::sleep(spread().min(RENEW_EVERY)).await;
            loop {
                let sequence = self.lease.lock().renew(now_ns());
                beats.send_replace(sequence);
                tokio::time::sleep(RENEW_EVERY).await;
            }
        };
        tokio::join!(streams, beat, self.reopen());
    }

    /// Another session whenever the one that there is has ended.
    async fn reopen(&self) {
        let mut over = self.over.subscribe();
        while over.wait_for(|over| *over == Some(*self.session.borrow())).await.is_ok() {
            if self.held.borrow().is_some() {
                let mut dropped = self.dropped.lock();
                *dropped = dropped.saturating_add(1);
            }
            self.held.send_replace(None);
            let previous = self.session.send_replace(SessionId(rand::random()));
            *self.lease.lock() = Lease::new(self.k, now_ns());
            self.open(Some(previous)).await;
        }
    }

    async fn keep(&self, door: &Door, beats: watch::Receiver<u64>) {
        loop {
            let session = *self.session.borrow();
            let ended = self.stream(door, session, beats.clone()).await;
            let error =
                ended.err().unwrap_or_else(|| ApiError::from_status(&tonic::Status::ok("")));
            if error.code == ErrorCode::SessionStale {
                self.over.send_replace(Some(session));
            }
            self.wait_after(&error).await;
        }
    }

    async fn stream(
        &self,
        door: &Door,
        session: SessionId,
        mut beats: watch::Receiver<u64>,
    ) -> Result<(), ApiError> {
        let of = |status: tonic::Status| ApiError::from_status(&status);
        let (up, queue) = mpsc::channel(8);
        let accepted = *self.accepted.lock();
        let attach = Attach { session, head_size: 0, accepted, instance: self.instance };
        let say = |message| {
            // A member that does not read is left.
            up.try_send(AgentMessage { message: Some(message) }).is_ok()
        };
        say(Up::Attach((&attach).into()));
        let mut client = AgentServiceClient::new(door.channel.clone());
        let asked = timeout(ATTACH_WITHIN, client.attach(ReceiverStream::new(queue))).await;
        let answer = asked.unwrap_or_else(|_elapsed| Err(late()));
        let mut down = answer.map_err(of)?.into_inner();
        beats.mark_unchanged();
        loop {
            tokio::select! {
                beat = beats.changed() => {
                    let sequence = *beats.borrow_and_update();
                    let renewal = Renewal { sequence, ..Renewal::default() };
                    if beat.is_err() || !say(Up::Renewal(renewal)) {
                        return Ok(());
                    }
                }
                message = down.message() => match message.map_err(of)?.and_then(|m| m.message) {
                    Some(Down::Acknowledged(told)) => {
                        self.acknowledged(door, session, &told);
                    }
                    Some(Down::Desired(set)) => {
                        self.accept(set.revision);
                        say(Up::Accepted(Accepted { revision: set.revision }));
                    }
                    Some(Down::Expiring(_)) => {
                        self.over.send_replace(Some(session));
                    }
                    Some(Down::Attached(_) | Down::Stop(_)) => {}
                    Some(Down::ReadLog(_) | Down::Trust(_) | Down::Prove(_)) => {}
                    None => return Ok(()),
                },
            }
        }
    }

    fn accept(&self, revision: u64) {
        let mut accepted = self.accepted.lock();
        accepted.revision = accepted.revision.max(Revision(revision));
    }

    fn acknowledged(&self, door: &Door, session: SessionId, told: &Acknowledged) {
        let Acknowledged { sequence, ref signed, .. } = *told;
        let leads = Acknowledgement::parse(signed).is_ok_and(|w| w.counted().member == door.member);
        let mut lease = self.lease.lock();
        // An answer that was under way when the session ended is none to what was sent since.
        let present = *self.session.borrow() == session;
        if present && lease.acknowledged(sequence, &door.operator, leads) {
            let mut counted = self.counted.lock();
            *counted = counted.saturating_add(1);
            self.held.send_replace(lease.deadline_ns());
        }
    }

    /// Waits for a renewal that counts and was sent after now.
    pub(super) async fn renewed(&self) -> Result<()> {
        let lease = u64::try_from(LEASE.as_nanos())?;
        let after = now_ns().saturating_add(lease);
        let mut held = self.held.subscribe();
        held.wait_for(|held| held.is_some_and(|held| held > after)).await.context("gone")?;
        Ok(())
    }

    /// Whether it holds no lease now, by its own clock.
    pub(super) fn is_lost(&self) -> bool {
        self.held.borrow().is_none_or(|held| held < now_ns())
    }
}

/// Counts over many agents.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Tally {
    pub(super) agents: u64,
    pub(super) counted: u64,
    pub(super) put_off: u64,
    pub(super) lost: u64,
    pub(super) dropped: u64,
}

impl Tally {
    pub(super) fn of(hosts: &BTreeMap<NodeId, Arc<Host>>) -> Self {
        let mut sum = Self::default();
        for host in hosts.values() {
            sum.agents = sum.agents.saturating_add(1);
            sum.counted = sum.counted.saturating_add(*host.counted.lock());
            sum.put_off = sum.put_off.saturating_add(*host.put_off.lock());
            sum.lost = sum.lost.saturating_add(u64::from(host.is_lost()));
            sum.dropped = sum.dropped.saturating_add(*host.dropped.lock());
        }
        sum
    }
}
