//! A disk that fails while the member lives: full, read-only, given up by its file system.
//!
//! Must hold (R7): the member stops with an error that names the cause and a remedy, acknowledges nothing afterwards,
//! and has everything acknowledged when the disk is well again.

use super::chain::{Chain, End};
use super::disk::{Disk, own_mounts, scratch};
use super::line::Refusal;
use super::plan::Plan;
use crate::federation::process::all_threads;
use anyhow::{Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Large enough for a fresh store, small enough to be filled at once.
const SMALL_MIB: u64 = 128;
/// Room that is left on a full disk before the member goes on.
const LEFT: usize = 24 << 20;
/// Operations of a life that ends in order.
const SOME: u32 = 120;
/// Operations of a life that the disk has to end.
const MANY: u32 = 100_000;
/// Lines of the member after which its file system gives up: in the middle of its work.
const LINES: u64 = 150;

/// Runs `drill` on a thread with mounts of its own.
///
/// # Errors
/// The drill's.
fn apart(mebibytes: u64, drill: impl FnOnce(&Disk) -> Result<Refusal> + Send) -> Result<Refusal> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("disk-drill".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            own_mounts()?;
            let scratch = scratch()?;
            let disk = Disk::create(scratch.path(), mebibytes)?;
            drill(&disk)
        })?;
        thread.join().map_err(|_panic| anyhow!("the drill panicked"))?
    })
}

fn finished(chain: &mut Chain<'_>, steps: u32) -> Result<()> {
    let end = chain.live(&chain.task(3, steps, false), Plan::NOTHING)?;
    ensure!(end == End::Finished, "a healthy disk, but {end:?}");
    Ok(())
}

/// A disk without room: how the member stopped. Given room again it has everything.
///
/// # Errors
/// A violation.
pub fn full(program: &Path) -> Result<Refusal> {
    apart(SMALL_MIB, |disk| {
        let mut chain = Chain::new(program, disk);
        finished(&mut chain, SOME)?;
        let ballast = disk.path().join("ballast");
        fill(&ballast)?;
        let end = chain.live(&chain.task(4, MANY, true), Plan::NOTHING)?;
        let End::Stopped(why) = end else { bail!("a full disk, but {end:?}") };
        // It may open, if a restart needs no more than is left, or say so again; but it may not forget.
        if let End::Refused(again) = chain.live(&chain.task(5, 0, false), Plan::NOTHING)? {
            ensure!(again.kind == "Full", "reopened on a full disk: {again:?}");
        }
        std::fs::remove_file(&ballast)?;
        finished(&mut chain, SOME)?;
        finished(&mut chain, 0)?;
        Ok(why)
    })
}

/// Takes all room but a little.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let block = [0x5a; 1 << 16];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::StorageFull => break,
            Err(e) => return Err(e.into()),
        }
    }
    let length = file.metadata()?.len().saturating_sub(u64::try_from(LEFT)?);
    file.set_len(length)?;
    Ok(file.sync_all()?)
}

/// A disk that was mounted read-only: why the member did not start. Writable again it has everything.
///
/// # Errors
/// A violation.
pub fn read_only(program: &Path) -> Result<Refusal> {
    apart(SMALL_MIB, |disk| {
        let mut chain = Chain::new(program, disk);
        finished(&mut chain, SOME)?;
        disk.restart_read_only()?;
        let end = chain.live(&chain.task(4, SOME, false), Plan::NOTHING)?;
        let End::Refused(why) = end else { bail!("a read-only disk, but {end:?}") };
        disk.restart()?;
        finished(&mut chain, SOME)?;
        Ok(why)
    })
}

/// Does `act` while every thread of the process stands outside of the kernel.
///
/// Otherwise a sync could be under way when the file system gives up. Such a sync may answer well although ext4 could no
/// longer note that the blocks are written (`failed to convert unwritten extents`): a fault of the kernel that no store
/// can notice, and which the other members make up for.
fn still(pid: Pid, act: impl FnOnce() -> Result<()>) -> Result<()> {
    kill(pid, Signal::SIGSTOP)?;
    while !all_threads(pid, |state| matches!(state, 'T' | 'Z' | 'X')) {
        std::thread::yield_now();
    }
    act()?;
    Ok(kill(pid, Signal::SIGCONT)?)
}

/// A file system that gives up in the middle of the work, so that writes and syncs fail: how the member stopped.
///
/// # Errors
/// A violation.
pub fn aborted(program: &Path) -> Result<Refusal> {
    apart(SMALL_MIB, |disk| {
        let mut chain = Chain::new(program, disk);
        finished(&mut chain, SOME)?;
        let abort = || disk.abort();
        let meanwhile = |pid, line| if line == LINES { still(pid, abort) } else { Ok(()) };
        let end = chain.live_while(&chain.task(4, MANY, false), Plan::NOTHING, meanwhile)?;
        let End::Stopped(why) = end else { bail!("the file system gave up, but {end:?}") };
        disk.restart()?;
        finished(&mut chain, SOME)?;
        Ok(why)
    })
}
