//! What the runtime and a new shim say to each other: an order, and one byte back.
//!
//! Both ends are the same program, so nothing here has versions. All else is said by the records in the
//! placement's directory, which a later agent can read too; the byte only spares its first reader to look again and again.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use serde::{Deserialize, Serialize};

use crate::directory::ExitStatus;
use crate::limit;
use crate::placement::PlacementSpec;
use crate::sandbox::Sandbox;
use crate::shim::namespace::Namespaces;

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

/// The order as a file that lies in memory alone, for the shim's standard input: it has the job's environment, which may have
/// been sealed, and no disk may keep it. A file and not a pipe, because a shim that never reads must not hold up the runtime.
///
/// # Errors
/// When it does not encode, is longer than [`limit::SPEC_BYTES_MAX`], or the kernel gives no such file.
pub fn order_file(order: &Order) -> io::Result<File> {
    let bytes = postcard::to_allocvec(order).map_err(io::Error::other)?;
    if bytes.len() > limit::SPEC_BYTES_MAX {
        return Err(io::Error::other("order is over its bound"));
    }
    let mut file = File::from(memfd_create(c"order", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(file)
}

/// Reads the order on standard input, once: the file is empty afterwards.
///
/// # Errors
/// When it is no such file, or the bytes are no order.
pub fn take_order() -> io::Result<Order> {
    let bound = u64::try_from(limit::SPEC_BYTES_MAX).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    io::stdin().lock().take(bound).read_to_end(&mut bytes)?;
    ftruncate(io::stdin(), 0)?;
    let order: Order = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
    order.placement.check().map_err(io::Error::other)?;
    Ok(order)
}
