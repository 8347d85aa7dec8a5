//! The directory that a program keeps its data in: whose it is, on what it lies, how much room there is.

use crate::catalogue::any::ANY_UNREADABLE;
use crate::catalogue::host::*;
use crate::check::Finding;
use crate::host::kernel_file;
use crate::limit::{INODES_LOW, INODES_OUT, SPACE_LOW_PERCENT, SPACE_OUT, SPACE_PLENTY};
use crate::unit::bytes;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, Uid, access};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Who may do what with the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Whose it is.
    pub owner: u32,
    /// Permissions.
    pub mode: u32,
    /// As whom the program runs; unknown while it does not, and then whoever asks.
    pub user: Option<u32>,
    /// Whether others may list it: jobs pass through an agent's directory, nobody through a controller's.
    pub private: bool,
}

/// The user of a process; `None` when it is gone.
#[must_use]
pub fn user_of(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// The check `data-dir`.
#[must_use]
pub fn directory(path: &Path, running: Option<u32>, private: bool) -> Finding {
    let about = |outcome| Finding::new(outcome).with("path", path.display());
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return about(&DATA_DIR_MISSING),
        Err(error) => {
            return Finding::new(&ANY_UNREADABLE).of(&DATA_DIR).with("cause", error);
        }
    };
    if !found.is_dir() {
        return about(&DATA_DIR_FILE);
    }
    let user = running.and_then(user_of);
    let owner = Owner { owner: found.uid(), mode: found.mode() & 0o7777, user, private };
    let judged = judge(path, owner);
    let me = Uid::effective();
    if user.is_none() && access(path, AccessFlags::R_OK | AccessFlags::X_OK).is_err() {
        return about(&DATA_DIR_HIDDEN).with("user", me);
    }
    judged
}

fn judge(path: &Path, owner: Owner) -> Finding {
    let outcome = match owner {
        Owner { mode, .. } if mode & 0o022 != 0 && mode & 0o1000 == 0 => &DATA_DIR_OPEN,
        // Root may use everybody's.
        Owner { owner, user: Some(user), .. } if user != owner && user != 0 => &DATA_DIR_FOREIGN,
        Owner { mode, private: true, .. } if mode & 0o055 != 0 => &DATA_DIR_SHOWN,
        Owner { .. } => &DATA_DIR_SOUND,
    };
    Finding::new(outcome)
        .with("path", path.display())
        .with("owner", owner.owner)
        .with("mode", format!("{:04o}", owner.mode))
        .with("user", owner.user.unwrap_or(owner.owner))
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub mount: PathBuf,
    /// Its type, as the kernel names it.
    pub kind: String,
    /// Whether nothing can be written to it.
    pub read_only: bool,
}

/// The nearest directory above `path` that is there: what will be made lies on its file system.
#[must_use]
pub fn existing(path: &Path) -> &Path {
    path.ancestors().find(|above| above.exists()).unwrap_or_else(|| Path::new("/"))
}

/// The file system that `path` lies on, by `/proc/self/mountinfo`.
fn mount_of(table: &str, path: &Path) -> Option<Mount> {
    // The last of equals: it lies over the others.
    table.lines().filter_map(mount).filter(|mount| path.starts_with(&mount.mount)).fold(
        None,
        |best: Option<Mount>, mount| match best {
            Some(best) if best.mount.as_os_str().len() > mount.mount.as_os_str().len() => {
                Some(best)
            }
            Some(_) | None => Some(mount),
        },
    )
}

/// A line `36 35 98:0 /root /mount rw,noatime - ext4 /dev/sda rw`, with spaces in paths as `\040`.
fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let place = left.next()?.replace("\\040", " ");
    let options = left.next()?;
    let mut right = right.split(' ');
    let kind = right.next()?.to_owned();
    let own = right.nth(1).unwrap_or_default();
    let read_only = [options, own].iter().any(|all| all.split(',').any(|one| one == "ro"));
    Some(Mount { mount: PathBuf::from(place), kind, read_only })
}

/// The check `data-fs`.
///
/// # Errors
/// When it cannot be told.
pub fn file_system(path: &Path) -> io::Result<Finding> {
    let path = fs::canonicalize(existing(path))?;
    let mount = mount_of(&kernel_file("/proc/self/mountinfo")?, &path);
    Ok(judge_mount(&mount.ok_or_else(|| io::Error::other("no mount is known for it"))?))
}

fn judge_mount(mount: &Mount) -> Finding {
    let outcome = match mount.kind.as_str() {
        _ if mount.read_only => &FS_READ_ONLY,
        "tmpfs" | "ramfs" | "devtmpfs" => &FS_MEMORY,
        "overlay" | "aufs" => &FS_LAYER,
        "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "glusterfs" | "9p" | "virtiofs" | "lustre"
        | "afs" => &FS_NETWORK,
        kind if kind.starts_with("fuse") => &FS_NETWORK,
        _ => &FS_SOUND,
    };
    Finding::new(outcome).with("kind", &mount.kind).with("mount", mount.mount.display())
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that a user may still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub inodes: Option<u64>,
    /// Programs on it cannot be run.
    pub noexec: bool,
}

/// Room where `path` lies, or will.
///
/// # Errors
/// When it cannot be told.
pub fn room(path: &Path) -> io::Result<Room> {
    let found = statvfs(existing(path))?;
    let block = found.fragment_size();
    Ok(Room {
        free: found.blocks_available().saturating_mul(block),
        size: found.blocks().saturating_mul(block),
        inodes: (found.files() > 0).then(|| found.files_available()),
        noexec: found.flags().contains(FsFlags::ST_NOEXEC),
    })
}

/// The check `data-space`.
#[must_use]
pub fn space(path: &Path, room: Room) -> Finding {
    let percent = u128::from(room.free) * 100 / u128::from(room.size.max(1));
    let few = |least: u64| room.inodes.is_some_and(|inodes| inodes < least);
    let short = percent < u128::from(SPACE_LOW_PERCENT) && room.free < SPACE_PLENTY;
    let outcome = if room.free < SPACE_OUT || few(INODES_OUT) {
        &SPACE_OUT_OF
    } else if short || few(INODES_LOW) {
        &SPACE_LOW
    } else {
        &SPACE_ENOUGH
    };
    Finding::new(outcome)
        .with("path", path.display())
        .with("free", bytes(room.free))
        .with("size", bytes(room.size))
        .with("percent", percent)
        .with("inodes", room.inodes.map_or_else(|| "-".to_owned(), |inodes| inodes.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::MIB;
    use std::os::unix::fs::PermissionsExt as _;

    fn code(found: &Finding) -> &'static str {
        found.outcome.code
    }

    #[test]
    fn a_directory_that_others_can_write_to_or_that_is_none_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let mode = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let looked = |private| code(&directory(path, Some(std::process::id()), private));
        mode(0o711);
        assert_eq!(looked(false), "DATA_DIR_SOUND");
        mode(0o750);
        assert_eq!(looked(true), "DATA_DIR_SHOWN");
        mode(0o700);
        assert_eq!(looked(true), "DATA_DIR_SOUND");
        mode(0o770);
        assert_eq!(looked(false), "DATA_DIR_OPEN");
        mode(0o700);
        let file = path.join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(code(&directory(&file, None, false)), "DATA_DIR_FILE");
        assert_eq!(code(&directory(&path.join("none"), None, false)), "DATA_DIR_MISSING");
        let of = |owner, user| Owner { owner, mode: 0o700, user: Some(user), private: true };
        let foreign = judge(path, of(7, 8));
        assert_eq!(code(&foreign), "DATA_DIR_FOREIGN");
        assert!(foreign.command().starts_with("chown -R 8: /"), "{}", foreign.command());
        assert_eq!(code(&judge(path, of(7, 0))), "DATA_DIR_SOUND", "root");
    }

    const MOUNTS: &str = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                          2 1 0:5 / /run rw,nosuid - tmpfs tmpfs rw\n\
                          3 1 0:9 / /var/lib/my\\040data rw - nfs4 host:/x rw\n\
                          4 1 0:7 / /srv ro - xfs /dev/sdb rw\n\
                          5 1 0:8 / /box rw - overlay overlay rw\n\
                          6 5 0:8 / /box rw - ext4 /dev/sdc rw\n";

    #[test]
    fn the_file_system_under_a_path_is_the_innermost_one() {
        let judged = |path: &str| {
            let found = judge_mount(&mount_of(MOUNTS, Path::new(path)).unwrap());
            (code(&found), found.values()["mount"].clone())
        };
        assert_eq!(judged("/var/lib/other"), ("FS_SOUND", "/".to_owned()));
        assert_eq!(judged("/run/x"), ("FS_MEMORY", "/run".to_owned()));
        assert_eq!(judged("/runner"), ("FS_SOUND", "/".to_owned()));
        assert_eq!(judged("/var/lib/my data/x").0, "FS_NETWORK");
        assert_eq!(judged("/srv").0, "FS_READ_ONLY");
        assert_eq!(judged("/box/x").0, "FS_SOUND", "what lies on top");
        let over = MOUNTS.lines().take(5).collect::<Vec<_>>().join("\n");
        let found = judge_mount(&mount_of(&over, Path::new("/box")).unwrap());
        assert_eq!(code(&found), "FS_LAYER");
        // Of this machine; it has one, whichever it is.
        file_system(Path::new("/proc/none/there")).unwrap();
        assert_eq!(code(&file_system(Path::new("/dev/shm/x")).unwrap()), "FS_MEMORY");
    }

    #[test]
    fn room_is_judged_by_bytes_share_and_files() {
        let gib = 1024 * MIB;
        let room = |free, size, inodes| Room { free, size, inodes, noexec: false };
        let judged = |room| code(&space(Path::new("/d"), room));
        assert_eq!(judged(room(60 * gib, 1000 * gib, Some(1_000_000))), "SPACE_ENOUGH");
        assert_eq!(judged(room(9 * gib, 100 * gib, Some(1_000_000))), "SPACE_LOW");
        assert_eq!(judged(room(9 * gib, 20 * gib, Some(9_999))), "SPACE_LOW");
        assert_eq!(judged(room(9 * gib, 20 * gib, Some(3))), "SPACE_OUT_OF");
        assert_eq!(judged(room(MIB, 20 * gib, None)), "SPACE_OUT_OF");
        assert_eq!(judged(room(9 * gib, 20 * gib, None)), "SPACE_ENOUGH");
        let here = self::room(&std::env::temp_dir().join("none/there")).unwrap();
        assert!(here.size > 0 && here.free <= here.size);
    }
}
