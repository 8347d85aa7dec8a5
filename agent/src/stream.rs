//! Streams to the members: renewals up, desired sets and signatures down, each redialled by itself.
//!
//! Must hold: a member that is slow or gone delays no other and never the main loop: what does not fit its queue is
//! dropped, and with it a renewal, which is what a slow member costs. What a stream says is believed as the word of
//! that one member, whose certificate was checked before the first byte.

use crate::agent::Event;
use crate::enrolment::Member;
use crate::fitness::Clocks;
use crate::fix::proving;
use crate::limit::{
    ATTACH_WITHIN, COME_AGAIN_WITHIN, EVENTS_MAX, LOG_CHUNK_MAX, LOG_LOOK_EVERY, LOG_WAIT_MAX,
    LOG_WAITS_MAX, PUT_OFF_MAX, REDIAL_FIRST, REDIAL_MAX, STREAM_QUEUE, STREAMS_MAX,
};
use crate::location::attempts::Attempts;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use sekisho_agent_core::assembly::Delivered;
use sekisho_agent_core::desired::{Consistency, Delivery, Proved};
use sekisho_agent_core::reconcile::Input;
use sekisho_agent_runtime::log::{Chunk, Stream as Output};
use sekisho_evidence::acknowledgement::Acknowledgement;
use sekisho_evidence::grant::SessionId;
use sekisho_proto::convert::agent::{Attach, Desired};
use sekisho_proto::internal::v1::agent_message::{self, LogChunk};
use sekisho_proto::internal::v1::agent_service_client::AgentServiceClient;
use sekisho_proto::internal::v1::controller_message::{self, ReadLog};
use sekisho_proto::internal::v1::{AgentMessage, ControllerMessage};
use sekisho_proto::status::ApiError;
use sekisho_transport::dial::{ChannelOptions, Dialer, Route};
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;

const _: () = assert!(STREAM_QUEUE < EVENTS_MAX, "one member must not fill the main loop's queue");

/// Where to begin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this offset.
    At(u64),
    /// With so many of the last lines.
    LastLines(u32),
}

/// A piece of a placement's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub chunk: Chunk,
    /// The process has ended and nothing lies beyond them.
    pub over: bool,
}

/// Reads a placement's output.
pub trait Outputs: Send + Sync + fmt::Debug {
    /// At most `max` bytes.
    ///
    /// # Errors
    /// `NOT_FOUND` for a placement whose output is not here, `INTERNAL` when it cannot be read.
    fn read(
        &self,
        placement: &PlacementId,
        output: Output,
        begin: Begin,
        max: usize,
    ) -> Result<Piece, ErrorCode>;
}

/// What every stream needs.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) dialer: Dialer,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) outputs: Arc<dyn Outputs>,
    pub(crate) clocks: Clocks,
    pub(crate) attempts: Arc<Attempts>,
}

/// The streams of one session. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Streams {
    tasks: TaskGroup,
    pub(crate) queues: Vec<mpsc::Sender<AgentMessage>>,
    attach: Arc<Mutex<Attach>>,
    /// Messages that were for one member alone.
    pub(crate) turns: usize,
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// Members to keep streams to: one of each operator before the second of any.
pub(crate) fn chosen(members: &[Member]) -> Vec<&Member> {
    let mut of_operator: BTreeMap<_, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, &Member)> = members
        .iter()
        .map(|member| {
            let nth = of_operator.entry(&member.operator).or_default();
            *nth = nth.saturating_add(1);
            (*nth, member)
        })
        .collect();
    ranked.sort_by_key(|(nth, member)| (*nth, member.member));
    ranked.into_iter().take(STREAMS_MAX).map(|(_, member)| member).collect()
}

impl Streams {
    /// Opens streams in a session; `attach` is where the agent stands now.
    pub(crate) fn open(tasks: &TaskGroup, link: &Link, members: &[Member], attach: Attach) -> Self {
        let tasks = tasks.child();
        let attach = Arc::new(Mutex::new(attach));
        let mut queues = Vec::new();
        for member in chosen(members) {
            let expect = Expect::Principal(member.principal());
            let address = member.address.parse();
            let route = address.ok().and_then(|address| {
                link.dialer.channel(&address, &expect, ChannelOptions::default()).ok()
            });
            let Some(route) = route else {
                tracing::warn!(member = %member.member, address = member.address, "unusable address");
                continue;
            };
            let (queue, outbox) = mpsc::channel(STREAM_QUEUE);
            let stream = Stream {
                member: member.clone(),
                route,
                link: link.clone(),
                attach: Arc::clone(&attach),
                tasks: tasks.clone(),
                waits: Arc::new(Semaphore::new(LOG_WAITS_MAX)),
            };
            tasks.spawn(TaskKind::Ordinary, "stream", stream.keep(outbox));
            queues.push(queue);
        }
        Self { tasks, queues, attach, turns: rand::random_range(0..STREAMS_MAX) }
    }

    /// Notes where the agent stands, for streams that are dialled again.
    pub(crate) fn note(&self, note: impl FnOnce(&mut Attach)) {
        note(&mut self.attach.lock());
    }

    /// The session that they belong to.
    pub(crate) fn session(&self) -> SessionId {
        self.attach.lock().session
    }

    /// Says something to every member.
    pub(crate) fn send(&self, message: &agent_message::Message) {
        for queue in &self.queues {
            if queue.try_send(AgentMessage { message: Some(message.clone()) }).is_err() {
                metrics::counter!("sekisho_agent_stream_messages_dropped_total").increment(1);
            }
        }
    }
}

/// How a connection ended.
struct Ended {
    why: String,
    /// The member took the stream.
    greeted: bool,
    /// The member told when to come again.
    put_off: Option<Duration>,
}

impl Ended {
    fn because(why: &str, greeted: bool) -> Self {
        Self { why: why.to_owned(), greeted, put_off: None }
    }
}

/// When to come again after having been put off: not all together.
pub(crate) fn come_again(after: Duration) -> Duration {
    let spread = rand::random_range(Duration::ZERO..COME_AGAIN_WITHIN);
    after.min(PUT_OFF_MAX).saturating_add(spread)
}

struct Stream {
    member: Member,
    route: Route,
    link: Link,
    attach: Arc<Mutex<Attach>>,
    tasks: TaskGroup,
    /// Reads that may wait for output at once; a further one is answered with what is there.
    waits: Arc<Semaphore>,
}

impl Stream {
    async fn keep(self, mut outbox: mpsc::Receiver<AgentMessage>) {
        let options = BackoffOptions { base: REDIAL_FIRST, max: REDIAL_MAX };
        let mut backoff = Backoff::new(options);
        let mut random = rand::rngs::StdRng::from_os_rng();
        loop {
            let Ended { why, greeted, put_off } = self.serve(&mut outbox).await;
            if greeted {
                backoff.reset();
            }
            tracing::debug!(member = %self.member.member, why, "stream ended");
            let pause = put_off.map_or_else(|| backoff.next_pause(&mut random), come_again);
            let pause = tokio::time::sleep(pause);
            tokio::pin!(pause);
            // What was to be said to a member that is away is stale when it is back.
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    message = outbox.recv() => if message.is_none() { return },
                }
            }
        }
    }

    /// One connection's worth.
    async fn serve(&self, outbox: &mut mpsc::Receiver<AgentMessage>) -> Ended {
        let (send, queue) = mpsc::channel(STREAM_QUEUE);
        let attach = agent_message::Message::Attach((&*self.attach.lock()).into());
        if send.try_send(AgentMessage { message: Some(attach) }).is_err() {
            return Ended::because("no room for the first message", false);
        }
        let mut client = AgentServiceClient::new(self.route.channel());
        let answer = timeout(ATTACH_WITHIN, client.attach(ReceiverStream::new(queue))).await;
        let mut inbound = match answer {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return self.refused(&status, false),
            Err(_elapsed) => return Ended::because("no answer in time", false),
        };
        let mut greeted = false;
        loop {
            tokio::select! {
                message = outbox.recv() => {
                    let Some(message) = message else {
                        return Ended::because("session over", greeted);
                    };
                    if send.try_send(message).is_err() {
                        return Ended::because("the member does not read", greeted);
                    }
                }
                heard = inbound.message() => match heard {
                    Ok(Some(message)) => {
                        greeted = true;
                        self.hear(message, &send).await;
                    }
                    Ok(None) => return Ended::because("ended by the member", greeted),
                    Err(status) => return self.refused(&status, greeted),
                },
            }
        }
    }

    fn refused(&self, status: &tonic::Status, greeted: bool) -> Ended {
        let error = ApiError::from_status(status);
        let why = match self.route.last_error().filter(|_| !error.explained) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Ended { why, greeted, put_off: error.retry_after }
    }

    async fn hear(&self, message: ControllerMessage, send: &mpsc::Sender<AgentMessage>) {
        use controller_message::Message;
        let session = self.attach.lock().session;
        let input = match message.message {
            Some(Message::Attached(_)) => {
                tracing::info!(member = %self.member.member, operator = %self.member.operator, "attached");
                return;
            }
            Some(Message::Acknowledged(told)) => {
                self.link.clocks.heard(self.member.member, told.wall_ms);
                let signed = Some(&told.signed).filter(|signed| !signed.is_empty());
                let signed = match signed.map(|bytes| Acknowledgement::parse(bytes)).transpose() {
                    Ok(signed) => signed.map(Box::new),
                    Err(error) => {
                        tracing::warn!(member = %self.member.member, %error, "malformed acknowledgement");
                        return;
                    }
                };
                Input::Acknowledged {
                    session,
                    sequence: told.sequence,
                    member: self.member.member,
                    operator: self.member.operator.clone(),
                    revision: Revision(told.revision),
                    signed,
                }
            }
            Some(Message::Expiring(_)) => Input::Expiring(session),
            Some(Message::Desired(desired)) => match Desired::try_from(&desired) {
                Ok(desired) => Input::Delivered(self.member.member, Box::new(delivered(desired))),
                Err(error) => {
                    tracing::warn!(member = %self.member.member, %error, "malformed desired set");
                    return;
                }
            },
            Some(Message::Stop(stop)) => {
                Input::Stop(stop.placements.iter().filter_map(|id| id.parse().ok()).collect())
            }
            Some(Message::ReadLog(ask)) => {
                self.read_log(ask, send.clone());
                return;
            }
            Some(Message::Prove(ask)) => {
                // A full queue is a member that does not read; it asks again.
                drop(send.try_send(proving(&self.link.attempts, &ask)));
                return;
            }
            Some(Message::Trust(told)) => {
                drop(self.link.events.send(Event::Told(told.version)).await);
                return;
            }
            None => return,
        };
        // Waits for the main loop, which never waits for this.
        if self.link.events.send(Event::Core(input)).await.is_err() {
            tracing::debug!("the agent is ending");
        }
    }

    /// Beside the stream: a renewal must not wait for a job to say something.
    fn read_log(&self, ask: ReadLog, send: mpsc::Sender<AgentMessage>) {
        let (outputs, member) = (Arc::clone(&self.link.outputs), self.member.member);
        let waits = Arc::clone(&self.waits).try_acquire_owned().ok();
        self.tasks.spawn(TaskKind::Ordinary, "read-output", async move {
            let request = ask.request;
            let wait = Duration::from_millis(ask.wait_ms.into()).min(LOG_WAIT_MAX);
            let wait = if waits.is_some() { wait } else { Duration::ZERO };
            let chunk = match read_output(outputs, ask, wait).await {
                Ok(Piece { chunk, over }) => LogChunk {
                    request,
                    data: chunk.data.into(),
                    next_offset: chunk.next_offset,
                    end: over,
                    error: String::new(),
                    from: chunk.from,
                },
                Err(code) => {
                    LogChunk { request, end: true, error: code.to_string(), ..LogChunk::default() }
                }
            };
            drop(waits);
            let message = AgentMessage { message: Some(agent_message::Message::Log(chunk)) };
            if send.try_send(message).is_err() {
                tracing::debug!(%member, "no room for output: the reader asks again");
            }
        });
    }
}

/// Reads output, and waits at most `wait` for some, or for the end of the job.
async fn read_output(
    outputs: Arc<dyn Outputs>,
    ask: ReadLog,
    wait: Duration,
) -> Result<Piece, ErrorCode> {
    let placement: PlacementId =
        ask.placement.parse().map_err(|_form| ErrorCode::InvalidArgument)?;
    let output = if ask.stderr { Output::Stderr } else { Output::Stdout };
    let max = usize::try_from(ask.max_bytes).unwrap_or(usize::MAX).min(LOG_CHUNK_MAX);
    let mut begin = ask.tail_lines.map_or(Begin::At(ask.offset), Begin::LastLines);
    let begun = Instant::now();
    loop {
        let outputs = Arc::clone(&outputs);
        let read =
            tokio::task::spawn_blocking(move || outputs.read(&placement, output, begin, max));
        let piece = read.await.unwrap_or(Err(ErrorCode::Internal))?;
        // What tells the reader something: bytes, the end, or that it has to go on elsewhere.
        let moved = match begin {
            Begin::At(offset) => piece.chunk.next_offset != offset,
            Begin::LastLines(_) => false,
        };
        if !piece.chunk.data.is_empty() || piece.over || moved || begun.elapsed() >= wait {
            return Ok(piece);
        }
        begin = Begin::At(piece.chunk.next_offset);
        // waits: for the shim, which writes files and tells nobody.
        tokio::time::sleep(LOG_LOOK_EVERY).await;
    }
}

fn delivered(desired: Desired) -> Delivered {
    let proved = |proved: sekisho_proto::convert::agent::Proved| Proved {
        record: proved.record.to_vec(),
        index: proved.index,
        path: proved.path,
    };
    Delivered {
        text: desired.checkpoint,
        line: desired.line,
        delivery: Delivery {
            desired: proved(desired.desired),
            grants: desired.grants.into_iter().map(proved).collect(),
        },
        consistency: Consistency { from_size: desired.from_size, proof: desired.consistency },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::id::MemberId;

    /// Output that grows by a line each time that it is looked at, from the third look on, and ends with the fifth.
    #[derive(Debug, Default)]
    struct Grows(Mutex<usize>);

    impl Outputs for Grows {
        fn read(
            &self,
            _: &PlacementId,
            _: Output,
            begin: Begin,
            _: usize,
        ) -> Result<Piece, ErrorCode> {
            let mut looks = self.0.lock();
            *looks += 1;
            let whole = "line\n".repeat(looks.saturating_sub(2));
            let end = u64::try_from(whole.len()).unwrap();
            let from = match begin {
                Begin::At(offset) => offset,
                Begin::LastLines(lines) => end - 5 * u64::from(lines),
            };
            let data = whole.as_bytes()[usize::try_from(from).unwrap()..].to_vec();
            let chunk = Chunk { from, data, next_offset: end, eof: true };
            Ok(Piece { chunk, over: *looks >= 5 })
        }
    }

    #[tokio::test]
    async fn a_read_waits_for_output_or_the_end_and_no_longer_than_it_was_told() {
        let outputs: Arc<dyn Outputs> = Arc::new(Grows::default());
        let ask = |offset, tail_lines| ReadLog {
            placement: "p-1-2-0".into(),
            offset,
            tail_lines,
            max_bytes: 99,
            ..ReadLog::default()
        };
        let read = |ask, ms| read_output(Arc::clone(&outputs), ask, Duration::from_millis(ms));
        let none = read(ask(0, None), 0).await.unwrap();
        assert_eq!((none.chunk.data.len(), none.over), (0, false));
        let begun = Instant::now();
        let line = read(ask(0, Some(0)), 5_000).await.unwrap();
        assert_eq!((line.chunk.data.as_slice(), line.over), (&b"line\n"[..], false));
        assert!(begun.elapsed() < Duration::from_secs(4), "as soon as it is there");
        // Only what is new; then the end, with nothing new.
        let more = read(ask(5, None), 5_000).await.unwrap();
        assert_eq!((more.chunk.from, more.chunk.data.as_slice()), (5, &b"line\n"[..]));
        let end = read(ask(15, None), 5_000).await.unwrap();
        assert_eq!((end.chunk.data.len(), end.over), (0, true));
        let bad = ReadLog { placement: "what".into(), ..ReadLog::default() };
        assert_eq!(read(bad, 0).await, Err(ErrorCode::InvalidArgument));
    }

    #[test]
    fn who_is_put_off_comes_when_it_was_told_and_not_with_all_the_others() {
        let after = Duration::from_secs(1);
        let times: Vec<Duration> = (0..100).map(|_| come_again(after)).collect();
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*first >= after && *last < after + COME_AGAIN_WITHIN);
        assert!(*last - *first > COME_AGAIN_WITHIN / 2, "{first:?} {last:?}");
        // A member must not talk an agent out of its lease.
        assert!(come_again(Duration::from_secs(3600)) < PUT_OFF_MAX + COME_AGAIN_WITHIN);
    }

    #[test]
    fn every_operator_gets_a_stream_before_any_gets_a_second() {
        let member = |id: u64, operator: &str| Member {
            member: MemberId(id),
            operator: operator.parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            address: format!("127.0.0.1:{id}"),
        };
        let ids = |members: &[Member]| {
            chosen(members).into_iter().map(|member| member.member.0).collect::<Vec<_>>()
        };
        let three = [member(1, "a"), member(2, "b"), member(3, "c")];
        assert_eq!(ids(&three), [1, 2, 3]);
        let mut many: Vec<Member> = (1..=8).map(|id| member(id, "a")).collect();
        many.extend([member(9, "b"), member(10, "c")]);
        assert_eq!(ids(&many), [1, 9, 10, 2, 3, 4, 5]);
    }
}
