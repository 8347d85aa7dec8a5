//! Ways between sites that are not there: forwards datagrams between nodes and landmarks, each as late as fibre would
//! bring it.
//!
//! Must hold: no datagram leaves earlier than its delay after it came, or `sekisho dev` would prove what is not so; those
//! of one direction leave in their order; what is held is bounded. How much later one leaves is the scheduler's affair,
//! tens of microseconds on an idle machine, and makes a host only seem farther away.
//!
//! One thread waits for all sockets and for the next that is due. Loss, jitter and bandwidth are not imitated.

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use sekisho_transport::datagram::{DATAGRAM_MAX, Datagrams, Stamp};
use sekisho_transport::identity::PeerClass;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Datagrams held at once: more than all pairs of a plan have under way. What comes beyond is lost, as in a full queue.
const HELD_MAX: usize = 4_096;

/// Nodes that one way knows. The one that came first makes room.
const NODES_MAX: usize = 64;

/// Datagrams taken from a socket before others have their turn.
const AT_ONCE: usize = 64;

/// Longest sleep: how soon the thread hears that it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A way between a site and a landmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Way {
    /// Where the nodes of the site send.
    pub(super) listen: SocketAddr,
    /// Where the landmark hears datagrams.
    pub(super) landmark: SocketAddr,
    /// In each direction, ns.
    pub(super) delay_ns: u64,
}

/// A node that has sent, and the socket that is it towards the landmark.
#[derive(Debug)]
struct Node {
    addr: SocketAddr,
    back: Datagrams,
}

#[derive(Debug)]
struct Open {
    way: Way,
    front: Datagrams,
    nodes: Vec<Node>,
}

/// On its way; ordered by when it is due, then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due_ns: u64,
    number: u64,
    way: usize,
    node: SocketAddr,
    home: bool,
    bytes: Vec<u8>,
}

/// All ways.
#[derive(Debug)]
pub(super) struct Relay {
    ways: Vec<Open>,
    held: BinaryHeap<Reverse<Held>>,
    came: u64,
    begun: Stamp,
}

fn now() -> io::Result<Stamp> {
    Stamp::now().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

impl Relay {
    /// Binds every way.
    ///
    /// # Errors
    /// An address that is taken.
    pub(super) fn bind(ways: Vec<Way>) -> io::Result<Self> {
        let open = |way: Way| {
            let front = Datagrams::bind(way.listen, PeerClass::Landmark)?;
            front.never_wait()?;
            Ok(Open { way, front, nodes: Vec::new() })
        };
        let ways = ways.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { ways, held: BinaryHeap::new(), came: 0, begun: now()? })
    }

    /// Where nodes send, by way.
    #[cfg(test)]
    fn addrs(&self) -> Vec<SocketAddr> {
        self.ways.iter().map(|open| open.front.addr()).collect()
    }

    /// Forwards until `over`. Blocks.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn run(mut self, over: &AtomicBool) -> io::Result<()> {
        // The kernel gathers wake-ups of ordinary threads within 50 µs: five kilometres of fibre.
        set_timerslack(1)?;
        while !over.load(Ordering::Acquire) {
            self.wait()?;
            for way in 0..self.ways.len() {
                self.take(way)?;
            }
            self.send_due()?;
        }
        Ok(())
    }

    /// Until something came or is due.
    fn wait(&self) -> io::Result<()> {
        let now_ns = now()?.since_ns(self.begun);
        let until = self.held.peek().map(|Reverse(next)| next.due_ns.saturating_sub(now_ns));
        let sleep = until.map_or(LOOK_EVERY, |ns| Duration::from_nanos(ns).min(LOOK_EVERY));
        let mut sockets = Vec::new();
        for open in &self.ways {
            let backs = open.nodes.iter().map(|node| &node.back);
            for socket in std::iter::once(&open.front).chain(backs) {
                sockets.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN));
            }
        }
        match ppoll(&mut sockets, Some(TimeSpec::from_duration(sleep)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what came on one way.
    fn take(&mut self, way: usize) -> io::Result<()> {
        let Some(open) = self.ways.get_mut(way) else { return Ok(()) };
        let mut came = Vec::new();
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..AT_ONCE {
            let Some(got) = open.front.receive(&mut buffer, Duration::ZERO)? else { break };
            open.know(got.from)?;
            let bytes = buffer.get(..got.length).unwrap_or_default().to_vec();
            came.push((got.at, got.from, false, bytes));
        }
        for node in &open.nodes {
            for _ in 0..AT_ONCE {
                let Some(got) = node.back.receive(&mut buffer, Duration::ZERO)? else { break };
                let bytes = buffer.get(..got.length).unwrap_or_default().to_vec();
                came.push((got.at, node.addr, true, bytes));
            }
        }
        let delay_ns = open.way.delay_ns;
        for (at, node, home, bytes) in came {
            self.came = self.came.saturating_add(1);
            let due_ns = at.since_ns(self.begun).saturating_add(delay_ns);
            if self.held.len() < HELD_MAX {
                self.held.push(Reverse(Held { due_ns, number: self.came, way, node, home, bytes }));
            }
        }
        Ok(())
    }

    fn send_due(&mut self) -> io::Result<()> {
        while let Some(Reverse(next)) = self.held.peek() {
            if next.due_ns > now()?.since_ns(self.begun) {
                return Ok(());
            }
            let Some(Reverse(due)) = self.held.pop() else { return Ok(()) };
            let Some(open) = self.ways.get(due.way) else { continue };
            if due.home {
                open.front.send_to(&due.bytes, due.node)?;
            } else if let Some(node) = open.nodes.iter().find(|node| node.addr == due.node) {
                node.back.send(&due.bytes)?;
            }
        }
        Ok(())
    }
}

impl Open {
    /// Makes sure that a node has its socket.
    fn know(&mut self, addr: SocketAddr) -> io::Result<()> {
        if self.nodes.iter().any(|node| node.addr == addr) {
            return Ok(());
        }
        if self.nodes.len() >= NODES_MAX {
            self.nodes.remove(0);
        }
        let back = Datagrams::connect(self.way.landmark, PeerClass::Landmark)?;
        back.never_wait()?;
        self.nodes.push(Node { addr, back });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SOON: Duration = Duration::from_secs(10);

    fn anywhere() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    /// A relay to an echo, with its delay in each direction; both end with the returned flag.
    fn echo_behind(delays_ns: &[u64]) -> (Vec<SocketAddr>, Arc<AtomicBool>) {
        let echo = Datagrams::bind(anywhere(), PeerClass::Agent).unwrap();
        let landmark = echo.addr();
        let way = |delay_ns: &u64| Way { listen: anywhere(), landmark, delay_ns: *delay_ns };
        let relay = Relay::bind(delays_ns.iter().map(way).collect()).unwrap();
        let (addrs, over) = (relay.addrs(), Arc::new(AtomicBool::new(false)));
        let (first, second) = (Arc::clone(&over), Arc::clone(&over));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        drop(thread("relay").spawn(move || relay.run(&first).unwrap()).unwrap());
        let answer = move || {
            let mut buffer = [0; DATAGRAM_MAX];
            while !second.load(Ordering::Acquire) {
                if let Some(got) = echo.receive(&mut buffer, LOOK_EVERY).unwrap() {
                    echo.send_to(&buffer[..got.length], got.from).unwrap();
                }
            }
        };
        drop(thread("echo").spawn(answer).unwrap());
        (addrs, over)
    }

    #[test]
    fn no_datagram_comes_earlier_than_its_delay() {
        let delays = [150_000, 2_000_000];
        let (addrs, over) = echo_behind(&delays);
        for (delay_ns, addr) in delays.into_iter().zip(addrs) {
            let node = Datagrams::connect(addr, PeerClass::Member).unwrap();
            let mut late = Vec::new();
            for round in 0..50_u8 {
                let begun = Stamp::now().unwrap();
                node.send(&[round; 21]).unwrap();
                let mut buffer = [0; 32];
                let got = node.receive(&mut buffer, SOON).unwrap().unwrap();
                assert_eq!(buffer[..got.length], [round; 21]);
                let took = got.at.since_ns(begun);
                assert!(took >= 2 * delay_ns, "{took} ns with {delay_ns} ns each way");
                late.push(took - 2 * delay_ns);
            }
            late.sort_unstable();
            println!(
                "{delay_ns} ns each way: {} ns late at least, {} ns in the median",
                late[0],
                late[late.len() / 2]
            );
        }
        over.store(true, Ordering::Release);
    }

    #[test]
    fn two_nodes_on_one_way_hear_each_its_own_answers_in_order() {
        let (addrs, over) = echo_behind(&[500_000]);
        let node = || Datagrams::connect(addrs[0], PeerClass::Member).unwrap();
        let nodes = [node(), node()];
        for round in 0..20_u8 {
            for (node, of) in nodes.iter().zip(0_u8..) {
                node.send(&[of, round]).unwrap();
            }
        }
        for (node, of) in nodes.iter().zip(0_u8..) {
            for round in 0..20_u8 {
                let mut buffer = [0; 8];
                let got = node.receive(&mut buffer, SOON).unwrap().unwrap();
                assert_eq!(buffer[..got.length], [of, round]);
            }
        }
        over.store(true, Ordering::Release);
    }
}
