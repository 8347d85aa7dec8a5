//! A place abroad: a network namespace of its own, a wire to it, and a port that is open to it by somebody's mistake.
//!
//! Must hold: what is told of the bytes that went there was counted where they went, not by who sent them.
#![expect(
    clippy::disallowed_types,
    reason = "a stranger's socket, and a gate that counts what it lets through; no state of a federation of ours"
)]

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use parking_lot::Mutex;
use sekisho_transport::task::{TaskGroup, TaskKind};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The ends of the wire: of the range for measurements between networks (RFC 2544), which is nobody's.
const HOME: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);
/// Bytes taken at once.
const PIECE: usize = 16 * 1024;

/// The namespace with its wire; both are gone with the value.
#[derive(Debug)]
pub struct Abroad {
    name: String,
    home: String,
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("ip (iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Abroad {
    /// Lays the wire.
    ///
    /// # Errors
    /// Not root, no `ip`, or a kernel without namespaces: this machine cannot try it.
    pub fn new() -> Result<Self> {
        let number = std::process::id();
        let abroad =
            Self { name: format!("sekisho-abroad-{number}"), home: format!("skh{number}") };
        let (name, home, there) = (abroad.name.as_str(), abroad.home.as_str(), "wire");
        let (near, far) = (format!("{HOME}/30"), format!("{THERE}/30"));
        ip(&["netns", "add", name])?;
        ip(&["link", "add", home, "type", "veth", "peer", "name", there, "netns", name])?;
        ip(&["addr", "add", &near, "dev", home])?;
        ip(&["link", "set", home, "up"])?;
        ip(&["-n", name, "addr", "add", &far, "dev", there])?;
        ip(&["-n", name, "link", "set", there, "up"])?;
        Ok(abroad)
    }

    /// Does something there: on a thread that is there for as long as that takes.
    ///
    /// # Errors
    /// Nobody can go there, or what was done failed.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = PathBuf::from("/var/run/netns").join(&self.name);
        let place = File::open(&path).with_context(|| path.display().to_string())?;
        std::thread::scope(|scope| {
            let there = std::thread::Builder::new().name("abroad".to_owned());
            let act = there.spawn_scoped(scope, move || {
                setns(place, CloneFlags::CLONE_NEWNET).context("a network namespace")?;
                act()
            })?;
            act.join().unwrap_or_else(|_panic| bail!("what was done abroad panicked"))
        })
    }

    /// Bytes that came out of the wire there so far, with the heads of their packets.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn received(&self) -> Result<u64> {
        self.inside(|| {
            let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
            let line = table.lines().find_map(|line| line.trim().strip_prefix("wire:"));
            let first = line.and_then(|line| line.split_whitespace().next());
            first.context("no wire")?.parse().context("a number of bytes")
        })
    }
}

impl Drop for Abroad {
    fn drop(&mut self) {
        // The wire goes with either of its ends; what was never made is as good as gone.
        drop(ip(&["link", "del", &self.home]));
        drop(ip(&["netns", "del", &self.name]));
    }
}

/// A port at this end of the wire that leads to a controller.
#[derive(Debug)]
pub struct Gate {
    /// Where it is found from abroad.
    pub addr: SocketAddr,
    sent: Arc<Mutex<Vec<Arc<AtomicU64>>>>,
}

impl Gate {
    /// Opens it; it is closed with the group.
    ///
    /// # Errors
    /// The address cannot be taken.
    pub async fn open(to: SocketAddr, tasks: &TaskGroup) -> Result<Self> {
        let socket = TcpListener::bind((HOME, 0)).await.context("this end of the wire")?;
        let (addr, sent) = (socket.local_addr()?, Arc::<Mutex<Vec<_>>>::default());
        let (group, counts) = (tasks.clone(), Arc::clone(&sent));
        tasks.spawn(TaskKind::Ordinary, "gate", async move {
            while let Ok((near, _stranger)) = socket.accept().await {
                let count = Arc::<AtomicU64>::default();
                counts.lock().push(Arc::clone(&count));
                group.spawn(TaskKind::Ordinary, "gate-connection", pass(near, to, count));
            }
        });
        Ok(Self { addr, sent })
    }

    /// What went abroad over each connection, in the order in which they came.
    #[must_use]
    pub fn sent(&self) -> Vec<u64> {
        self.sent.lock().iter().map(|count| count.load(Ordering::Acquire)).collect()
    }
}

async fn pass(near: TcpStream, to: SocketAddr, count: Arc<AtomicU64>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((asks, answers), (from, into)) = (near.into_split(), far.into_split());
    let asked = AtomicU64::default();
    tokio::join!(pump(asks, into, &asked), pump(from, answers, &count));
}

/// Counted before it is passed on.
async fn pump(mut from: OwnedReadHalf, mut into: OwnedWriteHalf, count: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        count.fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Ordering::AcqRel);
        if into.write_all(piece.get(..length).unwrap_or_default()).await.is_err() {
            break;
        }
    }
    // It may be closed already.
    drop(into.shutdown().await);
}

/// Says something to an address without any protocol, and reads until the other end is through.
///
/// # Errors
/// Nobody is there, or it never ends.
pub fn shout(addr: SocketAddr, words: &[u8]) -> Result<usize> {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20)))?;
    socket.write_all(words)?;
    let mut heard = Vec::new();
    match socket.read_to_end(&mut heard) {
        Ok(_) => {}
        Err(error) => ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, error),
    }
    Ok(heard.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_goes_abroad_is_counted_at_the_gate_and_on_the_wire() {
        // Who may not lay one has nothing to count; the drill says so.
        let Ok(abroad) = Abroad::new() else { return };
        let tasks = TaskGroup::new();
        let home = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let gate = Gate::open(home.local_addr().unwrap(), &tasks).await.unwrap();
        tasks.spawn(TaskKind::Ordinary, "home", async move {
            let (mut guest, _) = home.accept().await.unwrap();
            let mut words = [0; 5];
            guest.read_exact(&mut words).await.unwrap();
            guest.write_all(&[7; 5000]).await.unwrap();
        });
        let before = abroad.received().unwrap();
        let to = gate.addr;
        assert_eq!(abroad.inside(|| shout(to, b"hello")).unwrap(), 5000);
        assert_eq!(gate.sent(), [5000]);
        let received = abroad.received().unwrap() - before;
        assert!((5000..50_000).contains(&received), "{received}");
        // Nothing else leads there: the loopback of that place is its own.
        let closed = SocketAddr::from(([127, 0, 0, 1], to.port()));
        abroad.inside(|| shout(closed, b"hello")).unwrap_err();
        assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
    }
}
