//! The outer shim: everything that must be done outside the job's namespaces, the watch over those who watch
//! ([`crate::guard`]), and the last word on the job's end.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid, getpid, getppid, setsid};

use crate::cgroup::Groups;
use crate::device::tracer::{Held, HoldError};
use crate::directory::{
    ExitRecord, ExitStatus, PlacementDir, ShimRecord, StartFailure, StartStage,
};
use crate::guard::Guards;
use crate::procfs::{self, ProcessId};
use crate::sandbox::Sandbox;
use crate::shim::wire::{self, Ended, Order};
use crate::shim::{FAILED, complain, init, namespace};

/// Runs one placement from order to record.
pub(super) fn main() -> ExitCode {
    let order = match receive() {
        Ok(order) => order,
        Err(error) => {
            complain(&format_args!("no order: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let dir = PlacementDir::at(order.dir.clone());
    let claims: Vec<(String, Vec<PathBuf>)> = order
        .placement
        .devices
        .iter()
        .filter(|device| !device.locks.is_empty())
        .map(|device| (device.uuid.clone(), device.locks.clone()))
        .collect();
    let held = match Held::take(&claims, &order.placement.key) {
        Ok(held) => held,
        Err(error) => {
            let stage = match error {
                HoldError::Busy(_) => StartStage::Device,
                HoldError::Io { .. } => StartStage::Shim,
            };
            return record(&dir, ExitStatus::StartFailed(StartFailure::new(stage, &error)).into());
        }
    };
    let Sandbox { groups, wanted, .. } = &order.sandbox;
    let groups = match Groups::make(groups, &order.placement.key, wanted) {
        Ok(groups) => groups,
        Err(error) => {
            held.trace_release();
            let failure = StartFailure::new(StartStage::Limits, &error);
            return record(&dir, ExitStatus::StartFailed(failure).into());
        }
    };
    let ended = match in_namespace(&order, &dir, &held, &groups) {
        Ok(Side::Init(code)) => return code,
        Ok(Side::Outer(ended)) => ended,
        Err(failure) => ExitStatus::StartFailed(failure).into(),
    };
    // While the locks are still held: a later holder's line can then only come after this one.
    held.trace_release();
    groups.remove();
    record(&dir, ended)
}

/// Which of the two processes came back from the fork.
enum Side {
    Outer(Ended),
    Init(ExitCode),
}

/// Closes what the agent's own launcher left open: a job must not get at it, and whoever waits at the other end
/// must not wait for the job.
fn close_inherited() -> io::Result<()> {
    const FIRST: u32 = 3;
    #[expect(unsafe_code, reason = "there is no safe wrapper for closing a range")]
    // SAFETY: this is the shim's first act, before it has opened anything; nothing here owns a descriptor from 3 up.
    let closed = unsafe { nix::libc::syscall(nix::libc::SYS_close_range, FIRST, u32::MAX, 0) };
    Errno::result(closed)?;
    Ok(())
}

fn receive() -> io::Result<Order> {
    close_inherited()?;
    // A terminal's or service manager's signal to the whole group must reach init only, which stops in order.
    let blocked =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCHLD];
    blocked.into_iter().collect::<SigSet>().thread_block()?;
    let order = wire::take_order()?;
    if getppid() != Pid::from_raw(order.parent) {
        return Err(io::Error::other("the runtime is gone"));
    }
    setsid()?;
    Ok(order)
}

fn in_namespace(
    order: &Order,
    dir: &PlacementDir,
    held: &Held,
    groups: &Groups,
) -> Result<Side, StartFailure> {
    let shim = |error: io::Error| StartFailure::new(StartStage::Shim, &error);
    let (go_read, go_write) = io::pipe().map_err(shim)?;
    let (result_read, result_write) = io::pipe().map_err(shim)?;
    let namespace = |error: io::Error| StartFailure::new(StartStage::Namespace, &error);
    namespace::enter(order.namespaces).map_err(namespace)?;
    match namespace::fork_single().map_err(namespace)? {
        ForkResult::Child => {
            drop((go_write, result_read));
            let held = (held.files(), groups);
            Ok(Side::Init(init::main(order, held, go_read, result_write)))
        }
        ForkResult::Parent { child } => {
            drop((go_read, result_write));
            let started =
                introduce(dir, child, order.placement.bound).and_then(|()| release(go_write));
            let root = order.dir.parent().unwrap_or(&order.dir);
            let status = conclude(result_read, child, Guards::of(root));
            started.map_err(shim)?;
            status.map(Side::Outer).map_err(shim)
        }
    }
}

/// Records who runs the job before it can run. An error leaves init without its go, and it ends.
fn introduce(dir: &PlacementDir, init: Pid, bound: bool) -> io::Result<()> {
    let find = |pid: Pid| {
        ProcessId::of(pid.as_raw())?.ok_or_else(|| io::Error::other("a shim process vanished"))
    };
    dir.write_shim(&ShimRecord {
        boot_id: procfs::boot_id()?,
        outer: find(getpid())?,
        init: find(init)?,
        bound,
    })
}

fn release(mut go: PipeWriter) -> io::Result<()> {
    go.write_all(b"g")
}

/// Waits for init, and ends it when nobody is left to look after the job. When the wait is over, the kernel has reaped every
/// process of the namespace.
fn conclude(mut result: PipeReader, init: Pid, mut guards: Guards) -> io::Result<Ended> {
    let mut unguarded = false;
    loop {
        if guards.are_gone() {
            unguarded = true;
            // Not reaped yet, so the number is still its own.
            match kill(init, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if is_over(&result, &guards)? {
            break;
        }
    }
    let mut said = Vec::new();
    result.read_to_end(&mut said)?;
    while let Some((pid, _)) = namespace::wait_any()? {
        if pid == init.as_raw() {
            break;
        }
    }
    // Init says how the job ended as its last act; an init that said nothing was killed.
    let killed = if unguarded { ExitStatus::Unguarded } else { ExitStatus::ShimKilled };
    Ok(postcard::from_bytes(&said).unwrap_or_else(|_none| killed.into()))
}

/// Sleeps until init has said its last word or is dead (true), or the guards are worth a look.
fn is_over(result: &PipeReader, guards: &Guards) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(result.as_fd(), PollFlags::POLLIN)];
    fds.extend(guards.ends().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let timeout = match guards.look_after() {
        Some(after) => PollTimeout::try_from(after).map_err(io::Error::other)?,
        None => PollTimeout::NONE,
    };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(fds.first().and_then(PollFd::any).unwrap_or(false))
}

fn record(dir: &PlacementDir, Ended { status, restarts }: Ended) -> ExitCode {
    let written = procfs::boottime_ns().and_then(|at_boottime_ns| {
        dir.write_exit(&ExitRecord { status, at_boottime_ns, restarts })
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format_args!("cannot record the end: {error}"));
            ExitCode::from(FAILED)
        }
    }
}
