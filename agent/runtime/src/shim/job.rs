//! The last steps of a job's process before it becomes the tenant's program. Runs in the child after the fork.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid, setsid};

use crate::cgroup::{Controller, Groups};
use crate::directory::{StartFailure, StartStage};
use crate::environment;
use crate::limit;
use crate::shim::wire::{Order, RunAs};
use crate::shim::{sandbox, seccomp};

/// Becomes the job. Comes back only with the reason why not.
pub(super) fn become_job(
    order: &Order,
    locks: &[File],
    groups: &Groups,
    output: [PipeWriter; 2],
) -> StartFailure {
    // In this order: the groups are out of sight of the view, the view needs the rights that the user lacks, and after the
    // filter none of it could be done.
    if let Err(error) = groups.enter() {
        return StartFailure::new(StartStage::Limits, &error);
    }
    let confined = restrict(locks, order).and_then(|()| {
        let work = sandbox::enclose(order)?;
        order.run_as.map_or(Ok(()), change_user)?;
        prctl::set_no_new_privs()?;
        if order.sandbox.seccomp {
            seccomp::install()?;
        }
        Ok(work)
    });
    match confined {
        Ok(work) => StartFailure::new(StartStage::Exec, &command(order, &work, output).exec()),
        Err(error) => StartFailure::new(StartStage::Sandbox, &error),
    }
}

/// Becomes the job's user, for good, and leaves every group of the agent's.
fn change_user(run_as: RunAs) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(run_as.uid), Gid::from_raw(run_as.gid));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

fn restrict(locks: &[File], order: &Order) -> io::Result<()> {
    // The shim blocks signals and the mask survives an exec: the job would never see a request to stop.
    SigSet::empty().thread_set_mask()?;
    setsid()?;
    bound(Resource::RLIMIT_CORE, 0)?;
    bound(Resource::RLIMIT_NOFILE, limit::NOFILE_MAX)?;
    // Counts the user's processes: the job's alone where it has a user of its own, and then as good as a cgroup.
    let pids = order.sandbox.wanted.0.get(&Controller::Pids).map(|limited| limited.value);
    bound(Resource::RLIMIT_NPROC, pids.unwrap_or(limit::NPROC_MAX).min(limit::NPROC_MAX))?;
    for lock in locks {
        // Stands for the open device file of a real driver: the device counts as held while any process of the
        // job has it, even in the moment between the death of the shim and that of its namespace.
        fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

/// Lowers a limit; never raises one that the host set.
fn bound(resource: Resource, max: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let value = hard.min(max);
    setrlimit(resource, value, value)?;
    Ok(())
}

fn command(order: &Order, work: &Path, [stdout, stderr]: [PipeWriter; 2]) -> Command {
    let payload = &order.placement.payload;
    let (program, args) =
        payload.command.split_first().map_or(("", [].as_slice()), |(p, a)| (p.as_str(), a));
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(environment::of_job(&order.placement, work))
        .current_dir(
            payload.working_dir.as_ref().map_or_else(|| work.to_owned(), |dir| work.join(dir)),
        )
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    command
}
