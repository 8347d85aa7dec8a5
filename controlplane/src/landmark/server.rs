//! A landmark's listener: lets in, takes its turn, times, signs.

use super::limit::{
    CONNECTIONS, HANDSHAKES, HELLO_WITHIN, SIGN_WITHIN, TIMED_AT_ONCE, TURN_WITHIN, WRITE_WITHIN,
    connection_within,
};
use super::recent::Recent;
use super::rounds::{self, Timed};
use super::{Directory, Standing};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::exchange::{EXPORTER_LABEL, RangingKey, exporter_context};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::transcript::{Expected, SignedTranscript, Subject, Transcript};
use sekisho_evidence::location::wire::{Frame, Hello, Ready, Refusal};
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::conn::Conn;
use sekisho_transport::credential::Identity;
use sekisho_transport::datagram::Datagrams;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::identity::PeerClass;
use sekisho_transport::listen::{ConnStream, Limits, ListenError, Listener, Protocol};
use sekisho_transport::ranging;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::id::Digest;
use sekisho_types::time::{Clock, Timestamp};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

/// What a landmark is made of.
#[derive(Debug)]
pub struct Options {
    /// Which it is.
    pub id: LandmarkId,
    /// What it signs with.
    pub key: SigningKey,
    /// Where subjects dial it.
    pub listen: SocketAddr,
    /// Where it hears datagrams.
    pub datagrams: SocketAddr,
    /// Who may be measured.
    pub directory: Arc<dyn Directory>,
    /// For the times on transcripts; delays are taken by no clock that can be set.
    pub clock: Arc<dyn Clock>,
}

/// Why a landmark cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address for connections.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its address for datagrams.
    #[error("cannot hear datagrams on {0}")]
    Datagrams(SocketAddr, #[source] io::Error),
}

/// Where a landmark is, with the real ports where port 0 was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    /// For connections.
    pub listen: SocketAddr,
    /// For datagrams.
    pub datagrams: SocketAddr,
}

/// Starts a landmark; it serves until the group is cancelled.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    options: Options,
    identity: &Identity,
    bundles: &Arc<TrustBundles>,
    tasks: &TaskGroup,
) -> Result<Running, StartError> {
    let Options { id, key, listen, datagrams, directory, clock } = options;
    let socket = Datagrams::bind(datagrams, PeerClass::Landmark)
        .map_err(|error| StartError::Datagrams(datagrams, error))?;
    let limits = Limits {
        protocol: Protocol::Ranging,
        handshakes: HANDSHAKES,
        connections: CONNECTIONS,
        anonymous: 0,
        ..Limits::default()
    };
    let listener = Listener::bind(listen, identity, bundles, tasks, limits).await?;
    let running = Running { listen: listener.addr, datagrams: socket.addr() };
    tracing::info!(
        landmark = %id, key = %key.public(), listen = %running.listen, datagrams = %running.datagrams,
        "landmark ready"
    );
    let server = Arc::new(Server {
        id,
        key,
        directory,
        clock,
        socket: Arc::new(socket),
        turn: Arc::new(Semaphore::new(TIMED_AT_ONCE)),
        recent: Recent::default(),
        serial: AtomicU64::new(0),
    });
    tasks.spawn(
        TaskKind::Critical,
        "landmark",
        serve(server, listener.authenticated, tasks.clone()),
    );
    Ok(running)
}

async fn serve(server: Arc<Server>, mut connections: ConnStream, tasks: TaskGroup) {
    while let Some(connection) = connections.next().await {
        let Ok(connection) = connection else { continue };
        let server = Arc::clone(&server);
        tasks.spawn(TaskKind::Ordinary, "measure", async move {
            let whole = Deadline::after(connection_within());
            if within(whole, server.measure(connection)).await.is_err() {
                count("slow");
            }
        });
    }
}

fn count(result: &'static str) {
    metrics::counter!("sekisho_landmark_exchanges_total", "result" => result).increment(1);
}

#[derive(Debug)]
struct Server {
    id: LandmarkId,
    key: SigningKey,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    socket: Arc<Datagrams>,
    turn: Arc<Semaphore>,
    recent: Recent,
    serial: AtomicU64,
}

/// A subject that was let in.
struct Admitted {
    hello: Hello,
    standing: Standing,
}

impl Server {
    async fn measure(&self, mut conn: Conn) {
        let peer = conn.peer().clone();
        match self.exchange(&mut conn).await {
            Ok(transcript) => {
                count("done");
                tracing::info!(
                    landmark = %self.id, subject = ?transcript.subject, rtt_min_ns = transcript.rtt_min_ns,
                    answered = transcript.answered, serial = transcript.serial, "measured"
                );
            }
            Err(refusal) => {
                count(refusal.label());
                tracing::warn!(
                    landmark = %self.id, addr = %peer.addr, peer = ?peer.identity.map(|peer| peer.principal.clone()),
                    reason = %refusal, "not measured"
                );
                let deadline = Deadline::after(WRITE_WITHIN);
                let told = ranging::write(&mut conn, &Frame::Refused(refusal), deadline).await;
                if let Err(error) = told {
                    tracing::debug!(%error, "a refusal that nobody hears");
                }
            }
        }
    }

    async fn exchange(&self, conn: &mut Conn) -> Result<Transcript, Refusal> {
        let admitted = self.admit(conn).await?;
        let transcript = self.timed(conn, admitted.hello, &admitted.standing).await?;
        self.sign(conn, transcript, &admitted.standing).await
    }

    /// Reads who wants to be measured and asks applied state about it.
    async fn admit(&self, conn: &mut Conn) -> Result<Admitted, Refusal> {
        let frame = ranging::read(conn, Deadline::after(HELLO_WITHIN)).await;
        let Ok(Frame::Hello(hello)) = frame else { return Err(Refusal::Malformed) };
        let identity = conn.peer().identity.clone().ok_or(Refusal::NotEnrolled)?;
        if hello.landmark != self.id {
            return Err(Refusal::NotRegistered);
        }
        if hello.subject_key != identity.spki_sha256 {
            return Err(Refusal::NotEnrolled);
        }
        let standing = self.directory.judge(&self.id, &identity, &hello.subject).await?;
        if standing.landmark.id != self.id || standing.landmark.key != self.key.public() {
            return Err(Refusal::NotRegistered);
        }
        self.recent.enter(&hello.subject, Instant::now())?;
        Ok(Admitted { hello, standing })
    }

    /// Takes a turn and times.
    async fn timed(
        &self,
        conn: &mut Conn,
        hello: Hello,
        standing: &Standing,
    ) -> Result<Transcript, Refusal> {
        let turn = self.turn(&hello.subject).await?;
        let key = self.key_of(conn, &hello, standing)?;
        let mut transcript = self.draft(hello, standing, key.binding());
        let cookie = rand::random();
        let port = self.socket.addr().port();
        let ready = Frame::Ready(Ready { serial: transcript.serial, cookie, port });
        let told = ranging::write(conn, &ready, Deadline::after(WRITE_WITHIN)).await;
        told.map_err(|_gone| Refusal::Silent)?;
        let (socket, clock) = (Arc::clone(&self.socket), Arc::clone(&self.clock));
        // The turn goes with the thread, which ends in its own time also when the subject is gone.
        let timing = tokio::task::spawn_blocking(move || {
            let timed = rounds::exchange(&socket, key, &cookie, &*clock);
            drop(turn);
            timed
        });
        let Timed { tally, started, ended } = timing.await.map_err(|_panic| Refusal::Failed)??;
        (transcript.started, transcript.ended) = (started, ended);
        Ok(transcript.with_tally(tally))
    }

    async fn turn(&self, subject: &Subject) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.turn).acquire_owned();
        let Ok(turn) = within(Deadline::after(TURN_WITHIN), turn).await else {
            self.recent.forget(subject);
            return Err(Refusal::Busy);
        };
        turn.map_err(|_closed| Refusal::Failed)
    }

    fn key_of(
        &self,
        conn: &Conn,
        hello: &Hello,
        standing: &Standing,
    ) -> Result<RangingKey, Refusal> {
        let context = exporter_context(&standing.cluster, &self.id, &hello.fix);
        let context = context.map_err(|_never| Refusal::Failed)?;
        let exported = conn.keying_material(EXPORTER_LABEL, &context);
        exported.map(RangingKey::new).map_err(|error| {
            tracing::error!(%error, "no key for an exchange");
            Refusal::Failed
        })
    }

    fn draft(&self, hello: Hello, standing: &Standing, binding: Digest) -> Transcript {
        Transcript {
            cluster: standing.cluster,
            incarnation: standing.incarnation,
            landmark: self.id.clone(),
            position: standing.landmark.position,
            subject: hello.subject,
            subject_key: hello.subject_key,
            instance: hello.instance,
            fix: hello.fix,
            binding,
            asked: 0,
            answered: 0,
            rtt_min_ns: 0,
            nonces: Digest([0; 32]),
            started: Timestamp(0),
            ended: Timestamp(0),
            serial: self.next_serial(),
        }
    }

    /// The wall clock in milliseconds, or one more than the last: grows over restarts, too, because an exchange takes
    /// longer than a millisecond. After a clock that was set back it may repeat itself, which an audit can tell by the times.
    fn next_serial(&self) -> u64 {
        let now = self.clock.wall().0;
        let next = |last: u64| Some(last.saturating_add(1).max(now));
        let last = self.serial.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        last.map_or(now, |last| last.saturating_add(1).max(now))
    }

    /// Both signatures, the subject's first.
    async fn sign(
        &self,
        conn: &mut Conn,
        transcript: Transcript,
        standing: &Standing,
    ) -> Result<Transcript, Refusal> {
        let deadline = Deadline::after(SIGN_WITHIN);
        let drawn = Frame::Drawn(Box::new(transcript.clone()));
        ranging::write(conn, &drawn, deadline).await.map_err(|_gone| Refusal::NotSigned)?;
        let answer = ranging::read(conn, deadline).await;
        let Ok(Frame::Agreed(by_subject)) = answer else { return Err(Refusal::NotSigned) };
        let by_landmark =
            transcript.sign_as_landmark(&self.key).map_err(|_never| Refusal::Failed)?;
        let signed = SignedTranscript { transcript, by_subject, by_landmark };
        let expected = Expected {
            cluster: &standing.cluster,
            incarnation: standing.incarnation,
            landmark: &standing.landmark,
            subject: &signed.transcript.subject,
            subject_key: &signed.transcript.subject_key,
            signing_key: &standing.signing_key,
        };
        // A transcript that would be refused later had better not be there.
        if let Err(error) = signed.verify(expected) {
            tracing::warn!(landmark = %self.id, %error, "a transcript that does not verify");
            return Err(Refusal::NotSigned);
        }
        let deadline = Deadline::after(WRITE_WITHIN);
        let sealed = ranging::write(conn, &Frame::Sealed(by_landmark), deadline).await;
        sealed.map_err(|_gone| Refusal::NotSigned)?;
        Ok(signed.transcript)
    }
}
