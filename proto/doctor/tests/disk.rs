//! Disks that are full, in memory, or without programs: made for the test, where it may.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;
use sekisho_doctor::host::{data, sync};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

fn not_run(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

/// A small file system in memory; gone with the value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(flags: MsFlags) -> Option<Self> {
        if !geteuid().is_root() {
            not_run("a file system can be mounted by root only");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        mount(Some("doctor"), dir.path(), Some("tmpfs"), flags, Some("size=64k,nr_inodes=64"))
            .unwrap();
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        umount2(self.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_fails_and_so_does_one_in_memory() {
    let Some(disk) = Disk::new(MsFlags::empty()) else { return };
    assert_eq!(data::file_system(disk.path()).unwrap().outcome.code, "FS_MEMORY");
    let slow = Duration::from_secs(60);
    assert_eq!(sync::sync(disk.path(), 2, slow).outcome.code, "SYNC_FAST");
    // Until nothing goes in any more.
    while fs::write(
        disk.path().join(format!("{}", fs::read_dir(disk.path()).unwrap().count())),
        [7; 4096],
    )
    .is_ok()
    {}
    let full = sync::sync(disk.path(), 2, slow);
    assert_eq!(full.outcome.code, "SYNC_FAILED", "{full:?}");
    let room = data::room(disk.path()).unwrap();
    assert_eq!(data::space(disk.path(), room).outcome.code, "SPACE_OUT_OF");
    assert!(!room.noexec);
}

#[test]
fn one_that_programs_cannot_be_run_from_or_nothing_written_to_is_seen() {
    let Some(disk) = Disk::new(MsFlags::MS_NOEXEC) else { return };
    assert!(data::room(&disk.path().join("placements")).unwrap().noexec);
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, disk.path(), None::<&str>, flags, None::<&str>).unwrap();
    assert_eq!(data::file_system(disk.path()).unwrap().outcome.code, "FS_READ_ONLY");
    let written = sync::sync(disk.path(), 2, Duration::from_secs(60));
    assert_eq!(written.outcome.code, "SYNC_FAILED", "{written:?}");
}
