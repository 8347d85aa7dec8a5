//! Agents' streams: who is attached, and the ways to reach one of them.
//!
//! ```text
//! watch: nodes that changed, signatures that were waited for ──> nudge those streams ──> stream: choose, prove, send
//! ```
//! Must hold: one stream per node here, the newest, and of one start of the agent in each session: a second one is
//! evidence of a second host (P1); a stream that is slower than its queue is ended, never waited for
//! (L4). A member delivers and acknowledges; it decides nothing about a lease or a start.

pub(crate) mod carry;
pub(crate) mod desired;
pub(crate) mod proof;
pub(crate) mod prove;
pub(crate) mod stream;

use crate::core::Core;
use crate::limit::{LOG_DEADLINE, LOG_READS_PER_NODE, RESEND_STOP, STREAM_QUEUE};
use parking_lot::Mutex;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_fsm::State;
use sekisho_fsm::state::Session;
use sekisho_proto::internal::v1::agent_message::{LogChunk, Proving};
use sekisho_proto::internal::v1::controller_message::{Message, ReadLog};
use sekisho_proto::internal::v1::{ControllerMessage, ReadNodeLogRequest};
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::limit::{BEATS_MISSED_UNREACHABLE, RENEW_EVERY};
use sekisho_types::revision::{Epoch, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

/// What goes down a stream.
pub(crate) type Down = Result<ControllerMessage, Status>;

/// One attached agent.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) session: SessionId,
    out: mpsc::Sender<Down>,
    /// Something may have to be sent.
    pub(crate) nudge: Notify,
    /// A newer stream of the node took over.
    pub(crate) replaced: Notify,
    beat_ns: AtomicU64,
    /// Epoch of the newest set that the agent says it enforces.
    accepted: Mutex<Epoch>,
    next_read: AtomicU64,
    reads: Mutex<BTreeMap<u64, oneshot::Sender<LogChunk>>>,
    proofs: Mutex<BTreeMap<u64, oneshot::Sender<Proving>>>,
}

impl Attached {
    /// Puts a message into the stream's queue; `false` if it is full or gone, and the stream has to end.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.out.try_send(Ok(ControllerMessage { message: Some(message) })).is_ok()
    }

    /// Ends the stream with a reason.
    pub(crate) fn end(&self, why: ApiError) {
        // Full or gone: the agent sees the stream end without the reason.
        let _sent = self.out.try_send(Err(why.into()));
    }

    pub(crate) fn beat(&self, now_ns: u64) {
        self.beat_ns.store(now_ns, Ordering::Relaxed);
    }

    /// The agent enforces the set of this epoch, or a later one.
    pub(crate) fn enforces(&self, epoch: Epoch) {
        let mut accepted = self.accepted.lock();
        *accepted = epoch.max(*accepted);
    }

    /// Hands a chunk to whoever asked for it.
    pub(crate) fn answered(&self, chunk: LogChunk) {
        let asker = self.reads.lock().remove(&chunk.request);
        if let Some(asker) = asker {
            // Whoever asked may have given up.
            let _given = asker.send(chunk);
        }
    }
}

/// The attached agents.
#[derive(Debug, Default)]
pub struct Sessions {
    attached: Mutex<BTreeMap<NodeId, Arc<Attached>>>,
    /// Which start of its agent attached first in the newest session of each node; of enrolled nodes only, and so not
    /// more than the state has.
    runs: Mutex<BTreeMap<NodeId, (SessionId, Instance)>>,
    /// Those that wait for a checkpoint of this member: few of many, and each new checkpoint looks at all of them.
    waiting: Mutex<BTreeMap<NodeId, Arc<Attached>>>,
}

impl Sessions {
    /// Enters a stream in place of an older one of the same node. The session is the open one in applied state.
    ///
    /// # Errors
    /// Another start of the agent attached in the same session: that one.
    pub(crate) fn attach(
        &self,
        node: &NodeId,
        (session, instance): (SessionId, Instance),
        now_ns: u64,
    ) -> Result<(Arc<Attached>, mpsc::Receiver<Down>), Instance> {
        self.same_run(node, session, instance)?;
        let (out, queue) = mpsc::channel(STREAM_QUEUE);
        let attached = Arc::new(Attached {
            session,
            out,
            nudge: Notify::new(),
            replaced: Notify::new(),
            beat_ns: AtomicU64::new(now_ns),
            accepted: Mutex::default(),
            next_read: AtomicU64::new(1),
            reads: Mutex::default(),
            proofs: Mutex::default(),
        });
        let older = {
            let mut all = self.attached.lock();
            let older = all.insert(node.clone(), Arc::clone(&attached));
            count(all.len());
            older
        };
        if let Some(older) = older {
            older.replaced.notify_one();
        }
        Ok((attached, queue))
    }

    fn same_run(
        &self,
        node: &NodeId,
        session: SessionId,
        instance: Instance,
    ) -> Result<(), Instance> {
        let mut runs = self.runs.lock();
        match runs.get(node) {
            Some((known, first)) if *known == session && *first != instance => Err(*first),
            Some(_) | None => {
                runs.insert(node.clone(), (session, instance));
                Ok(())
            }
        }
    }

    /// Takes a stream out, unless a newer one stands there.
    pub(crate) fn detach(&self, node: &NodeId, stream: &Arc<Attached>) {
        self.settled(node, stream);
        let mut all = self.attached.lock();
        if all.get(node).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            all.remove(node);
            count(all.len());
        }
    }

    /// Has the next checkpoint of this member nudge the stream. To be said before the newest one is looked at, or one that
    /// comes in between would be missed.
    pub(crate) fn waits(&self, node: &NodeId, stream: &Arc<Attached>) {
        self.waiting.lock().insert(node.clone(), Arc::clone(stream));
    }

    /// The stream has what it waited for.
    pub(crate) fn settled(&self, node: &NodeId, stream: &Arc<Attached>) {
        let mut waiting = self.waiting.lock();
        if waiting.get(node).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            waiting.remove(node);
        }
    }

    fn nudge_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.values().for_each(|stream| stream.nudge.notify_one());
    }

    fn nudge_all(&self) {
        self.attached.lock().values().for_each(|stream| stream.nudge.notify_one());
    }

    fn nudge(&self, node: &NodeId) {
        if let Some(stream) = self.get(node) {
            stream.nudge.notify_one();
        }
    }

    pub(crate) fn get(&self, node: &NodeId) -> Option<Arc<Attached>> {
        self.attached.lock().get(node).cloned()
    }

    /// Agents attached here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.attached.lock().len()
    }

    /// Epoch of the newest set that the agent of a node says it enforces; `None` if it is attached elsewhere.
    pub(crate) fn accepted(&self, node: &NodeId) -> Option<Epoch> {
        self.get(node).map(|stream| *stream.accepted.lock())
    }

    /// Whether three beats of an agent that is attached here were missed; `None` if it is attached elsewhere.
    pub(crate) fn unreachable(&self, node: &NodeId, now_ns: u64) -> Option<bool> {
        let beat = self.get(node)?.beat_ns.load(Ordering::Relaxed);
        let late = RENEW_EVERY.as_nanos().saturating_mul(u128::from(BEATS_MISSED_UNREACHABLE));
        Some(u128::from(now_ns.saturating_sub(beat)) > late)
    }

    /// Reads output of a placement through the node's stream.
    ///
    /// # Errors
    /// `NODE_UNAVAILABLE` if the node is not attached here, `OVERLOADED`, `DEADLINE`, or the agent's own code.
    pub(crate) async fn read_log(
        &self,
        node: &NodeId,
        ask: &ReadNodeLogRequest,
        deadline: Deadline,
    ) -> Result<LogChunk, ApiError> {
        let away =
            || ApiError::new(ErrorCode::NodeUnavailable, format!("{node} is not attached here"));
        let attached = self.get(node).ok_or_else(away)?;
        let request = attached.next_read.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        {
            let mut reads = attached.reads.lock();
            reads.retain(|_, asker| !asker.is_closed());
            if reads.len() >= LOG_READS_PER_NODE {
                return Err(ApiError::new(ErrorCode::Overloaded, "too many readers of this node"));
            }
            reads.insert(request, asker);
        }
        let message = ReadLog {
            request,
            placement: ask.placement.clone(),
            stderr: ask.stderr,
            offset: ask.offset,
            max_bytes: ask.max_bytes,
            wait_ms: ask.wait_ms,
            tail_lines: ask.tail_lines,
        };
        if !attached.send(Message::ReadLog(message)) {
            return Err(away());
        }
        let chunk = within(deadline.at_most(LOG_DEADLINE), answer)
            .await
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|_gone| away())?;
        match ErrorCode::parse(&chunk.error) {
            None if chunk.error.is_empty() => Ok(chunk),
            Some(code) => Err(ApiError::new(code, "")),
            None => Err(ApiError::new(ErrorCode::Internal, "the agent's answer is not readable")),
        }
    }
}

fn count(attached: usize) {
    metrics::gauge!("sekisho_api_agents").set(u32::try_from(attached).unwrap_or(u32::MAX));
}

/// What of a node concerns its stream.
#[derive(Debug, PartialEq, Eq)]
struct Face<'s> {
    desired: Option<(u64, Revision)>,
    session: Option<&'s Session>,
    revoked: bool,
    quarantined: bool,
}

impl<'s> Face<'s> {
    fn of(state: &'s State, id: &NodeId) -> Option<Self> {
        let node = state.node(id)?;
        let quarantined = node.quarantine.is_some();
        let (desired, session, revoked) = (node.desired, node.session.as_ref(), node.revoked);
        Some(Self { desired, session, revoked, quarantined })
    }
}

/// What concerns the streams of all nodes of a state: the version of the endorser bundle in force.
fn trust(state: &State) -> u64 {
    state.federation().map_or(0, |federation| federation.bundle.version)
}

impl Sessions {
    /// Nudges the streams that the way from one state to a later one concerns.
    fn tell(&self, before: &State, now: &State) {
        if trust(now) != trust(before) || now.changed_sites(before).next().is_some() {
            // Rare, and what it does to each of them is for the stream to find out.
            return self.nudge_all();
        }
        for id in now.changed_nodes(before) {
            if Face::of(now, id) != Face::of(before, id) {
                self.nudge(id);
            }
        }
    }
}

impl Core {
    /// Starts the task that nudges streams. One task looks at what changed: were every stream woken by every entry, ten
    /// thousand agents would cost more than the entries.
    pub fn start_sessions(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Critical, "sessions", async move { core.watch_nodes().await });
    }

    async fn watch_nodes(&self) {
        let mut heads = self.heads.changes();
        let (mut nodes, mut sets) = (self.replica.node_changes(), self.replica.desired_changes());
        // A stream that attached already has looked at what there was before; nobody knows when.
        let mut before = State::default();
        loop {
            let signed = tokio::select! {
                changed = nodes.changed() => if changed.is_err() { return } else { false },
                changed = sets.changed() => if changed.is_err() { return } else { false },
                changed = heads.changed() => if changed.is_err() { return } else { true },
                () = tokio::time::sleep(RESEND_STOP) => true,
            };
            let now = self.replica.state();
            self.sessions.tell(&before, &now);
            if signed {
                self.sessions.nudge_waiting();
            }
            before = now;
        }
    }
}

#[cfg(test)]
mod known;
#[cfg(test)]
mod members;
#[cfg(test)]
pub(crate) mod over_tls;

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use sekisho_fsm::command::Command;
    use sekisho_fsm::testing::{Federation, admin, job};
    use std::time::Duration;

    fn node() -> NodeId {
        "tokyo-1/n-01".parse().unwrap()
    }

    const RUN: (SessionId, Instance) = (SessionId([1; 16]), Instance([2; 16]));

    fn ask() -> ReadNodeLogRequest {
        ReadNodeLogRequest { placement: "p-1-2-0".into(), max_bytes: 10, ..Default::default() }
    }

    #[tokio::test]
    async fn output_is_read_through_the_stream_and_only_there() {
        let sessions = Sessions::default();
        let soon = || Deadline::after(Duration::from_secs(5));
        let away = sessions.read_log(&node(), &ask(), soon()).await.unwrap_err();
        assert_eq!(away.code, ErrorCode::NodeUnavailable);
        let (stream, mut queue) = sessions.attach(&node(), RUN, 0).unwrap();
        for error in ["", "NOT_FOUND", "WHAT"] {
            let agent = async {
                let Some(Ok(ControllerMessage { message: Some(Message::ReadLog(read)) })) =
                    queue.recv().await
                else {
                    panic!("no read")
                };
                let chunk =
                    LogChunk { request: read.request, error: error.into(), ..Default::default() };
                stream.answered(chunk.clone());
                // A second answer finds nobody.
                stream.answered(chunk);
            };
            let (id, ask) = (node(), ask());
            let (answer, ()) = tokio::join!(sessions.read_log(&id, &ask, soon()), agent);
            let code = answer.map(|_| ()).map_err(|error| error.code);
            let expected = match error {
                "" => Ok(()),
                "NOT_FOUND" => Err(ErrorCode::NotFound),
                _ => Err(ErrorCode::Internal),
            };
            assert_eq!(code, expected, "{error}");
        }
        let late = sessions.read_log(&node(), &ask(), Deadline::after(Duration::ZERO)).await;
        assert_eq!(late.unwrap_err().code, ErrorCode::Deadline);
    }

    #[test]
    fn a_second_start_in_one_session_is_told_from_a_stream_that_was_dialled_again() {
        let (sessions, (session, first)) = (Sessions::default(), RUN);
        let second = Instance([3; 16]);
        let attach = |session, instance| sessions.attach(&node(), (session, instance), 0);
        let (stream, _queue) = attach(session, first).unwrap();
        assert_eq!(attach(session, second).unwrap_err(), first);
        assert!(Arc::ptr_eq(&sessions.get(&node()).unwrap(), &stream), "the first one stays");
        // It is remembered beyond the stream, or a copy would only have to come in a moment of rest.
        sessions.detach(&node(), &stream);
        assert_eq!(attach(session, second).unwrap_err(), first);
        drop(attach(session, first).unwrap());
        // Each start has a session of its own.
        drop(attach(SessionId([4; 16]), second).unwrap());
    }

    #[test]
    fn a_stream_is_nudged_by_what_concerns_it_and_by_nothing_else() {
        let mut federation = Federation::furnished();
        let [first, second] =
            ["tokyo-1/n-71", "tokyo-1/n-72"].map(|id| federation.ready_node(id, 1));
        let sessions = Sessions::default();
        let streams = [&first, &second].map(|id| sessions.attach(id, RUN, 0).unwrap().0);
        let nudged = || streams.each_ref().map(|s| s.nudge.notified().now_or_never().is_some());
        let mut before = federation.state.clone();
        let mut told = |federation: &Federation| {
            sessions.tell(&std::mem::replace(&mut before, federation.state.clone()), &before);
            nudged()
        };
        assert_eq!(told(&federation), [false, false], "nothing happened");
        let live = federation.state.node(&second).unwrap().live_session().map(|session| session.id);
        federation.open(&second, 1, live);
        assert_eq!(told(&federation), [false, true]);
        federation.submit(job("train", 1, 1, &["JP-13"]));
        assert_eq!(told(&federation), [false, false], "a job in the queue is no node's concern");
        federation.accept(admin("kanto"), Command::RevokeNode { node: first.clone() });
        assert_eq!(told(&federation), [true, false]);
        federation.accept(admin("kanto"), Command::RevokeSite { site: first.site.clone() });
        assert_eq!(told(&federation), [true, true], "it stands for all of them");

        sessions.waits(&first, &streams[0]);
        sessions.waits(&second, &streams[1]);
        sessions.settled(&second, &streams[1]);
        sessions.nudge_waiting();
        assert_eq!(nudged(), [true, false]);
        sessions.nudge_waiting();
        assert_eq!(nudged(), [false, false], "it has to say again that it waits");
    }

    #[tokio::test]
    async fn the_newest_stream_of_a_node_counts() {
        let sessions = Sessions::default();
        let (old, _old_queue) = sessions.attach(&node(), RUN, 0).unwrap();
        let (new, mut queue) = sessions.attach(&node(), RUN, 0).unwrap();
        old.replaced.notified().await;
        sessions.detach(&node(), &old);
        assert_eq!(sessions.count(), 1);
        assert_eq!(sessions.unreachable(&node(), 9_000_000_000), Some(false));
        assert_eq!(sessions.unreachable(&node(), 9_000_000_001), Some(true));
        new.beat(1);
        assert_eq!(sessions.unreachable(&node(), 9_000_000_001), Some(false));
        // A queue that nobody empties fills, and then the stream has to end.
        let stop = || Message::Stop(Default::default());
        let sent = (0..STREAM_QUEUE * 2).take_while(|_| new.send(stop())).count();
        assert_eq!(sent, STREAM_QUEUE);
        queue.try_recv().unwrap().unwrap();
        sessions.detach(&node(), &new);
        assert_eq!((sessions.count(), sessions.unreachable(&node(), 0)), (0, None));
    }
}
