//! A small disk of its own: an ext4 file system in a file, mounted in a mount namespace of the calling thread, so that
//! nothing of it is left when the thread or the process ends, however it ends.

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a drill may take at most, a few times over.
const ROOM: u64 = 6 << 30;

/// A mounted disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mountpoint: PathBuf,
}

/// Gives the calling thread mounts of its own. Programs that it starts share them.
///
/// # Errors
/// Not root, or the kernel has no mount namespaces.
pub fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("private mounts")
}

/// Why a disk of our own cannot be had on this machine, if so.
#[must_use]
pub fn missing() -> Option<String> {
    let attempt = || -> Result<()> {
        own_mounts()?;
        let dir = tempfile::tempdir()?;
        Disk::create(dir.path(), 8).map(drop)
    };
    // In a thread of its own: the caller's mounts stay as they are.
    let attempt = std::thread::Builder::new().name("disk-probe".to_owned()).spawn(attempt);
    let outcome = attempt.map(std::thread::JoinHandle::join);
    match outcome {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => Some(format!("no ext4 loop mount: {error:#}")),
        Ok(Err(_)) | Err(_) => Some("no ext4 loop mount: the attempt itself failed".to_owned()),
    }
}

/// A folder for disks: in memory if there is room, for a drill waits for thousands of syncs; what is lost at a cut is
/// decided by the file system on the disk, not by what lies below it.
///
/// # Errors
/// No folder can be made.
pub fn scratch() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let room =
        statvfs(memory).map_or(0, |fs| fs.blocks_available().saturating_mul(fs.fragment_size()));
    let dir = if room > ROOM { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.context("a folder for the disk")
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Disk {
    /// A fresh disk of `mebibytes` in `dir`, mounted at `dir/disk`. Sparse: it takes what is written.
    ///
    /// # Errors
    /// No root, no loop device, no mkfs.ext4.
    pub fn create(dir: &Path, mebibytes: u64) -> Result<Self> {
        let disk = Self { image: dir.join("image"), mountpoint: dir.join("disk") };
        File::create(&disk.image)?.set_len(mebibytes.saturating_mul(1 << 20))?;
        std::fs::create_dir_all(&disk.mountpoint)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        disk.mount("loop")?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mountpoint
    }

    fn mount(&self, options: &str) -> Result<()> {
        run(Command::new("mount").args(["-o", options]).arg(&self.image).arg(&self.mountpoint))
    }

    fn unmount(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.mountpoint))
    }

    /// Off and on again: what the page cache had is gone, the journal is replayed.
    ///
    /// # Errors
    /// It is in use, or the file system is broken.
    pub fn restart(&self) -> Result<()> {
        self.unmount()?;
        self.mount("loop")
    }

    /// Off and on again, but read-only.
    ///
    /// # Errors
    /// It is in use, or the file system is broken.
    pub fn restart_read_only(&self) -> Result<()> {
        self.unmount()?;
        self.mount("loop,ro")
    }

    /// The file system gives up and turns read-only, as it does when it meets an error of its own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn abort(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.mountpoint))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: it may be in use after a failed drill, and its user is about to end.
        drop(Command::new("umount").arg("-l").arg(&self.mountpoint).output());
    }
}
