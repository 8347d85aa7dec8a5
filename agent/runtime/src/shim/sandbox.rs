//! What a job sees of the file system: the host's programs and devices, a work directory and temporary ones of its own, and
//! nothing of the agent or of other jobs.
//!
//! Must hold: whatever fails here, the job does not start; init keeps the host's view, since it reads the lease and writes the
//! output. It hides by covering: an empty file system is laid over a directory, and the placement's work directory is put back
//! at its own path. So the paths that a tenant knows stay what they are.
//!
//! It is no container: what the host lets every user read, a job reads as well.

use std::ffi::CStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::directory::PlacementDir;
use crate::limit;
use crate::shim::wire::{Order, RunAs};

/// Temporary directories of the host: what one job leaves there another could read.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// Shared memory, which collective libraries use in gigabytes: in memory, bounded by the job's memory limit.
const SHARED_MEMORY: &str = "/dev/shm";
/// Of a directory on the way to the job's own: pass, but do not list.
const PASS_THROUGH: u32 = 0o711;

/// Gives this process, which is about to become the job, a view of its own. Returns where its work directory is in it.
///
/// # Errors
/// What the kernel refused, and at which path.
pub(super) fn enclose(order: &Order) -> io::Result<PathBuf> {
    let dir = PlacementDir::at(order.dir.clone());
    let work = fs::canonicalize(dir.work())?;
    if !order.sandbox.mounts {
        return Ok(work);
    }
    own_mounts()?;
    let hidden = hidden(order, &work);
    // Opened in the new namespace, and before anything covers them.
    let (work_fd, tmp_fd) = (open(&work)?, open(&dir.tmp())?);
    // No program of the host gives the job another user, and no cgroup that was handed to the agent's user can be left.
    restrict(c"/", NOSUID)?;
    restrict(c"/sys", READ_ONLY)?;
    for place in TEMPORARY.iter().filter_map(|place| directory(Path::new(place))) {
        bind(&tmp_fd, &place)?;
    }
    if let Some(place) = directory(Path::new(SHARED_MEMORY)) {
        cover(&place, "mode=1777")?;
    }
    let mut covered = Vec::new();
    // What lies in a temporary directory is covered with it.
    for place in hidden.iter().filter(|place| place.is_dir()) {
        cover(place, &format!("mode=0711,size={}", limit::COVER_BYTES))?;
        covered.push(place);
    }
    make_way(&work)?;
    bind(&work_fd, &work)?;
    for place in covered {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        at(place, mount(None::<&str>, place, None::<&str>, flags | inert(), None::<&str>))?;
    }
    Ok(work)
}

/// A mount namespace in which nothing spreads to the host.
fn own_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
    Ok(())
}

/// Tries what [`enclose`] does, in a namespace that nobody uses.
pub(super) fn probe() -> io::Result<()> {
    own_mounts()?;
    restrict(c"/", NOSUID)?;
    let place = directory(Path::new(SHARED_MEMORY)).or_else(|| directory(Path::new("/tmp")));
    let place = place.ok_or_else(|| io::Error::other("the host has no temporary directory"))?;
    cover(&place, "mode=1777")?;
    let kept = place.join("kept");
    DirBuilder::new().mode(0o700).create(&kept)?;
    bind(&open(&kept)?, &kept)
}

/// Directories to cover, outermost first: those of the settings, the one with all placements, and the first on the way to the
/// work directory that the job's user could not pass. Of that one the job could see nothing anyway.
fn hidden(order: &Order, work: &Path) -> Vec<PathBuf> {
    let root = order.dir.parent().unwrap_or(&order.dir);
    let places = order.sandbox.hidden.iter().map(PathBuf::as_path).chain([root]);
    let mut hidden: Vec<PathBuf> = places.filter_map(directory).collect();
    if let Some(run_as) = order.run_as {
        let mut way: Vec<&Path> = work.ancestors().skip(1).collect();
        way.reverse();
        let closed =
            way.into_iter().find(|place| place.parent().is_some() && !passes(run_as, place));
        hidden.extend(closed.map(Path::to_owned));
    }
    // Neither the root of everything nor what was laid out for the job itself.
    let own: Vec<PathBuf> = TEMPORARY
        .into_iter()
        .chain([SHARED_MEMORY])
        .filter_map(|place| directory(Path::new(place)))
        .collect();
    hidden.retain(|place| place.parent().is_some() && !own.contains(place));
    hidden.sort();
    hidden.dedup();
    // One inside another is gone once the other is covered; it would be looked for in vain.
    let outer = hidden.clone();
    hidden.retain(|place| !outer.iter().any(|o| o != place && place.starts_with(o)));
    hidden
}

fn passes(run_as: RunAs, place: &Path) -> bool {
    fs::metadata(place).is_ok_and(|entry| {
        let bit = if entry.uid() == run_as.uid {
            0o100
        } else if entry.gid() == run_as.gid {
            0o010
        } else {
            0o001
        };
        entry.mode() & bit != 0
    })
}

/// The directory that `path` names, symbolic links followed; `None` if it names none.
fn directory(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().filter(|path| path.is_dir())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    at(path, OpenOptions::new().read(true).custom_flags(flags).open(path))
}

/// Flags of every file system that we mount for a job.
fn inert() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV
}

fn bind(from: &File, to: &Path) -> io::Result<()> {
    let from = PathBuf::from(format!("/proc/self/fd/{}", from.as_raw_fd()));
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    at(to, mount(Some(&from), to, None::<&str>, flags, None::<&str>))?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | inert();
    match mount(None::<&str>, to, None::<&str>, flags, None::<&str>) {
        // In a user namespace a mount may have more flags of the host, which cannot be named away. They only forbid more.
        Err(Errno::EPERM) => Ok(()),
        other => at(to, other),
    }
}

fn cover(place: &Path, options: &str) -> io::Result<()> {
    at(place, mount(Some("tmpfs"), place, Some("tmpfs"), inert(), Some(options)))
}

/// Makes the directories on the way to `path` that a cover has taken away. Follows no symbolic link: what lies in the job's
/// temporary directory an earlier attempt of it may have put there.
fn make_way(path: &Path) -> io::Result<()> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    for place in way {
        match fs::symlink_metadata(place) {
            Ok(entry) if entry.is_dir() => {}
            Ok(_) => return at(place, Err(io::Error::from(io::ErrorKind::NotADirectory))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at(place, DirBuilder::new().create(place))?;
                at(place, fs::set_permissions(place, Permissions::from_mode(PASS_THROUGH)))?;
            }
            Err(error) => return at(place, Err(error)),
        }
    }
    Ok(())
}

/// Makes every mount at and below `tree` stricter. It is the second lock on doors that have one already (new privileges are
/// given up, the kernel's files are not the job's), so a kernel before 5.12, which cannot do it, and a host on which `tree` is
/// no mount are good enough.
fn restrict(tree: &CStr, flags: u64) -> io::Result<()> {
    let attributes = MountAttributes { set: flags, ..MountAttributes::default() };
    #[expect(unsafe_code, reason = "there is no safe wrapper for mount_setattr")]
    // SAFETY: the path ends in a zero, the attributes live beyond the call, and their size is given.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            tree.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    match Errno::result(set) {
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// `struct mount_attr` of the kernel.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;
/// `MOUNT_ATTR_NOSUID`.
const NOSUID: u64 = 2;

/// Names the path in an error.
fn at<T, E: Into<io::Error>>(path: &Path, result: Result<T, E>) -> io::Result<T> {
    result.map_err(|error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}
