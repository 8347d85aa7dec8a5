//! One relay in front of one controller.
#![expect(
    clippy::disallowed_types,
    reason = "stands between two ends that prove themselves to each other; it sees only what they encrypt"
)]

use super::dialler::{Dialler, Diallers};
use super::{Links, OUTSIDE};
use anyhow::{Context as _, Result};
use sekisho_transport::task::{TaskGroup, TaskKind};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes on their way in one direction; what the ends send beyond it waits in their own sockets.
const IN_FLIGHT: usize = 64 * 1024;

/// Where one relay stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    pub(super) member: u64,
    pub(super) advertised: u16,
    pub(super) listening: u16,
}

/// What every relay needs.
#[derive(Debug)]
pub(crate) struct Shared {
    diallers: Arc<Diallers>,
    links: watch::Receiver<Links>,
    /// Times that a fault met a connection.
    pub(super) met: AtomicU64,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, links: watch::Receiver<Links>) -> Self {
        Self { diallers: Arc::new(Diallers::new(dir)), links, met: AtomicU64::new(0) }
    }

    fn count(&self) {
        self.met.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn bind(port: u16) -> Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.with_context(|| format!("the relay's port {port}"))
}

/// Takes connections for one controller until the group is cancelled.
pub(super) async fn serve(socket: TcpListener, door: Door, shared: Arc<Shared>, tasks: TaskGroup) {
    loop {
        // A dial that was taken back; the next one is another's.
        let Ok((near, peer)) = socket.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tasks.spawn(TaskKind::Ordinary, "relayed", async move {
            let (diallers, from) = (Arc::clone(&shared.diallers), peer.port());
            let told = tokio::task::spawn_blocking(move || diallers.tell(from, door.advertised));
            match told.await.ok().flatten() {
                Some(Dialler::Member(from)) => relay(near, from, door, &shared).await,
                Some(Dialler::Other) => relay(near, OUTSIDE, door, &shared).await,
                None => reset(&near),
            }
        });
    }
}

/// Its end sees a reset, not a polite goodbye.
fn reset(socket: &TcpStream) {
    // One that is gone already needs none.
    socket.set_zero_linger().ok();
}

/// One direction of one connection.
struct Way<'s> {
    shared: &'s Shared,
    links: watch::Receiver<Links>,
    pair: (u64, u64),
}

impl Way<'_> {
    async fn until(&mut self, held: bool) -> io::Result<()> {
        let pair = self.pair;
        let is = |links: &Links| links.is_held(pair) == held;
        let gone = |_closed| io::Error::from(io::ErrorKind::ConnectionAborted);
        self.links.wait_for(is).await.map(drop).map_err(gone)
    }

    async fn pump(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0u8; IN_FLIGHT];
        loop {
            self.until(false).await?;
            let count = tokio::select! {
                biased;
                held = self.until(true) => {
                    held?;
                    self.shared.count();
                    continue;
                }
                count = from.read(&mut buffer) => count?,
            };
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        }
    }
}

/// Resolves when the pair is cut.
async fn cut(mut links: watch::Receiver<Links>, pair: (u64, u64)) {
    // Without a partition there are no relays either.
    drop(links.wait_for(|links| links.is_cut(pair)).await);
}

/// Carries one connection to its end, or until it is cut.
async fn relay(mut near: TcpStream, from: u64, door: Door, shared: &Shared) {
    let pair = (from, door.member);
    let dialled = tokio::select! {
        biased;
        () = cut(shared.links.clone(), pair) => {
            shared.count();
            return reset(&near);
        }
        dialled = TcpStream::connect((Ipv4Addr::LOCALHOST, door.listening)) => dialled,
    };
    let Ok(mut far) = dialled else { return reset(&near) };
    // Small messages must not wait for each other here when they do not at the ends.
    near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).ok();
    let in_order = {
        let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
        let way = |pair| Way { shared, links: shared.links.clone(), pair };
        let there = way(pair).pump(near_read, far_write);
        let back = way((door.member, from)).pump(far_read, near_write);
        tokio::select! {
            biased;
            () = cut(shared.links.clone(), pair) => {
                shared.count();
                false
            }
            ended = async { tokio::try_join!(there, back) } => ended.is_ok(),
        }
    };
    if !in_order {
        reset(&near);
        reset(&far);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fault;
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(5);
    const A_WHILE: Duration = Duration::from_millis(100);

    /// A connection of member 1 to member 2 with both ends in hand.
    struct Fixture {
        links: watch::Sender<Links>,
        shared: Arc<Shared>,
        door: Door,
        entry: TcpListener,
        behind: TcpListener,
        tasks: TaskGroup,
    }

    impl Fixture {
        async fn new() -> Self {
            let (links, seen) = watch::channel(Links::default());
            let (entry, behind) = (bind(0).await.unwrap(), bind(0).await.unwrap());
            let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
            let door = Door { member: 2, advertised: port(&entry), listening: port(&behind) };
            let shared = Arc::new(Shared::new(PathBuf::new(), seen));
            Self { links, shared, door, entry, behind, tasks: TaskGroup::new() }
        }

        async fn dial(&self, from: u64) -> (TcpStream, TcpStream) {
            let near = TcpStream::connect(("127.0.0.1", self.door.advertised)).await.unwrap();
            let (taken, _) = self.entry.accept().await.unwrap();
            let (shared, door) = (Arc::clone(&self.shared), self.door);
            self.tasks.spawn(TaskKind::Ordinary, "relayed", async move {
                relay(taken, from, door, &shared).await;
            });
            let (far, _) = timeout(SOON, self.behind.accept()).await.unwrap().unwrap();
            (near, far)
        }

        fn fault(&self, way: (u64, u64), fault: Fault) {
            self.links.send_modify(|links| {
                links.0.insert(way, fault);
            });
        }
    }

    async fn arrives(from: &mut TcpStream, to: &mut TcpStream) -> bool {
        from.write_all(b"x").await.unwrap();
        let mut byte = [0u8; 1];
        timeout(A_WHILE, to.read_exact(&mut byte)).await.is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn what_is_held_waits_in_one_direction_and_comes_when_healed() {
        let fixture = Fixture::new().await;
        let (mut near, mut far) = fixture.dial(1).await;
        assert!(arrives(&mut near, &mut far).await && arrives(&mut far, &mut near).await);
        assert_eq!(fixture.shared.met.load(Ordering::Relaxed), 0);
        fixture.fault((2, 1), Fault::Hold);
        assert!(!arrives(&mut far, &mut near).await);
        assert!(arrives(&mut near, &mut far).await, "the other direction");
        assert!(fixture.shared.met.load(Ordering::Relaxed) > 0);
        fixture.links.send_replace(Links::default());
        let mut byte = [0u8; 1];
        timeout(SOON, near.read_exact(&mut byte)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_cut_resets_what_there_is_and_what_comes() {
        let fixture = Fixture::new().await;
        let (mut near, mut far) = fixture.dial(1).await;
        let (mut agent, mut served) = fixture.dial(OUTSIDE).await;
        // Either direction: a connection has both.
        fixture.fault((2, 1), Fault::Cut);
        for end in [&mut near, &mut far] {
            let error = timeout(SOON, end.read(&mut [0u8; 1])).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        assert!(arrives(&mut agent, &mut served).await, "only members are cut from each other");
        let mut again = TcpStream::connect(("127.0.0.1", fixture.door.advertised)).await.unwrap();
        let (taken, _) = fixture.entry.accept().await.unwrap();
        relay(taken, 1, fixture.door, &fixture.shared).await;
        let error = timeout(SOON, again.read(&mut [0u8; 1])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        fixture.fault((2, OUTSIDE), Fault::Hold);
        assert!(arrives(&mut agent, &mut served).await, "what is asked");
        assert!(!arrives(&mut served, &mut agent).await, "what is answered");
    }
}
