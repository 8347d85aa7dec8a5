//! The last steps of a job's process before it becomes the tenant's program. Runs in the child after the fork.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::setsid;

use crate::directory::PlacementDir;
use crate::environment;
use crate::limit;
use crate::shim::wire::Order;

/// Becomes the job. Comes back only with the reason why not.
pub(super) fn become_job(
    order: &Order,
    locks: &[File],
    stdout: PipeWriter,
    stderr: PipeWriter,
) -> io::Error {
    match restrict(locks) {
        Ok(()) => command(order, stdout, stderr).exec(),
        Err(error) => error,
    }
}

fn restrict(locks: &[File]) -> io::Result<()> {
    // The shim blocks signals and the mask survives an exec: the job would never see a request to stop.
    SigSet::empty().thread_set_mask()?;
    setsid()?;
    prctl::set_no_new_privs()?;
    bound(Resource::RLIMIT_CORE, 0)?;
    bound(Resource::RLIMIT_NOFILE, limit::NOFILE_MAX)?;
    bound(Resource::RLIMIT_NPROC, limit::NPROC_MAX)?;
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

fn command(order: &Order, stdout: PipeWriter, stderr: PipeWriter) -> Command {
    let work = PlacementDir::at(order.dir.clone()).work();
    let payload = &order.placement.payload;
    let (program, args) =
        payload.command.split_first().map_or(("", [].as_slice()), |(p, a)| (p.as_str(), a));
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(environment::of_job(&order.placement, &work))
        .current_dir(
            payload.working_dir.as_ref().map_or_else(|| work.clone(), |dir| work.join(dir)),
        )
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    if let Some(run_as) = order.run_as {
        // Setting the user as root also drops the supplementary groups.
        command.gid(run_as.gid).uid(run_as.uid);
    }
    command
}
