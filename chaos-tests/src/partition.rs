//! Cuts between real controllers, and between them and all others.
//!
//! How: each controller advertises one port and listens on another (`sekisho dev --listen-base`); on the advertised
//! one stands a relay of this process, which learns from the source port which process dialled (`dialler`) and does
//! to each direction of each pair of members what the drill asks. The product is not touched and does not know.
//! Why not otherwise: all controllers are on one address and dial from any port, so a firewall rule would have to
//! match processes, which neither nft nor iptables can here; namespaces would put the agents behind the same cut;
//! `ss -K` ends connections and lets the next dial through. A relay needs `/proc` and no rights.
//!
//! Must hold: whoever cannot be told is turned away, because a controller that is taken for somebody else would leak
//! through the cut; a drill can ask whether its fault met any traffic, so that none passes for want of it.
//! It does not show what a lost packet does to the kernel: the relay's end acknowledges what it holds, so that a held
//! connection is ended by the product's own pings and deadlines, or not at all. What was held arrives after healing, as
//! what the kernel sends again would.

mod dialler;
mod relay;

pub use dialler::possible;

use anyhow::{Context as _, Result};
use relay::Shared;
use sekisho_transport::task::{TaskGroup, TaskKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Members of the federation that `sekisho dev` makes.
pub const MEMBERS: [u64; 3] = [1, 2, 3];
/// Everybody who is no member: agents and command lines. No member has the number.
pub const OUTSIDE: u64 = 0;
/// For the relays to end.
const END: Duration = Duration::from_secs(2);

/// What is done to the bytes from one member to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connections between the two are reset, and new ones refused.
    Cut,
    /// Nothing arrives and nothing is said about it; new connections are taken and stay silent.
    Hold,
}

/// Faults by sender and receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Links(BTreeMap<(u64, u64), Fault>);

impl Links {
    fn fault(&self, way: (u64, u64)) -> Option<Fault> {
        self.0.get(&way).copied()
    }

    /// A connection carries both directions: one that is cut ends it.
    fn is_cut(&self, (a, b): (u64, u64)) -> bool {
        [(a, b), (b, a)].into_iter().any(|way| self.fault(way) == Some(Fault::Cut))
    }

    fn is_held(&self, way: (u64, u64)) -> bool {
        self.fault(way) == Some(Fault::Hold)
    }
}

/// Relays in front of every controller. Dropping it ends them, and every connection through them.
#[derive(Debug)]
pub struct Partition {
    runtime: tokio::runtime::Runtime,
    links: watch::Sender<Links>,
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Partition {
    /// Stands on three ports from `advertised` on, for controllers that will listen on three from `listening` on, of
    /// the federation in `dir`. Nothing is cut yet.
    ///
    /// # Errors
    /// A port is taken.
    pub fn stand(dir: &Path, advertised: u16, listening: u16) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (links, seen) = watch::channel(Links::default());
        let shared = Arc::new(Shared::new(dir.canonicalize()?, seen));
        let tasks = TaskGroup::new();
        for (number, member) in (0u16..).zip(MEMBERS) {
            let port = |base: u16| base.checked_add(number).context("needs three ports");
            let door =
                relay::Door { member, advertised: port(advertised)?, listening: port(listening)? };
            let socket = runtime.block_on(relay::bind(door.advertised))?;
            let serving = relay::serve(socket, door, Arc::clone(&shared), tasks.clone());
            let _entered = runtime.enter();
            tasks.spawn(TaskKind::Critical, "relay", serving);
        }
        Ok(Self { runtime, links, shared, tasks })
    }

    /// Does `fault` to what `from` sends to `to`, and to nothing in the other direction; a cut has only one. [`OUTSIDE`] is
    /// everybody who is no member.
    pub fn one_way(&self, from: u64, to: u64, fault: Fault) {
        self.links.send_modify(|links| {
            links.0.insert((from, to), fault);
        });
    }

    /// Does `fault` to everything between `member` and the others.
    pub fn isolate(&self, member: u64, fault: Fault) {
        self.links.send_modify(|links| {
            for other in MEMBERS.into_iter().filter(|other| *other != member) {
                links.0.insert((member, other), fault);
                links.0.insert((other, member), fault);
            }
        });
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.links.send_replace(Links::default());
    }

    /// How often a fault met a connection: a drill in which it never did has shown nothing.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.shared.met.load(Ordering::Relaxed)
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.runtime.block_on(self.tasks.shutdown(END));
    }
}
