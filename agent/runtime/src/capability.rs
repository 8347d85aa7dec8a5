//! What this host can give to keep jobs apart, tried and not guessed: for the agent's log, and for whoever examines a host.
//!
//! Must hold: what is told here is what a job gets; where something is missing, what that means and what helps is said in
//! English and Japanese. Missing the namespaces of processes is no finding but an error: without them no job is run at all.

use std::fmt;
use std::path::Path;

use nix::unistd::geteuid;

use crate::cgroup::{Controller, Host, Version};
use crate::sandbox::SandboxSettings;
use crate::shim::namespace::{self, Namespaces};
use crate::shim::{MODE_CONFINE, ShimCommand};
use crate::users::JobUsers;

/// Whom jobs run as, as far as this host allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnUsers {
    /// Each job as a user of its own.
    Each,
    /// All jobs as one user that is not the agent's.
    Shared,
    /// As the agent.
    Agent,
}

/// What this host gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// How namespaces are made.
    pub namespaces: Namespaces,
    /// Whom jobs run as.
    pub users: OwnUsers,
    /// Mounts of their own: temporary directories, and the agent's and other jobs' directories hidden. The reason, if not.
    pub mounts: Result<(), String>,
    /// A filter of system calls. The reason, if not.
    pub seccomp: Result<(), String>,
    /// Limits on memory, processes and processors.
    pub cgroup: Host,
}

/// Something that this host does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable name.
    pub name: &'static str,
    /// Why, as the kernel or the settings say; may be empty.
    pub cause: String,
    /// What it means and what helps, in English.
    pub english: &'static str,
    /// The same in Japanese.
    pub japanese: &'static str,
}

impl Capability {
    /// Tries what this host gives for a runtime in `root`. Starts the shim some times. Blocks.
    ///
    /// # Errors
    /// Why no namespaces of processes can be made, in words.
    pub fn probe(
        shim: &ShimCommand,
        root: &Path,
        settings: &SandboxSettings,
    ) -> Result<Self, String> {
        let namespaces = namespace::probe(shim)?;
        let (mounts, seccomp) = confine(shim, namespaces);
        // Root of a user namespace has no other users to give.
        let may = namespaces == Namespaces::Direct && geteuid().is_root();
        let users = match settings.users {
            JobUsers::Possible | JobUsers::Range(_) if may => OwnUsers::Each,
            JobUsers::One(_) if may => OwnUsers::Shared,
            JobUsers::Possible | JobUsers::Range(_) | JobUsers::One(_) | JobUsers::Agent => {
                OwnUsers::Agent
            }
        };
        Ok(Self { namespaces, users, mounts, seccomp, cgroup: Host::find(root) })
    }

    /// What is missing, worst first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |name, cause: &str, english, japanese| {
            findings.push(Finding { name, cause: cause.to_owned(), english, japanese });
        };
        if let Err(cause) = &self.mounts {
            say(
                "JOB_MOUNTS_SHARED",
                cause,
                "Jobs share the host's /tmp and can see the paths of the agent and of other jobs. Allow the agent to mount.",
                "ジョブがホストの /tmp を共有し、エージェントと他のジョブのパスが見えます。エージェントにマウントを許可してください。",
            );
        }
        if let Err(cause) = &self.seccomp {
            say(
                "JOB_SYSCALLS_UNFILTERED",
                cause,
                "Jobs may call everything that the kernel offers to their user. Use a kernel with seccomp filters.",
                "ジョブはカーネルのすべてのシステムコールを呼び出せます。seccomp フィルターのあるカーネルを使ってください。",
            );
        }
        match self.users {
            OwnUsers::Each => {}
            OwnUsers::Shared => say(
                "JOB_USER_SHARED",
                "run_as",
                "All jobs run as one user; only namespaces keep them apart. Set `job_users` in place of `run_as`.",
                "すべてのジョブが同じユーザーで動き、名前空間だけで隔てられます。`run_as` の代わりに `job_users` を設定してください。",
            ),
            OwnUsers::Agent => say(
                "JOB_USER_AGENT",
                "",
                "Jobs run as the agent's own user; only namespaces keep them apart. Run the agent as root.",
                "ジョブがエージェントと同じユーザーで動き、名前空間だけで隔てられます。エージェントを root で実行してください。",
            ),
        }
        for (controller, cause) in &self.cgroup.missing {
            let (name, english, japanese) = match controller {
                Controller::Memory => (
                    "JOB_MEMORY_UNLIMITED",
                    "A job can use all memory of the host, and jobs that ask for a memory limit are not started. Give the agent the memory controller of cgroups (systemd: Delegate=yes).",
                    "ジョブがホストの全メモリを使えます。メモリ上限を求めるジョブは開始されません。cgroup の memory コントローラーをエージェントに委譲してください (systemd: Delegate=yes)。",
                ),
                Controller::Pids => (
                    "JOB_PROCESSES_UNLIMITED",
                    "Only the limit of the job's user bounds its processes. Give the agent the pids controller of cgroups (systemd: Delegate=yes).",
                    "プロセス数はユーザーごとの上限でしか制限されません。cgroup の pids コントローラーをエージェントに委譲してください (systemd: Delegate=yes)。",
                ),
                Controller::Cpu => (
                    "JOB_CPU_UNLIMITED",
                    "A job can keep all processors busy, and jobs that ask for a limit are not started. Give the agent the cpu controller of cgroups (systemd: Delegate=yes).",
                    "ジョブが全 CPU を使えます。CPU 上限を求めるジョブは開始されません。cgroup の cpu コントローラーをエージェントに委譲してください (systemd: Delegate=yes)。",
                ),
            };
            say(name, cause, english, japanese);
        }
        findings
    }
}

/// On one line, for a log.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces = match self.namespaces {
            Namespaces::Direct => "direct",
            Namespaces::User => "of a user namespace",
        };
        let users = match self.users {
            OwnUsers::Each => "one for each job",
            OwnUsers::Shared => "one for all jobs",
            OwnUsers::Agent => "the agent's",
        };
        let given = |given: bool| if given { "yes" } else { "no" };
        write!(
            f,
            "namespaces {namespaces}; users {users}; private mounts {}; system call filter {}; limits",
            given(self.mounts.is_ok()),
            given(self.seccomp.is_ok())
        )?;
        for controller in Controller::ALL {
            let version = match self.cgroup.parents.0.get(&controller) {
                Some((Version::V1, _)) => "v1",
                Some((Version::V2, _)) => "v2",
                None => "no",
            };
            write!(f, " {controller} {version}")?;
        }
        Ok(())
    }
}

/// Lets a shim try mounts and filter. It says one line for each: empty, or why not.
fn confine(shim: &ShimCommand, namespaces: Namespaces) -> (Result<(), String>, Result<(), String>) {
    let output = match shim.command(MODE_CONFINE).arg(namespaces.name()).output() {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return (Err(why.clone()), Err(why));
        }
        Err(error) => return (Err(error.to_string()), Err(error.to_string())),
    };
    let said = String::from_utf8_lossy(&output);
    let mut lines = said.lines().map(|line| match line {
        "" => Ok(()),
        why => Err(why.to_owned()),
    });
    let silent = || Err("the shim did not say".to_owned());
    (lines.next().unwrap_or_else(silent), lines.next().unwrap_or_else(silent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Capability {
        Capability {
            namespaces: Namespaces::Direct,
            users: OwnUsers::Each,
            mounts: Ok(()),
            seccomp: Ok(()),
            cgroup: Host::default(),
        }
    }

    #[test]
    fn a_host_that_gives_everything_has_no_findings_and_every_lack_has_one() {
        assert_eq!(whole().findings(), []);
        let missing = Controller::ALL.map(|controller| (controller, "off".to_owned())).into();
        let bare = Capability {
            namespaces: Namespaces::User,
            users: OwnUsers::Agent,
            mounts: Err("a".to_owned()),
            seccomp: Err("b".to_owned()),
            cgroup: Host { missing, ..Host::default() },
        };
        let names: Vec<&str> = bare.findings().iter().map(|finding| finding.name).collect();
        assert_eq!(
            names,
            [
                "JOB_MOUNTS_SHARED",
                "JOB_SYSCALLS_UNFILTERED",
                "JOB_USER_AGENT",
                "JOB_MEMORY_UNLIMITED",
                "JOB_PROCESSES_UNLIMITED",
                "JOB_CPU_UNLIMITED"
            ]
        );
        assert!(bare.findings().iter().all(|f| !f.english.is_empty() && !f.japanese.is_ascii()));
        let shared = Capability { users: OwnUsers::Shared, ..whole() };
        assert_eq!(shared.findings().len(), 1);
        assert_eq!(
            bare.to_string(),
            "namespaces of a user namespace; users the agent's; private mounts no; system call filter no; \
             limits memory no pids no cpu no"
        );
    }
}
