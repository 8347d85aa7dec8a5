//! Debian's ZooKeeper as a peer: three members, fsync as shipped. In plain text: its TLS needs key stores in Java's own
//! form and a client that does not speak HTTP/2, so every table says "plaintext" and its figures have that advantage.
//!
//! The connection is written here and not in `transport`: it carries no federation state (D3 is about that), and it can
//! be opened to [`Loopback`] only.

mod wire;

use super::cluster::{
    ATTEMPT, BATCH, Cluster, Loopback, MEMBERS, Op, PATIENCE, RequestBytes, Session, Timing,
    start_all,
};
use super::process::Process;
use anyhow::{Context as _, Result, bail, ensure};
use futures::future::BoxFuture;
use sekisho_transport::task::{TaskGroup, TaskKind};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;
use wire::{Answer, FRAME_MAX, Frame};

/// Java, found on the path, and what Debian's package installs.
pub(super) const PROGRAM: &str = "java";
/// There if ZooKeeper is.
pub(super) const LIBRARY: &str = "/usr/share/java/zookeeper.jar";
const CLASS_PATH: &str = "/usr/share/java/zookeeper.jar:/etc/zookeeper/conf_example";
const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
const CONNECT: Duration = Duration::from_secs(3);
/// Nodes that writes go round through; made when the cluster is new.
const NODES: u64 = 1000;

#[expect(
    clippy::disallowed_types,
    reason = "a peer's protocol, to loopback only, no state of ours (D3)"
)]
type Socket = tokio::net::TcpStream;

async fn dial(to: Loopback) -> Result<Socket> {
    let socket = tokio::time::timeout(CONNECT, Socket::connect(to.socket())).await??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Three members.
#[derive(Debug)]
pub(super) struct Zookeeper {
    members: Vec<Process>,
    port_base: u16,
    request: RequestBytes,
}

/// Ports of a member: clients, quorum, election.
fn port(base: u16, member: usize, of: u16) -> Result<u16> {
    Ok(base.saturating_add(u16::try_from(member)?.saturating_mul(3)).saturating_add(of))
}

fn config(dir: &Path, base: u16, member: usize, timing: Timing) -> Result<String> {
    // A follower is given up after five ticks.
    let tick = match timing {
        Timing::Wan => 2000,
        Timing::Lan => 100,
    };
    let mut text = format!(
        "tickTime={tick}\ninitLimit=100\nsyncLimit=5\ndataDir={}\ndataLogDir={}\nclientPort={}\n\
         clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n\
         maxSessionTimeout=60000\n4lw.commands.whitelist=srvr\n",
        dir.join("data").display(),
        dir.join("log").display(),
        port(base, member, 0)?
    );
    for other in 0..MEMBERS {
        let (quorum, election) = (port(base, other, 1)?, port(base, other, 2)?);
        text += &format!("server.{}=127.0.0.1:{quorum}:{election}\n", other.saturating_add(1));
    }
    Ok(text)
}

impl Zookeeper {
    /// Starts three members in `dir`, on nine ports from `port_base` on. `request` is the size of path and data.
    pub(super) fn start(
        dir: &Path,
        port_base: u16,
        timing: Timing,
        request: RequestBytes,
    ) -> Result<Self> {
        let mut members = Vec::new();
        for member in 0..MEMBERS {
            let own = dir.join(member.to_string());
            std::fs::create_dir_all(own.join("data"))?;
            std::fs::create_dir_all(own.join("log"))?;
            std::fs::write(own.join("data/myid"), format!("{}\n", member.saturating_add(1)))?;
            let file = own.join("zoo.cfg");
            std::fs::write(&file, config(&own, port_base, member, timing)?)?;
            let logs = format!("-Dzookeeper.log.dir={}", own.display());
            let arguments: Vec<OsString> = vec![
                "-Xmx1g".into(),
                logs.into(),
                "-cp".into(),
                CLASS_PATH.into(),
                MAIN.into(),
                file.into(),
            ];
            members.push(Process::new(Path::new(PROGRAM), arguments, own.join("out")));
        }
        let mut new = Self { members, port_base, request };
        start_all(&mut new)?;
        Ok(new)
    }

    fn address(&self, member: usize) -> Result<Loopback> {
        Ok(Loopback::port(port(self.port_base, member, 0)?))
    }

    /// Makes the nodes that writes replace, as soon as there is a quorum.
    pub(super) async fn prepare(&self) -> Result<()> {
        let connection = Connection::new(self.address(0)?, self.request);
        let end = Instant::now() + PATIENCE;
        while let Err(error) = connection.create(0).await {
            ensure!(Instant::now() < end, "ZooKeeper does not serve: {error:#}");
            tokio::time::sleep(ATTEMPT).await;
        }
        futures::future::try_join_all((1..NODES).map(|node| connection.create(node))).await?;
        Ok(())
    }
}

fn path(sequence: u64) -> String {
    format!("/{:07}", sequence % NODES)
}

/// Who waits for the next answer, with its request's number.
type Waiting = (i32, oneshot::Sender<Result<u64>>);

/// A socket with its session. Answers come in the order of the requests.
struct Live {
    write: OwnedWriteHalf,
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    number: i32,
    reader: TaskGroup,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.reader.cancel();
    }
}

async fn frame(read: &mut OwnedReadHalf) -> Result<Vec<u8>> {
    let length = usize::try_from(read.read_u32().await?)?;
    ensure!(length <= FRAME_MAX, "an answer of {length} bytes");
    let mut bytes = vec![0; length];
    read.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Hands each answer to who waits for it, until the connection ends; who waits then hears that.
async fn answers(mut read: OwnedReadHalf, waiting: Arc<Mutex<VecDeque<Waiting>>>) {
    loop {
        let answer = frame(&mut read).await.and_then(|bytes| Answer::of(&bytes));
        let mut waiting = waiting.lock().await;
        let next = waiting.pop_front();
        match (answer, next) {
            (Ok(answer), Some((number, caller))) if answer.number == number => {
                // A caller that gave up is nobody's loss.
                caller.send(answer.ok()).ok();
            }
            (Ok(_) | Err(_), _) => {
                waiting.clear();
                return;
            }
        }
    }
}

impl Live {
    async fn open(to: Loopback) -> Result<Self> {
        let (mut read, mut write) = dial(to).await?.into_split();
        write.write_all(&wire::connect().finish()).await?;
        // The server answers once the session is committed.
        frame(&mut read).await?;
        let (waiting, reader) = (Arc::<Mutex<VecDeque<Waiting>>>::default(), TaskGroup::new());
        let task = answers(read, Arc::clone(&waiting));
        reader.spawn(TaskKind::Ordinary, "zookeeper-answers", task);
        Ok(Self { write, waiting, number: 0, reader })
    }

    async fn send(&mut self, ask: impl Fn(i32) -> Frame) -> Result<oneshot::Receiver<Result<u64>>> {
        self.number = self.number.wrapping_add(1) & i32::MAX;
        let (caller, answer) = oneshot::channel();
        self.waiting.lock().await.push_back((self.number, caller));
        self.write.write_all(&ask(self.number).finish()).await?;
        Ok(answer)
    }
}

/// A connection that is made at its first call, and again after a failure.
struct Connection {
    to: Loopback,
    /// Data of a node written alone, and of one of a batch.
    data: [Vec<u8>; 2],
    live: Mutex<Option<Live>>,
}

impl Connection {
    fn new(to: Loopback, request: RequestBytes) -> Self {
        let data = |bytes: usize| vec![b'v'; bytes.saturating_sub(path(0).len())];
        let data = [request.write, request.batch].map(data);
        Self { to, data, live: Mutex::new(None) }
    }

    async fn call(&self, ask: impl Fn(i32) -> Frame) -> Result<u64> {
        let answer = {
            let mut live = self.live.lock().await;
            // Taken out: a call that is dropped half written must not leave half a frame behind.
            let mut own = match live.take() {
                Some(own) => own,
                None => Live::open(self.to).await?,
            };
            let answer = own.send(ask).await?;
            *live = Some(own);
            answer
        };
        match answer.await {
            Ok(answer) => answer,
            Err(_ended) => {
                self.live.lock().await.take();
                bail!("the connection ended")
            }
        }
    }

    async fn create(&self, node: u64) -> Result<u64> {
        let [data, _] = &self.data;
        self.call(|number| wire::create(number, &path(node), data)).await
    }
}

impl Session for Connection {
    fn perform(&self, op: Op, sequence: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let [alone, batched] = &self.data;
            match op {
                Op::Write => self.call(|number| wire::set(number, &path(sequence), alone)).await,
                Op::Batch => {
                    let nodes = sequence..sequence.saturating_add(BATCH);
                    let paths: Vec<String> = nodes.map(path).collect();
                    self.call(|number| wire::set_all(number, &paths, batched)).await
                }
                Op::Read => {
                    let synced = self.call(|number| wire::sync(number, &path(0)));
                    let read = self.call(|number| wire::get(number, &path(0)));
                    futures::future::try_join(synced, read).await?;
                    Ok(0)
                }
            }
        })
    }
}

impl Cluster for Zookeeper {
    fn name(&self) -> &'static str {
        "zookeeper-plaintext"
    }

    fn offers(&self, _op: Op) -> bool {
        true
    }

    fn members(&mut self) -> &mut [Process] {
        &mut self.members
    }

    fn session(&self, member: usize) -> BoxFuture<'_, Result<Arc<dyn Session>>> {
        Box::pin(async move {
            let connection = Connection::new(self.address(member)?, self.request);
            Ok(Arc::new(connection) as Arc<dyn Session>)
        })
    }

    fn leader(&self) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            for member in 0..MEMBERS {
                let mut told = String::new();
                let asked = async {
                    let mut socket = dial(self.address(member)?).await?;
                    socket.write_all(b"srvr").await?;
                    socket.read_to_string(&mut told).await.context("srvr")
                };
                let asked = tokio::time::timeout(CONNECT, asked).await;
                if matches!(asked, Ok(Ok(_bytes))) && told.contains("Mode: leader") {
                    return Ok(member);
                }
            }
            bail!("no member leads")
        })
    }

    fn request_bytes(&self) -> RequestBytes {
        self.request
    }
}
