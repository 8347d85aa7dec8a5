//! One agent's stream: answers renewals, delivers desired sets and stops, takes what the agent tells.
//!
//! Must hold: a renewal is acknowledged only after this member checked in its own state that node and session are in
//! force (P5), by the leader only as its lease table says, by others only while they are not behind (design section
//! 9). A stop is repeated until the placement is confirmed dead; stopping is always safe.

use super::desired::{Age, Next, Position, Sent, next};
use super::proof::{Ask, prove};
use super::{Attached, Sessions};
use crate::call::{check_alone, check_standing};
use crate::core::{Core, federation};
use crate::duty::{Renewal, SignedHead};
use crate::gate::Ticket;
use crate::limit::{RESEND_DESIRED, RESEND_STOP};
use sekisho_evidence::acknowledgement::Renewal as Asked;
use sekisho_evidence::canonical::CanonicalError;
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_proto::convert::agent::{Attach, Desired};
use sekisho_proto::internal::v1::agent_message;
use sekisho_proto::internal::v1::controller_message::{
    Acknowledged, Attached as Greeting, Expiring, Message, Stop, TrustMoved,
};
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::placement::Phase;
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::Streaming;

/// A stream after its `Attach`.
#[derive(Debug)]
pub(crate) struct AgentStream {
    core: Arc<Core>,
    node: NodeId,
    attached: Arc<Attached>,
    position: Position,
    sent: Option<(Sent, Instant)>,
    stopped: Option<(Vec<PlacementId>, Instant)>,
    /// Version of the endorser bundle that the agent was told of.
    trust: u64,
    /// For a checkpoint of this member.
    waits: bool,
}

/// Whether a node with this session may go on.
pub(crate) fn session_in_force<'s>(
    state: &'s State,
    id: &NodeId,
    session: &sekisho_evidence::grant::SessionId,
) -> Result<&'s Node, ApiError> {
    let gone = || ApiError::new(ErrorCode::NodeRevoked, format!("{id} is not enrolled"));
    let node = state.node(id).ok_or_else(gone)?;
    check_standing(state, id, node)?;
    check_alone(id, node)?;
    if node.live_session().is_none_or(|live| live.id != *session) {
        let why = format!("session {session} of {id} is not the open one");
        return Err(ApiError::new(ErrorCode::SessionStale, why));
    }
    Ok(node)
}

impl AgentStream {
    pub(crate) fn new(
        core: Arc<Core>,
        node: NodeId,
        attached: Arc<Attached>,
        attach: &Attach,
    ) -> Self {
        let position = Position { head_size: attach.head_size, accepted: attach.accepted };
        attached.enforces(attach.accepted);
        Self { core, node, attached, position, sent: None, stopped: None, trust: 0, waits: false }
    }

    /// Serves the stream until either side ends it; gives its place at the gate up once it has delivered.
    pub(crate) async fn run(
        mut self,
        mut inbound: Streaming<sekisho_proto::internal::v1::AgentMessage>,
        place: Ticket,
    ) {
        let core = Arc::clone(&self.core);
        let greeting = Greeting {
            member: core.identity.member.0,
            operator: core.identity.operator.to_string(),
        };
        let mut on = self.attached.send(Message::Attached(greeting));
        let mut place = Some(place);
        while on {
            if let Err(error) = self.deliver().await {
                self.attached.end(error);
                break;
            }
            drop(place.take());
            let (attached, pause) = (Arc::clone(&self.attached), self.pause());
            on = tokio::select! {
                message = inbound.message() => match message {
                    Ok(Some(message)) => self.take(message.message).await,
                    Ok(None) | Err(_) => false,
                },
                () = attached.nudge.notified() => true,
                () = attached.replaced.notified() => {
                    let why = "another stream of this node took over";
                    attached.end(ApiError::new(ErrorCode::SessionTwin, why));
                    false
                }
                () = tokio::time::sleep(pause) => true,
            };
        }
        let sessions: &Sessions = &core.sessions;
        sessions.detach(&self.node, &self.attached);
        tracing::info!(node = %self.node, "agent detached");
    }

    /// How long the stream may sleep: for ever, unless something has to be repeated.
    fn pause(&self) -> std::time::Duration {
        const IDLE: std::time::Duration = std::time::Duration::from_secs(3600);
        let pause = if self.waits { RESEND_DESIRED } else { IDLE };
        if self.stopped.is_some() { pause.min(RESEND_STOP) } else { pause }
    }

    /// Takes what the agent says; `false` ends the stream.
    async fn take(&mut self, message: Option<agent_message::Message>) -> bool {
        match message {
            Some(agent_message::Message::Renewal(renewal)) => self.renew(renewal).await,
            Some(agent_message::Message::Head(head)) => {
                self.position.head_size = self.position.head_size.max(head.size);
                true
            }
            Some(agent_message::Message::Accepted(accepted)) => self.accepted(accepted.revision),
            Some(agent_message::Message::Log(chunk)) => {
                self.attached.answered(chunk);
                true
            }
            Some(agent_message::Message::Proving(told)) => {
                self.attached.proving(told);
                true
            }
            Some(agent_message::Message::Countersigned(told)) => {
                self.core.hear_countersignature(&self.node, &told.countersignature);
                true
            }
            Some(agent_message::Message::Attach(_)) | None => {
                let why = "only the first message attaches";
                self.attached.end(ApiError::new(ErrorCode::InvalidArgument, why));
                false
            }
        }
    }

    fn accepted(&mut self, revision: u64) -> bool {
        let state = self.core.replica.state();
        let Some(federation) = state.federation() else { return true };
        let epoch = Epoch { incarnation: federation.incarnation, revision: Revision(revision) };
        self.position.accepted = self.position.accepted.max(epoch);
        self.attached.enforces(epoch);
        true
    }

    async fn renew(&self, asked: agent_message::Renewal) -> bool {
        let agent_message::Renewal { sequence, carry } = asked;
        let received = self.core.clock.boottime_ns();
        self.attached.beat(received);
        let state = self.core.replica.state();
        if let Err(error) = session_in_force(&state, &self.node, &self.attached.session) {
            self.attached.end(error);
            return false;
        }
        let session = self.attached.session;
        let renewal = Asked { node: self.node.clone(), session, sequence };
        match self.core.leases.renew(&renewal, received, None).await {
            Renewal::Expiring => return self.attached.send(Message::Expiring(Expiring {})),
            Renewal::Acknowledged(word) => return self.acknowledge(sequence, word.bytes()),
            Renewal::NotLeader => {}
        }
        if !carry.is_empty() {
            let core = Arc::clone(&self.core);
            core.carry(renewal, carry, Arc::clone(&self.attached));
        }
        if !self.may_witness() {
            metrics::counter!("sekisho_api_renewals_withheld_total").increment(1);
            return true;
        }
        self.acknowledge(sequence, Ok(Vec::new()))
    }

    fn acknowledge(&self, sequence: u64, signed: Result<Vec<u8>, CanonicalError>) -> bool {
        let Ok(signed) = signed else { return true };
        let revision = self.core.replica.applied().0;
        let (signed, wall_ms) = (signed.into(), self.core.clock.wall().0);
        let acknowledged = Acknowledged { sequence, revision, signed, wall_ms };
        self.attached.send(Message::Acknowledged(acknowledged))
    }

    fn may_witness(&self) -> bool {
        // Read again: the leader's part may have taken a while.
        let state = self.core.replica.state();
        let (own, now) = (self.core.replica.applied(), self.core.clock.boottime_ns());
        let operator = &self.core.identity.operator;
        session_in_force(&state, &self.node, &self.attached.session).is_ok()
            && state
                .federation()
                .is_some_and(|f| self.core.peers.may_acknowledge(own, operator, f, now))
    }

    /// Sends whatever the state has for the agent now.
    async fn deliver(&mut self) -> Result<(), ApiError> {
        let state = self.core.replica.state();
        let node = session_in_force(&state, &self.node, &self.attached.session)?;
        self.stop(stopping(&state, node))?;
        let version = federation(&state)?.bundle.version;
        if version > self.trust {
            self.trust = version;
            self.must_send(Message::Trust(TrustMoved { version }))?;
        }
        let incarnation = federation(&state)?.incarnation;
        let desired =
            node.desired.map(|(index, revision)| (index, Epoch { incarnation, revision }));
        self.core.sessions.waits(&self.node, &self.attached);
        let next = next(desired, self.position, self.sent(), self.core.heads.as_ref());
        self.waits = next != Next::Settled;
        if !self.waits {
            self.core.sessions.settled(&self.node, &self.attached);
        }
        let (Next::Send(head), Some(record)) = (next, node.desired) else { return Ok(()) };
        let grants = state.desired(node).map(|(_, placement)| placement.record).collect();
        let ask = Ask { desired: record, grants, from_size: self.position.head_size };
        self.send_desired(head, ask).await
    }

    /// What was sent last, as old as it is now.
    fn sent(&self) -> Option<Sent> {
        let (sent, at) = self.sent.as_ref()?;
        let age = if at.elapsed() < RESEND_DESIRED { sent.age } else { Age::Old };
        Some(Sent { age, ..*sent })
    }

    async fn send_desired(&mut self, head: Arc<SignedHead>, ask: Ask) -> Result<(), ApiError> {
        let (desired, checkpoint) = (ask.desired.1, head.checkpoint.revision);
        let lately = self.sent().filter(|sent| sent.desired == desired && sent.age != Age::Old);
        let age = if lately.is_some() { Age::LatelyAgain } else { Age::Lately };
        let sent = Sent { desired, checkpoint, from_size: ask.from_size, age };
        let archive = Arc::clone(&self.core.archive);
        let proved = tokio::task::spawn_blocking(move || prove(archive.as_ref(), &head, &ask));
        let message: Desired = match proved.await {
            Ok(Ok(message)) => message,
            // Another member has the records, and this one may be backfilled.
            Ok(Err(error)) => {
                tracing::warn!(node = %self.node, %error, "desired set cannot be proved here");
                self.sent = Some((sent, Instant::now()));
                return Ok(());
            }
            Err(error) => return Err(ApiError::new(ErrorCode::Internal, error.to_string())),
        };
        self.sent = Some((sent, Instant::now()));
        self.must_send(Message::Desired((&message).into()))
    }

    fn stop(&mut self, placements: Vec<PlacementId>) -> Result<(), ApiError> {
        if placements.is_empty() {
            self.stopped = None;
            return Ok(());
        }
        let told = self.stopped.as_ref();
        if told.is_some_and(|(told, at)| *told == placements && at.elapsed() < RESEND_STOP) {
            return Ok(());
        }
        let names = placements.iter().map(PlacementId::to_string).collect();
        self.stopped = Some((placements, Instant::now()));
        self.must_send(Message::Stop(Stop { placements: names }))
    }

    fn must_send(&self, message: Message) -> Result<(), ApiError> {
        if self.attached.send(message) {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::Overloaded, "the stream is slower than what it must carry"))
    }
}

/// Placements of a node that are ordered to stop and not confirmed dead.
fn stopping(state: &State, node: &Node) -> Vec<PlacementId> {
    let stopping = |id: &&PlacementId| {
        state.placement(id).is_some_and(|placement| placement.phase == Phase::Stopping)
    };
    node.placements.iter().filter(stopping).copied().collect()
}
