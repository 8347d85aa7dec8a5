//! The namespaces of a job, and the forks of this crate.
//!
//! Root makes them directly. Everybody else makes a user namespace first, which owns them; in it the user keeps
//! their own number, so that a job is no root even there. Where neither works no process job is started at all:
//! without a PID namespace a daemonized process would survive its placement (P6).

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, fork, getegid, geteuid};
use serde::{Deserialize, Serialize};

use crate::shim::{FAILED, MODE_PROBE, ShimCommand, complain, sandbox, seccomp};

/// How namespaces can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespaces {
    /// Directly: the agent has the privilege.
    Direct,
    /// Inside a user namespace of the agent's own user.
    User,
}

impl Namespaces {
    const ALL: [Self; 2] = [Self::Direct, Self::User];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::User => "user",
        }
    }
}

/// What to tell an installer where no namespaces can be made.
pub const REMEDY: &str = "run the agent as root, or allow user namespaces (user.max_user_namespaces > 0, and no \
                          seccomp or AppArmor rule against unshare)";

/// Which namespaces can be made here. Each attempt is made in a process of its own, since it cannot be taken back.
///
/// # Errors
/// Why none can be made, in words.
pub fn probe(shim: &ShimCommand) -> Result<Namespaces, String> {
    let mut reasons = Vec::new();
    for kind in Namespaces::ALL {
        match shim.command(MODE_PROBE).arg(kind.name()).output() {
            Ok(output) if output.status.success() => return Ok(kind),
            Ok(output) => {
                reasons.push(format!(
                    "{}: {}",
                    kind.name(),
                    String::from_utf8_lossy(&output.stderr).trim()
                ));
            }
            Err(error) => reasons.push(format!("{}: cannot run the shim: {error}", kind.name())),
        }
    }
    Err(reasons.join("; "))
}

/// Does all that a real start does, up to a process in the new namespaces.
pub(super) fn probe_main(kind: &str) -> ExitCode {
    within(kind, || Ok(()))
}

/// Tries, in namespaces of `kind`, how far a job can be confined: one line for its mounts and one for the filter of system
/// calls, empty or why not.
pub(super) fn confine_main(kind: &str) -> ExitCode {
    within(kind, || {
        for tried in [sandbox::probe(), seccomp::install()] {
            let why = tried.err().map(|error| error.to_string().replace('\n', " "));
            writeln!(io::stdout(), "{}", why.unwrap_or_default())?;
        }
        Ok(())
    })
}

/// Runs `inside` as the first process of new namespaces of `kind`.
fn within(kind: &str, inside: impl FnOnce() -> io::Result<()>) -> ExitCode {
    let Some(kind) = Namespaces::ALL.into_iter().find(|known| known.name() == kind) else {
        return ExitCode::from(FAILED);
    };
    let result = enter(kind).and_then(|()| match fork_single()? {
        ForkResult::Child => prepare_init().and_then(|()| inside()),
        ForkResult::Parent { child } => match wait_any()? {
            Some((pid, status)) if pid == child.as_raw() && status.success() => Ok(()),
            // The child has said why.
            Some(_) | None => Err(io::Error::other("the first process failed")),
        },
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Makes the namespaces of `kind`. The caller stays outside the PID namespace; its next child is the init of it.
/// System V IPC is included because its segments would outlive the job.
pub(super) fn enter(kind: Namespaces) -> io::Result<()> {
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    match kind {
        Namespaces::Direct => unshare(flags)?,
        Namespaces::User => {
            let (uid, gid) = (geteuid(), getegid());
            unshare(flags | CloneFlags::CLONE_NEWUSER)?;
            // The kernel lets an unprivileged user map a group only once they gave up changing groups.
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
            fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        }
    }
    Ok(())
}

/// What the init does first: its own mounts, and a `/proc` that shows its own namespace. With the host's `/proc`
/// the numbers would not fit, and a job could read other tenants' command lines.
pub(super) fn prepare_init() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Else the new /proc would spread to the host.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?;
    Ok(())
}

/// Forks a process that has one thread.
///
/// # Errors
/// When there are more threads, or the kernel refuses.
pub(super) fn fork_single() -> io::Result<ForkResult> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the shim must run before any thread is started"));
    }
    #[expect(
        unsafe_code,
        reason = "init must be forked, not spawned: an exec would drop its rights in a user namespace"
    )]
    // SAFETY: the process has one thread, counted above, so no other thread can hold a lock that the child needs.
    let forked = unsafe { fork() }?;
    Ok(forked)
}

/// Waits for any child; `None` when there is none.
///
/// nix cannot say that a real-time signal ended a process: it reports an invalid argument and the child is lost.
pub(super) fn wait_any() -> io::Result<Option<(i32, ExitStatus)>> {
    wait(0)
}

/// As [`wait_any`], but only for what has ended already.
pub(super) fn wait_ended() -> io::Result<Option<(i32, ExitStatus)>> {
    wait(nix::libc::WNOHANG)
}

fn wait(flags: i32) -> io::Result<Option<(i32, ExitStatus)>> {
    loop {
        let mut status = 0;
        #[expect(
            unsafe_code,
            reason = "the safe wrapper loses a child that a real-time signal ended"
        )]
        // SAFETY: `status` is a live integer for the whole call, and the kernel writes nothing else.
        let pid = unsafe { nix::libc::waitpid(-1, &raw mut status, flags | nix::libc::__WALL) };
        match Errno::result(pid) {
            Ok(0) | Err(Errno::ECHILD) => return Ok(None),
            Ok(pid) => return Ok(Some((pid, ExitStatus::from_raw(status)))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
