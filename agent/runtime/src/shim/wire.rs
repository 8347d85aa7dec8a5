//! What the runtime and a new shim say to each other: an order, and one byte back.
//!
//! Both ends are the same program, so nothing here has versions. All else is said by the records in the
//! placement's directory, which a later agent can read too; the byte only spares its first reader to look again and again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::directory::ExitStatus;
use crate::limit;
use crate::placement::PlacementSpec;
use crate::sandbox::Sandbox;
use crate::shim::namespace::Namespaces;

/// Name of the order in the placement's directory.
pub const ORDER_NAME: &str = "order";
/// The byte that says: the job runs.
pub const RUNNING: u8 = b'R';

/// User and group that a job runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// User.
    pub uid: u32,
    /// Group; supplementary groups are dropped.
    pub gid: u32,
}

/// The order to a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to run.
    pub placement: PlacementSpec,
    /// The placement's directory, absolute.
    pub dir: PathBuf,
    /// How to make the namespaces.
    pub namespaces: Namespaces,
    /// Whom to run it as; `None` = the agent's user.
    pub run_as: Option<RunAs>,
    /// How to keep it apart from the rest of the host.
    pub sandbox: Sandbox,
    /// About how much of each output stream to keep, bytes.
    pub log_bytes: u64,
    /// The runtime's process. A shim that finds another parent starts nothing: a later agent, which has looked for what
    /// runs already, would not know of it.
    pub parent: i32,
}

/// What init says last, to the outer shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How the last attempt ended.
    pub status: ExitStatus,
    /// How often the program was begun anew.
    pub restarts: u32,
}

impl From<ExitStatus> for Ended {
    /// Of a job that was not begun anew.
    fn from(status: ExitStatus) -> Self {
        Self { status, restarts: 0 }
    }
}

/// Writes the order that a shim will read. A file and not a pipe, because a shim that never reads must not hold up
/// the runtime; only the agent may read it, since it has the job's environment.
///
/// # Errors
/// When it does not encode, is longer than [`limit::SPEC_BYTES_MAX`], or cannot be written.
pub fn write_order(path: &Path, order: &Order) -> io::Result<()> {
    let bytes = postcard::to_allocvec(order).map_err(io::Error::other)?;
    if bytes.len() > limit::SPEC_BYTES_MAX {
        return Err(io::Error::other("order is over its bound"));
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&bytes)
}

/// Reads an order, once: the file is removed.
///
/// # Errors
/// When there is none, or the bytes are no order.
pub fn take_order(path: &Path) -> io::Result<Order> {
    let bound = u64::try_from(limit::SPEC_BYTES_MAX).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    fs::remove_file(path)?;
    let order: Order = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
    order.placement.check().map_err(io::Error::other)?;
    Ok(order)
}
