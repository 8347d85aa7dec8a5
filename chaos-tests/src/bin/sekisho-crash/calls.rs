//! The C library's disk calls, defined by this program: RocksDB and the Rust library find these first when they are
//! linked. Each does what the kernel does, until the chosen one.
//!
//! Counted are the calls that change a file or make it durable, on any file descriptor but the standard ones.
#![expect(
    unsafe_code,
    reason = "stands in for functions of the C library and makes raw system calls"
)]

use anyhow::Context as _;
use nix::libc::{self, c_char, c_int, c_long, c_uint, c_void, off_t, size_t, ssize_t};
use sekisho_chaos::crash::plan::{Cut, Plan, Planted};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// `_IOR('X', 125, __u32)`: shut the file system down.
const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d;
/// Flags of it: keep the journal, or not even that.
const LOG_FLUSH: c_uint = 1;
const NO_LOG_FLUSH: c_uint = 2;
/// Unit in which a disk writes whole or not at all.
const SECTOR: usize = 512;

static COUNT: AtomicU64 = AtomicU64::new(0);
/// The cut has begun. From then on no call comes back: the kernel may call a sync done that the cut undid.
static ENDING: AtomicBool = AtomicBool::new(false);
static ARMED: OnceLock<(Plan, Option<File>)> = OnceLock::new();
/// The log's write-ahead file, if a planted fault owes it a sync.
static OWED: AtomicI32 = AtomicI32::new(-1);

/// From now on calls are counted and the plan holds.
pub(crate) fn arm(plan: Plan, disk: Option<&Path>) -> anyhow::Result<()> {
    let disk = disk.map(File::open).transpose().context("the disk's mount point")?;
    COUNT.store(0, Ordering::SeqCst);
    ARMED.set((plan, disk)).ok().context("armed before")
}

/// Disk calls so far.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// What the chosen call does.
enum Now {
    Go,
    Cut(Cut),
}

fn turn(fd: c_int) -> Now {
    let Some((plan, _)) = ARMED.get() else { return Now::Go };
    if (0..3).contains(&fd) {
        return Now::Go;
    }
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    match plan.at {
        Some(at) if number == at => Now::Cut(plan.cut),
        Some(at) if number > at && matches!(plan.cut, Cut::Dead | Cut::Full) => Now::Cut(plan.cut),
        Some(_) | None => Now::Go,
    }
}

/// The end: power first, if it is that, then the process.
fn end(cut: Cut) -> ! {
    ENDING.store(true, Ordering::SeqCst);
    if cut.is_power()
        && let Some((_, Some(disk))) = ARMED.get()
    {
        let flags = if cut == Cut::Journal { LOG_FLUSH } else { NO_LOG_FLUSH };
        // SAFETY: the file is open, and the request reads one 32-bit word, which lives until the call returns.
        unsafe { libc::ioctl(disk.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const flags) };
    }
    // SAFETY: kills this process; no memory is involved.
    unsafe {
        libc::syscall(libc::SYS_kill, c_long::from(libc::getpid()), c_long::from(libc::SIGKILL))
    };
    stay()
}

fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

/// Gives back `result`, unless the power has gone meanwhile.
fn back(result: c_long) -> c_long {
    if ENDING.load(Ordering::SeqCst) { stay() } else { result }
}

fn fail(errno: c_int) -> c_long {
    // SAFETY: the C library gives a valid pointer to this thread's errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// A call without data: `real` does it.
fn plain(fd: c_int, is_write: bool, real: impl FnOnce() -> c_long) -> c_long {
    match turn(fd) {
        Now::Go => back(real()),
        Now::Cut(cut @ (Cut::After | Cut::Journal)) => {
            real();
            end(cut)
        }
        Now::Cut(Cut::Broken | Cut::Dead) => fail(libc::EIO),
        // A full disk still syncs and removes.
        Now::Cut(Cut::Full) if is_write => fail(libc::ENOSPC),
        Now::Cut(Cut::Full) => real(),
        Now::Cut(cut @ (Cut::Before | Cut::Torn | Cut::Holes | Cut::Kill)) => end(cut),
    }
}

fn raw_pwrite(fd: c_int, bytes: &[u8], at: off_t) -> c_long {
    // SAFETY: pointer and length are those of a live slice.
    unsafe { libc::syscall(libc::SYS_pwrite64, c_long::from(fd), bytes.as_ptr(), bytes.len(), at) }
}

fn raw_sync(fd: c_int) -> c_long {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_fdatasync, c_long::from(fd)) }
}

/// Puts a part of `bytes` on the disk itself, as a device may that loses power in the middle of a write.
fn tear(fd: c_int, bytes: &[u8], at: off_t, holes: bool) {
    let mixed = count().wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    if holes {
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            let keep = mixed.rotate_right(u32::try_from(number % 64).unwrap_or(0)) & 1 == 1;
            if keep && let Ok(skip) = off_t::try_from(number * SECTOR) {
                raw_pwrite(fd, sector, at + skip);
            }
        }
    } else {
        let part = usize::try_from(mixed).unwrap_or(0) % bytes.len().max(1);
        raw_pwrite(fd, bytes.get(..part).unwrap_or_default(), at);
    }
    raw_sync(fd);
}

/// A write of `bytes` at `at`; `real` does the first so many bytes of it.
fn write_like(fd: c_int, bytes: &[u8], at: off_t, real: impl Fn(usize) -> c_long) -> c_long {
    settle_debt(fd);
    match turn(fd) {
        Now::Go => {
            owe(fd, bytes);
            back(real(bytes.len()))
        }
        Now::Cut(cut @ (Cut::After | Cut::Journal)) => {
            real(bytes.len());
            end(cut)
        }
        Now::Cut(cut @ (Cut::Torn | Cut::Holes)) => {
            tear(fd, bytes, at, cut == Cut::Holes);
            end(cut)
        }
        Now::Cut(Cut::Broken | Cut::Dead) => fail(libc::EIO),
        Now::Cut(Cut::Full) => {
            // The kernel writes what fits and says so; the next call fails.
            if bytes.len() > 1 && count().is_multiple_of(2) {
                real(bytes.len() / 2)
            } else {
                fail(libc::ENOSPC)
            }
        }
        Now::Cut(cut @ (Cut::Before | Cut::Kill)) => end(cut),
    }
}

fn planted() -> Option<Planted> {
    ARMED.get().and_then(|(plan, _)| plan.planted)
}

/// Whether `fd` is a write-ahead file of the log database.
fn is_log(fd: c_int) -> bool {
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    path.extension().is_some_and(|e| e == "log")
        && path.parent().is_some_and(|p| p.ends_with("log"))
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Remembers that the sync after this write is to be left out.
fn owe(fd: c_int, bytes: &[u8]) {
    let Some(planted) = planted() else { return };
    let owed = match planted {
        Planted::SyncOff | Planted::SyncLate => true,
        // A batch with entries, a truncation or a purge has the log's ends too.
        Planted::VoteNotSynced => has(bytes, b"m/vote") && !has(bytes, b"m/mark"),
    };
    if owed && is_log(fd) {
        OWED.store(fd, Ordering::SeqCst);
    }
}

/// Before the next write, what was put off is done.
fn settle_debt(fd: c_int) {
    if planted() == Some(Planted::SyncLate) && OWED.load(Ordering::SeqCst) == fd {
        raw_sync(fd);
        OWED.store(-1, Ordering::SeqCst);
    }
}

fn sync_like(fd: c_int, real: impl FnOnce() -> c_long) -> c_long {
    plain(fd, false, || {
        let leave_out = match planted() {
            None => false,
            Some(Planted::SyncLate) => OWED.load(Ordering::SeqCst) == fd,
            Some(Planted::SyncOff | Planted::VoteNotSynced) => {
                OWED.compare_exchange(fd, -1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            }
        };
        if leave_out { back(0) } else { real() }
    })
}

fn narrow(result: c_long) -> c_int {
    c_int::try_from(result).unwrap_or(-1)
}

/// # Safety
/// As `write(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t {
    let real = |most: usize| {
        // SAFETY: the caller's buffer has `count` bytes, and `most` is not more.
        unsafe { libc::syscall(libc::SYS_write, c_long::from(fd), buffer, most) }
    };
    if (0..3).contains(&fd) || count == 0 {
        return narrow_size(real(count));
    }
    // SAFETY: the caller promises `count` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
    // SAFETY: no memory is involved.
    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    narrow_size(write_like(fd, bytes, at, real))
}

fn narrow_size(result: c_long) -> ssize_t {
    ssize_t::try_from(result).unwrap_or(-1)
}

/// # Safety
/// As `pwrite(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, buffer: *const c_void, count: size_t, at: off_t) -> ssize_t {
    if count == 0 {
        return 0;
    }
    // SAFETY: the caller promises `count` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
    let real = |most: usize| raw_pwrite(fd, bytes.get(..most).unwrap_or_default(), at);
    narrow_size(write_like(fd, bytes, at, real))
}

/// # Safety
/// As `pwrite64(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    count: size_t,
    at: off_t,
) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { pwrite(fd, buffer, count, at) }
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    narrow(sync_like(fd, || raw_sync(fd)))
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: no memory is involved.
    let real = || unsafe { libc::syscall(libc::SYS_fsync, c_long::from(fd)) };
    narrow(sync_like(fd, real))
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    // SAFETY: no memory is involved.
    let real = || unsafe { libc::syscall(libc::SYS_ftruncate, c_long::from(fd), length) };
    narrow(plain(fd, true, real))
}

/// # Safety
/// As `rename(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let here = c_long::from(libc::AT_FDCWD);
    // SAFETY: the caller promises two strings.
    let real = || unsafe { libc::syscall(libc::SYS_renameat2, here, from, here, to, 0) };
    narrow(plain(-1, true, real))
}

/// # Safety
/// As `unlink(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    let here = c_long::from(libc::AT_FDCWD);
    // SAFETY: the caller promises a string.
    let real = || unsafe { libc::syscall(libc::SYS_unlinkat, here, path, 0) };
    narrow(plain(-1, false, real))
}

/// # Safety
/// As `mkdir(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: libc::mode_t) -> c_int {
    let here = c_long::from(libc::AT_FDCWD);
    // SAFETY: the caller promises a string.
    let real = || unsafe { libc::syscall(libc::SYS_mkdirat, here, path, c_long::from(mode)) };
    narrow(plain(-1, true, real))
}
